"""Result volumes in the scene: placed, named, displayed and marked so that nobody mistakes them for acquired ones.

A result says that it is synthetic in its name, in node attributes `SynthMRI.*` (kept by .mrml and .mrb) and in the
header of the NRRD file it is saved to: its storage node is the NRRD one, because only that writes node attributes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from .contrasts import dicom_facts
from .node_volume import thinned, write_volume

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume

SYNTHETIC_ATTRIBUTE = "SynthMRI.Synthetic"
OUTPUT_ATTRIBUTE = "SynthMRI.Output"
TASK_ATTRIBUTE = "SynthMRI.Task"
INTENDED_USE_ATTRIBUTE = "SynthMRI.IntendedUse"
PROVENANCE_ATTRIBUTE = "SynthMRI.Provenance"
SOURCE_REFERENCE = "SynthMRI.Source"
#: Of the voxels that are not background: where the window of a new contrast begins and ends.
WINDOW_PERCENTILES = (1.0, 99.5)
WINDOW_SAMPLES = 500_000


@dataclass(frozen=True)
class SourceSnapshot:
    """What is remembered of the input when a run starts, so that later changes to it do not misplace the result.

    Args:
        node: the leading input volume; the result is placed beside it.
        parent_transform: transform the input was under, or None.
        others: the other inputs.
    """

    node: slicer.vtkMRMLScalarVolumeNode
    parent_transform: slicer.vtkMRMLTransformNode | None
    others: tuple[slicer.vtkMRMLVolumeNode, ...] = ()

    @classmethod
    def of(cls, node: slicer.vtkMRMLScalarVolumeNode, *others: slicer.vtkMRMLVolumeNode) -> SourceSnapshot:
        return cls(node, node.GetParentTransformNode(), others)

    @property
    def in_scene(self) -> bool:
        """False once one of the nodes was deleted or the scene closed."""
        scenes = [node.GetScene() for node in (self.node, *self.others)]
        return all(scene is not None and scene is slicer.mrmlScene for scene in scenes)


def add_result_node(
    volume: Volume,
    *,
    source: SourceSnapshot,
    name: str,
    role: str,
    task: str,
    provenance: dict[str, Any],
    own_window: bool = False,
) -> slicer.vtkMRMLScalarVolumeNode:
    """A new volume node beside its source. When anything fails on the way, nothing stays in the scene.

    Args:
        volume: voxels and grid of the result, in the source's own coordinates.
        source: the input as it was when the run started.
        name: wished name; a number is added when it is taken.
        role: output role of the task, e.g. "output" or "epistemic".
        task: name of the task that made it.
        provenance: JSON types only.
        own_window: the result has another contrast than its source and gets a window from its own brain voxels.
    """
    scene = slicer.mrmlScene
    node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(name))
    node.UndoEnabledOn()  # where the application keeps an undo history, a result is part of it
    scene.AddNode(node)
    try:
        _mark(node, role=role, task=task, provenance=provenance)
        # The display goes first: with voxels there already it would work out a window of its own, which blocks.
        _follow_source(node, source)
        write_volume(volume, node)
        if own_window:
            _set_own_window(node, volume)
        place_beside(node, source.node)
        _store_with_header(node)
    except Exception:
        remove_result_node(node)
        raise
    return node


def remove_result_node(node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Take a result and its display and storage nodes out of the scene."""
    companions = [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())] + [node.GetStorageNode()]
    for companion in companions:
        if companion is not None:
            slicer.mrmlScene.RemoveNode(companion)
    slicer.mrmlScene.RemoveNode(node)


def is_synthetic(node: slicer.vtkMRMLNode | None) -> bool:
    """True for a volume that a task made: here, or in a file or DICOM series that is marked so."""
    from SynthMRILib import synthetic_marks

    if node is None:
        return False
    names = (synthetic_marks.SYNTHETIC_FIELD, synthetic_marks.NOTICE_FIELD)
    if synthetic_marks.in_fields({name: node.GetAttribute(name) for name in names}):
        return True
    if not node.IsA("vtkMRMLVolumeNode"):
        return False
    storage = node.GetStorageNode()
    file = storage.GetFullNameFromFileName() if storage is not None else None
    if file and synthetic_marks.in_file(Path(file)):
        return True
    return synthetic_marks.in_image_type(dicom_facts(node).get("image type"))


