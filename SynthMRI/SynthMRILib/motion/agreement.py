"""How well the lines of k-space near its center foretell those further out, along each axis.

Edges make the frequencies of an image depend on each other, so that an image of the inner lines, sharpened, foretells
the outer ones (`pose_search.py`). A head that moves in between sets them against what is foretold: their correlation
falls.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from .features import head_box
from .pose_search import SHARPENED, sharpened

INNER = 0.15
"""Frequency along the axis up to which lines count as inner ones [cycles a voxel]."""
BANDS = {"middle": (0.22, 0.30), "outer": (0.30, 0.42)}
"""Frequencies along the axis of the lines that are foretold [cycles a voxel]."""
ACROSS = (0.25, 0.5)
"""Frequencies across the axis that are compared [cycles a voxel]."""
SMALLEST = 0.01
"""Correlations below this count as this."""


def agreement_features(voxels: np.ndarray) -> dict[str, float]:
    """Logarithm of the correlation of each of BANDS with what is foretold, by the rank of the axis.

    Args:
        voxels: magnitude (k, j, i) in any unit.

    Returns:
        "agreement_BAND_least", "agreement_BAND_median" and "agreement_BAND_most" of the three axes, -4.6 to 0.
    """
    head = np.ascontiguousarray(voxels[head_box(voxels)], dtype=np.float32)
    shape = [fft.next_fast_len(n, real=True) for n in head.shape]
    spectrum = fft.rfftn(head, shape)
    squares = np.meshgrid(
        *(f(n).astype(np.float32) ** 2 for f, n in zip((fft.fftfreq, fft.fftfreq, fft.rfftfreq), shape)),
        indexing="ij",
        sparse=True,
    )
    found = {}
    axes = [_along(axis, head.shape, shape, spectrum, squares) for axis in range(3)]
    for name, values in zip(BANDS, np.sort(np.transpose(axes))):
        found |= dict(zip((f"agreement_{name}_{rank}" for rank in ("least", "median", "most")), map(float, values)))
    return found


def _along(
    axis: int, size: tuple[int, ...], padded: list[int], spectrum: np.ndarray, squares: list[np.ndarray]
) -> list[float]:
    """Logarithms of the correlation of all bands along an axis."""
    along, across = squares[axis], sum(s for a, s in enumerate(squares) if a != axis)
    inner = fft.irfftn(spectrum * (along < INNER**2), padded)[tuple(slice(n) for n in size)].astype(np.float32)
    foretold = fft.rfftn(sharpened(sharpened(inner, SHARPENED), SHARPENED), padded)
    compared = (across >= ACROSS[0] ** 2) & (across < ACROSS[1] ** 2)
    return [
        _log_correlation(spectrum, foretold, compared & (along >= low**2) & (along < high**2))
        for low, high in BANDS.values()
    ]


def _log_correlation(found: np.ndarray, foretold: np.ndarray, where: np.ndarray) -> float:
    found, foretold = found[where], foretold[where]
    energy = float(np.sqrt((np.abs(found) ** 2).sum() * (np.abs(foretold) ** 2).sum()))
    correlation = float((found * foretold.conj()).real.sum()) / energy if energy > 0 else 0.0
    return float(np.log(np.clip(correlation, SMALLEST, 1.0)))
