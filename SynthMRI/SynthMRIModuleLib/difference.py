"""The difference of a result and its source as a volume of its own, on the grid of the result, in its units.

Gray is no change; the window is a fixed part of the signal, so that differences of several cases can be compared.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from .node_volume import ijk_to_ras
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


def difference_volume(
    before: slicer.vtkMRMLScalarVolumeNode, after: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLScalarVolumeNode:
    """after - before as a volume node; the one that is there already is used again."""
    found = find_difference(after)
    if found is not None:
        return found
    from SynthMRILib.intensity import reference_intensity

    voxels = slicer.util.arrayFromVolume(after) - resampled(before, like=after)
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(_("{name} DIFFERENCE").format(name=after.GetName()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAttribute(SYNTHETIC_ATTRIBUTE, "1")
    node.SetAttribute(OUTPUT_ATTRIBUTE, ROLE)
    node.SetNodeReferenceID(SOURCE_REFERENCE, after.GetID())
    node.SetAndObserveTransformNodeID(after.GetTransformNodeID())
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras(after)))
    slicer.util.updateVolumeFromArray(node, voxels.astype(np.float32, copy=False))
    node.CreateDefaultDisplayNodes()
    limit = SCALE_PERCENT / 100 * reference_intensity(slicer.util.arrayFromVolume(before))
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(-limit, limit)
    place_beside(node, SourceSnapshot.of(after).node)
    return node


def resampled(node: slicer.vtkMRMLScalarVolumeNode, *, like: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Voxels (k, j, i) of a node on the grid of another under the same transform, linear interpolation, float32."""
    to_source = np.linalg.inv(ijk_to_ras(node)) @ ijk_to_ras(like)
    size = slicer.util.arrayFromVolume(like).shape[::-1]
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(_in_voxels(node))
    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(to_source))
    reslice.SetResliceTransform(transform)
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputScalarType(vtk.VTK_FLOAT)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    reslice.Update()
    return vtk_to_numpy(reslice.GetOutput().GetPointData().GetScalars()).reshape(size[::-1])


def _in_voxels(node: slicer.vtkMRMLScalarVolumeNode) -> vtk.vtkImageData:
    """The node's image with voxel indices as coordinates, whatever spacing it carries."""
    image = vtk.vtkImageData()
    image.ShallowCopy(node.GetImageData())
    image.SetSpacing(1, 1, 1)
    image.SetOrigin(0, 0, 0)
    return image
