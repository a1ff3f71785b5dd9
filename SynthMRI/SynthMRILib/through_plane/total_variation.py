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
    ahead = x
    for step in range(iterations):
        progress(step / iterations, "Reconstructing")
        dual += np.float32(STEP) * gradient(ahead)
        dual /= np.maximum(1, np.sqrt((dual**2).sum(axis=0)) / np.float32(weight))
        misfit = acquisition.transposed(acquisition.apply(x) - y) / shares
        new = x - np.float32(STEP) * (misfit - divergence(dual))
        ahead, x = 2 * new - x, new
    return coarse.with_voxels(np.maximum(x, 0) * unit if coarse.voxels.min() >= 0 else x * unit, fine)


def gradient(x: np.ndarray) -> np.ndarray:
    """Forward differences along three axes, zero at the end of each."""
    result = np.zeros((3, *x.shape), dtype=np.float32)
    result[0, :-1] = x[1:] - x[:-1]
    result[1, :, :-1] = x[:, 1:] - x[:, :-1]
    result[2, :, :, :-1] = x[:, :, 1:] - x[:, :, :-1]
    return result


def divergence(field: np.ndarray) -> np.ndarray:
    """Minus the adjoint of `gradient`."""
    result = np.zeros(field.shape[1:], dtype=np.float32)
    for axis in range(3):
        part = np.moveaxis(field[axis], axis, 0)
        out = np.moveaxis(result, axis, 0)
        out[:-1] += part[:-1]
        out[1:] -= part[:-1]
    return result
