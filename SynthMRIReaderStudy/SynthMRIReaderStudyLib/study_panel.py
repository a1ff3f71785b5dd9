"""The part of the panel around the reading: choose a study and a reader, start, and at the end lock and analyze."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .question_widgets import NOT_GIVEN
from .report_needs import ensure_plots


class StudyPanel:
    """Connects the widgets of the study and end sections with the module's logic.

    Args:
        ui: widgets by name: studyCollapsibleButton, studyPathLineEdit, studyTitleLabel, readerComboBox, roleLineEdit,
            roleLabel, yearsSpinBox, yearsLabel, startButton, startHintLabel, lockButton, reportButton, endHintLabel.
        logic: the module's logic.
        on_start: called with study, reader and profile; raises a SynthMRIError when reading cannot begin.
        on_study: called with the folder when another one is chosen.
        on_reader: called with the reader's code when another one is chosen.
    """

    def __init__(
        self,
        ui: Any,
        logic: Any,
        *,
        on_start: Callable[[Any, str, dict[str, Any]], None],
        on_study: Callable[[str], None],
        on_reader: Callable[[str], None],
    ) -> None:
        self._ui, self._logic = ui, logic
        self._on_start, self._on_reader = on_start, on_reader
        self._folder = ""
        self._study: Any = None
        self._is_filling = False
        ui.yearsSpinBox.specialValueText = _("not given")
        ui.studyPathLineEdit.connect("currentPathChanged(QString)", on_study)
        ui.readerComboBox.connect("currentIndexChanged(int)", self._on_reader_chosen)
        ui.startButton.connect("clicked()", self._start)
        ui.lockButton.connect("clicked()", self._lock)
        ui.reportButton.connect("clicked()", self._report)
        self.offer("", "")

    def offer(self, folder: str, reader: str) -> None:
        """Follow the choices in the parameter node: a study's folder and a reader's code."""
        from SynthMRILib.errors import SynthMRIError

        reason = ""
        if self._ui.studyPathLineEdit.currentPath != folder:
            self._ui.studyPathLineEdit.currentPath = folder
        if not folder:
            self._study = None
        elif folder != self._folder or self._study is None:
            try:
                self._study = self._logic.openStudy(folder)
            except SynthMRIError as error:
                self._study, reason = None, str(error)
        self._folder = folder
        self._fill_readers(reader)
        self._update(reader, reason)

    def refresh(self) -> None:
        """Tell anew how far the chosen reader is."""
        self._update(self._reader(), "")

    def _reader(self) -> str:
        return self._ui.readerComboBox.currentText if self._ui.readerComboBox.currentIndex > 0 else ""

    def _fill_readers(self, reader: str) -> None:
        box, self._is_filling = self._ui.readerComboBox, True
        codes = [_("Choose your code"), *(self._study.readers if self._study else ())]
        if [box.itemText(n) for n in range(box.count)] != codes:
            box.clear()
            box.addItems(codes)
        box.setCurrentIndex(codes.index(reader) if reader in codes[1:] else 0)
        self._is_filling = False

    def _update(self, reader: str, reason: str) -> None:
        ui, study = self._ui, self._study
        reason = reason or self._reason_not_to_start(reader)
        ui.studyTitleLabel.text = study.title if study else ""
        ui.studyTitleLabel.visible = study is not None
        self._show_profile(bool(study) and bool(reader) and self._logic.isNewReader(study, reader))
        ui.studyCollapsibleButton.enabled = not self._logic.reading
        ui.startButton.enabled = not reason
        ui.startButton.toolTip = reason or _("Show the first case that you have not answered.")
        ui.startHintLabel.text = reason
        ui.startHintLabel.visible = bool(reason)
        self._update_end()

    def _reason_not_to_start(self, reader: str) -> str:
        """Why reading cannot start, in one sentence; empty when it can."""
        from SynthMRILib.errors import SynthMRIError

        if self._study is None:
            return _("Select the folder of a reader study.")
        if self._study.is_locked:
            return _("The study is locked: all reading is over.")
        if reader not in self._study.readers:
            return _("Choose your reader's code.")
        try:
            missing = self._study.missing(reader)
        except SynthMRIError as error:
            return str(error)
        return "" if missing else _("{reader} has read all cases.").format(reader=reader)

    def _update_end(self) -> None:
        ui, study = self._ui, self._study
        locked = study is not None and study.is_locked
        has_key = locked and study.default_key_path.exists()
        busy = self._logic.reading
        ui.lockButton.enabled = study is not None and not locked and not busy
        ui.reportButton.enabled = has_key and not busy
        ui.endHintLabel.text = {
            (False, False): _("The key can be opened only after locking."),
            (True, False): _("The key '{name}' is not beside the study; use synthmri readers STUDY --key FILE.").format(
                name=study.default_key_path.name if study else ""
            ),
            (True, True): _("The study is locked; nothing can be answered any more."),
        }[(locked, has_key)]

    def _show_profile(self, visible: bool) -> None:
        ui = self._ui
        for widget in (ui.roleLabel, ui.roleLineEdit, ui.yearsLabel, ui.yearsSpinBox):
            widget.visible = visible

    def _profile(self) -> dict[str, Any]:
        role, years = self._ui.roleLineEdit.text.strip(), self._ui.yearsSpinBox.value
        return ({"role": role} if role else {}) | ({"years": years} if years != NOT_GIVEN else {})

    def _on_reader_chosen(self, _index: int) -> None:
        if not self._is_filling:
            self._on_reader(self._reader())

    def _start(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        reader = self._reader()
        with slicer.util.tryWithErrorDisplay(_("Failed to start reading."), waitCursor=True):
            try:
                self._on_start(self._study, reader, self._profile())
                self._update(reader, "")
            except SynthMRIError as error:
                self._update(reader, "")
                self._ui.startHintLabel.text = str(error)
                self._ui.startHintLabel.visible = True

    def _lock(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        with slicer.util.tryWithErrorDisplay(_("Failed to lock the study."), waitCursor=True):
            try:
                missing = {reader: n for reader in self._study.readers if (n := self._study.missing(reader))}
                if not self._confirm_lock(missing):
                    return
                self._logic.lockStudy(self._study, incomplete=bool(missing))
            except SynthMRIError as error:
                self._ui.endHintLabel.text = str(error)
                return
            self.refresh()

    def _confirm_lock(self, missing: dict[str, int]) -> bool:
        text = _("After locking, nobody can answer any more, and the key may be opened. This cannot be undone.")
        if missing:
            listed = ", ".join(f"{reader}: {count}" for reader, count in missing.items())
            text += "\n\n" + _("Answers are still missing ({listed}).").format(listed=listed)
        return slicer.util.confirmOkCancelDisplay(text, windowTitle=_("Lock the study?"))

    def _report(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        with slicer.util.tryWithErrorDisplay(_("Failed to write the report."), waitCursor=True):
            try:
                ensure_plots()
                page = self._logic.writeReport(self._study)
            except SynthMRIError as error:
                self._ui.endHintLabel.text = str(error)
                return
            self._ui.endHintLabel.text = _("The report is in the folder '{name}' beside the study.").format(
                name=page.parent.name
            )
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
