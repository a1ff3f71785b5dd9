"""Jobs that fail, each for a real reason, and the one sentence that each reason gets."""

import errno
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from job_support.running import (
    behaviour_client,
    is_running,
    job_folders,
    poll_until_progress,
    submit,
    volume_of_ones,
    wait_until,
)
from SynthMRILib import errors
from SynthMRILib.errors import BundleError, InputError, JobError, ResourceError
from SynthMRILib.jobs import failures
from SynthMRILib.jobs.client import JobClient


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory):
    with behaviour_client(tmp_path_factory.mktemp("jobs")) as client:
        yield client


@pytest.fixture
def client(tmp_path):
    with behaviour_client(tmp_path) as client:
        yield client


def error_of(job, kind: type[errors.SynthMRIError]) -> str:
    """The sentence of the error, of exactly this class, with which the job fails."""
    with pytest.raises(errors.SynthMRIError) as caught:
        job.wait(60)
    assert type(caught.value) is kind
    assert job.state == "failed"
    assert job.error is caught.value
    assert "\n" not in str(caught.value)
    return str(caught.value)


# behaviour, parameters, class in the parent, what its sentence must say, whether the child stays as it is
FAILURES = [
    ("raise_error", {"text": "InputError"}, InputError, "^Something is wrong: do something else.$", True),
    ("raise_error", {"text": "BundleError"}, BundleError, "^Something is wrong: do something else.$", True),
    ("raise_error", {"text": "ResourceError"}, ResourceError, "^Something is wrong: do something else.$", True),
    ("raise_error", {"text": "ABadScan"}, InputError, "^Something is wrong: do something else.$", True),
    ("raise_error", {"text": "ValueError"}, JobError, r"ValueError: Something is wrong.*report", True),
    ("add_one", {"no_such_parameter": 1}, InputError, "Unknown parameter 'no_such_parameter'", True),
    ("give_nothing", {}, JobError, "output is missing", True),
    ("give_what_no_json_can_say", {}, JobError, "TypeError: object cannot be sent", True),
    ("want_numpy_memory", {}, ResourceError, "ran out of memory.*smaller tile", False),
    ("want_torch_memory", {}, ResourceError, "ran out of memory.*smaller tile", False),
    ("abort", {}, JobError, "crashed .Aborted.*run again", False),
    ("exit", {"text": "0"}, JobError, "exit code 0 before it delivered a result", False),
    ("exit", {"text": "3"}, JobError, "exit code 3 before it delivered a result", False),
]


@pytest.mark.parametrize(("behaviour", "parameters", "kind", "sentence", "child_stays"), FAILURES)
def test_every_failure_has_its_class_and_sentence_and_the_next_job_works(
    shared_client, behaviour, parameters, kind, sentence, child_stays
):
    before = submit(shared_client, "add_one").wait(60).measurements["pid"]
    assert re.search(sentence, error_of(submit(shared_client, behaviour, **parameters), kind))
    after = submit(shared_client, "add_one").wait(60).measurements["pid"]
    assert (before == after) is child_stays


def test_a_finding_of_the_tasks_check_stops_the_run(shared_client):
    negative = volume_of_ones().with_voxels(-volume_of_ones().voxels)
    assert error_of(submit(shared_client, "add_one", negative), InputError) == "The volume is negative: use another."


def test_an_unknown_task_is_named(shared_client):
    job = shared_client.submit("no-such-task", {"input": volume_of_ones()}, bundle=None, parameters={})
    assert "Unknown task 'no-such-task'" in error_of(job, InputError)


def test_the_traceback_of_an_unforeseen_error_reaches_the_log_and_the_raised_error(shared_client):
    job = submit(shared_client, "raise_error", text="ValueError")
    error_of(job, JobError)
    assert job.log[-1] == "ValueError: Something is wrong: do something else."
    assert any("behaviour.py" in line for line in job.log)
    assert "behaviour.py" in str(job.error.__cause__)


def test_the_last_lines_of_a_child_that_crashes_are_not_lost(client):
    job = submit(client, "abort")
    error_of(job, JobError)
    assert "about to abort" in job.log
    assert any("Fatal Python error: Aborted" in line for line in job.log)


