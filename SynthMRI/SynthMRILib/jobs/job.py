"""One run of a task in the child process, as panels and scripts see it.

    with JobClient() as client:
        job = client.submit("super-resolution", {"input": volume}, bundle="NAME", parameters={"factor": 2})
        job.on_progress = lambda event: show(event.fraction, event.seconds_left)
        result = job.wait()

A panel calls `job.poll()` from a timer instead of `wait()`; callbacks are called from there, hence in its own thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import SynthMRIError
from ..tasks.base import TaskResult
from ..volume import Volume
from .child import LOG_LINES

if TYPE_CHECKING:
    from .client import JobClient

State = Literal["queued", "running", "done", "failed", "cancelled"]

#: Volumes by role, or what gives them when it is called.
Inputs = dict[str, Volume] | Callable[[], dict[str, Volume]]

#: How many events wait for `poll` at most; the oldest go first when nobody polls.
EVENTS_KEPT = 2000


@dataclass(frozen=True)
class ProgressEvent:
    """How far a job is.

    Args:
        fraction: part done, 0 to 1.
        message: what is being done, a short sentence.
        elapsed: time since the run began [s].
        seconds_left: estimated time left [s], None while it cannot be known.
    """

    fraction: float
    message: str
    elapsed: float
    seconds_left: float | None


@dataclass(frozen=True)
class LogEvent:
    """One line that the child, or a library in it, printed."""

    line: str


@dataclass(frozen=True)
class FinishedEvent:
    """The last event of a job; `state` is "done", "failed" or "cancelled"."""

    state: State


Event = ProgressEvent | LogEvent | FinishedEvent


class Job:
    """One run; made by `JobClient.submit`.

    Attributes:
        state: where it is.
        result: what it gave, once done.
        error: why there is no result, once failed (what `wait` raises) or cancelled (Cancelled).
        log: the latest lines that the child printed during this job.
        on_progress, on_log, on_finished: called by `poll` with a ProgressEvent, a line, and the job.
    """

    def __init__(
        self,
        client: JobClient,
        task_name: str,
        inputs: Inputs,
        *,
        bundle: str | None,
        parameters: dict[str, Any],
    ) -> None:
        self.task_name = task_name
        self.inputs = inputs if callable(inputs) else dict(inputs)
        self.bundle = bundle
        self.parameters = dict(parameters)
        self.state: State = "queued"
        self.result: TaskResult | None = None
        self.error: SynthMRIError | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.on_progress: Callable[[ProgressEvent], None] | None = None
        self.on_log: Callable[[str], None] | None = None
        self.on_finished: Callable[[Job], None] | None = None
        self._client = client
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)

    @property
    def finished(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def poll(self) -> list[Event]:
        """Events since the last call, after the callbacks were called with them. Never waits for the child."""
        self._client.update()
        events = []
        while self._events:
            event = self._events.popleft()
            events.append(event)
            self._call_back(event)
        return events

    def wait(self, timeout: float | None = None) -> TaskResult:
        """Poll until the job is finished and return its result.

        Args:
            timeout: longest time to wait [s]; None waits as long as it takes.

        Raises:
            SynthMRIError: the error of the job; Cancelled when it was cancelled.
            TimeoutError: the time is over; the job goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._poll_once_finished():
                if end is not None and time.monotonic() > end:
                    raise TimeoutError(f"'{self.task_name}' is not finished after {timeout:g} s.")
                self._client.wait_for_news(0.1)
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self.error is not None:
            raise self.error
        return self.result

    def cancel(self) -> None:
        """Stop the job. It is cancelled within a second of polling; harmless when it is finished already."""
        if not self.finished:
            self._client.cancel(self)

    def post(self, event: Event) -> None:
        """Add an event for the next `poll` (used by the client)."""
        if isinstance(event, LogEvent):
            self.log.append(event.line)
        self._events.append(event)

    def finish(self, state: State, *, result: TaskResult | None = None, error: SynthMRIError | None = None) -> None:
        """End the job (used by the client)."""
        self.state, self.result, self.error = state, result, error
        self.inputs = {}
        self.post(FinishedEvent(state))

    def _poll_once_finished(self) -> bool:
        self.poll()
        return self.finished and not self._events

    def _call_back(self, event: Event) -> None:
        if isinstance(event, ProgressEvent):
            callback, value = self.on_progress, event
        elif isinstance(event, LogEvent):
            callback, value = self.on_log, event.line
        else:
            callback, value = self.on_finished, self
        if callback is not None:
            callback(value)
