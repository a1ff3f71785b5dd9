"""Thick slices in the panel: what is asked for in the two lengths a reader thinks in, and how large the result will be.

The engine takes a spacing along (i, j, k); a reader knows voxel size and slice distance, and along which axis the
slices lie is a matter of the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .contrasts import slice_thickness
from .node_volume import ijk_to_ras, reason_not_usable, voxels_on_node

WIDGETS = (
    *("voxelSizeLabel", "voxelSizeSpinBox", "sliceDistanceLabel", "sliceDistanceSpinBox"),
    "thickSlicesHintLabel",
)
TASK = "through-plane"
#: Gaps that differ by less count as equal [mm].
SAME_GAP = 0.05


class ThickSlicesRow:
    """Says what the voxels become, how many there will be, and where the DICOM header tells of another gap.

    Args:
        ui: widgets by name: thickSlicesHintLabel.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui

    def show(self, volume: slicer.vtkMRMLScalarVolumeNode | None, request: dict[str, Any]) -> None:
        """Follow the input and the request; hidden where there is nothing to say."""
        words = ""
        if request["task"] == TASK:
            told = [size_in_words(volume, request["parameters"]), gap_in_words(volume, request["parameters"]["gap"])]
            words = "\n".join(filter(None, told))
        self._ui.thickSlicesHintLabel.text = words
        self._ui.thickSlicesHintLabel.visible = bool(words)


def wanted_spacing(node: Any) -> list[float]:
    """What the parameter node asks for along (i, j, k) [mm]; 0 leaves an axis, and an empty list all, to the engine."""
    if not (node.voxelSize or node.sliceDistance):
        return []
    spacing = [node.voxelSize] * 3
    if node.sliceDistance and node.inputVolume:
        spacing[slice_axis(node.inputVolume)] = node.sliceDistance
    return spacing


def slice_axis(volume: slicer.vtkMRMLScalarVolumeNode) -> int:
    """Axis (0 is i) that the slices lie along: that of the largest spacing, the last one of equals."""
    spacing = volume.GetSpacing()
    return max(range(3), key=lambda axis: (round(spacing[axis], 3), axis))


def size_in_words(volume: slicer.vtkMRMLScalarVolumeNode | None, parameters: dict[str, Any]) -> str:
    """Spacing before and after, and voxels of the result; "" for a request that cannot be run."""
    from SynthMRILib.errors import InputError
    from SynthMRILib.tasks.through_plane import ThroughPlaneParameters
    from SynthMRILib.through_plane.request import check_parameters, target_grid

    typed = ThroughPlaneParameters.from_dict(parameters)
    if reason_not_usable(volume) or check_parameters(typed):
        return ""
    grid = voxels_on_node(volume).grid
    try:
        target = target_grid(grid, typed)
    except InputError:
        return ""
    return _("{before} mm become {after} mm: {size} voxels.").format(
        before=_lengths(grid.spacing), after=_lengths(target.spacing), size=" x ".join(map(str, target.size))
    )


def gap_in_words(volume: slicer.vtkMRMLScalarVolumeNode | None, chosen: float) -> str:
    """The gap that the DICOM header tells of where another one is chosen [mm]; "" where it tells of none."""
    thickness = slice_thickness(volume) if volume is not None else None
    if not thickness:
        return ""
    gap = round(volume.GetSpacing()[slice_axis(volume)] - thickness, 2)
    if gap < 0 or abs(gap - chosen) < SAME_GAP:
        return ""
    return _("The DICOM header tells of slices {thickness:.3g} mm thick, so the gap is {gap:g} mm.").format(
        thickness=thickness, gap=gap
    )


def view_across(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Orientation in which the slices of a volume are seen from their edge, where what was done to them shows."""
    across = np.abs(ijk_to_ras(volume)[:3, slice_axis(volume)])
    return "Coronal" if across.argmax() == 2 else "Axial"


def thin_suffix(parameters: dict[str, Any]) -> str:
    """What sets one result apart from others: the spacing that was asked for, and a method other than the network."""
    spacing, method = parameters.get("spacing") or [], parameters.get("method", "")
    words = {"bspline": " B-spline", "total-variation": " total variation"}.get(method, "")
    asked = " x ".join(f"{length:.3g}" for length in dict.fromkeys(spacing) if length)
    return (f" {asked} mm" if asked else "") + words


def _lengths(spacing: tuple[float, float, float]) -> str:
    return " x ".join(f"{length:.3g}" for length in spacing)
