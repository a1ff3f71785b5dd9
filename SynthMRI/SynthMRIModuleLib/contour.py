"""Outlines around what is more uncertain than a threshold, in all slice views, with nothing laid over the image.

A thread compares the voxels with the threshold, as a large map takes longer than goes unnoticed while a slider moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from .background_call import BackgroundCall
from .node_volume import hand_over_voxels, ijk_to_ras, voxels_on_node

#: Light blue among Slicer's label colors: lighter than most of a brain, and told from gray by color-blind readers.
COLOR_NODE_ID = "vtkMRMLColorTableNodeLabels"
LABEL = 4


@dataclass(frozen=True)
class _Before:
    """What the label layer of one view was."""

    composite: slicer.vtkMRMLSliceCompositeNode
    slice_node: slicer.vtkMRMLSliceNode | None
    label: str | None
    opacity: float
    outline: int

    def restore(self, label_map: slicer.vtkMRMLLabelMapVolumeNode) -> None:
        if self.composite.GetScene() is None or self.composite.GetLabelVolumeID() != label_map.GetID():
            return
        self.composite.SetLabelVolumeID(self.label)
        self.composite.SetLabelOpacity(self.opacity)
        if self.slice_node is not None:
            self.slice_node.SetUseLabelOutline(self.outline)


class Contour:
    """Shows the outline of one map at a time and puts everything back afterwards."""

    def __init__(self) -> None:
        self._label_map: slicer.vtkMRMLLabelMapVolumeNode | None = None
        self._map: slicer.vtkMRMLScalarVolumeNode | None = None
        self._level: float | None = None
        self._before: list[_Before] = []
        self._comparing = BackgroundCall()

    @property
    def busy(self) -> bool:
        """True from `show` until the outlines are there."""
        return self._comparing.running

    def show(self, uncertainty: slicer.vtkMRMLScalarVolumeNode, *, level: float) -> None:
        """Outline all voxels above `level` [units of the map], as soon as they were found."""
        if self._map is uncertainty and self._level == level:
            return
        if self._map is not uncertainty:
            self.hide()
        self._map, self._level = uncertainty, level
        voxels = voxels_on_node(uncertainty).voxels
        self._comparing.start(lambda: np.multiply(voxels > level, LABEL, dtype=np.uint8), self._outline)

    def _outline(self, labels: np.ndarray) -> None:
        if self._map.GetScene() is None:
            return
        if self._label_map is None:
            self._label_map = _make_label_map(self._map)
            self._before = [_state(view) for view in _views()]
        hand_over_voxels(labels, self._label_map)
        for before in self._before:
            before.composite.SetLabelVolumeID(self._label_map.GetID())
            before.composite.SetLabelOpacity(1.0)
            if before.slice_node is not None:
                before.slice_node.SetUseLabelOutline(1)

    def hide(self) -> None:
        """Put back the label layer of all views; harmless when nothing is shown."""
        self._comparing.forget()
        if self._label_map is not None and self._label_map.GetScene() is not None:
            for before in self._before:
                before.restore(self._label_map)
            slicer.mrmlScene.RemoveNode(self._label_map.GetDisplayNode())
            slicer.mrmlScene.RemoveNode(self._label_map)
        self._label_map = self._map = self._level = None
        self._before = []


def _make_label_map(uncertainty: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLLabelMapVolumeNode:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "SynthMRI contour")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras(uncertainty)))
    node.SetAndObserveTransformNodeID(uncertainty.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAndObserveColorNodeID(COLOR_NODE_ID)
    return node


def _views() -> list[tuple[slicer.vtkMRMLSliceCompositeNode, slicer.vtkMRMLSliceNode | None]]:
    nodes = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(composite, nodes.get(composite.GetLayoutName())) for composite in composites]


def _state(view: tuple[slicer.vtkMRMLSliceCompositeNode, slicer.vtkMRMLSliceNode | None]) -> _Before:
    composite, node = view
    outline = node.GetUseLabelOutline() if node is not None else 0
    return _Before(composite, node, composite.GetLabelVolumeID(), composite.GetLabelOpacity(), outline)
