"""A table whose rows are places: selecting one takes the slice views there and tells all about it in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer

from .regions import Row


class PlaceTable:
    """Fills a table and follows its selection.

    Args:
        table: a QTableWidget.
        label: gets the sentence of the selected row.
        columns: titles.
    """

    def __init__(self, table: Any, label: Any, columns: Sequence[str]) -> None:
        self._table, self._label = table, label
        self._rows: list[Row] = []
        table.setColumnCount(len(columns))
        table.setHorizontalHeaderLabels(list(columns))
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().setVisible(False)  # the room is for the words
        table.connect("currentCellChanged(int,int,int,int)", self._on_cell)
        self.show([])

    def show(self, rows: list[Row]) -> None:
        """Show these rows; hidden when there are none."""
        self._rows = []
        self._table.setRowCount(0)
        self._table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row.cells):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.sentence)
                self._table.setItem(number, column, item)
        self._rows = list(rows)
        self._table.visible = bool(rows)
        self._table.resizeColumnsToContents()
        self._table.resizeRowsToContents()  # long cells wrap
        self._say("")

    def _on_cell(self, row: int, _column: int, _previous_row: int, _previous_column: int) -> None:
        """Go there in all slice views."""
        if 0 <= row < len(self._rows):
            slicer.vtkMRMLSliceNode.JumpAllSlices(
                slicer.mrmlScene, *self._rows[row].position, slicer.vtkMRMLSliceNode.CenteredJumpSlice
            )
            self._say(self._rows[row].sentence)

    def _say(self, sentence: str) -> None:
        self._label.text = sentence
        self._label.visible = bool(sentence)
