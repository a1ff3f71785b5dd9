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
    offsets = rng.uniform(0.5, 1.5, len(shape))
    # The last axis to be interpolated is the first of the array: its planes are contiguous and the work is largest.
    for axis in reversed(range(len(shape))):
        positions = offsets[axis] + np.arange(shape[axis]) / lengths[axis]
        field = interpolate_axis(field, positions, axis=axis, order=order)
    field -= field.mean()
    deviation = field.std()
    return field / deviation if deviation > 0 else field


def interpolate_axis(field: np.ndarray, positions: np.ndarray, *, axis: int, order: int = 3) -> np.ndarray:
    """Interpolate a float32 array along one axis at `positions` [samples]; the ends are held. Order 1 or 3.

    By two or four weighted takes instead of a matrix product, whose threads fight for cores with other workers.
    """
    if order == 3:
        field = ndimage.spline_filter1d(field, order=3, axis=axis, mode="mirror", output=np.float32)
    first = np.floor(positions).astype(int)
    weights = _weights((positions - first).astype(np.float32), order)
    first -= order // 2
    total = None
    for tap, weight in enumerate(weights):
        part = np.take(field, np.clip(first + tap, 0, field.shape[axis] - 1), axis=axis)
        part *= weight.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
        total = part if total is None else np.add(total, part, out=total)
    return total


def _weights(t: np.ndarray, order: int) -> list[np.ndarray]:
    """B-spline weights of the samples around a position with fraction `t`."""
    if order == 1:
        return [1 - t, t]
    return [(1 - t) ** 3 / 6, (4 - 6 * t**2 + 3 * t**3) / 6, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6, t**3 / 6]


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
