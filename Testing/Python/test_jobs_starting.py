"""Children that cannot start, or start in unusual ways, and the one sentence that each reason gets."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

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
from SynthMRILib.errors import InputError, JobError, ResourceError
from SynthMRILib.jobs.client import JobClient


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
        wait_until(lambda: job.poll() is not None and job.finished)
        wait_until(lambda: not is_running(pid))
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
