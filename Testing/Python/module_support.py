"""What the tests of the Slicer modules share: volume nodes in the real MRML scene, and waiting for real runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from conftest import head_like, placed_grid
from SynthMRILib.volume import Grid

ROOT = Path(__file__).resolve().parents[2]
SUPER_RESOLUTION = ROOT / "SynthMRI" / "SynthMRI.py"
UNCERTAINTY = ROOT / "SynthMRIUncertainty" / "SynthMRIUncertainty.py"
READER_STUDY = ROOT / "SynthMRIReaderStudy" / "SynthMRIReaderStudy.py"
BSPLINE = {"method": "bspline"}

#: Grids as scanners give them: name -> keyword arguments of `placed_grid`.
GRIDS: dict[str, dict[str, Any]] = {
    "axial": {"spacing": (1, 1, 1)},
    "thick slices": {"spacing": (0.6, 0.6, 3), "origin": (-80, -110, -40)},
    "oblique": {"spacing": (0.43, 0.45, 0.9), "rotation": (11.3, -27.9, 163.1), "origin": (83.2, -141.7, 57.3)},
    "left-handed": {"spacing": (1, 1.2, 2), "rotation": (0, 90, 10), "left_handed": True},
}
SHAPE = (18, 20, 22)


def head_node(name: str = "T1w", *, shape: tuple[int, int, int] = SHAPE, grid: str = "axial", scale: float = 1) -> Any:
    """A scalar volume node with an ellipsoid in air, placed as one of GRIDS."""
    import slicer

    node = slicer.util.addVolumeFromArray(head_like(shape) * scale, name=name)
    place(node, placed_grid(shape, **GRIDS[grid]))
    return node


def place(node: Any, grid: Grid) -> None:
    import slicer

    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(grid.ijk_to_ras))


def node_matrix(node: Any, *, in_world: bool = False) -> np.ndarray:
    """IJK to RAS of a node, with its parent transform for the world."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    local = slicer.util.arrayFromVTKMatrix(matrix)
    if not in_world or node.GetParentTransformNode() is None:
        return local
    node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix) @ local


def read_series(files: list[Path]) -> Any:
    """A node with what the storage node behind Slicer's DICOM module reads of the files of a series."""
    import slicer

    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(files[0]))
    storage.ResetFileNameList()
    for file in files:
        storage.AddFileName(str(file))
    storage.SetSingleFile(False)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Back")
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def scene_facts() -> str:
    """Everything a user could notice in the scene: nodes, their names, references and attributes."""
    import slicer

    scene = slicer.mrmlScene
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)  # made when it is first asked for
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    facts = [(node.GetID(), node.GetName(), sorted(node.GetAttributeNames())) for node in nodes]
    return json.dumps([facts, hierarchy.GetNumberOfItems()])


def wait_for(condition: Callable[[], bool], poll: Callable[[], None], *, seconds: float = 60) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        poll()
        time.sleep(0.01)
