"""How jobs end otherwise: cancelled while nothing can be interrupted, or because their parent is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cohort_support import hear_interrupts
from job_support.running import (
    MOMENT,
    behaviour_client,
    is_running,
    job_folders,
    poll_until_progress,
    submit,
    volume_of_ones,
    wait_until,
)
from SynthMRILib.errors import Cancelled
from SynthMRILib.jobs.folders import LOCK_NAME, PREFIX, JobFolder, remove_abandoned
from SynthMRILib.jobs.job import FinishedEvent

#: Time [s] after its progress report by which the child is within the operation that cannot be interrupted.
SURELY_BUSY = 0.3
SUPPORT = Path(__file__).parent / "job_support"


@pytest.fixture
def client(tmp_path):
    with behaviour_client(tmp_path) as client:
        yield client


def cancel_and_measure(job) -> float:
    """Time [s] from Cancel until the job is cancelled."""
    start = time.monotonic()
    job.cancel()
    with pytest.raises(Cancelled, match="nothing was changed"):
        job.wait(60)
    return time.monotonic() - start


def test_a_job_that_reports_progress_stops_at_once_and_the_child_stays_warm(client, tmp_path, monkeypatch):
    monkeypatch.setattr("SynthMRILib.jobs.run.CANCEL_GRACE", MOMENT)
    job = submit(client, "report_steps", seconds=4.0)
    poll_until_progress(job)
    pid = client.facts["pid"]
    assert cancel_and_measure(job) < MOMENT
    assert job_folders(tmp_path) == []
    assert submit(client, "add_one").wait(60).measurements["pid"] == pid


@pytest.mark.parametrize("behaviour", ["sleep", "sleep_holding_pythons_lock", "multiply_matrices"])
def test_what_cannot_be_interrupted_is_cancelled_at_once_and_leaves_nothing(client, tmp_path, behaviour):
    job = submit(client, behaviour, volume_of_ones(64), seconds=60)
    poll_until_progress(job, seconds=120)
    time.sleep(SURELY_BUSY)
    pid = client.facts["pid"]
    assert cancel_and_measure(job) < MOMENT
    assert job.state == "cancelled"
    assert job.result is None
    assert job_folders(tmp_path) == []
    wait_until(lambda: not is_running(pid))
    assert submit(client, "add_one").wait(60).measurements["pid"] != pid


def test_cancel_ends_the_processes_that_the_child_started(client):
    job = submit(client, "start_process", seconds=60)
    events = []
    wait_until(lambda: events.extend(job.poll()) or any(e.fraction > 0 for e in events), seconds=30)
    grandchild = int(events[-1].message)
    assert is_running(grandchild)
    cancel_and_measure(job)
    wait_until(lambda: not is_running(grandchild))


def test_a_job_is_cancelled_at_once_while_its_child_still_starts(client, tmp_path):
    job = submit(client, "add_one")
    assert cancel_and_measure(job) < MOMENT
    assert job_folders(tmp_path) == []
    assert submit(client, "add_one").wait(60).outputs


def test_the_queue_goes_on_after_a_cancelled_job(client):
    first, second = submit(client, "sleep", seconds=60), submit(client, "add_one")
    poll_until_progress(first)
    first.cancel()
    assert second.wait(60).outputs
    assert first.state == "cancelled"


def test_a_result_that_comes_after_cancel_is_not_delivered(client):
    job = submit(client, "sleep", seconds=0.3)
    poll_until_progress(job)
    job.cancel()
    time.sleep(0.4)
    assert job.poll()[-1] == FinishedEvent("cancelled")
    assert job.result is None


def test_cancelling_twice_or_too_late_does_no_harm(client):
    done = submit(client, "add_one")
    done.wait(60)
    done.cancel()
    assert done.state == "done"
    job = submit(client, "sleep", seconds=60)
    poll_until_progress(job)
    job.cancel()
    assert cancel_and_measure(job) < MOMENT


def start_parent(folder: Path, behaviour: str, *, seconds: float, ending: str) -> tuple[subprocess.Popen, int]:
    """A program with a running job, and the process number of its child."""
    parent = subprocess.Popen(
        [sys.executable, str(SUPPORT / "parent.py"), str(folder), behaviour, str(seconds), ending],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=hear_interrupts,
    )
    child = int(parent.stdout.readline())
    time.sleep(SURELY_BUSY)
    return parent, child


# Only Linux ends a child whose library holds Python's lock; elsewhere it ends as soon as the library lets go.
LONG_WORK = ["sleep", "multiply_matrices", *(["sleep_holding_pythons_lock"] if sys.platform == "linux" else [])]


@pytest.mark.parametrize("behaviour", LONG_WORK)
def test_the_child_of_a_killed_parent_is_soon_gone(tmp_path, behaviour):
    parent, child = start_parent(tmp_path, behaviour, seconds=60, ending="wait")
    assert is_running(child)
    parent.kill()
    wait_until(lambda: not is_running(child))
    parent.communicate()


def test_the_folder_of_a_killed_parent_holds_no_voxels_and_is_removed_at_the_next_start(tmp_path):
    parent, child = start_parent(tmp_path, "sleep", seconds=60, ending="wait")
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_running(child))
    assert [file.name for left in job_folders(tmp_path) for file in left.iterdir()] in ([], [LOCK_NAME])
    with behaviour_client(tmp_path) as client:
        submit(client, "add_one").wait(60)
        assert job_folders(tmp_path) == []


def test_a_parent_that_ends_without_closing_leaves_neither_child_nor_folder(tmp_path):
    parent, child = start_parent(tmp_path, "sleep", seconds=60, ending="leave")
    parent.communicate(timeout=60)
    assert parent.returncode == 0
    wait_until(lambda: not is_running(child))
    assert job_folders(tmp_path) == []


def test_ctrl_c_while_waiting_cancels_and_leaves_neither_child_nor_folder(tmp_path):
    parent, child = start_parent(tmp_path, "sleep", seconds=60, ending="wait")
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=60)
    assert parent.returncode != 0
    wait_until(lambda: not is_running(child))
    assert job_folders(tmp_path) == []


def test_the_folder_of_a_living_parent_is_never_removed(tmp_path):
    parent, child = start_parent(tmp_path, "sleep", seconds=60, ending="wait")
    (living,) = job_folders(tmp_path)
    mine = JobFolder(tmp_path)
    os.utime(living, (0, 0))
    with behaviour_client(tmp_path) as client:
        submit(client, "add_one").wait(60)
    remove_abandoned(tmp_path)
    assert job_folders(tmp_path) == sorted([living, mine.path])
    mine.remove()
    mine.remove()
    assert job_folders(tmp_path) == [living]
    assert is_running(child)
    parent.kill()
    parent.communicate()


def test_only_folders_that_are_surely_abandoned_are_removed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / LOCK_NAME).touch()
    names = ["abandoned", "being-made", "never-made", "link"]
    abandoned, being_made, never_made, link = (tmp_path / f"{PREFIX}{name}" for name in names)
    for folder in (abandoned, being_made, never_made):
        folder.mkdir()
    (abandoned / LOCK_NAME).touch()
    (abandoned / "input-0.npy").write_bytes(b"voxels")
    os.utime(never_made, (0, 0))
    link.symlink_to(elsewhere)
    remove_abandoned(tmp_path)
    assert job_folders(tmp_path) == sorted([being_made, link])
    assert (elsewhere / LOCK_NAME).exists()
