"""A slow piece of numpy work in a thread, so that the window stays alive; its result is told in the panel's own thread.

The work must know neither Qt nor MRML: it gets volumes of the engine and gives such back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import qt

POLL_INTERVAL_MS = 30


class BackgroundCall:
    """Does one call at a time; a new one makes the news of the one before unwanted."""

    def __init__(self) -> None:
        self._number = 0
        self._outcome: tuple[int, Any, Exception | None] | None = None
        self._on_done: Callable[[Any], None] | None = None
        self._on_error: Callable[[Exception], None] | None = None
        self._running = False
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self._poll)

    @property
    def running(self) -> bool:
        """True until the end of the latest call was told."""
        return self._running

    def start(
        self,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin `work`; then `on_done` gets what it returned, or `on_error` what it raised."""
        self._number += 1
        self._on_done, self._on_error, self._running = on_done, on_error, True
        arguments = (self._number, work)
        threading.Thread(target=self._run, args=arguments, name="synthmri-work", daemon=True).start()
        self._timer.start()

    def forget(self) -> None:
        """The result of the latest call is not wanted any more."""
        self._number += 1
        self._running = False
        self._timer.stop()

    def _run(self, number: int, work: Callable[[], Any]) -> None:
        try:
            outcome = (number, work(), None)
        except Exception as error:  # told by `_poll` in the panel's thread
            outcome = (number, None, error)
        if number == self._number:
            self._outcome = outcome

    def _poll(self) -> None:
        if self._outcome is None or self._outcome[0] != self._number:
            return
        (_number, result, error), self._outcome = self._outcome, None
        self._running = False
        self._timer.stop()
        if error is None:
            self._on_done(result)
        elif self._on_error is not None:
            self._on_error(error)
        else:
            logging.error("SynthMRI: unexpected failure", exc_info=error)