def test_nothing_is_left_on_disk_after_a_crash(client, tmp_path):
    error_of(submit(client, "abort"), JobError)
    error_of(submit(client, "raise_error", text="ValueError"), JobError)
    assert job_folders(tmp_path) == []


def test_a_child_that_is_killed_from_outside_is_told_apart_from_a_crash(client, tmp_path):
    job = submit(client, "sleep", seconds=60)
    poll_until_progress(job)
    os.kill(client.facts["pid"], signal.SIGKILL)
    assert re.search("stopped from outside.*memory ran out.*smaller tile", error_of(job, ResourceError))
    assert job_folders(tmp_path) == []


def test_a_warm_child_that_dies_while_idle_is_replaced_unnoticed(client):
    first = submit(client, "add_one").wait(60).measurements["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_running(first), seconds=2)
    assert submit(client, "add_one").wait(60).measurements["pid"] != first


def test_a_run_that_a_dying_child_never_took_up_is_done_by_the_next(client):
    first = submit(client, "add_one").wait(60).measurements["pid"]
    os.kill(first, signal.SIGSTOP)
    job = submit(client, "add_one")
    os.kill(first, signal.SIGKILL)
    assert job.wait(60).measurements["pid"] != first


def test_the_queue_goes_on_after_a_crash(client):
    crash, after = submit(client, "abort"), submit(client, "add_one")
    assert after.wait(60).outputs
    assert crash.state == "failed"


def test_a_disk_that_is_too_small_for_the_output_is_named(client, tmp_path):
    assert "disk" in error_of(submit(client, "meet_file_size_limit"), ResourceError)
    assert job_folders(tmp_path) == []


def test_a_disk_that_is_too_small_for_the_input_is_named(client, tmp_path):
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        job = submit(client, "add_one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert "disk" in error_of(job, ResourceError)
    assert job_folders(tmp_path) == []
    assert submit(client, "add_one").wait(60).outputs


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own that holds 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("Mounting a small file system needs root; the limits on file size test the same sentences.")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_for_inputs_and_outputs_and_left_clean(small_disk):
    with behaviour_client(small_disk) as client:
        assert "full" in error_of(submit(client, "add_one", volume_of_ones(80)), ResourceError)
        assert "full" in error_of(submit(client, "fill_disk", volume_of_ones(40), text=str(small_disk)), ResourceError)
        assert job_folders(small_disk) == []
        (small_disk / "filling").unlink()
        assert submit(client, "add_one", volume_of_ones(40)).wait(60).outputs


@pytest.fixture
def python_with_launcher(tmp_path):
    """An interpreter that is started by another program, as PythonSlicer does it."""
    launcher = tmp_path / "PythonLauncher"
    launcher.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@"\ncode=$?\n'
        'if [ $code -gt 128 ]; then echo "error: [python] exit abnormally - Report the problem." >&2; exit 1; fi\n'
        "exit $code\n"
    )
    launcher.chmod(0o700)
    return str(launcher)


@pytest.mark.parametrize("end", ["kill", "cancel", "close"])
def test_an_interpreter_behind_a_launcher_is_told_and_ended_just_as_well(tmp_path, python_with_launcher, end):
    with behaviour_client(tmp_path, python=python_with_launcher) as client:
        assert "crashed (Aborted)" in error_of(submit(client, "abort"), JobError)
        job = submit(client, "sleep", seconds=60)
        poll_until_progress(job)
        pid = client.facts["pid"]
        {"kill": lambda: os.kill(pid, signal.SIGKILL), "cancel": job.cancel, "close": client.close}[end]()
        wait_until(lambda: job.poll() is not None and job.finished, seconds=1)
        wait_until(lambda: not is_running(pid), seconds=1)
        if end == "kill":
            assert "memory ran out" in error_of(job, ResourceError)


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("/no/such/python", "'/no/such/python' cannot be started .No such file.*check that it exists"),
        ("/etc", "cannot be started .Permission denied"),
        ("/bin/false", r"could not start .exit code 1\).*check the Python interpreter"),
    ],
)
def test_a_wrong_interpreter_is_named(tmp_path, python, sentence):
    with JobClient(python, folder=tmp_path) as client:
        job = client.submit("super-resolution", {"input": volume_of_ones()}, bundle=None, parameters={})
        assert re.search(sentence, error_of(job, JobError))
    assert job_folders(tmp_path) == []


