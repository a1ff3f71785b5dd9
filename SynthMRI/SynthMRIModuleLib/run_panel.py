"""The part of a panel that runs its task: findings about the request, Apply, Cancel, queue, how the run ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from .pace import Pace
from .progress_text import duration_text
from .queue_list import QueueList
from .run_controls import RunControls


class RunLogic(Protocol):
    """What this part needs of a module's logic."""

    running: bool
    checking: bool
    findings: list[str]
    waiting: list[str]
    latest: tuple[str, float]

    def checkLater(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any], **more: Any) -> None: ...
    def forgetCheck(self) -> None: ...
    def ensureDependencies(self, **request: Any) -> None: ...
    def start(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any], **callbacks: Any) -> None: ...
    def poll(self) -> None: ...
    def cancel(self) -> None: ...
    def removeWaiting(self, number: int) -> None: ...


class RunPanel:
    """Connects the widgets of a run with a logic.

    Args:
        ui: widgets by name: those of `RunControls` and `QueueList`, findingsLabel, applyHintLabel.
        logic: runs the task. What was chosen when Apply was pressed holds for that run, whatever is chosen afterwards.
        on_finished: called with what the logic's `onFinished` gives.
    """

    def __init__(
        self,
        ui: object,
        logic: RunLogic,
        *,
        on_finished: Callable[[Any], None],
    ) -> None:
        self._ui = ui
        self._logic = logic
        self._on_finished = on_finished
        self._controls = RunControls(ui, poll=self._poll)
        self._queue = QueueList(ui, logic)
        self._pace = Pace()
        self._request: dict[str, Any] | None = None
        self._sound: tuple[object, ...] | None = None
        ui.applyButton.connect("clicked()", self._on_apply)
        ui.queueButton.connect("clicked()", self._on_queue)

    @property
    def checking(self) -> bool:
        """True until it is known whether the request can be run."""
        return self._logic.checking

    def show(self, request: dict[str, Any] | None) -> None:
        """Tell whether this request (inputNode, bundle, parameters) can be run; None when the panel is left.

        While its voxels are looked at Apply is off, unless these very volumes were found sound before: then only
        parameters have changed, and a button that flickers while a slider is moved would help nobody.
        """
        self._request = request
        if request is None:
            self._logic.forgetCheck()
            return
        self._logic.checkLater(**request, onChecked=self._show_findings)
        if self._logic.checking and self._volumes() != self._sound:
            self._show_checking()

    def close(self) -> None:
        """The panel is about to go."""
        self._logic.forgetCheck()
        self._controls.close()

    def _volumes(self) -> tuple[object, ...]:
        """What of the request has to be looked at voxel by voxel."""
        return (self._request.get("task"), *self._request["inputNode"].items())

    def _show_checking(self) -> None:
        ui, words = self._ui, _("Checking the input...")
        ui.findingsLabel.visible = False
        ui.applyHintLabel.text, ui.applyHintLabel.visible = words, True
        ui.queueButton.enabled = False
        if not self._logic.running:
            ui.applyButton.enabled, ui.applyButton.toolTip = False, words

    def _show_findings(self, findings: list[Any]) -> None:
        errors = [finding.message for finding in findings if finding.severity == "error"]
        others = [finding.message for finding in findings if finding.severity != "error"]
        ui, running = self._ui, self._logic.running
        self._sound = None if errors else self._volumes()
        off = _("Add to queue is off: {reason}") if running else _("Apply is off: {reason}")
        ui.findingsLabel.text = "\n".join(others)
        ui.findingsLabel.visible = bool(others)
        hint = off.format(reason=errors[0]) if errors else self._pace.words(self._request)
        ui.applyHintLabel.text, ui.applyHintLabel.visible = hint, bool(hint)
        ui.queueButton.enabled = not errors
        if not running:
            ui.applyButton.enabled = not errors
            ui.applyButton.toolTip = errors[0] if errors else _("Compute a new volume. The input is not changed.")

    def _on_apply(self) -> None:
        if self._logic.running:
            self._controls.show_cancelling()
            self._logic.cancel()
            return
        self._on_queue()

    def _on_queue(self) -> None:
        with slicer.util.tryWithErrorDisplay(_("Failed to start the run.")):
            self._start()

    def _poll(self) -> None:
        self._logic.poll()
        self._queue.update()

    def _start(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        goes_on, request = self._logic.running, self._request
        try:
            self._logic.ensureDependencies(**request)
            self._logic.start(
                **request,
                onProgress=self._controls.show_progress,
                onLog=self._controls.append_log,
                onFinished=lambda result: self._finished(request, result),
                onError=self._failed,
            )
        except SynthMRIError as error:
            self._controls.show_status(str(error))
            return
        if not goes_on:
            self._controls.begin()
            self.show(self._request)
        self._queue.update()

    def _finished(self, request: dict[str, Any], result: Any) -> None:
        name, seconds = self._logic.latest
        self._pace.learn(request, seconds)
        done = _("Done in {duration}.").format(duration=duration_text(seconds))
        if self._logic.running:
            done = f"{name}: {done}"
        self._end("\n".join([done, *self._logic.findings]))
        self._on_finished(result)

    def _failed(self, error: Exception) -> None:
        """Cancelled, or failed with a sentence that says why; anything else is a fault of ours and logged."""
        from SynthMRILib.errors import SynthMRIError

        name, _seconds = self._logic.latest
        self._end(f"{name}: {error}" if self._logic.running else str(error))
        if not isinstance(error, SynthMRIError):
            logging.error("SynthMRI: unexpected failure", exc_info=error)

    def _end(self, message: str) -> None:
        if self._logic.running:
            self._controls.go_on(message)
        else:
            self._controls.end(message)
        self._queue.update()
        self.show(self._request)
