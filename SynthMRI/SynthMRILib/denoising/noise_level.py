"""How much noise a magnitude volume holds, voxel by voxel.

After the homomorphic estimation of Aja-Fernandez et al. (Medical Image Analysis 2015): the finest diagonal wavelet
band holds hardly anything but noise; the logarithm of its magnitude, averaged over a neighborhood, gives the logarithm
of the noise level but for a constant. Edges pull an average of logarithms less than one of squares. Where the signal
is not well above the noise the spread of a magnitude is smaller than that of its parts; Koay and Basser's factor
(Journal of Magnetic Resonance 2006) undoes that. The noise is taken for white: of noise that is correlated over
voxels, as in scans interpolated by the scanner, the finest band shows only a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, special

from ..intensity import reference_intensity

#: Mean of log |g| for a standard normal g: -(Euler's constant + log 2) / 2.
MEAN_LOG = -0.5 * (np.euler_gamma + np.log(2.0))
#: Standard deviation of the neighborhood [mm] over which the level is taken to vary little.
NEIGHBORHOOD_MM = 12.0
#: Voxels below this share of the reference intensity count as air.
AIR = 0.05
#: The band says nothing where neighbors are equal or masked; with less of the neighborhood known there is no estimate.
LEAST_KNOWN = 0.02
_FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Noise of a volume.

    Args:
        sigma: standard deviation of each part of the complex noise, voxel by voxel, float32 (k, j, i), in the units of
            the volume; zero where the volume is exactly zero.
        median, lowest, highest: median, 5th and 95th percentile of it in the head, in units of the reference intensity.
    """

    sigma: np.ndarray
    median: float
    lowest: float
    highest: float

    def as_dict(self) -> dict[str, Any]:
        """Percent of the reference intensity (99.5th percentile of the non-zero voxels)."""
        return {
            "median_percent": round(100 * self.median, 2),
            "lowest_percent": round(100 * self.lowest, 2),
            "highest_percent": round(100 * self.highest, 2),
        }


def estimate_noise(voxels: np.ndarray, *, spacing: tuple[float, float, float], unit: float | None = None) -> NoiseLevel:
    """Noise level of a magnitude volume.

    Args:
        voxels: (k, j, i), not negative.
        spacing: along (i, j, k) [mm].
        unit: reference intensity, when `voxels` are a part of a larger volume; default: that of `voxels`.
    """
    unit = reference_intensity(voxels) if unit is None else unit
    sigma = np.zeros(voxels.shape, dtype=np.float32)
    if unit <= 0:
        return NoiseLevel(sigma, 0.0, 0.0, 0.0)
    known, band = diagonal_band(voxels)
    widths = tuple(NEIGHBORHOOD_MM / s for s in spacing[::-1])
    weight = known.astype(np.float32)
    share = np.maximum(smoothed(weight, widths), _FLOOR)
    logarithm = np.where(known, np.log(np.maximum(np.abs(band), _FLOOR * unit)), 0).astype(np.float32)
    spread = np.exp(smoothed(logarithm, widths) / share - np.float32(MEAN_LOG))
    level = smoothed(weight * rician_corrected(voxels, spread), widths) / share
    np.copyto(sigma, level, where=(voxels != 0) & (share > LEAST_KNOWN))
    return summarized(sigma, voxels, unit)


def summarized(sigma: np.ndarray, voxels: np.ndarray, unit: float) -> NoiseLevel:
    """A level map with its percentiles over the head."""
    head = sigma[(voxels > AIR * unit) & (sigma > 0)] / unit
    if not head.size:
        return NoiseLevel(sigma, 0.0, 0.0, 0.0)
    lowest, median, highest = (float(v) for v in np.percentile(head, (5, 50, 95)))
    return NoiseLevel(sigma, median, lowest, highest)


def diagonal_band(voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undecimated Haar coefficients that are differences along all three axes, and where they say something.

    White noise keeps its standard deviation in them. A coefficient says nothing when one of its eight voxels is exactly
    zero (outside of a stripped brain) or when it is zero itself.
    """
    band = voxels.astype(np.float32)
    inside = voxels != 0
    for axis in range(3):
        band = np.roll(band, -1, axis=axis) - band
        inside = inside & np.roll(inside, -1, axis=axis)
    for axis in range(3):
        inside = np.moveaxis(inside, axis, 0)
        inside[-1] = False
        inside = np.moveaxis(inside, 0, axis)
    band /= np.float32(np.sqrt(8.0))
    return inside & (band != 0), band


def smoothed(values: np.ndarray, widths: tuple[float, ...]) -> np.ndarray:
    """Gaussian average, computed on a coarser grid, float32 of the same shape.

    Args:
        widths: standard deviations along (k, j, i) [voxels].
    """
    steps = tuple(max(1, min(int(w / 2), n // 4)) for w, n in zip(widths, values.shape))
    coarse = block_means(values, steps)
    coarse = ndimage.gaussian_filter(coarse, [w / s for w, s in zip(widths, steps)], mode="nearest", truncate=3.0)
    positions = [(np.arange(n) + 0.5) / s - 0.5 for n, s in zip(values.shape, steps)]
    for axis in reversed(range(3)):
        coarse = interpolated_axis(coarse, positions[axis], axis)
    return coarse.astype(np.float32)


def block_means(values: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Means of blocks; the last block of an axis may be smaller."""
    for axis, step in enumerate(steps):
        starts = np.arange(0, values.shape[axis], step)
        counts = np.diff([*starts, values.shape[axis]])
        values = np.add.reduceat(values, starts, axis=axis, dtype=np.float32)
        values = values / counts.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return values


def interpolated_axis(values: np.ndarray, positions: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation along one axis; the ends are held."""
    last = values.shape[axis] - 1
    positions = np.clip(positions, 0, last)
    first = np.minimum(positions.astype(int), max(last - 1, 0))
    weight = (positions - first).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    low, high = np.take(values, first, axis=axis), np.take(values, np.minimum(first + 1, last), axis=axis)
    return low + weight * (high - low)


def rician_corrected(voxels: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The noise level of the complex parts from the spread of the magnitude, both in the units of the volume.

    With the local mean of the magnitude as its first moment the ratio of the two is looked up; it runs from 0.655 in
    air to 1 in bright tissue.
    """
    mean = ndimage.uniform_filter(voxels.astype(np.float32), 5, mode="nearest")
    ratio, factor = magnitude_table()
    return spread / np.interp(mean / np.maximum(spread, _FLOOR), ratio, factor).astype(np.float32)


def magnitude_table() -> tuple[np.ndarray, np.ndarray]:
    """Mean over spread of a Rician magnitude, rising, and its spread in units of the noise level."""
    signal = np.linspace(0, 10, 201)
    half = signal**2 / 4
    mean = np.sqrt(np.pi / 2) * ((1 + 2 * half) * special.ive(0, half) + 2 * half * special.ive(1, half))
    spread = np.sqrt(np.maximum(2 + signal**2 - mean**2, 0))
    return mean / spread, spread


def uniform_noise(voxels: np.ndarray, level: float) -> NoiseLevel:
    """A level that is known and the same everywhere, in units of the reference intensity."""
    unit = reference_intensity(voxels)
    sigma = np.where(voxels != 0, np.float32(level * unit), np.float32(0))
    return NoiseLevel(sigma, level, level, level)


def middle_of(voxels: np.ndarray, *, edge: int = 96) -> np.ndarray:
    """The middle of an array, at most `edge` voxels along each axis: enough for a quick look at its noise."""
    return voxels[tuple(slice(max(0, (n - edge) // 2), max(0, (n - edge) // 2) + edge) for n in voxels.shape)]
