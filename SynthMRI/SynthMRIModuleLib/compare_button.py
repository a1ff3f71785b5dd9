"""The button that shows a result beside the volume it was made from, for as long as the module is open."""

from __future__ import annotations

from typing import Any

import slicer

from .comparison import Comparison
from .result_nodes import source_of


class CompareButton:
    """Keeps a checkable button and the comparison in step, also when the user changes the layout otherwise."""

    def __init__(self, button: Any) -> None:
        self._button = button
        self._comparison = Comparison()
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        button.connect("toggled(bool)", self._on_toggled)
        self._observe_layout("connect")

    def offer(self, result: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Offer to compare this result with its source; off when there is none, or the source is gone."""
        self._result = result if source_of(result) is not None else None
        if self._result is None:
            self._comparison.leave()
        self._update()

    def compare(self, result: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show this result beside its source now."""
        self.offer(result)
        if self._result is not None:
            self._comparison.show(before=source_of(result), after=result)
        self._update()

    def close(self) -> None:
        """The panel is about to go."""
        self._observe_layout("disconnect")

    def _update(self, _layout: int = 0) -> None:
        self._button.enabled = self._result is not None
        self._button.checked = self._comparison.shown

    def _on_toggled(self, checked: bool) -> None:
        if checked and not self._comparison.shown:
            self.compare(self._result)
        elif not checked:
            self._comparison.leave()

    def _observe_layout(self, connect_or_disconnect: str) -> None:
        manager = slicer.app.layoutManager()
        if manager is not None:
            getattr(manager, connect_or_disconnect)("layoutChanged(int)", self._update)
