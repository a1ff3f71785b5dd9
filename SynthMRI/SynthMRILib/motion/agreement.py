"""How well the lines of k-space near its center foretell those further out, along each axis.

Edges make the frequencies of an image depend on each other, so that an image of the inner lines, sharpened, foretells
the outer ones (`pose_search.py`). A head that moves in between sets them against what is foretold: their correlation
falls. Without motion it falls slowly, much alike along all axes; with motion it is low from the start, or falls faster
along the axis of phase encoding, from one line to the next where the head moved suddenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from ..simulation.motion import edge_slope, signal
from .features import head_box
from .pose_search import SHARPENED, sharpened

INNER = 0.15
"""Frequency along the axis up to which lines count as inner ones [cycles a voxel]."""
EDGES = np.linspace(0.16, 0.48, 33)
"""Borders of the bins of a curve: frequency along the axis [cycles a voxel]."""
ACROSS = (0.05, 0.45)
"""Frequencies across the axis that are compared [cycles a voxel]."""
START = 2
"""Bins at the start of a curve, to which the others are compared."""
SMALLEST, SMALLEST_START = 0.01, 0.05
"""Correlations below this count as this; the latter at the start of a curve, where others are divided by it."""
SMALLEST_MM = 0.02


@dataclass(frozen=True, eq=False)
class Curve:
    """The lines along an axis, in the bins between `EDGES`.

    Args:
        correlation: with what the inner lines foretell.
        energy: sum of squares of the volume that they hold.
    """

    correlation: np.ndarray
    energy: np.ndarray

    @property
    def start(self) -> float:
        return float(self.correlation[:START].mean())

    @property
    def relative(self) -> np.ndarray:
        """Correlation over that at the start."""
        return np.clip(self.correlation, 0.5 * SMALLEST, 1) / max(self.start, SMALLEST_START)


def agreement_features(voxels: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, float]:
    """How the correlation with what is foretold starts and falls along the axes.

    Args:
        voxels: magnitude (k, j, i) in any unit.
        spacing: of the voxels (i, j, k) [mm].

    Returns:
        "agreement_start_least" and "agreement_start_most": logarithm of the correlation at the start, -4.6 to 0;
        "agreement_lost_most" and "agreement_lost_second": logarithm of the effective displacement [mm] that would
        explain what an axis lacks beside the best of the three, of the two axes that lack most;
        "anisotropy": logarithm of the largest spacing over the smallest: few lines foretell little across thick slices.
    """
    curves = agreement_curves(voxels)
    starts = np.log(np.clip([curve.start for curve in curves], SMALLEST, 1))
    best = np.max([curve.relative for curve in curves], axis=0)
    # What is not foretold any more is taken as unlike what it should be: a difference of twice the energy.
    changes = [2 * (curve.energy * (1 - curve.relative / best)).sum() for curve in curves]
    slope = max(edge_slope(voxels, spacing), 1e-15)
    lost = np.sqrt(np.maximum(changes, 0) / max(int(signal(voxels).sum()), 1)) / slope
    second, most = np.sort(np.log(np.maximum(lost, SMALLEST_MM)))[1:]
    return {
        "agreement_start_least": float(starts.min()),
        "agreement_start_most": float(starts.max()),
        "agreement_lost_most": float(most),
        "agreement_lost_second": float(second),
        "anisotropy": float(np.log(max(spacing) / min(spacing))),
    }


def agreement_curves(voxels: np.ndarray) -> list[Curve]:
    """One for each axis of a volume (k, j, i)."""
    head = np.ascontiguousarray(voxels[head_box(voxels)], dtype=np.float32)
    shape = [fft.next_fast_len(n, real=True) for n in head.shape]
    spectrum = fft.rfftn(head, shape)
    axes = [f(n).astype(np.float32) for f, n in zip((fft.fftfreq, fft.fftfreq, fft.rfftfreq), shape)]
    frequencies = np.meshgrid(*axes, indexing="ij", sparse=True)
    energy = np.abs(spectrum) ** 2 / np.prod(shape)
    # The other half of the spectrum is not there: all of the last axis but its ends counts twice.
    energy[..., 1 : -1 if shape[2] % 2 == 0 else None] *= 2
    return [_along(axis, head.shape, shape, spectrum, energy, frequencies) for axis in range(3)]


def _along(
    axis: int,
    size: tuple[int, ...],
    padded: list[int],
    spectrum: np.ndarray,
    energy: np.ndarray,
    frequencies: list[np.ndarray],
) -> Curve:
    along, across = np.abs(frequencies[axis]), sum(f**2 for a, f in enumerate(frequencies) if a != axis)
    inner = fft.irfftn(spectrum * (along < INNER), padded)[tuple(slice(n) for n in size)].astype(np.float32)
    foretold = fft.rfftn(sharpened(sharpened(inner, SHARPENED), SHARPENED), padded)
    compared = (across >= ACROSS[0] ** 2) & (across < ACROSS[1] ** 2)
    others = tuple(a for a in range(3) if a != axis)
    sums = [
        v.sum(axis=others)
        for v in (
            (spectrum * foretold.conj()).real * compared,
            np.abs(spectrum) ** 2 * compared,
            np.abs(foretold) ** 2 * compared,
            energy,
        )
    ]
    place, number = np.digitize(along.ravel(), EDGES) - 1, len(EDGES) - 1
    inside = (place >= 0) & (place < number)
    product, found, expected, energies = (np.bincount(place[inside], v[inside], number) for v in sums)
    full, bins = found > 0, np.arange(number)
    if not full.any():
        return Curve(np.zeros(number), energies)
    # A bin without lines lies between its neighbors.
    correlation = product[full] / np.sqrt(np.maximum(found * expected, 1e-30))[full]
    return Curve(np.interp(bins, bins[full], correlation), energies)
