"""Jobs that fail, each for a real reason, and the one sentence that each reason gets."""

import errno
import os
import re
import resource
import signal
import subprocess
import threading
from types import SimpleNamespace

import pytest
from job_support.running import (
    behaviour_client,
    error_of,
    is_running,
    job_folders,
    poll_until_progress,
    submit,
    volume_of_ones,
    wait_until,
)
from SynthMRILib.errors import BundleError, InputError, JobError, ResourceError
from SynthMRILib.jobs import failures
from SynthMRILib.jobs.run import Run


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory):
    with behaviour_client(tmp_path_factory.mktemp("jobs")) as client:
        yield client


@pytest.fixture
def client(tmp_path):
    with behaviour_client(tmp_path) as client:
        yield client


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
    wait_until(lambda: not is_running(first))
    assert submit(client, "add_one").wait(60).measurements["pid"] != first


def test_a_run_whose_inputs_are_still_being_written_was_not_taken_up_by_a_child(tmp_path):
    gate = threading.Event()
    job = SimpleNamespace(inputs=lambda: {} if gate.wait(30) else None, task_name="add_one", bundle=None, parameters={})
    run = Run(job, 1, tmp_path)
    assert run.request is None and not run.untouched
    gate.set()
    run.remove()
    assert run.request is not None and not run.untouched


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
    submit(client, "add_one").wait(60)  # the child starts without the limit
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert "disk" in error_of(submit(client, "add_one"), ResourceError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
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
        wait_until(lambda: job_folders(small_disk) == [])  # by the thread that wrote, if it is still at it
        assert "full" in error_of(submit(client, "fill_disk", volume_of_ones(40), text=str(small_disk)), ResourceError)
        assert job_folders(small_disk) == []
        (small_disk / "filling").unlink()
        assert submit(client, "add_one", volume_of_ones(40)).wait(60).outputs


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