def is_result(node: slicer.vtkMRMLNode | None) -> bool:
    """True for the volume that a task was asked for here, not for maps and differences that go with it."""
    if node is None or node.GetAttribute(SYNTHETIC_ATTRIBUTE) != "1":
        return False
    return node.GetAttribute(OUTPUT_ATTRIBUTE) in (None, "output")


def source_of(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The acquired volume a result was made from, if it is still in the scene."""
    return node.GetNodeReference(SOURCE_REFERENCE) if node is not None else None


def provenance_of(node: slicer.vtkMRMLNode) -> dict[str, Any]:
    """What made this volume; empty for a volume that is not ours, or that does not say it as an attribute."""
    from SynthMRILib.synthetic_marks import PROVENANCE_FIELD

    text = node.GetAttribute(PROVENANCE_ATTRIBUTE) or node.GetAttribute(PROVENANCE_FIELD)
    with suppress(ValueError):
        return json.loads(text) if text else {}
    return {}


def _mark(node: slicer.vtkMRMLScalarVolumeNode, *, role: str, task: str, provenance: dict[str, Any]) -> None:
    from SynthMRILib import INTENDED_USE

    node.SetAttribute(SYNTHETIC_ATTRIBUTE, "1")
    node.SetAttribute(OUTPUT_ATTRIBUTE, role)
    node.SetAttribute(TASK_ATTRIBUTE, task)
    node.SetAttribute(INTENDED_USE_ATTRIBUTE, INTENDED_USE)
    node.SetAttribute(PROVENANCE_ATTRIBUTE, json.dumps({**provenance, "synthetic": True}, sort_keys=True))


def _follow_source(node: slicer.vtkMRMLScalarVolumeNode, source: SourceSnapshot) -> None:
    """Same transform, window, level, colors and interpolation as the source, so that both compare at a glance."""
    if source.parent_transform is not None and source.parent_transform.GetScene() is not None:
        node.SetAndObserveTransformNodeID(source.parent_transform.GetID())
    node.SetNodeReferenceID(SOURCE_REFERENCE, source.node.GetID())
    for other in source.others:
        node.AddNodeReferenceID(SOURCE_REFERENCE, other.GetID())
    node.CreateDefaultDisplayNodes()
    display, source_display = node.GetDisplayNode(), source.node.GetDisplayNode()
    if display is None or source_display is None:
        return
    if source_display.GetColorNodeID():
        display.SetAndObserveColorNodeID(source_display.GetColorNodeID())
    display.SetInterpolate(source_display.GetInterpolate())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(source_display.GetWindow(), source_display.GetLevel())


def _set_own_window(node: slicer.vtkMRMLScalarVolumeNode, volume: Volume) -> None:
    """From the 1st to the 99.5th percentile of the voxels that are not background."""
    sample = thinned(volume.voxels, WINDOW_SAMPLES)
    inside = sample[sample != 0]
    if inside.size and node.GetDisplayNode() is not None:
        lowest, highest = np.percentile(inside, WINDOW_PERCENTILES)
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevelMinMax(float(lowest), float(max(highest, lowest + 1e-6)))


def place_beside(node: slicer.vtkMRMLScalarVolumeNode, source: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Put the result right after its source in the subject hierarchy: same patient, same study, same folder."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    source_item = hierarchy.GetItemByDataNode(source)
    if not source_item:
        return
    parent = hierarchy.GetItemParent(source_item)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node)
    following = hierarchy.GetItemByPositionUnderParent(parent, hierarchy.GetItemPositionUnderParent(source_item) + 1)
    hierarchy.SetItemParent(item, parent)
    if following and following != item:
        hierarchy.MoveItem(item, following)


def _store_with_header(node: slicer.vtkMRMLScalarVolumeNode) -> None:
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
    node.SetAndObserveStorageNodeID(storage.GetID())
