"""Tells at once when what some nodes hold changes, so that what was read from them before is shown no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from .node_volume import ijk_to_ras


class ContentWatch(VTKObservationMixin):
    """Watches voxels, points and places of some nodes at a time; how they are displayed does not matter.

    Args:
        on_changed: called after each change, without arguments.
    """

    def __init__(self, on_changed: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._on_changed = on_changed
        self._nodes: list[slicer.vtkMRMLNode] = []
        self._content: list[Any] = []

    def watch(self, nodes: Iterable[slicer.vtkMRMLVolumeNode | slicer.vtkMRMLMarkupsNode | None]) -> None:
        """Watch these nodes from now on, and no others."""
        self.removeObservers()
        self._nodes = list(dict.fromkeys(node for node in nodes if node is not None))
        self._content = [_content(node) for node in self._nodes]
        for node in self._nodes:
            for event in _events(node):
                self.addObserver(node, event, self._on_modified)

    def _on_modified(self, _caller: object = None, _event: object = None) -> None:
        content = [_content(node) for node in self._nodes]
        if content != self._content:
            self._content = content
            self._on_changed()


def _events(node: slicer.vtkMRMLNode) -> tuple[int, ...]:
    usual = (vtk.vtkCommand.ModifiedEvent, node.TransformModifiedEvent)
    if node.IsA("vtkMRMLMarkupsNode"):
        return (*usual, node.PointModifiedEvent, node.PointPositionDefinedEvent, node.PointRemovedEvent)
    return (*usual, node.ImageDataModifiedEvent)


def _content(node: slicer.vtkMRMLNode) -> tuple[Any, ...]:
    """Changes whenever voxels, points or places do."""
    transform = node.GetParentTransformNode()
    moved = transform and (transform.GetID(), transform.GetTransformToWorldMTime())
    if node.IsA("vtkMRMLMarkupsNode"):
        return (moved, *(_position(node, number) for number in range(node.GetNumberOfControlPoints())))
    image = node.GetImageData()
    return (moved, image and image.GetMTime(), ijk_to_ras(node).tobytes())


def _position(points: slicer.vtkMRMLMarkupsNode, number: int) -> tuple[float, ...]:
    position = [0.0, 0.0, 0.0]
    points.GetNthControlPointPosition(number, position)
    return tuple(position)
