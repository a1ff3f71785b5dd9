"""Model-based super-resolution with total variation: a peer that needs no training.

The fine volume x is the one that explains the coarse one y best, || A x - y ||^2 / 2 + weight TV(x), with A the average
over the coarse voxels (`slice_profile.py`) and TV isotropic (Rudin, Osher and Fatemi 1992). Solved by the primal-dual
algorithm of Chambolle and Pock (Journal of Mathematical Imaging and Vision 2011), started at the B-spline.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..intensity import reference_intensity
from ..progress import Progress, no_progress
from ..slice_profile import Acquisition
from ..volume import Grid, Volume
from .resampling import resampled

#: Squared norm of the forward differences in three dimensions is at most 12; that of the averaging at most 1.
STEP = 0.95 / np.sqrt(12.0)


def reconstruct(
    coarse: Volume,
    fine: Grid,
    *,
    weight: float = 0.001,
    iterations: int = 100,
    progress: Progress = no_progress,
    **profile: Any,
) -> Volume:
    """The volume on the fine grid that minimizes data misfit plus total variation.

    Args:
        coarse: what was acquired; its axes are those of `fine`.
        weight: of total variation, relative to the reference intensity of `coarse`.
        iterations: of the primal-dual algorithm.
        profile: thickness and kind of `slice_profile.Acquisition.between`.
    """
    acquisition = Acquisition.between(fine, coarse.grid, **profile)
    unit = np.float32(reference_intensity(coarse.voxels) or 1.0)
    y = coarse.voxels / unit
    x = resampled(coarse, fine).voxels / unit
    shares = np.float32(acquisition.apply(acquisition.transposed(np.ones_like(y))).max())
    dual = np.zeros((3, *x.shape), dtype=np.float32)
    ahead, space = x, np.empty_like(x)  # buffers: allocating volumes anew in each step takes a third of the time
    for step in range(iterations):
        progress(step / iterations, "Reconstructing")
        add_gradient(dual, ahead, np.float32(STEP), space)
        limit(dual, np.float32(weight), space)
        change = acquisition.transposed(acquisition.apply(x) - y)
        change /= shares
        subtract_divergence(change, dual)
        change *= np.float32(-STEP)
        x = x + change
        ahead = np.add(x, change, out=change)
    return coarse.with_voxels(np.maximum(x, 0) * unit if coarse.voxels.min() >= 0 else x * unit, fine)


def add_gradient(field: np.ndarray, x: np.ndarray, factor: np.float32, space: np.ndarray) -> None:
    """Add `factor` times the forward differences of x, zero at the end of each axis, to field (3, k, j, i)."""
    for axis in range(3):
        before, after = neighbors(axis)
        change = np.subtract(x[after], x[before], out=space[before])
        change *= factor
        field[axis][before] += change


def limit(field: np.ndarray, most: np.float32, space: np.ndarray) -> None:
    """Shorten the vectors of field (3, k, j, i) that are longer than `most`."""
    np.einsum("akji,akji->kji", field, field, out=space)
    np.sqrt(space, out=space)
    space /= most
    np.maximum(space, 1, out=space)
    field /= space


def subtract_divergence(x: np.ndarray, field: np.ndarray) -> None:
    """Subtract the divergence of field (3, k, j, i), minus the adjoint of the forward differences, from x."""
    for axis in range(3):
        before, after = neighbors(axis)
        part = field[axis][before]
        x[before] -= part
        x[after] += part


def neighbors(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of all voxels with a neighbor behind them along an axis, and of those neighbors."""
    before = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
    after = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    return before, after
