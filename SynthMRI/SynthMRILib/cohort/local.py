"""Run a batch on this machine: each lane has a warm child process, and reads the next case while that computes.

    reader    case 1 | case 2 | case 3 | ...
    child            | case 1 | case 2 | case 3 | ...
    writer                    | case 1 | case 2 | ...

At most two cases are read and two results kept in memory for each lane.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ..errors import Cancelled, JobError, ResourceError
from ..jobs.client import JobClient
from ..tasks.base import TaskResult
from .cases import Case
from .events import Event, Retried, Running
from .records import Record, RecordStore
from .settings import Settings
from .steps import Prepared, failure, finish, prepare, sentence, timed

#: How often a lane looks whether it shall stop, and the coordinator whether it was interrupted [s].
PATIENCE = 0.2
#: What a lost child process looks like; the case is tried once more in a fresh one.
LOST = (JobError, ResourceError)


def run_local(cases: Sequence[Case], settings: Settings, *, workers: int = 1) -> Iterator[Event]:
    """Run cases in `workers` child processes that share the machine's cores; see `events.Backend`."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    events: queue.SimpleQueue[Event | tuple[int, float] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    environment = thread_environment(workers)
    lanes = [Lane(n, waiting, settings, environment, events.put, stop) for n in range(min(workers, len(cases)))]
    try:
        for lane in lanes:
            lane.start()
        yield from _events_of(events, len(cases))
    finally:
        stop.set()
        for lane in lanes:
            lane.join()


def _events_of(events: queue.SimpleQueue, cases: int) -> Iterator[Event]:
    fractions: dict[int, float] = {}
    while cases:
        try:
            event = events.get(timeout=PATIENCE)
        except queue.Empty:
            continue
        if isinstance(event, BaseException):
            raise event
        if isinstance(event, tuple):
            fractions[event[0]] = event[1]
            event = Running(sum(fractions.values()))
        cases -= isinstance(event, Record)
        yield event


def thread_environment(workers: int) -> dict[str, str]:
    """Environment of the child processes: several share the cores evenly, unless the user decided otherwise."""
    if workers == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}


class Lane(threading.Thread):
    """One child process with its reader and its writer.

    Args:
        number: tells the lanes apart.
        waiting: cases nobody has begun, shared by all lanes.
        settings: of the batch.
        environment: variables for the child.
        tell: takes events, (number, fraction) of the running case, or the error that ends the lane.
        stop: set when all shall stop.
    """

    def __init__(
        self,
        number: int,
        waiting: queue.SimpleQueue[Case],
        settings: Settings,
        environment: dict[str, str],
        tell: Callable[[Event | tuple[int, float] | BaseException], None],
        stop: threading.Event,
    ) -> None:
        super().__init__(name=f"synthmri-lane-{number}", daemon=True)
        self._number = number
        self._waiting = waiting
        self._settings = settings
        self._environment = environment
        self._tell = tell
        self._stop_wanted = stop
        self._store = RecordStore(settings.output)

    def run(self) -> None:
        """Work until no case waits, or the batch shall stop."""
        try:
            client = JobClient(environment=self._environment)
            with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer, client:
                self._work(client, reader, writer)
        except Cancelled:
            return
        except BaseException as error:
            self._tell(error)

    def _work(self, client: JobClient, reader: ThreadPoolExecutor, writer: ThreadPoolExecutor) -> None:
        writing: Future | None = None
        following = self._read_next(reader)
        while following is not None:
            case, reading = following
            following = self._read_next(reader)
            outcome = self._attempt(case, lambda reading=reading: self._compute(client, reading.result()))
            if writing is not None:
                writing.result()
            if outcome is not None:
                writing = writer.submit(self._write, case, *outcome)
        if writing is not None:
            writing.result()

    def _read_next(self, reader: ThreadPoolExecutor) -> tuple[Case, Future] | None:
        if self._stop_wanted.is_set():
            return None
        try:
            case = self._waiting.get_nowait()
        except queue.Empty:
            return None
        return case, reader.submit(prepare, case, self._settings)

    def _compute(self, client: JobClient, prepared: Prepared) -> tuple[Prepared, TaskResult, float]:
        try:
            result, seconds = timed(lambda: self._run_job(client, prepared))
        except LOST as error:
            self._tell(Retried(prepared.case.name, sentence(error)))
            result, seconds = timed(lambda: self._run_job(client, prepared))
        return prepared, result, seconds

    def _run_job(self, client: JobClient, prepared: Prepared) -> TaskResult:
        settings = self._settings
        job = client.submit(settings.task, prepared.inputs, bundle=settings.bundle, parameters=settings.parameters)
        job.on_progress = lambda event: self._tell((self._number, event.fraction))
        while True:
            try:
                return job.wait(PATIENCE)
            except TimeoutError:
                if self._stop_wanted.is_set():
                    job.cancel()

    def _write(self, case: Case, prepared: Prepared, result: TaskResult, seconds: float) -> None:
        record = self._attempt(case, lambda: finish(prepared, result, self._settings, seconds=seconds))
        if record is not None:
            self._tell(record)

    def _attempt(self, case: Case, action: Callable[[], object]) -> object | None:
        """What the action returns; None when the case failed, which is recorded. Only Cancelled stops the lane."""
        try:
            return action()
        except Cancelled:
            raise
        except Exception as error:
            self._tell((self._number, 0.0))
            self._tell(self._store.write(failure(case, error)))
            return None