def test_a_program_that_never_says_hello_is_given_up(tmp_path):
    def launch_sleep(_arguments, options):
        return subprocess.Popen(["sleep", "60"], **options)

    with JobClient(folder=tmp_path, launch=launch_sleep, start_timeout=0.3) as client:
        job = client.submit("super-resolution", {"input": volume_of_ones()}, bundle=None, parameters={})
        assert "did not start within 0.3 s" in error_of(job, JobError)


def test_a_launcher_that_gives_no_pipes_is_named(tmp_path):
    def launch_without_input(arguments, options):
        return subprocess.Popen(arguments, **{**options, "stdin": None})

    with JobClient(folder=tmp_path, launch=launch_without_input) as client:
        job = client.submit("super-resolution", {"input": volume_of_ones()}, bundle=None, parameters={})
        assert "no pipes" in error_of(job, JobError)


def write_module(folder: Path, text: str, name: str) -> dict[str, str]:
    """The environment in which a module of that name is the given text."""
    (folder / f"{name}.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


def test_a_torch_that_cannot_be_imported_is_named_and_work_without_it_goes_on(tmp_path):
    environment = write_module(
        tmp_path, "raise ImportError('libcudart.so.12: cannot open shared object file')", "torch"
    )
    with behaviour_client(tmp_path, environment=environment) as client:
        client.start()
        wait_until(lambda: client.update() or "torch" in client.facts, seconds=60)
        assert client.facts["torch"] is None
        assert "libcudart" in client.facts["problem"]
        sentence = error_of(submit(client, "import_torch"), JobError)
        assert re.search("package that SynthMRI needs cannot be imported .libcudart.*install", sentence)
        assert submit(client, "add_one").wait(60).outputs


def test_a_python_without_the_requirements_is_named(tmp_path):
    environment = write_module(tmp_path, "raise ModuleNotFoundError('No module named numpy')", "numpy")
    with behaviour_client(tmp_path, environment=environment) as client:
        sentence = error_of(submit(client, "add_one"), JobError)
    assert re.search("could not start .exit code 1: ModuleNotFoundError: No module named numpy.*install", sentence)


def test_another_version_in_the_child_is_named(tmp_path):
    environment = write_module(tmp_path, "import SynthMRILib; SynthMRILib.__version__ = '99.0'", "sitecustomize")
    with behaviour_client(tmp_path, environment=environment) as client:
        assert "uses SynthMRI 99.0" in error_of(submit(client, "add_one"), InputError)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            failures.OUT_OF_MEMORY,
        ),
        (RuntimeError("CUDA error: out of memory"), failures.OUT_OF_ACCELERATOR_MEMORY),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), failures.OUT_OF_ACCELERATOR_MEMORY),
        (MemoryError(), failures.OUT_OF_MEMORY),
        (OSError(errno.ENOSPC, "No space left on device"), failures.DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), failures.DISK_FULL),
    ],
)
def test_the_ways_in_which_libraries_say_that_resources_ran_out_are_known(error, sentence):
    shown = failures.as_synthmri_error(error)
    assert (type(shown), str(shown)) == (ResourceError, sentence)


def test_torchs_own_out_of_memory_error_is_known():
    import torch

    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert str(failures.as_synthmri_error(error)) == failures.OUT_OF_ACCELERATOR_MEMORY


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(0xC0000005, "crashed .0xC0000005"), (-signal.SIGSEGV, "crashed .SIGSEGV"), (1, "ended with exit code 1")],
)
def test_exit_codes_of_all_systems_are_put_into_words(code, sentence):
    assert re.search(sentence, str(failures.error_of_exit(code, started=True, log=[])))
