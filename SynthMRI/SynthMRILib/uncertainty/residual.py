"""Does a result still say what was acquired? Its mean over every acquired voxel is compared with that voxel.

A network that sharpens may add detail within an acquired voxel, but what it adds must average out there; where it does
not, signal was invented or lost. The residual ||A x - y|| / ||y||, with A the mean over an acquired voxel, needs no
reference, so it can be taken of every result. A blind spot stays: detail that averages out is not seen. A scanner's
point spread is not a mean over a box, so a faithful result of a real scan does not reach zero either; what is usual is
known from the volumes that a bundle was calibrated on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.metrics import quality_mask
from ..intensity import reference_intensity
from ..volume import Grid, Volume

#: Largest difference of direction cosines for two grids to have the same axes.
SAME_AXES = 1e-3


@dataclass(frozen=True, eq=False)
class Consistency:
    """How far a result strays from what was acquired.

    Args:
        residual: mean of the result over each acquired voxel minus that voxel, on the acquired grid; zero where the
            result does not reach.
        relative: ||residual|| / ||acquired|| over the quality mask of the acquired volume.
        largest_percent: 99.9th percentile of |residual| there, per cent of the reference intensity.
    """

    residual: Volume
    relative: float
    largest_percent: float

    def as_dict(self) -> dict[str, Any]:
        return {"relative_residual": self.relative, "largest_residual_percent": self.largest_percent}


def consistency(result: Volume, acquired: Volume) -> Consistency:
    """Compare a result with the volume it was made from, of the same contrast.

    Args:
        result: on any grid with the axes of `acquired`, as fine or finer.
        acquired: what the scanner gave.

    Raises:
        InputError: the axes differ, or the acquired volume holds no signal.
    """
    seen, covered = as_acquired(result, acquired.grid)
    residual = np.where(covered, seen - acquired.voxels, 0).astype(np.float32)
    mask = quality_mask(acquired.voxels) & covered
    if not mask.any():
        raise InputError("The result and the acquired volume do not overlap, so they cannot be compared.")
    size = np.abs(residual[mask])
    relative = float(np.linalg.norm(size) / np.linalg.norm(acquired.voxels[mask]))
    largest = float(100 * np.percentile(size, 99.9) / reference_intensity(acquired.voxels))
    return Consistency(acquired.with_voxels(residual), relative, largest)


def as_acquired(result: Volume, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Mean of a result over each voxel of a coarser grid with the same axes, and which voxels lie inside of it.

    Returns float64 and boolean arrays (k, j, i) of the grid's shape.
    """
    if np.abs(result.grid.directions - grid.directions).max() > SAME_AXES:
        raise InputError("The result's axes are not those of the acquired volume, so they cannot be compared.")
    voxels = result.voxels.astype(np.float64)
    covered = np.ones((1, 1, 1), dtype=bool)
    origin = result.grid.ras_to_index(np.array(grid.origin))
    for axis in range(3):
        ijk = 2 - axis
        step = grid.spacing[ijk] / result.grid.spacing[ijk]
        weights, inside = box_weights(grid.shape[axis], voxels.shape[axis], origin[ijk], step)
        voxels = np.moveaxis(np.tensordot(weights, voxels, axes=(1, axis)), 0, axis)
        covered = covered & inside.reshape([-1 if a == axis else 1 for a in range(3)])
    return voxels, np.broadcast_to(covered, grid.shape)


def box_weights(coarse: int, fine: int, first: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of `fine` voxels in the means over `coarse` voxels along an axis, (coarse, fine), and which lie inside.

    Args:
        first: center of the first coarse voxel as an index of the fine ones.
        step: fine voxels per coarse voxel, 1 or more.
    """
    centers = first + step * np.arange(coarse)[:, None]
    low, high = centers - step / 2, centers + step / 2
    cells = np.arange(fine)[None, :]
    shares = np.clip(np.minimum(high, cells + 0.5) - np.maximum(low, cells - 0.5), 0, None)
    total = shares.sum(axis=1, keepdims=True)
    return shares / np.maximum(total, 1e-12), (total[:, 0] > 0.99 * step)


def spread_over(residual: Volume, grid: Grid) -> np.ndarray:
    """|residual| of the acquired voxel in which each voxel of a finer grid lies: float32 (k, j, i) of its shape."""
    size = np.abs(residual.voxels)
    index = []
    for axis in range(3):
        ijk = 2 - axis
        position = np.zeros((grid.shape[axis], 3))
        position[:, ijk] = np.arange(grid.shape[axis])
        nearest = np.rint(residual.grid.ras_to_index(grid.index_to_ras(position))[:, ijk]).astype(int)
        index.append(np.clip(nearest, 0, residual.shape[axis] - 1))
    return size[np.ix_(*index)]
