"""A scalar volume node as a `Volume` of the engine, with exactly the geometry of the node.

The grid is the node's own (IJK to RAS without its parent transform), so that a result placed under the same parent
transform lies where its source lies, for linear and warping transforms alike.

Voxels of results are neither copied nor looked through on their way into the scene: copying a large volume would block
the window for longer than goes unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

if TYPE_CHECKING:
    from SynthMRILib.volume import Grid, Volume

LABEL_MAP = "vtkMRMLLabelMapVolumeNode"
#: Node classes that derive from the scalar volume node but do not hold one intensity per voxel.
NOT_INTENSITIES = {
    LABEL_MAP: "a label map",
    "vtkMRMLVectorVolumeNode": "a color or vector volume",
    "vtkMRMLTensorVolumeNode": "a tensor volume",
    "vtkMRMLDiffusionWeightedVolumeNode": "a diffusion-weighted series",
}


def reason_not_usable(node: slicer.vtkMRMLNode | None, *, labels_allowed: bool = False) -> str:
    """Why this node cannot be read as a volume, in one sentence; empty when it can."""
    if node is None:
        return _("Select an input volume.")
    name = node.GetName()
    for class_name, words in NOT_INTENSITIES.items():
        if node.IsA(class_name) and not (labels_allowed and class_name == LABEL_MAP):
            return _("'{name}' is {kind}. Select a scalar MR volume.").format(name=name, kind=words)
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        return _("'{name}' is not a volume. Select a scalar MR volume.").format(name=name)
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        return _("'{name}' holds no voxels. Load the volume again or select another one.").format(name=name)
    if image.GetNumberOfScalarComponents() != 1:
        return _("'{name}' has {count} values per voxel. Select a scalar MR volume.").format(
            name=name, count=image.GetNumberOfScalarComponents()
        )
    return ""


def volume_from_node(node: slicer.vtkMRMLScalarVolumeNode, *, labels_allowed: bool = False) -> Volume:
    """A copy of the node's voxels (k, j, i) as float32 and its grid; the node is not touched.

    Raises InputError with a sentence when the node is a label map, has several values per voxel, or is empty.
    """
    from SynthMRILib.errors import InputError
    from SynthMRILib.volume import Grid, Volume

    reason = reason_not_usable(node, labels_allowed=labels_allowed)
    if reason:
        raise InputError(reason)
    voxels = np.array(slicer.util.arrayFromVolume(node), dtype=np.float32)
    return Volume(voxels, Grid(voxels.shape, ijk_to_ras(node)))


@dataclass(frozen=True, eq=False)
class NodeVoxels:
    """What a thread needs of a node: made in the panel's thread at no cost, read anywhere.

    Args:
        voxels: array (k, j, i) of the node's own type; read-only.
        grid: where they lie, in RAS [mm].
    """

    voxels: np.ndarray
    grid: Grid

    def volume(self) -> Volume:
        """The volume, as float32; of float32 voxels it is the same memory. Takes a while for a large one."""
        from SynthMRILib.volume import Volume

        return Volume(self.voxels, self.grid)

    def kept(self) -> NodeVoxels:
        """The same with voxels of its own, for a scene that may change: half as many bytes as float32 for most."""
        return NodeVoxels(self.voxels.copy(), self.grid)


def voxels_on_node(node: slicer.vtkMRMLVolumeNode) -> NodeVoxels:
    """The node's own memory, only to be read, e.g. in a thread.

    The memory outlives the node; only what the scene shows of it ends with the node. Raises InputError for a node
    without voxels.
    """
    from SynthMRILib.errors import InputError
    from SynthMRILib.volume import Grid

    reason = reason_not_usable(node, labels_allowed=True)
    if reason:
        raise InputError(reason)
    voxels = slicer.util.arrayFromVolume(node).view()
    voxels.flags.writeable = False
    return NodeVoxels(voxels, Grid(voxels.shape, ijk_to_ras(node)))


def thinned(voxels: np.ndarray, most: int) -> np.ndarray:
    """Every n-th voxel along each axis, evenly spread, so that at most so many are left: enough for percentiles."""
    step = max(1, int(np.ceil((voxels.size / most) ** (1 / 3))))
    return voxels[::step, ::step, ::step]


def ijk_to_ras(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """4x4 matrix from voxel index (i, j, k) to RAS [mm] of the node itself, without its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def write_volume(volume: Volume, node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Put the grid and the voxels of `volume` into a node of ours; the voxels are the node's from now on, uncopied."""
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(volume.grid.ijk_to_ras))
    hand_over_voxels(volume.voxels, node)


def hand_over_voxels(voxels: np.ndarray, node: slicer.vtkMRMLVolumeNode) -> None:
    """Make an array (k, j, i) the voxels of a node without a copy, unless it is of a kind that VTK cannot take."""
    voxels = np.require(voxels, requirements=("C", "W"))
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel()))
    node.SetAndObserveImageData(image)
