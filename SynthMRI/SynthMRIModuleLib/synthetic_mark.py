"""The mark in every slice view that shows a synthetic volume, whichever module is open.

Slicer's own slice annotations write the four corners of a view; the mark goes to the middle of the upper edge, which
they leave alone, so neither overwrites the other.
"""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .result_nodes import is_synthetic

POSITION = vtk.vtkCornerAnnotation.UpperEdge


def mark_text() -> str:
    return _("SYNTHETIC - not for diagnosis")


class SyntheticMark(VTKObservationMixin):
    """Keeps the mark of all slice views right while it is installed."""

    def install(self) -> None:
        """Observe the slice views that are there and those that come."""
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeAddedEvent, self._on_node_added)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndImportEvent, self.update)
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        for composite in composites:
            self.addObserver(composite, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def remove(self) -> None:
        """Stop observing and take the marks away."""
        self.removeObservers()
        for widget in _slice_widgets():
            _write(widget, "")

    def update(self, _caller: vtk.vtkObject | None = None, _event: str | None = None) -> None:
        """Set or clear the mark of every slice view."""
        for widget in _slice_widgets():
            _write(widget, mark_text() if shows_synthetic(widget.mrmlSliceCompositeNode()) else "")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, _caller: vtk.vtkObject, _event: str, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLSliceCompositeNode"):
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.update)


def shows_synthetic(composite: slicer.vtkMRMLSliceCompositeNode | None) -> bool:
    """True when a layer that can be seen holds a synthetic volume."""
    if composite is None:
        return False
    layers = [
        (composite.GetBackgroundVolumeID(), 1.0),
        (composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()),
        (composite.GetLabelVolumeID(), composite.GetLabelOpacity()),
    ]
    return any(
        opacity > 0 and is_synthetic(slicer.mrmlScene.GetNodeByID(node_id)) for node_id, opacity in layers if node_id
    )


def _slice_widgets() -> list[slicer.qMRMLSliceWidget]:
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    widgets = [manager.sliceWidget(name) for name in manager.sliceViewNames()]
    return [widget for widget in widgets if widget is not None]


def _write(widget: slicer.qMRMLSliceWidget, text: str) -> None:
    annotation = widget.sliceView().cornerAnnotation()
    if (annotation.GetText(POSITION) or "") != text:
        annotation.SetText(POSITION, text)
        widget.sliceView().scheduleRender()


_installed: list[SyntheticMark] = []


def install_mark() -> None:
    """Mark synthetic volumes from now on; harmless when done already."""
    if not _installed:
        _installed.append(SyntheticMark())
        _installed[0].install()


def remove_mark() -> None:
    """Stop marking (needed before the libraries are reloaded)."""
    while _installed:
        _installed.pop().remove()
