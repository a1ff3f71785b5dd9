"""Interpolations that a super-resolution network has to beat: trilinear, cubic B-spline and windowed sinc.

All are separable. Along an axis the fine voxel n lies at the coarse index (n + 1/2) / factor - 1/2, so that both grids
cover the same field of view; for factor 2 that is a quarter coarse voxel before or after a coarse center. There are
only `factor` different distances to the coarse voxels, hence `factor` short filters an axis, whose outputs interleave.
Beyond its border a volume is taken as mirrored at the outer voxel edge, so that no darkening creeps in.

The B-spline interpolates (prefiltered, Unser, IEEE Signal Process Mag 16(6), 1999, 22-38). The sinc is windowed by
Lanczos' window of radius 5 and its weights are made to sum to one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..volume import Volume

SINC_RADIUS = 5
DEFINITIONS = {
    "trilinear": "linear along each axis",
    "bspline": "interpolating cubic B-spline",
    "sinc": f"sinc in a Lanczos window of radius {SINC_RADIUS} voxels",
}
BASELINES = tuple(DEFINITIONS)


def upsample(volume: Volume, factor: int, kind: str) -> Volume:
    """The volume on `volume.grid.upsampled(factor)`, float32.

    Args:
        factor: fine voxels per coarse voxel along every axis, 1 or more.
        kind: "trilinear", "bspline" or "sinc". The latter two overshoot beside edges; where the input is nowhere below
            zero, as a magnitude is, neither is the result.

    Raises:
        InputError: unknown kind or factor.
    """
    if kind not in _WEIGHTS:
        raise InputError(f"Unknown interpolation '{kind}'. Choose one of: {', '.join(BASELINES)}.")
    if factor != int(factor) or factor < 1:
        raise InputError(f"The factor must be a whole number of at least 1, not {factor}.")
    voxels = volume.voxels
    for axis in range(3):
        if kind == "bspline":
            voxels = ndimage.spline_filter1d(voxels, order=3, axis=axis, output=np.float32, mode="reflect")
        voxels = _interleaved(voxels, axis, int(factor), _WEIGHTS[kind])
    if volume.voxels.min() >= 0:
        np.maximum(voxels, 0, out=voxels)
    return volume.with_voxels(voxels, volume.grid.upsampled(int(factor)))


Weights = Callable[[np.ndarray], np.ndarray]


def _interleaved(voxels: np.ndarray, axis: int, factor: int, weights: Weights) -> np.ndarray:
    """Values at the fine positions along `axis`."""
    shape = list(voxels.shape)
    shape[axis] *= factor
    fine = np.empty(shape, dtype=np.float32)
    for phase in range(factor):
        offset = (phase + 0.5) / factor - 0.5
        taps = weights(np.arange(-SINC_RADIUS, SINC_RADIUS + 1) - offset)
        place = [slice(None)] * 3
        place[axis] = slice(phase, None, factor)
        ndimage.correlate1d(voxels, _trimmed(taps), axis=axis, output=fine[tuple(place)], mode="reflect")
    return fine


def _trimmed(taps: np.ndarray) -> np.ndarray:
    """The taps without zeros that lie symmetrically at both ends, summing to one."""
    reach = int(np.abs(np.flatnonzero(taps) - SINC_RADIUS).max())
    return taps[SINC_RADIUS - reach : SINC_RADIUS + reach + 1] / taps.sum()


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(distance))


def _cubic_b_spline(distance: np.ndarray) -> np.ndarray:
    t = np.abs(distance)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(0.0, 2 - t) ** 3 / 6)


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < SINC_RADIUS, np.sinc(distance) * np.sinc(distance / SINC_RADIUS), 0.0)


_WEIGHTS: dict[str, Weights] = {"trilinear": _linear, "bspline": _cubic_b_spline, "sinc": _lanczos}
