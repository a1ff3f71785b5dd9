"""The difference of a result and its source as a volume of its own, on the grid of the result, in its units.

Gray is no change; the window is a fixed part of the signal, so that differences of several cases can be compared.
It is computed by `subtracted`, which knows no MRML, so that a thread can do it, and put into the scene afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from .node_volume import write_volume
from .result_nodes import (
    OUTPUT_ATTRIBUTE,
    SOURCE_REFERENCE,
    SYNTHETIC_ATTRIBUTE,
    TASK_ATTRIBUTE,
    SourceSnapshot,
    place_beside,
    provenance_of,
)
from .run import NEW_CONTRAST_TASKS

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume

ROLE = "difference"
#: Half of the window in percent of the signal range.
SCALE_PERCENT = 10.0


def reason_no_difference(result: slicer.vtkMRMLNode | None) -> str:
    """Why a difference of this result and its source says nothing, in one sentence; empty when it does."""
    if result is None:
        return _("There is no result yet.")
    other_contrast = provenance_of(result).get("same_contrast") is False
    if other_contrast or result.GetAttribute(TASK_ATTRIBUTE) in NEW_CONTRAST_TASKS:
        return _("The result has another contrast than its source, so their difference says nothing.")
    return ""


def find_difference(result: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The difference volume made for this result, if it is still in the scene."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(OUTPUT_ATTRIBUTE) == ROLE and node.GetNodeReference(SOURCE_REFERENCE) is result:
            return node
    return None


def subtracted(before: Volume, after: Volume) -> tuple[Volume, float]:
    """after - before on the grid of `after`, linearly interpolated, and half of the window to show it with."""
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.uncertainty.blending import resampled

    voxels = resampled(before, after)
    voxels *= -1
    voxels += after.voxels
    return after.with_voxels(voxels), SCALE_PERCENT / 100 * reference_intensity(before.voxels)


def add_difference(
    result: slicer.vtkMRMLScalarVolumeNode, difference: Volume, limit: float
) -> slicer.vtkMRMLScalarVolumeNode:
    """A node with what `subtracted` gave, beside the result that it belongs to."""
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(_("{name} DIFFERENCE").format(name=result.GetName()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(SYNTHETIC_ATTRIBUTE, "1")
    node.SetAttribute(OUTPUT_ATTRIBUTE, ROLE)
    node.SetNodeReferenceID(SOURCE_REFERENCE, result.GetID())
    node.SetAndObserveTransformNodeID(result.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()  # before the voxels come: it would look through all of them for a window
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(-limit, limit)
    write_volume(difference, node)
    place_beside(node, SourceSnapshot.of(result).node)
    return node
