"""What can be measured on a volume before any network sees it: noise, extent, brightness.

The noise is Donoho's estimate (Biometrika 81 (1994), 425-455): the median absolute value of the finest diagonal wavelet
detail, over the voxels with signal, where a head of usual resolution has little detail of its own.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..intensity import reference_intensity
from ..volume import Volume

SIGNAL_SHARE = 0.02
#: Median of the absolute value of a standard normal variate.
MEDIAN_OF_NORMAL = 0.6745
HISTOGRAM_PERCENTILES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def signal_mask(voxels: np.ndarray) -> np.ndarray:
    """Voxels above 2 % of the reference intensity. Boolean (k, j, i)."""
    return voxels > SIGNAL_SHARE * reference_intensity(voxels)


def noise_level(voxels: np.ndarray) -> float:
    """Standard deviation of the noise where there is signal, in the units of the volume (k, j, i).

    An estimate: fine texture counts as noise, noise that was smoothed away between neighboring voxels does not.
    """
    even = voxels[tuple(slice(n // 2 * 2) for n in voxels.shape)].astype(np.float64)
    inside = ndimage.binary_erosion(signal_mask(even), iterations=2)
    for axis in range(3):
        even = np.moveaxis(even, axis, 0)
        even = np.moveaxis((even[::2] - even[1::2]) / np.sqrt(2), 0, axis)
    inside = inside[::2, ::2, ::2][tuple(slice(n) for n in even.shape)]
    values = np.abs(even[inside] if inside.any() else even)
    return float(np.median(values) / MEDIAN_OF_NORMAL) if values.size else 0.0


def extent_mm(volume: Volume) -> tuple[float, float, float]:
    """Size of the box around the signal along right-left, anterior-posterior and superior-inferior [mm]."""
    index = [np.flatnonzero(signal_mask(volume.voxels).any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))][::-1]
    size = np.array([hits[-1] - hits[0] + 1 if hits.size else 0 for hits in index]) * volume.spacing
    return tuple(float(x) for x in np.abs(volume.grid.directions) @ size)


def cut_sides(volume: Volume) -> int:
    """How many of the six sides of the volume more than a tenth of which shows signal: the head goes on beyond."""
    signal = signal_mask(volume.voxels)
    sides = [np.take(signal, position, axis) for axis in range(3) for position in (0, -1)]
    return sum(bool(side.mean() > 0.1) for side in sides)


def histogram(voxels: np.ndarray) -> list[float]:
    """Percentiles (HISTOGRAM_PERCENTILES) of the voxels with signal, relative to the reference intensity."""
    values = voxels[signal_mask(voxels)]
    if not values.size:
        return [0.0] * len(HISTOGRAM_PERCENTILES)
    return [float(p) for p in np.percentile(values, HISTOGRAM_PERCENTILES) / reference_intensity(voxels)]


def histogram_distance(one: list[float], other: list[float]) -> float:
    """Mean difference of two lists of percentiles: an earth mover's distance, 0 to 1."""
    return float(np.mean(np.abs(np.subtract(one, other))))
