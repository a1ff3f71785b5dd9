"""Keeps window and level of two volumes the same while they are compared, whichever of them the user changes."""

from __future__ import annotations

import slicer
import vtk
from slicer.util import VTKObservationMixin


class WindowLink(VTKObservationMixin):
    """Links the display nodes of one pair at a time."""

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._displays: list[slicer.vtkMRMLScalarVolumeDisplayNode] = []
        self._passing_on = False

    def link(self, one: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Give `other` the window of `one` and keep both the same; None only ends what was linked before."""
        self.stop()
        displays = [node.GetDisplayNode() for node in (one, other) if node is not None]
        if len(displays) == 2 and all(display is not None for display in displays):
            self._displays = displays
            for display in displays:
                self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._on_modified)
            self._on_modified(displays[0])

    def stop(self) -> None:
        """From now on both change apart."""
        self.removeObservers()
        self._displays = []

    def _on_modified(self, changed: slicer.vtkMRMLScalarVolumeDisplayNode, _event: str | None = None) -> None:
        if self._passing_on:  # what we set ourselves is no news
            return
        self._passing_on = True
        for display in self._displays:
            same = (display.GetWindow(), display.GetLevel()) == (changed.GetWindow(), changed.GetLevel())
            if display is not changed and not same:
                display.SetAutoWindowLevel(False)
                display.SetWindowLevel(changed.GetWindow(), changed.GetLevel())
        self._passing_on = False
