"""The part of the panel in which a reader reads: the questions, the map, the way to the next case, and the pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from .answer_form import AnswerForm
from .hot_keys import HotKeys

NEXT_KEY = "Ctrl+Return"
OVERLAY_KEY = "O"


class ReadingPanel:
    """Connects the widgets of the reading section with the module's logic.

    Args:
        ui: widgets by name: readingCollapsibleButton, caseLabel, progressBar, questionsWidget, commentLineEdit,
            overlayButton, overlayScaleLabel, answerHintLabel, nextButton, pauseButton, readingStatusLabel.
        logic: the module's logic.
        on_ended: called when the reader pauses or has read everything.
    """

    def __init__(self, ui: Any, logic: Any, *, on_ended: Callable[[], None]) -> None:
        self._ui, self._logic, self._on_ended = ui, logic, on_ended
        self.keys = HotKeys()
        self.form = AnswerForm(ui.questionsWidget, propose=logic.proposedRegion, on_changed=self._update)
        ui.nextButton.connect("clicked()", self.next)
        ui.pauseButton.connect("clicked()", self.pause)
        ui.overlayButton.connect("toggled(bool)", self._on_overlay)
        self._show_section(False)
        self._say("")

    def begin(self, study: Any, reader: str, profile: dict[str, Any] | None) -> None:
        """Open the study for a reader and show the next case. Raises a SynthMRIError when that cannot be."""
        self._say("")
        presentation = self._logic.startReading(study, reader, profile)
        self._present(presentation)

    def next(self) -> None:
        """Record the answers and show the next case; nothing is recorded while something is missing."""
        from SynthMRILib.errors import SynthMRIError

        if not self._logic.reading or self.form.missing():
            return
        with slicer.util.tryWithErrorDisplay(_("Failed to record the answer.")):
            try:
                presentation = self._logic.answer(self.form.answers(), self._ui.commentLineEdit.text)
            except SynthMRIError as error:
                self._after_failure(str(error))
                return
            self._present(presentation)

    def pause(self) -> None:
        """Stop reading; what is typed for the case on the screen is not kept, all before it is."""
        if self._logic.reading:
            self._end(_("Paused. Start again to go on with this case."))

    def close(self) -> None:
        """The panel is left or about to go."""
        self.pause()

    def _present(self, presentation: Any) -> None:
        if presentation is None:
            receipt = self._logic.receipt
            text = _("All cases are read. Thank you. Note this receipt; it proves what you answered: {receipt}")
            self._end(text.format(receipt=receipt[:16]))
            return
        self.keys.clear()
        self._ui.overlayButton.checked = False
        self._ui.commentLineEdit.text = ""
        self._show_section(True)
        self._show_place()
        self._show_overlay()
        self.form.show(presentation.questions, self.keys)
        self.keys.add(NEXT_KEY, self.next)
        self.keys.add(OVERLAY_KEY, self._ui.overlayButton.click)

    def _show_place(self) -> None:
        done, total = self._logic.progress
        self._ui.caseLabel.text = _("Case {number} of {total}").format(number=done + 1, total=total)
        self._ui.progressBar.maximum = total
        self._ui.progressBar.value = done

    def _show_overlay(self) -> None:
        """The button is there for every case of a study with maps, and works where the case has one."""
        scale = self._logic.overlayScale
        self._ui.overlayButton.visible = self._ui.overlayScaleLabel.visible = scale is not None
        self._ui.overlayButton.enabled = self._logic.hasOverlay
        if scale is not None:
            (low, high), unit = scale["range"], scale["unit"]
            text = _("Colors run from {low} to {high} {unit} in every case; up to {low} is transparent.")
            self._ui.overlayScaleLabel.text = text.format(low=f"{low:g}", high=f"{high:g}", unit=unit)

    def _on_overlay(self, checked: bool) -> None:
        if self._logic.reading:
            self._logic.setOverlayVisible(checked)

    def _update(self) -> None:
        reason = self.form.missing() if self.form.widgets else ""
        self._ui.nextButton.enabled = not reason
        self._ui.nextButton.toolTip = reason or _("Record the answers for good and show the next case (Ctrl+Return).")
        self._ui.answerHintLabel.text = reason
        self._ui.answerHintLabel.visible = bool(reason)

    def _after_failure(self, message: str) -> None:
        """Still reading when only the answer was refused; else there is no next case to be shown now."""
        if self._logic.reading:
            self._say(message)
        else:
            self._end(message)

    def _end(self, message: str) -> None:
        self.keys.clear()
        self.form.clear()
        self._ui.overlayButton.checked = False
        self._logic.pauseReading()
        self._show_section(False)
        self._say(message)
        self._on_ended()

    def _show_section(self, visible: bool) -> None:
        self._ui.readingCollapsibleButton.visible = visible

    def _say(self, message: str) -> None:
        self._ui.readingStatusLabel.text = message
        self._ui.readingStatusLabel.visible = bool(message)
