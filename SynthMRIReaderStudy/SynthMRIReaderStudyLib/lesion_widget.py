"""Lesions marked in the views or counted by region, with the mouse or with hot keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from .marks import Marks, cursor_position
from .question_widgets import NOT_GIVEN, labeled, number_field, titled_box

MOST_LESIONS = 1000


class LesionWidget:
    """Marks with regions, or numbers by region instead.

    Args:
        question: a question of the paradigms "lesions" or "new-lesions".
        propose: region of a place in RAS [mm] from the label volume of the case, or None.
        on_changed: called after every change.
    """

    def __init__(
        self,
        question: dict[str, Any],
        *,
        propose: Callable[[Sequence[float], Sequence[str]], str | None],
        on_changed: Callable[[], None],
    ) -> None:
        self.regions = list(question["regions"])
        self._on_changed = on_changed
        self._is_filling = False
        self.widget, self._layout = titled_box(question["prompt"])
        self.marks = Marks(
            propose=lambda ras: propose(ras, self.regions),
            on_changed=self._refresh,
            on_placing_ended=self._on_placing_ended,
        )
        self._add_buttons()
        self._add_table()
        self._add_counts()
        self._refresh()

    def mark_at_cursor(self, region: str | None = None) -> None:
        """Set a mark where the mouse stands in a slice view; nothing happens when it is elsewhere."""
        place = cursor_position()
        if place is not None and not self.by_number.checked:
            self.marks.add(place, region)

    def remove_selected(self) -> None:
        """Take the selected mark away, or the last one when none is selected."""
        count = len(self.marks.all())
        row = self.table.currentRow()
        if count:
            self.marks.remove(row if 0 <= row < count else count - 1)

    def missing(self) -> str:
        """What is still to be answered; empty when nothing is."""
        if self.by_number.checked:
            empty = [region for region, field in self.counts.items() if field.value == NOT_GIVEN]
            return _("Enter the number of lesions: {region}.").format(region=empty[0]) if empty else ""
        marks = self.marks.all()
        if not marks and not self.none_button.checked:
            return _("Mark the lesions, or tick 'There is none'.")
        without = [number for number, mark in enumerate(marks, start=1) if not mark["region"]]
        return _("Choose the region of mark {number}.").format(number=without[0]) if without else ""

    def answer(self) -> dict[str, Any]:
        """Marks, or numbers by region."""
        if self.by_number.checked:
            return {"counts": {region: field.value for region, field in self.counts.items()}}
        return {"marks": self.marks.all()}

    def close(self) -> None:
        """The question is about to go, and its marks with it."""
        self.place_button.checked = False
        self.marks.close()

    def _add_buttons(self) -> None:
        row = qt.QHBoxLayout()
        self.place_button = qt.QPushButton(_("Place marks"))
        self.place_button.checkable = True
        self.place_button.toolTip = _(
            "Click in a slice view for every lesion. The region is proposed where labels exist."
        )
        self.place_button.connect("toggled(bool)", self.marks.set_placing)
        self.remove_button = qt.QPushButton(_("Remove mark"))
        self.remove_button.toolTip = _("Take the selected mark away, or the last one (key: Backspace).")
        self.remove_button.connect("clicked()", self.remove_selected)
        self.none_button = qt.QCheckBox(_("There is none"))
        self.none_button.toolTip = _("Confirm that you looked and found no lesion.")
        self.none_button.connect("toggled(bool)", lambda _checked: self._on_changed())
        for button in (self.place_button, self.remove_button, self.none_button):
            button.accessibleName = button.text
            row.addWidget(button)
        self._layout.addLayout(row)
        keys = ", ".join(f"{number} {region}" for number, region in enumerate(self.regions[:9], start=1))
        hint = qt.QLabel(_("Keys at the mouse position: {keys}, M with the proposed region.").format(keys=keys))
        hint.wordWrap = True
        self._layout.addWidget(hint)

    def _add_table(self) -> None:
        self.table = qt.QTableWidget(0, 1)
        self.table.setHorizontalHeaderLabels([_("Region")])
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setMaximumHeight(130)
        self.table.toolTip = _("Your marks. Select one to bring the views to it; correct its region here.")
        self.table.accessibleName = _("Marks")
        self.table.connect("currentCellChanged(int,int,int,int)", self._on_row)
        self._layout.addWidget(self.table)

    def _add_counts(self) -> None:
        self.by_number = qt.QCheckBox(_("Enter numbers instead of marks"))
        self.by_number.toolTip = _("Count the lesions of each region without marking them.")
        self.by_number.accessibleName = self.by_number.text
        self.by_number.connect("toggled(bool)", self._on_by_number)
        self._layout.addWidget(self.by_number)
        self._count_box = qt.QWidget()
        column = qt.QVBoxLayout(self._count_box)
        self.counts = {}
        for region in self.regions:
            tip = _("Number of lesions: {region}.").format(region=region)
            self.counts[region] = number_field(region, tip, maximum=MOST_LESIONS)
            self.counts[region].connect("valueChanged(int)", lambda _value: self._on_changed())
            column.addLayout(labeled(f"{region}:", self.counts[region]))
        self._count_box.visible = False
        self._layout.addWidget(self._count_box)

    def _on_by_number(self, checked: bool) -> None:
        self.place_button.checked = False
        for widget in (self.place_button, self.remove_button, self.none_button, self.table):
            widget.enabled = not checked
        self._count_box.visible = checked
        self._on_changed()

    def _on_placing_ended(self) -> None:
        self.place_button.checked = False

    def _on_row(self, row: int) -> None:
        if not self._is_filling and 0 <= row < len(self.marks.all()):
            self.marks.jump_to(row)

    def _refresh(self) -> None:
        """Show the marks in the table."""
        self._is_filling = True
        marks = self.marks.all()
        if self.table.rowCount != len(marks):
            self.table.setRowCount(len(marks))
            for row in range(len(marks)):
                self.table.setCellWidget(row, 0, self._region_box(row))
        for row, mark in enumerate(marks):
            box = self.table.cellWidget(row, 0)
            box.setCurrentIndex(self.regions.index(mark["region"]) + 1 if mark["region"] else 0)
        if marks and self.none_button.checked:
            self.none_button.checked = False
        self.none_button.enabled = not marks and not self.by_number.checked
        self._is_filling = False
        self._on_changed()

    def _region_box(self, row: int) -> Any:
        box = qt.QComboBox()
        box.addItems([_("Choose a region"), *self.regions])
        box.toolTip = _("Region of this mark.")
        box.accessibleName = _("Region of mark {number}").format(number=row + 1)
        box.connect("currentIndexChanged(int)", lambda index, row=row: self._on_region(row, index))
        return box

    def _on_region(self, row: int, index: int) -> None:
        if not self._is_filling:
            self.marks.set_region(row, self.regions[index - 1] if index > 0 else "")
