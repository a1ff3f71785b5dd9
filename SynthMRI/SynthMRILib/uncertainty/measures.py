"""What can be measured on a volume before any network sees it: spacing, extent, noise, brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from ..denoising.noise_level import estimate_noise
from ..intensity import reference_intensity
from ..volume import Volume

SIGNAL_SHARE = 0.02
#: Noise in air has a mean of 1.25 standard deviations; smoothed by this much [voxels] hardly any of it exceeds 1.5.
SMOOTHING, NOISE_FACTOR = 1.5, 1.5
HISTOGRAM_PERCENTILES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def signal_mask(voxels: np.ndarray, *, noise: float = 0.0) -> np.ndarray:
    """Voxels above 2 % of the reference intensity, and where smoothed above the noise in air. Boolean (k, j, i).

    Args:
        noise: standard deviation of the noise, share of the reference intensity.
    """
    unit = reference_intensity(voxels)
    signal = voxels > SIGNAL_SHARE * unit
    if NOISE_FACTOR * noise > SIGNAL_SHARE:
        signal &= ndimage.gaussian_filter(voxels, SMOOTHING, mode="constant") > NOISE_FACTOR * noise * unit
    return signal


def extent_mm(volume: Volume, signal: np.ndarray) -> tuple[float, float, float]:
    """Size of the box around the signal along right-left, anterior-posterior and superior-inferior [mm]."""
    index = [np.flatnonzero(signal.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))][::-1]
    size = np.array([hits[-1] - hits[0] + 1 if hits.size else 0 for hits in index]) * volume.spacing
    return tuple(float(x) for x in np.abs(volume.grid.directions) @ size)


def cut_sides(signal: np.ndarray) -> int:
    """How many of the six sides of the volume more than a tenth of which shows signal: the head goes on beyond."""
    sides = [np.take(signal, position, axis) for axis in range(3) for position in (0, -1)]
    return sum(bool(side.mean() > 0.1) for side in sides)


def histogram(voxels: np.ndarray, signal: np.ndarray) -> list[float]:
    """Percentiles (HISTOGRAM_PERCENTILES) of the voxels with signal, relative to the reference intensity."""
    values = voxels[signal]
    if not values.size:
        return [0.0] * len(HISTOGRAM_PERCENTILES)
    return [float(p) for p in np.percentile(values, HISTOGRAM_PERCENTILES) / reference_intensity(voxels)]


def histogram_distance(one: list[float], other: list[float]) -> float:
    """Mean difference of two lists of percentiles: an earth mover's distance, 0 to 1."""
    return float(np.mean(np.abs(np.subtract(one, other))))


def noise_percent(volume: Volume) -> float:
    """Median noise level in the head, per cent of the reference intensity; see `denoising.noise_level`."""
    voxels = np.maximum(volume.voxels, 0)
    return 100 * estimate_noise(voxels, spacing=volume.spacing).median


def measure(volume: Volume) -> dict[str, Any]:
    """Everything that `gate` looks at, JSON types only: a number by the names of `gate.SIGNALS`, and the histogram."""
    noise = noise_percent(volume)
    signal = signal_mask(volume.voxels, noise=noise / 100)
    extent = extent_mm(volume, signal)
    return {
        "spacing_smallest_mm": min(volume.spacing),
        "spacing_largest_mm": max(volume.spacing),
        "extent_smallest_mm": min(extent),
        "extent_largest_mm": max(extent),
        "cut_sides": float(cut_sides(signal)),
        "noise_percent": noise,
        "histogram": histogram(volume.voxels, signal),
    }
