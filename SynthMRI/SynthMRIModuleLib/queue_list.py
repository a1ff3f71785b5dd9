"""The list of the runs that wait for the one in progress, from which each can be removed."""

from __future__ import annotations

from typing import Any


class QueueList:
    """Shows what waits; hidden while nothing does.

    Args:
        ui: widgets by name: queueLabel, queueListWidget, removeQueuedButton.
        logic: knows what waits (`waiting`) and takes a run out (`removeWaiting`).
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui = ui
        self._logic = logic
        self._titles: list[str] = []
        ui.queueListWidget.connect("currentRowChanged(int)", self._on_selected)
        ui.removeQueuedButton.connect("clicked()", self._on_remove)
        self._fill()

    def update(self) -> None:
        """Show what waits now; the selection stays with its run where the list has only become shorter."""
        titles = list(self._logic.waiting)
        if titles != self._titles:
            self._titles = titles
            self._fill()

    def _fill(self) -> None:
        ui = self._ui
        selected = ui.queueListWidget.currentRow
        ui.queueListWidget.clear()
        for title in self._titles:
            ui.queueListWidget.addItem(title)
        ui.queueListWidget.setCurrentRow(min(max(selected, 0), len(self._titles) - 1))
        for widget in (ui.queueLabel, ui.queueListWidget, ui.removeQueuedButton):
            widget.visible = bool(self._titles)

    def _on_selected(self, row: int) -> None:
        self._ui.removeQueuedButton.enabled = row >= 0

    def _on_remove(self) -> None:
        self.update()  # what was shown may have begun meanwhile
        row = self._ui.queueListWidget.currentRow
        if 0 <= row < len(self._titles):
            self._logic.removeWaiting(row)
            self.update()
