"""The part of a panel that runs its task: findings about the request, Apply and Cancel, packages, how the run ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from .run_controls import RunControls


class RunLogic(Protocol):
    """What this part needs of a module's logic."""

    running: bool
    findings: list[str]

    def check(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any]) -> list: ...
    def ensureDependencies(self, **request: Any) -> None: ...
    def start(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any], **callbacks: Any) -> None: ...
    def poll(self) -> None: ...
    def cancel(self) -> None: ...


class RunPanel:
    """Connects the widgets of a run with a logic.

    Args:
        ui: widgets by name: those of `RunControls`, findingsLabel, applyHintLabel.
        logic: runs the task.
        choices: widgets that hold the user's choices; off while a run is in progress.
        on_finished: called with what the logic's `onFinished` gives.
    """

    def __init__(
        self,
        ui: object,
        logic: RunLogic,
        *,
        choices: list[Any],
        on_finished: Callable[[Any], None],
    ) -> None:
        self._ui = ui
        self._logic = logic
        self._choices = choices
        self._on_finished = on_finished
        self._controls = RunControls(ui, poll=logic.poll)
        self._request: dict[str, Any] | None = None
        ui.applyButton.connect("clicked()", self._on_apply)

    def show(self, request: dict[str, Any] | None) -> None:
        """Tell whether this request (inputNode, bundle, parameters) can be run; None when the panel is left."""
        self._request = request
        if request is not None and not self._logic.running:
            self._show_findings(self._logic.check(**request))

    def close(self) -> None:
        """The panel is about to go."""
        self._controls.close()

    def _show_findings(self, findings: list[Any]) -> None:
        errors = [finding.message for finding in findings if finding.severity == "error"]
        others = [finding.message for finding in findings if finding.severity != "error"]
        ui = self._ui
        ui.findingsLabel.text = "\n".join(others)
        ui.findingsLabel.visible = bool(others)
        ui.applyHintLabel.text = _("Apply is off: {reason}").format(reason=errors[0]) if errors else ""
        ui.applyHintLabel.visible = bool(errors)
        ui.applyButton.enabled = not errors
        ui.applyButton.toolTip = errors[0] if errors else _("Compute a new volume. The input is not changed.")

    def _on_apply(self) -> None:
        if self._logic.running:
            self._controls.show_cancelling()
            self._logic.cancel()
            return
        with slicer.util.tryWithErrorDisplay(_("Failed to start the run.")):
            self._start()

    def _start(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        try:
            self._logic.ensureDependencies(**self._request)
            self._logic.start(
                **self._request,
                onProgress=self._controls.show_progress,
                onLog=self._controls.append_log,
                onFinished=self._finished,
                onError=self._failed,
            )
        except SynthMRIError as error:
            self._controls.show_status(str(error))
            return
        self._enable_choices(False)
        self._controls.begin()

    def _finished(self, result: Any) -> None:
        done = _("Done in {duration}.").format(duration=self._controls.duration())
        self._end("\n".join([done, *self._logic.findings]))
        self._on_finished(result)

    def _failed(self, error: Exception) -> None:
        """Cancelled, or failed with a sentence that says why; anything else is a fault of ours and logged."""
        from SynthMRILib.errors import SynthMRIError

        self._end(str(error))
        if not isinstance(error, SynthMRIError):
            logging.error("SynthMRI: unexpected failure", exc_info=error)

    def _end(self, message: str) -> None:
        self._controls.end(message)
        self._enable_choices(True)
        self.show(self._request)

    def _enable_choices(self, enabled: bool) -> None:
        for widget in self._choices:
            widget.enabled = enabled
