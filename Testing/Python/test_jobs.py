"""Jobs that go well: what comes back, what is told meanwhile, what stays warm. Always with a real child process."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
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
from SynthMRILib.errors import JobError
from SynthMRILib.jobs import protocol
from SynthMRILib.jobs.client import JobClient
from SynthMRILib.jobs.job import FinishedEvent, LogEvent, ProgressEvent
from SynthMRILib.jobs.reporter import AT_LEAST_EVERY, AT_MOST_EVERY, ProgressReporter
from SynthMRILib.volume import Grid, Volume


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def client(folder):
    with behaviour_client(folder) as client:
        yield client


def test_a_volume_comes_back_with_its_exact_geometry_and_header(client):
    matrix = np.array([[0.7, 0.1, 0, 1 / 3], [-0.1, -0.7, 1e-9, 2], [0, 0.2, 4, -3e5], [0, 0, 0, 1]])
    voxels = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    volume = Volume(voxels, Grid((3, 4, 5), matrix), {"contrast": "T1w", "hint": "Größe"})
    result = submit(client, "add_one", volume, seed=7).wait(60)
    output = result.outputs["output"]
    assert np.array_equal(output.voxels, voxels + 1)
    assert np.array_equal(output.grid.ijk_to_ras, matrix)
    assert output.header == volume.header
    assert result.provenance == {"seed": 7}
    assert np.array_equal(volume.voxels, voxels)


def test_nothing_is_left_on_disk_after_a_run(client, folder):
    submit(client, "add_one").wait(60)
    assert job_folders(folder) == []


def test_the_folder_of_a_running_job_is_private_and_the_input_is_deleted_once_read(client, folder):
    job = submit(client, "sleep", seconds=0.3)
    poll_until_progress(job)
    (job_folder,) = job_folders(folder)
    assert job_folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in job_folder.iterdir()] == ["in-use"]
    job.wait(60)


def test_the_child_stays_warm_between_runs(client):
    pids = {submit(client, "add_one").wait(60).measurements["pid"] for _ in range(3)}
    assert pids == {client.facts["pid"]}


def test_jobs_run_in_the_order_of_submission(client):
    finished = []
    jobs = [submit(client, "sleep", seconds=0.1) for _ in range(3)]
    for job in jobs:
        job.on_finished = finished.append
    assert [job.state for job in jobs] == ["running", "queued", "queued"]
    jobs[2].wait(60)
    assert all(job.state == "done" for job in jobs)
    for job in jobs:
        job.poll()
    assert set(finished) == set(jobs)


def test_a_cancelled_queued_job_never_runs_and_the_others_do(client):
    first, second, third = (submit(client, "sleep", seconds=0.1) for _ in range(3))
    second.cancel()
    assert second.state == "cancelled"
    first.wait(60), third.wait(60)
    assert second.state == "cancelled"
    assert second.poll() == [FinishedEvent("cancelled")]


def test_progress_tells_the_part_done_and_the_time_left(client):
    events = []
    job = submit(client, "report_steps", seconds=2.0)
    job.on_progress = events.append
    job.wait(60)
    reported = [event for event in events if event.seconds_left is not None]
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert len(reported) > 5
    assert reported[-1].message == "Tile 20 of 20"
    assert [event.elapsed for event in events] == sorted(event.elapsed for event in events)


def test_the_time_left_follows_from_the_pace_since_the_first_report():
    sent, now = [], [100.0]
    report = ProgressReporter(sent.append, clock=lambda: now[0])
    report.begin(1)
    for fraction, seconds_later in ((0.1, 5.0), (0.2, 2.0), (0.3, 2.0), (0.9, 3.0)):
        now[0] += seconds_later
        report(fraction, "Tile")
    report.end()
    assert [message["elapsed"] for message in sent] == [5.0, 7.0, 9.0, 12.0]
    assert [message["seconds_left"] for message in sent] == [None, 16.0, 14.0, pytest.approx(0.9, abs=0.05)]


def test_a_long_silent_step_still_shows_life(client):
    seen = []
    job = submit(client, "sleep", seconds=3.5)
    job.on_progress = lambda event: seen.append(event.elapsed)
    job.wait(60)
    assert seen[-1] >= AT_LEAST_EVERY


def test_life_is_shown_every_two_seconds_and_no_more_once_the_run_has_ended():
    sent, now = [], [100.0]
    report = ProgressReporter(sent.append, clock=lambda: now[0])
    report.begin(1)
    report(0.5, "Denoising")
    for count in range(2, 5):
        now[0] += AT_LEAST_EVERY - 0.1
        time.sleep(3 * AT_MOST_EVERY)
        assert len(sent) == count - 1
        now[0] += 0.1
        wait_until(lambda count=count: len(sent) == count)
        assert (sent[-1]["fraction"], sent[-1]["message"]) == (0.5, "Denoising")
    report.end()
    now[0] += 60.0
    time.sleep(3 * AT_MOST_EVERY)
    assert len(sent) == 4


def test_callbacks_are_called_by_poll_in_the_thread_that_polls(client):
    threads, events = set(), []
    job = submit(client, "print_everywhere")
    job.on_progress = lambda event: threads.add(threading.current_thread()) or events.append(event)
    job.on_log = lambda line: threads.add(threading.current_thread()) or events.append(line)
    job.on_finished = lambda finished: threads.add(threading.current_thread()) or events.append(finished)
    time.sleep(0.3)
    assert events == []
    polled = []
    wait_until(lambda: polled.extend(job.poll()) or job.finished, seconds=30)
    polled.extend(job.poll())
    assert threads == {threading.current_thread()}
    assert len(polled) == len(events)
    assert events[-1] is job
    assert {type(event) for event in polled} == {ProgressEvent, LogEvent, FinishedEvent}


def test_what_libraries_print_is_log_and_never_disturbs_the_protocol(client):
    job = submit(client, "print_everywhere")
    job.wait(60)
    assert set(job.log) >= {
        "from print, ünïcödé",
        "from descriptor 1",
        "bytes that are no UTF-8: \ufffd\ufffd",
        "from another process",
        '{"type": "result", "job": 1}',
    }


def test_the_log_stays_bounded_however_much_is_printed(client):
    job = submit(client, "print_much")
    job.wait(60)
    assert job.log[-1] == "the end"
    assert len(job.log) <= 1000
    assert max(len(line) for line in job.log) <= 2000


def test_processes_in_the_child_find_an_empty_standard_input(client):
    assert submit(client, "read_standard_input").wait(60).measurements["read"] == ""


def test_a_real_task_runs_as_it_is(folder):
    voxels = np.random.default_rng(0).random((18, 17, 16), dtype=np.float32)
    volume = Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))
    with JobClient(folder=folder) as client:
        job = client.submit("super-resolution", {"input": volume}, bundle=None, parameters={"method": "bspline"})
        result = job.wait(120)
    assert result.outputs["output"].grid.matches(volume.grid.upsampled(2))
    assert result.provenance


def test_waiting_can_time_out_without_harm_to_the_job(client):
    job = submit(client, "sleep", seconds=0.5)
    with pytest.raises(TimeoutError):
        job.wait(0.1)
    assert job.wait(60) is job.wait() is job.result


def test_a_callback_that_fails_loses_no_event(client):
    job = submit(client, "add_one")
    job.on_progress = lambda _event: 1 / 0
    with pytest.raises(ZeroDivisionError):
        job.wait(60)
    job.on_progress = None
    assert job.wait(60).outputs.keys() == {"output"}


def test_the_child_gets_the_environment_and_utf8_and_no_working_directory_on_its_path(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue.py").write_text("raise RuntimeError('shadows the standard library')")
    with behaviour_client(folder, environment={"OF_THE_CHILD": "x"}) as client:
        told = submit(client, "tell_environment", text="OF_THE_CHILD").wait(60).measurements
    assert (told["utf8"], told["variable"]) == (1, "x")
    assert not {"", str(tmp_path)} & set(told["path"])
    assert "OF_THE_CHILD" not in os.environ


def test_a_child_can_be_warmed_up_ahead_and_tells_what_it_can_compute_on(folder):
    with behaviour_client(folder) as client:
        client.start()
        wait_until(lambda: client.update() or "torch" in client.facts, seconds=120)
        assert client.facts["problem"] is None
        assert client.facts["devices"][0]["name"] == "cpu"
        told = submit(client, "import_torch").wait(60).measurements
        assert told == {"pid": client.facts["pid"], "torch": client.facts["torch"]}


def test_closing_cancels_all_jobs_and_ends_the_child(folder):
    client = behaviour_client(folder)
    running, queued = submit(client, "sleep", seconds=60), submit(client, "add_one")
    poll_until_progress(running)
    pid = client.facts["pid"]
    client.close()
    client.close()
    wait_until(lambda: not is_running(pid))
    assert (running.state, queued.state) == ("cancelled", "cancelled")
    assert job_folders(folder) == []
    with pytest.raises(JobError, match="closed"):
        submit(client, "add_one")


def test_a_forgotten_client_takes_its_child_with_it(folder):
    client = behaviour_client(folder)
    submit(client, "add_one").wait(60)
    pid = client.facts["pid"]
    del client
    wait_until(lambda: not is_running(pid))


def test_a_job_submitted_by_a_thread_outlives_the_thread(folder):
    with behaviour_client(folder) as client:
        jobs = []
        thread = threading.Thread(target=lambda: jobs.append(submit(client, "sleep", seconds=0.5)))
        thread.start()
        thread.join()
        assert jobs[0].wait(60).outputs


def test_a_forked_copy_of_the_parent_leaves_the_child_alone(folder):
    script = (
        "import os, sys; from pathlib import Path; from running import *\n"
        "client = behaviour_client(Path(sys.argv[1])); job = submit(client, 'sleep', seconds=1)\n"
        "poll_until_progress(job)\n"
        "pid = os.fork()\n"
        "if pid == 0: sys.exit()\n"
        "os.waitpid(pid, 0); job.wait(30)\n"
    )
    support = Path(__file__).parent / "job_support"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(support), *sys.path])}
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, timeout=60, env=environment)


def test_the_parent_side_imports_neither_torch_nor_qt():
    script = (
        "import sys, SynthMRILib.jobs.client\n"
        "heavy = {'torch', 'monai', 'qt', 'slicer', 'vtk', 'psutil', 'PySide6'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environment)


def test_messages_are_one_line_of_ascii_and_other_lines_are_no_messages():
    message = {
        "type": "run",
        "folder": "/tmp/Müller\udcff",
        "text": "a\nb",
        "values": np.arange(2),
        "n": np.float32(0.5),
    }
    line = protocol.encode(message)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == {**message, "values": [0, 1], "n": 0.5}
    for other in (b"", b"epoch 1\n", b"3\n", b"{}\n", b"\xff\n", b"[1]\n"):
        assert protocol.decode(other) is None


def test_an_empty_volume_entry_is_refused_when_its_file_is_incomplete(tmp_path):
    entries = protocol.save_volumes({"input": volume_of_ones()}, tmp_path, "input")
    file = tmp_path / entries["input"]["file"]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError):
        protocol.load_volumes(entries, tmp_path)
