"""Bring a volume of any spacing to a grid of any other with the same axes.

Along an axis that gets finer the volume is interpolated by cubic B-splines (Unser 1999); along one that gets coarser it
is averaged under a box of the new voxel, so that nothing aliases. Beyond the outer slices their value is held.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..simulation.fields import interpolate_axis
from ..volume import Grid, Volume

#: Relative difference of spacings that count as equal.
SAME = 1e-3
#: Most voxels of a result.
MOST_VOXELS = 1024**3


def grid_of_spacing(grid: Grid, spacing: tuple[float, float, float]) -> Grid:
    """A grid with the same axes and middle and another spacing [mm] along (i, j, k).

    The field of view becomes a whole number of new voxels, the nearest to what it was. Raises InputError for a spacing
    that is not positive or a result that is too large.
    """
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise InputError(f"The spacing must be three positive lengths in mm, not {list(spacing)}.")
    size = [max(1, round(extent / s)) for extent, s in zip(grid.extent, spacing)]
    if np.prod(size, dtype=float) > MOST_VOXELS:
        shown = " x ".join(map(str, size))
        raise InputError(f"At that spacing the result would have {shown} voxels. Choose a larger spacing.")
    matrix = np.eye(4)
    matrix[:3, :3] = grid.directions * np.array(spacing)
    middle = grid.index_to_ras((np.array(grid.size) - 1) / 2)
    matrix[:3, 3] = middle - matrix[:3, :3] @ ((np.array(size) - 1) / 2)
    return Grid(tuple(size[::-1]), matrix)


def positions_along(source: Grid, target: Grid, axis: int) -> np.ndarray:
    """Centers of the target's voxels along an array axis (0 is k), as indices of the source's voxels."""
    ijk = 2 - axis
    start = source.ras_to_index(np.array(target.origin))[ijk]
    return start + np.arange(target.shape[axis]) * target.spacing[ijk] / source.spacing[ijk]


def resampled(volume: Volume, target: Grid) -> Volume:
    """The volume on a grid with the same axes; not negative where the input is not."""
    voxels = volume.voxels
    for axis in range(3):
        ijk = 2 - axis
        ratio = target.spacing[ijk] / volume.spacing[ijk]
        positions = positions_along(volume.grid, target, axis)
        if np.abs(positions - np.arange(positions.size)).max() < SAME and positions.size == voxels.shape[axis]:
            continue
        voxels = averaged(voxels, positions, max(ratio, 1.0), axis=axis)
    if volume.voxels.min() >= 0:
        voxels = np.maximum(voxels, 0)
    return volume.with_voxels(voxels, target)


def averaged(voxels: np.ndarray, positions: np.ndarray, width: float, *, axis: int) -> np.ndarray:
    """Mean of the B-spline under a box of `width` voxels about each position; its value there for a width of 1."""
    count = int(np.ceil(2 * width)) if width > 1 + SAME else 1
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * width
    return sum(splined(voxels, positions + offset, axis=axis) for offset in offsets) / np.float32(count)


def splined(voxels: np.ndarray, positions: np.ndarray, *, axis: int) -> np.ndarray:
    """Cubic B-spline interpolation along one axis at `positions` [voxels], held beyond the outer voxels, float32."""
    positions = np.clip(positions, 0, voxels.shape[axis] - 1)
    return interpolate_axis(np.asarray(voxels, dtype=np.float32), positions, axis=axis)


def thick_axis(source: Grid, target: Grid) -> int:
    """Array axis (0 is k) along which the target is finer than the source by the largest ratio."""
    ratios = [source.spacing[2 - axis] / target.spacing[2 - axis] for axis in range(3)]
    return int(np.argmax(ratios))


def distance_to_slices(positions: np.ndarray) -> np.ndarray:
    """How far each position lies from the nearest slice: 0 at its center, 1 midway to the next or beyond; float32."""
    distance = 2 * np.abs(positions - np.round(positions))
    return np.clip(distance, 0, 1).astype(np.float32)
