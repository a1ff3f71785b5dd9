"""The part of a panel that every task needs: Apply that turns into Cancel, progress with the time left, status, log."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from .progress_text import progress_text

POLL_INTERVAL_MS = 100


class RunControls:
    """Shows the state of one run at a time.

    Args:
        ui: widgets by name: applyButton, queueButton, progressBar, statusLabel, logTextEdit.
        poll: called ten times a second while a run is shown.
    """

    def __init__(self, ui: object, *, poll: Callable[[], None]) -> None:
        self._ui = ui
        self._apply_text = ui.applyButton.text
        self._ending = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", poll)
        ui.progressBar.visible = ui.queueButton.visible = False
        self.show_status("")

    def begin(self) -> None:
        """A run has started."""
        self._ui.logTextEdit.clear()
        self._ending = ""
        self._ui.progressBar.visible = self._ui.queueButton.visible = True
        self._ui.applyButton.text = _("Cancel")
        self._ui.applyButton.toolTip = _("Stop the run. Nothing is added to the scene. Runs in the queue go on.")
        self._ui.progressBar.value = 0
        self._ui.applyButton.enabled = True
        self._timer.start()

    def go_on(self, message: str) -> None:
        """A run is over, as the message says, and another one goes on, whose progress will be told."""
        self._ending = message
        self.append_log(message)
        self._ui.applyButton.enabled = True
        self.show_status(message)

    def show_progress(self, fraction: float, message: str, seconds_left: float | None) -> None:
        """How far the run is; how the one before it ended stays to be read."""
        self._ui.progressBar.value = round(100 * fraction)
        self.show_status("\n".join(filter(None, [progress_text(message, seconds_left), self._ending])))

    def show_cancelling(self) -> None:
        self._ui.applyButton.enabled = False
        self.show_status(_("Stopping..."))

    def append_log(self, line: str) -> None:
        self._ui.logTextEdit.appendPlainText(line)

    def end(self, message: str) -> None:
        """The run is over; `message` says how."""
        self._timer.stop()
        self._ui.progressBar.visible = self._ui.queueButton.visible = False
        self._ui.applyButton.text = self._apply_text
        self.show_status("\n".join(filter(None, [message, self._ending])))

    def show_status(self, message: str) -> None:
        self._ui.statusLabel.text = message
        self._ui.statusLabel.visible = bool(message)

    def close(self) -> None:
        """The panel is about to go."""
        self._timer.stop()
