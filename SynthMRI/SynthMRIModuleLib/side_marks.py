"""Letters at the left and right edge of the comparison's views: which side of the patient is seen there.

Slicer's own annotations write the four corners of a view and our synthetic mark the upper edge; these take the left and
right edge, which both leave alone.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin

#: Letters of the ends of the R, A and S axes.
LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))
LEFT, RIGHT = vtk.vtkCornerAnnotation.LeftEdge, vtk.vtkCornerAnnotation.RightEdge


class SideMarks(VTKObservationMixin):
    """Keeps the letters of some slice views right."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._views: list[str] = []

    def follow(self, views: list[str]) -> None:
        """Mark these views from now on, and no others."""
        self.stop()
        self._views = list(views)
        for widget in self._widgets():
            self.addObserver(widget.mrmlSliceNode(), vtk.vtkCommand.ModifiedEvent, self._update)
        self._update()

    def stop(self) -> None:
        """Take the letters away."""
        self.removeObservers()
        for widget in self._widgets():
            _write(widget, "", "")
        self._views = []

    def _update(self, _caller: vtk.vtkObject | None = None, _event: str | None = None) -> None:
        for widget in self._widgets():
            _write(widget, *side_letters(slicer.util.arrayFromVTKMatrix(widget.mrmlSliceNode().GetSliceToRAS())))

    def _widgets(self) -> list[slicer.qMRMLSliceWidget]:
        manager = slicer.app.layoutManager()
        widgets = [manager.sliceWidget(view) for view in self._views] if manager is not None else []
        return [widget for widget in widgets if widget is not None]


def side_letters(slice_to_ras: np.ndarray) -> tuple[str, str]:
    """Letters at the left and right edge of a view with this 4x4 matrix, whose first column points to the right."""
    to_the_right = np.asarray(slice_to_ras)[:3, 0]
    axis = int(np.abs(to_the_right).argmax())
    positive, negative = LETTERS[axis]
    return (negative, positive) if to_the_right[axis] > 0 else (positive, negative)


def _write(widget: slicer.qMRMLSliceWidget, left: str, right: str) -> None:
    annotation = widget.sliceView().cornerAnnotation()
    if (annotation.GetText(LEFT) or "", annotation.GetText(RIGHT) or "") != (left, right):
        annotation.SetText(LEFT, left)
        annotation.SetText(RIGHT, right)
        widget.sliceView().scheduleRender()
