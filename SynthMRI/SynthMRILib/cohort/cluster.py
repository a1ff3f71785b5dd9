"""Run a batch on an existing Dask cluster whose workers see the same files and have the same SynthMRI.

Dask gives the cases of a lost worker to others. A case finds its own record first, so that one whose worker was lost
after the last output is not run again. Dask blames every case a lost worker held, also those it had not begun, and
gives up a case that was blamed too often. Such cases are tried again one after the other, so that only a case which
loses its workers alone has failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import InputError, JobError
from .cases import Case
from .events import Event, Retried
from .records import Record, RecordStore
from .settings import Settings
from .steps import failure, run_case

if TYPE_CHECKING:
    from dask.distributed import Client, Future

CONNECT_SECONDS = 15
WORKERLESS_SECONDS = 600
"""How long a cluster may be without any worker before the batch gives up: workers that restart are waited for."""
LOOK_SECONDS = 0.2
LOST_WORKERS = "The processes that worked on it were lost, most likely because memory ran out: give them more memory."
LOST_CLUSTER = "The Dask scheduler was lost: the same command goes on where it stopped."
NO_WORKERS = "The Dask cluster has had no worker for {minutes:g} minutes: start workers; the same command goes on then."


def run_on_cluster(cases: Sequence[Case], settings: Settings, *, address: str) -> Iterator[Event]:
    """Run cases on the workers of the Dask scheduler at `address` ("tcp://host:port"); see `events.Backend`.

    Raises InputError when there is no such scheduler or a worker cannot do it, JobError when the scheduler is lost or
    has no worker for `WORKERLESS_SECONDS`.
    """
    client = connect(address)
    try:
        check_workers(client, settings.output)
        lost = []
        for event in _run(client, cases, settings):
            if isinstance(event, Case):
                lost.append(event)
                yield Retried(event.name, LOST_WORKERS)
            else:
                yield event
        for case in lost:
            for event in _run(client, [case], settings):
                yield event if isinstance(event, Record) else _fail(case, settings, JobError(LOST_WORKERS))
    finally:
        client.close()


def connect(address: str) -> Client:
    """A client of the scheduler. Raises InputError when Dask is missing or the scheduler does not answer."""
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("--scheduler needs Dask: install it with pip install 'synthmri[cluster]'.") from None
    logging.getLogger("distributed.client").setLevel(logging.ERROR)  # it warns of what is dealt with here
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError):
        raise InputError(f"No Dask scheduler answers at '{address}'; check the address and that it runs.") from None


def check_workers(client: Client, output: Path) -> None:
    """Raise InputError when a worker that is there now could not run cases."""
    for worker, outcome in client.run(check_worker, str(output), __version__, on_error="return").items():
        if isinstance(outcome, InputError):
            raise InputError(f"The worker {worker} cannot be used. {outcome}")
        if outcome is not None:
            raise InputError(f"The worker {worker} does not have SynthMRI {__version__}; install it there.")


def check_worker(output: str, version: str) -> None:
    """Run on a worker. Raises InputError unless it has that version of SynthMRI and sees the batch's records."""
    if version != __version__:
        raise InputError(f"It has SynthMRI {__version__}, not {version}; install the same version.")
    if not RecordStore(Path(output)).folder.is_dir():
        raise InputError("It does not see the output folder; choose one that all machines share.")


def run_on_worker(case: Case, settings: Settings, version: str) -> Record:
    """Run a case on a worker, which may have joined after the others were checked."""
    check_worker(str(settings.output), version)
    return run_case(case, settings)


def _run(client: Client, cases: Sequence[Case], settings: Settings) -> Iterator[Record | Case]:
    """A record for each case, or the case itself when its workers were lost."""
    futures = {}
    for case in cases:
        key = f"synthmri-{case.name}-{case.key}"
        futures[client.submit(run_on_worker, case, settings, __version__, pure=False, key=key)] = case
    for future in completed(client, list(futures)):
        case = futures.pop(future)
        outcome = _outcome(future)
        if outcome is None:
            yield case
        else:
            yield outcome if isinstance(outcome, Record) else _fail(case, settings, outcome)
        future.release()


def completed(client: Client, futures: list[Future]) -> Iterator[Future]:
    """The futures as they end. Raises JobError when there was no worker for `WORKERLESS_SECONDS` meanwhile."""
    from dask.distributed import as_completed

    ending = as_completed(futures, loop=client.loop)
    seen = time.monotonic()
    while not ending.is_empty():
        if ending.has_ready():
            yield next(ending)
            seen = time.monotonic()
            continue
        time.sleep(LOOK_SECONDS)
        if client.status != "running" or client.scheduler_info()["workers"]:
            seen = time.monotonic()
        elif time.monotonic() - seen > WORKERLESS_SECONDS:
            raise JobError(NO_WORKERS.format(minutes=WORKERLESS_SECONDS / 60))


def _outcome(future: Future) -> Record | BaseException | None:
    """What became of a case: its record, an error Dask had with it, or None when its workers were lost."""
    from dask.distributed import KilledWorker

    if future.status == "cancelled":  # Dask cancels what it waits for when its scheduler is gone
        raise JobError(LOST_CLUSTER)
    try:
        return future.result()  # when the worker that holds it was lost meanwhile, another one reads the record again
    except KilledWorker:
        return None
    except CancelledError:
        raise JobError(LOST_CLUSTER) from None
    except Exception as error:
        return error


def _fail(case: Case, settings: Settings, error: BaseException) -> Record:
    return RecordStore(settings.output).write(failure(case, error))
