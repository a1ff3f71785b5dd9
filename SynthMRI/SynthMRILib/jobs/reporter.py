"""How the child tells how far a run is: not too often, never silent, with an estimate of the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import Cancelled
from .protocol import Message

#: Shortest and longest time [s] between two progress messages of a run.
AT_MOST_EVERY = 0.1
AT_LEAST_EVERY = 2.0


class ProgressReporter:
    """The `progress` callable that a task is given; also repeats the last report while a long step says nothing.

    The time left follows from the pace since the first report: with tiles as steps, from the tiles done.

    Args:
        send: sends one message to the parent.
        clock: tells the time [s].
    """

    def __init__(self, send: Callable[[Message], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._job: int | None = None
        self._cancelled = threading.Event()
        threading.Thread(target=self._repeat, name="synthmri-heartbeat", daemon=True).start()

    def begin(self, job: int) -> None:
        """A run begins; from now on there is a message at least every `AT_LEAST_EVERY` seconds."""
        with self._lock:
            self._cancelled.clear()
            self._job = job
            self._begun = self._clock()
            self._fraction, self._message = 0.0, "Preparing"
            self._first: tuple[float, float] | None = None
            self._end: float | None = None
            self._sent, self._news = 0.0, False

    def end(self) -> None:
        """The run is over: send its last report if that was held back, and nothing more about it."""
        with self._lock:
            if self._news:
                self._send_report(self._clock())
            self._job = None

    def cancel(self, job: int) -> None:
        """Let the next report of this run raise Cancelled."""
        with self._lock:
            if job == self._job:
                self._cancelled.set()

    def stop_if_cancelled(self) -> None:
        """Raises Cancelled when the parent asked for it."""
        if self._cancelled.is_set():
            raise Cancelled("Cancelled: nothing was changed.")

    def __call__(self, fraction: float, message: str) -> None:
        """Report the fraction done (0 to 1) and a short sentence. Raises Cancelled."""
        self.stop_if_cancelled()
        with self._lock:
            self._fraction = min(max(float(fraction), 0.0), 1.0)
            self._message = message
            self._news = True
            self._estimate(self._clock())
            self._send_if_due()

    def _estimate(self, now: float) -> None:
        if self._first is None:
            self._first = (now, self._fraction)
        started, done = self._first
        if self._fraction > done:
            self._end = now + (now - started) * (1.0 - self._fraction) / (self._fraction - done)

    def _send_if_due(self) -> None:
        now = self._clock()
        if self._job is not None and now - self._sent >= (AT_MOST_EVERY if self._news else AT_LEAST_EVERY):
            self._send_report(now)

    def _send_report(self, now: float) -> None:
        self._sent, self._news = now, False
        self._send(
            {
                "type": "progress",
                "job": self._job,
                "fraction": self._fraction,
                "message": self._message,
                "elapsed": round(now - self._begun, 2),
                "seconds_left": None if self._end is None else round(max(0.0, self._end - now), 1),
            }
        )

    def _repeat(self) -> None:
        while True:
            time.sleep(AT_MOST_EVERY)
            with self._lock:
                self._send_if_due()
