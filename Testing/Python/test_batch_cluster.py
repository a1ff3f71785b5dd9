"""`synthmri batch --scheduler` on a real Dask cluster of two processes, one of which is killed in the middle."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from cohort_support import (
    BSPLINE,
    check_complete,
    done_in,
    end_of,
    log_of,
    records_of,
    start_batch,
    wait_until,
    write_cohort,
    write_scan,
)
from dask.distributed import Client, LocalCluster
from SynthMRILib import __version__
from SynthMRILib.cohort.cases import Case
from SynthMRILib.cohort.cluster import run_on_cluster, run_on_worker
from SynthMRILib.cohort.discovery import discover
from SynthMRILib.cohort.manifest import Manifest
from SynthMRILib.cohort.records import Record, RecordStore
from SynthMRILib.cohort.settings import Settings, make_settings
from SynthMRILib.errors import InputError, JobError
from SynthMRILib.tasks import get_task


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Two guarded worker processes with one thread each; a killed one is replaced, unless it dies as it starts.

    Every test has its own cluster, as one in which workers were killed may be left with fewer.
    """
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", protocol="tcp", memory_limit=0
        )
    with cluster:
        yield cluster


def processes(cluster: LocalCluster) -> dict[str, int]:
    """Process numbers of the workers by address."""
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=300)
        return client.run(os.getpid)


def planned(tmp_path: Path):
    """Cases and settings as the command plans them."""
    settings = make_settings("super-resolution", {"method": "bspline"}, output=tmp_path / "out")
    found = discover(tmp_path / "in", get_task("super-resolution").roles, output=settings.output)
    return [settings.keyed(case) for case in found.cases], settings


def kill_while_writing(numbers: list[int], output: Path, process: subprocess.Popen) -> None:
    """Kill processes at a moment at which one of them has half written an output."""
    while True:
        wait_until(lambda: any(output.glob(".synthmri-*")), process)
        for number in numbers:
            os.kill(number, signal.SIGSTOP)  # so that nothing changes between the look and the kill
        half_written = any(output.glob(".synthmri-*"))
        for number in numbers:
            os.kill(number, signal.SIGKILL if half_written else signal.SIGCONT)
        if half_written:
            return


def test_workers_killed_in_the_middle_cost_nothing(tmp_path, cluster):
    names = write_cohort(tmp_path / "in", 16, size=32)
    output = tmp_path / "out"
    numbers = list(processes(cluster).values())
    process = start_batch(tmp_path / "in", output, *BSPLINE, "--scheduler", cluster.scheduler_address)
    wait_until(lambda: len(done_in(output)) >= 2, process)
    kill_while_writing(numbers, output, process)
    finished_before = done_in(output)
    assert 2 <= len(finished_before) < len(names), "they were killed in the middle"
    before = {name: (output / f"{name}_desc-superresolution.nii.gz").stat().st_mtime_ns for name in finished_before}
    status, told, errors = end_of(process)
    assert (status, errors) == (0, "")
    assert not list(output.glob(".synthmri-*")), "what was half written is gone"
    assert told.startswith("16 cases: 16 done, 0 failed")
    check_complete(output, names)
    assert {n: (output / f"{n}_desc-superresolution.nii.gz").stat().st_mtime_ns for n in before} == before
    assert log_of(output, "done") == dict.fromkeys(names, 1)


def test_a_killed_batch_goes_on_with_another_scheduler_or_without(tmp_path, cluster):
    names = write_cohort(tmp_path / "in", 16, size=32)
    output = tmp_path / "out"
    options = (*BSPLINE, "--scheduler", cluster.scheduler_address)
    process = start_batch(tmp_path / "in", output, *options)
    wait_until(lambda: len(done_in(output)) >= 2, process)
    process.send_signal(signal.SIGKILL)
    end_of(process)
    assert end_of(start_batch(tmp_path / "in", output, *BSPLINE))[0] == 0
    check_complete(output, names)


def test_a_case_that_kills_every_worker_fails_and_the_others_do_not(tmp_path, cluster, monkeypatch):
    write_cohort(tmp_path / "in", 3)
    (tmp_path / "in" / "empty.nii").write_bytes(b"")
    cases, settings = planned(tmp_path)
    monkeypatch.setattr("SynthMRILib.cohort.cluster.run_on_worker", run_or_die)
    with Manifest(settings):
        list(run_on_cluster(cases, settings, address=cluster.scheduler_address))
    records = records_of(settings.output)
    assert {name: record["state"] for name, record in records.items()} == {
        "empty": "failed",
        "scan00": "done",
        "scan01": "failed",
        "scan02": "done",
    }
    assert records["empty"]["error"] == "'empty.nii' is empty; export it again."
    assert records["scan01"]["error"].startswith("The processes that worked on it were lost")


def run_or_die(case: Case, settings: Settings, version: str) -> Record:
    """Runs on a worker: a scan that no worker survives, as when memory runs out; that takes a moment.

    A worker that dies before its guard has seen it start would not be replaced.
    """
    if case.name == "scan01":
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGKILL)
    return run_on_worker(case, settings, version)


def test_a_lost_scheduler_is_said_and_what_is_done_stays_done(tmp_path):
    write_cohort(tmp_path / "in", 30, size=32)
    cases, settings = planned(tmp_path)
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0")
    with cluster, Manifest(settings):
        events = run_on_cluster(cases, settings, address=cluster.scheduler_address)
        first = next(events)
        cluster.close()
        with pytest.raises(JobError, match="The Dask scheduler was lost: the same command goes on"):
            list(events)
    assert first.state == "done" and first.case in done_in(settings.output)


def test_workers_that_do_not_share_the_output_folder_are_refused(tmp_path, cluster):
    write_scan(tmp_path / "in" / "a.nii")
    cases, settings = planned(tmp_path)
    processes(cluster)
    with pytest.raises(InputError, match=r"^The worker tcp://\S+ cannot be used. It does not see the output folder;"):
        list(run_on_cluster(cases, settings, address=cluster.scheduler_address))
    with pytest.raises(InputError, match="does not see the output folder"):
        run_on_worker(cases[0], settings, __version__)
    with pytest.raises(InputError, match=r"It has SynthMRI \S+, not 0.0.0; install the same version."):
        run_on_worker(cases[0], settings, "0.0.0")
    assert not settings.output.exists()


def test_a_cluster_that_stays_without_workers_is_not_waited_for_forever(tmp_path, monkeypatch):
    write_cohort(tmp_path / "in", 1, size=32)
    cases, settings = planned(tmp_path)
    RecordStore(settings.output).folder.mkdir(parents=True)
    monkeypatch.setattr("SynthMRILib.cohort.cluster.WORKERLESS_SECONDS", 1.5)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", protocol="tcp") as empty,
        pytest.raises(JobError, match=r"no worker for 0\.025 minutes: start workers"),
    ):
        list(run_on_cluster(cases, settings, address=empty.scheduler_address))
