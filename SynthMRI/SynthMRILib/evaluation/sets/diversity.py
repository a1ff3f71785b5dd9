"""How different the members of a set are from each other: MS-SSIM of pairs, and how sharp their mean is.

MS-SSIM after Wang et al. (Asilomar 2003) in three dimensions. Five scales need 176 voxels along every edge; smaller
volumes get fewer scales, whose exponents are divided by their sum. It is a measure of diversity only beside that of
the real set: a mean near the real one is what is wanted, not a small one.
"""

from __future__ import annotations

import zlib
from itertools import combinations

import numpy as np
from scipy import ndimage

from ...errors import InputError
from ..agreement import Estimate
from ..bootstrap import mean_of

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SIGMA, RADIUS = 1.5, 5
K1, K2 = 0.01, 0.03


def scales_for(edge: int) -> int:
    """How many scales a volume with this shortest edge [voxels] can have; each needs the whole window."""
    fitting = [n for n in range(1, len(EXPONENTS) + 1) if edge >= (2 * RADIUS + 1) * 2 ** (n - 1)]
    if not fitting:
        raise InputError(f"MS-SSIM needs at least {2 * RADIUS + 1} voxels along every edge, not {edge}.")
    return fitting[-1]


def ms_ssim(first: np.ndarray, second: np.ndarray, *, peak: float = 1.0, scales: int | None = None) -> float:
    """MS-SSIM of two volumes (k, j, i).

    Args:
        peak: data range.
        scales: number of scales; as many as fit when None.
    """
    scales = scales or scales_for(min(first.shape))
    exponents = np.array(EXPONENTS[:scales]) / sum(EXPONENTS[:scales])
    a, b = (v.astype(np.float64) for v in (first, second))
    value = 1.0
    for number, exponent in enumerate(exponents, start=1):
        similarity, structure = _ssim_parts(a, b, peak)
        value *= max(similarity if number == scales else structure, 0.0) ** exponent
        a, b = _halved(a), _halved(b)
    return float(value)


def _ssim_parts(a: np.ndarray, b: np.ndarray, peak: float) -> tuple[float, float]:
    """Mean SSIM and mean of its contrast-structure part where the whole window lies inside."""
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_a, mean_b, aa, bb, ab = (_window(v) for v in (a, b, a * a, b * b, a * b))
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a**2 + bb - mean_b**2
    structure = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * structure).mean()), float(structure.mean())


def _window(voxels: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(voxels, SIGMA, radius=RADIUS)
    return smooth[(slice(RADIUS, -RADIUS),) * voxels.ndim]


def _halved(voxels: np.ndarray) -> np.ndarray:
    """Means over cubes of two voxels; an odd one at the end is left out."""
    even = voxels[tuple(slice(0, n // 2 * 2) for n in voxels.shape)]
    for axis in range(even.ndim):
        pairs = [slice(None)] * even.ndim
        first, second = list(pairs), list(pairs)
        first[axis], second[axis] = slice(0, None, 2), slice(1, None, 2)
        even = (even[tuple(first)] + even[tuple(second)]) / 2
    return even


def pairwise_ms_ssim(voxels: np.ndarray, *, pairs: int, seed: int = 0) -> Estimate:
    """Mean MS-SSIM of random pairs of a set (volumes, k, j, i) with its interval over the pairs.

    Args:
        pairs: how many pairs are drawn, without replacement; all when there are fewer.
        seed: of the draw.
    """
    every = list(combinations(range(len(voxels)), 2))
    if len(every) > pairs:
        chosen = np.random.default_rng(seed).choice(len(every), pairs, replace=False)
        every = [every[n] for n in chosen]
    return mean_of([ms_ssim(voxels[a], voxels[b]) for a, b in every], seed=seed)


def mean_volume_bytes(voxels: np.ndarray) -> int:
    """Bytes of the mean of a set, in 8 bits and losslessly compressed: fewer when the mean is blurrier.

    Only to be compared between sets in the same frame and of about the same number of volumes.
    """
    mean = np.clip(voxels.mean(axis=0), 0, 1)
    return len(zlib.compress(np.rint(255 * mean).astype(np.uint8).tobytes(), 9))
