"""Smooth random fields: variation within a tissue, bias, sensitivity and displacement are all made of them.

White noise is drawn on a coarse grid and interpolated by cubic B-splines, so that a field costs the same whatever its
correlation length. The draw depends only on the generator and the shape.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def smooth_field(
    shape: tuple[int, ...], rng: np.random.Generator, *, length: float | tuple[float, ...], order: int = 3
) -> np.ndarray:
    """Zero-mean float32 field of unit standard deviation.

    Args:
        shape: shape of the field.
        length: correlation length [voxels], one for all axes or one each: distance between the knots of the noise.
        order: spline order of the interpolation (1 is faster, 3 smoother).
    """
    lengths = np.broadcast_to(np.asarray(length, dtype=float), (len(shape),))
    knots = [max(int(np.ceil(n / step)) + 3, 4) for n, step in zip(shape, lengths)]
    field = rng.standard_normal(knots).astype(np.float32)
    for axis, (n, step) in enumerate(zip(shape, lengths)):
        field = _resample_axis(field, axis, n, step, order, offset=rng.uniform(0.5, 1.5))
    field -= field.mean()
    deviation = field.std()
    return field / deviation if deviation > 0 else field


def _resample_axis(field: np.ndarray, axis: int, n: int, step: float, order: int, *, offset: float) -> np.ndarray:
    """Interpolate along one axis by the matrix of that interpolation (knots are few, so this is one matrix product)."""
    positions = offset + np.arange(n) / step
    matrix = interpolation_matrix(field.shape[axis], positions, order=order)
    return np.moveaxis(np.tensordot(matrix, field, axes=(1, axis)), 0, axis).astype(np.float32, copy=False)


def interpolation_matrix(knots: int, positions: np.ndarray, *, order: int = 3) -> np.ndarray:
    """float32 matrix (positions, knots) that interpolates samples at integer positions by a B-spline."""
    columns = [
        ndimage.map_coordinates(row, positions[None], order=order, mode="nearest", prefilter=order > 1)
        for row in np.eye(knots)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def binomial_smooth(volume: np.ndarray, *, weight: float = 0.2) -> np.ndarray:
    """Smooth a float32 array by the kernel (weight, 1 - 2 weight, weight) along every axis; edges are replicated."""
    for axis in range(volume.ndim):
        volume = _binomial_axis(volume, axis, np.float32(weight))
    return volume


def _binomial_axis(volume: np.ndarray, axis: int, weight: np.float32) -> np.ndarray:
    moved = np.moveaxis(volume, axis, 0)
    out = moved * (1 - 2 * weight)
    out[1:] += weight * moved[:-1]
    out[:-1] += weight * moved[1:]
    out[0] += weight * moved[0]
    out[-1] += weight * moved[-1]
    return np.moveaxis(out, 0, axis)
