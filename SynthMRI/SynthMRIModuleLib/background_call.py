"""A slow piece of numpy work in a thread, so that the window stays alive; its result is told in the panel's own thread.

The work must know neither Qt nor MRML: it gets voxels and grids and gives such back. What it holds is let go in the
panel's thread, too, since the last reference to the voxels of a deleted node deletes a VTK object.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import qt

POLL_INTERVAL_MS = 30


class _Call:
    """One piece of work and what came of it."""

    def __init__(
        self,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        self.work, self.on_done, self.on_error = work, on_done, on_error
        self.result: Any = None
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        return self.thread is not None and not self.thread.is_alive()

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name="synthmri-work", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self.work()
        except Exception as error:  # told in the panel's thread
            self.error = error

    def tell(self) -> None:
        if self.error is None:
            self.on_done(self.result)
        elif self.on_error is not None:
            self.on_error(self.error)
        else:
            logging.error("SynthMRI: unexpected failure", exc_info=self.error)


class BackgroundCall:
    """Does one call at a time: a new one makes the news of the one before unwanted, and begins when that has ended.

    Of several calls that come while one is in progress only the latest is ever done.
    """

    def __init__(self) -> None:
        self._wanted: _Call | None = None
        self._current: _Call | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def running(self) -> bool:
        """True until the end of the latest call was told."""
        return self._wanted is not None

    def start(
        self,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin `work`, at once or after what is in progress; then `on_done` gets what it returned, or `on_error`
        what it raised."""
        self._wanted = _Call(work, on_done, on_error)
        self._begin()
        self._timer.start()

    def forget(self) -> None:
        """The result of the latest call is not wanted any more."""
        self._wanted = None

    def wait(self, seconds: float) -> bool:
        """Block until what is in progress has ended, at most so long; True when it has. Its end is still to be told."""
        thread = self._current.thread if self._current is not None else None
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _begin(self) -> None:
        if self._current is None and self._wanted is not None:
            self._current = self._wanted
            self._current.start()

    def _poll(self) -> None:
        ended = self._current if self._current is not None and self._current.ended else None
        if ended is not None:
            self._current = None
        told = ended is not None and ended is self._wanted
        if told:
            self._wanted = None
        self._begin()
        if self._current is None:
            self._timer.stop()
        if told:
            ended.tell()  # last, because it may begin the next call
