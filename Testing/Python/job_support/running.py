"""Start jobs with the task "behaviour" and look at real processes; used by the tests of jobs and by `parent.py`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.jobs.child import launch_process
from SynthMRILib.jobs.client import JobClient
from SynthMRILib.jobs.folders import PREFIX
from SynthMRILib.jobs.job import Job
from SynthMRILib.volume import Grid, Volume

HERE = Path(__file__).parent
#: What happens at once has happened after this time [s], however busy the machine is.
MOMENT = 20.0


def launch_with_behaviour(arguments: list[str], options: dict) -> subprocess.Popen:
    """The usual child, but for a script in place of the module."""
    assert arguments[1:] == ["-m", "SynthMRILib.jobs.worker"]
    options["env"]["PYTHONPATH"] += os.pathsep + str(HERE)
    return launch_process([arguments[0], str(HERE / "worker_with_behaviour.py")], options)


def behaviour_client(folder: Path, **arguments) -> JobClient:
    """A client whose child knows the task "behaviour" and whose job folders are made in `folder`."""
    return JobClient(folder=folder, launch=launch_with_behaviour, **arguments)


def submit(client: JobClient, behaviour: str, volume: Volume | None = None, **parameters) -> Job:
    """Submit a run of the task "behaviour"."""
    inputs = {"input": volume_of_ones() if volume is None else volume}
    return client.submit("behaviour", inputs, bundle=None, parameters={"behaviour": behaviour, **parameters})


def volume_of_ones(edge: int = 16) -> Volume:
    return Volume(np.ones((edge,) * 3, dtype=np.float32), Grid.from_spacing((edge,) * 3, (1.0, 1.0, 1.0)))


def job_folders(folder: Path) -> list[Path]:
    """The job folders that exist now."""
    return sorted(folder.glob(f"{PREFIX}*"))


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than an entry that nobody has collected yet."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], *, seconds: float = MOMENT) -> float:
    """Time [s] until the condition held. Fails when it does not within `seconds`."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"still not so after {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - start


def poll_until_progress(job: Job, *, seconds: float = 30.0) -> None:
    """Poll until the task itself has reported progress."""
    wait_until(lambda: any(getattr(event, "fraction", 0) > 0 for event in job.poll()), seconds=seconds)


def error_of(job, kind: type[SynthMRIError]) -> str:
    """The sentence of the error, of exactly this class, with which the job fails."""
    with pytest.raises(SynthMRIError) as caught:
        job.wait(60)
    assert type(caught.value) is kind
    assert job.state == "failed"
    assert job.error is caught.value
    assert "\n" not in str(caught.value)
    return str(caught.value)
