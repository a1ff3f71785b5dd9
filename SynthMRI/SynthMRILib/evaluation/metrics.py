"""How close an estimated volume is to a reference: PSNR, NRMSE, SSIM, HFEN and HaarPSI, each with one definition.

All figures are taken over a mask (by default the quality mask of the reference) and relative to one data range (by
default the 99.5th percentile of the non-zero voxels of the reference), so that they do not depend on how much empty
space surrounds a head nor on a few bright voxels. Arrays are indexed (k, j, i) and hold finite numbers.

Sources: Wang et al., IEEE Trans Image Process 13 (2004), 600-612 (SSIM); Ravishankar and Bresler, IEEE Trans Med
Imaging 30 (2011), 1028-1041 (HFEN); Reisenhofer et al. 2018 (HaarPSI, see `haarpsi.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..intensity import reference_intensity
from .haarpsi import REACH as HAARPSI_REACH
from .haarpsi import haarpsi_volume

MASK_FRACTION = 0.02
MASK_DILATION = 2
MASK_RULE = (
    "reference above 2 % of its 99.5th percentile (of non-zero voxels), holes filled in 3D, "
    "dilated by 2 voxels (face neighbors)"
)
RANGE_RULE = "99.5th percentile of the non-zero voxels of the reference"

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
HFEN_SIGMA = 1.5
HFEN_RADIUS = 7


def data_range(reference: np.ndarray) -> float:
    """99.5th percentile of the non-zero voxels. Raises InputError when there is none, or no positive signal."""
    peak = reference_intensity(reference)
    if not np.isfinite(peak):
        raise InputError("The reference holds voxels that are not finite (NaN or infinite). Replace them first.")
    if peak <= 0:
        raise InputError("The reference holds no positive signal, so no figure of quality can be taken against it.")
    return peak


def quality_mask(reference: np.ndarray) -> np.ndarray:
    """Boolean array (k, j, i) of the voxels that figures of quality are taken over; see `MASK_RULE`."""
    mask = reference > MASK_FRACTION * data_range(reference)
    return ndimage.binary_dilation(ndimage.binary_fill_holes(mask), iterations=MASK_DILATION)


def psnr(
    reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray | None = None, peak: float | None = None
) -> float:
    """Peak signal-to-noise ratio 10 log10(peak^2 / MSE) [dB], MSE over the mask; infinite for equal volumes.

    Args:
        mask: voxels that count; default `quality_mask(reference)`.
        peak: data range; default `data_range(reference)`.

    Raises:
        InputError: shapes differ, a voxel is not finite, or the mask is empty. The same holds for all figures.
    """
    pair = _Pair.of(reference, estimate, mask, peak)
    squares = np.mean(pair.difference()[pair.mask] ** 2)
    return float(10 * np.log10(pair.peak**2 / squares)) if squares > 0 else float("inf")


def nrmse(
    reference: np.ndarray,
    estimate: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    peak: float | None = None,
    normalizer: Literal["range", "norm", "mean"] = "range",
) -> float:
    """Root mean square error over the mask, divided by the data range or by the RMS or mean of the reference there.

    With "range" (the default, and what reports give) it is 10^(-PSNR/20); "norm" is the relative L2 error.
    """
    pair = _Pair.of(reference, estimate, mask, peak)
    inside = pair.reference[pair.mask]
    divisor = {"range": pair.peak, "norm": np.sqrt(np.mean(inside**2)), "mean": np.mean(inside)}[normalizer]
    if divisor <= 0:
        raise InputError("The reference is not positive inside the mask, so its error cannot be normalized.")
    return float(np.sqrt(np.mean(pair.difference()[pair.mask] ** 2)) / divisor)


def ssim(
    reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray | None = None, peak: float | None = None
) -> float:
    """Mean structural similarity over the mask, -1 to 1, 1 for equal volumes.

    3D Gaussian window of 11 voxels and sigma 1.5 voxels, population covariance, C1 = (0.01 peak)^2,
    C2 = (0.03 peak)^2, volume mirrored at its border.
    """
    pair = _Pair.of(reference, estimate, mask, peak).cropped(SSIM_RADIUS)
    x, y = pair.reference, pair.estimate
    mean_x, mean_y = _windowed(x), _windowed(y)
    variances = _windowed(x * x) - mean_x**2 + _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * pair.peak) ** 2, (0.03 * pair.peak) ** 2
    structure = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float(np.mean((structure * luminance)[pair.mask]))


def hfen(
    reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray | None = None, peak: float | None = None
) -> float:
    """High-frequency error norm ||LoG(estimate - reference)|| / ||LoG(reference)||, both L2 norms over the mask.

    LoG is the 3D Laplacian of a Gaussian of sigma 1.5 voxels in a window of 15 x 15 x 15 voxels, made to sum to zero;
    the volume is mirrored at its border. Zero for equal volumes, 1 for a constant estimate. `peak` has no influence.
    """
    pair = _Pair.of(reference, estimate, mask, peak).cropped(HFEN_RADIUS)
    edges = np.linalg.norm(_laplacian_of_gaussian(pair.reference)[pair.mask])
    if edges == 0:
        raise InputError("The reference has no edges inside the mask, so its high-frequency error is not defined.")
    return float(np.linalg.norm(_laplacian_of_gaussian(pair.difference())[pair.mask]) / edges)


def haarpsi(
    reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray | None = None, peak: float | None = None
) -> float:
    """Haar wavelet perceptual similarity, 0 to 1: mean over the slices of three planes that cross the mask."""
    pair = _Pair.of(reference, estimate, mask, peak).cropped(HAARPSI_REACH, multiple=2)
    return haarpsi_volume(pair.reference, pair.estimate, mask=pair.mask, peak=pair.peak)


@dataclass(frozen=True)
class Metric:
    """A figure of quality as reports show it."""

    title: str
    unit: str
    higher_is_better: bool
    definition: str
    compute: Callable[..., float]


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR", "dB", True, "10 log10(L^2 / MSE), MSE over the mask, L the data range", psnr),
    "ssim": Metric(
        "SSIM",
        "",
        True,
        "mean over the mask; 3D Gaussian window 11, sigma 1.5 voxels, C1 = (0.01 L)^2, C2 = (0.03 L)^2",
        ssim,
    ),
    "nrmse": Metric("NRMSE", "", False, "root mean square error over the mask / L", nrmse),
    "hfen": Metric(
        "HFEN",
        "",
        False,
        "||LoG(estimate - reference)|| / ||LoG(reference)|| over the mask; LoG 15^3 voxels, sigma 1.5 voxels",
        hfen,
    ),
    "haarpsi": Metric(
        "HaarPSI",
        "",
        True,
        "Reisenhofer et al. 2018 (C 30, alpha 4.2, subsampled by 2); mean over the slices of three planes in the mask",
        haarpsi,
    ),
}


def all_metrics(
    reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray | None = None, peak: float | None = None
) -> dict[str, float]:
    """Every figure of `METRICS` by its key."""
    mask = quality_mask(reference) if mask is None else mask
    return {name: m.compute(reference, estimate, mask=mask, peak=peak) for name, m in METRICS.items()}


@dataclass(frozen=True)
class _Pair:
    """Two volumes to compare in float64, the voxels that count and the data range."""

    reference: np.ndarray
    estimate: np.ndarray
    mask: np.ndarray
    peak: float

    @classmethod
    def of(cls, reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None, peak: float | None) -> _Pair:
        shapes = {np.shape(v) for v in (reference, estimate, mask) if v is not None}
        if len(shapes) > 1 or np.ndim(reference) != 3:
            raise InputError(f"Reference, estimate and mask must be volumes of one shape, not {sorted(shapes)}.")
        pair = [np.asarray(v, dtype=np.float64) for v in (reference, estimate)]
        if not all(np.isfinite(v).all() for v in pair):
            raise InputError("A volume holds voxels that are not finite numbers, so it cannot be scored.")
        mask = quality_mask(pair[0]) if mask is None else np.asarray(mask, dtype=bool)
        if not mask.any():
            raise InputError("The mask is empty: it must hold at least one voxel.")
        return cls(*pair, mask, data_range(pair[0]) if peak is None else float(peak))

    def difference(self) -> np.ndarray:
        return self.estimate - self.reference

    def cropped(self, margin: int, *, multiple: int = 1) -> _Pair:
        """The box around the mask with `margin` voxels around it, starting at a multiple of `multiple`.

        Figures whose windows reach no further than `margin` are the same on it, and sooner done.
        """
        box = tuple(
            slice(max(s.start - margin, 0) // multiple * multiple, s.stop + margin)
            for s in ndimage.find_objects(self.mask.astype(np.uint8))[0]
        )
        return _Pair(self.reference[box], self.estimate[box], self.mask[box], self.peak)


def _windowed(voxels: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(voxels, SSIM_SIGMA, radius=SSIM_RADIUS, mode="reflect")


def _laplacian_of_gaussian(voxels: np.ndarray) -> np.ndarray:
    """Sum over the axes of the second derivative along one and the Gaussian along the others."""
    t = np.arange(-HFEN_RADIUS, HFEN_RADIUS + 1)
    gaussian = np.exp(-(t**2) / (2 * HFEN_SIGMA**2))
    gaussian /= gaussian.sum()
    second = (t**2 - HFEN_SIGMA**2) / HFEN_SIGMA**4 * gaussian
    second -= second.sum() * gaussian
    total = np.zeros_like(voxels)
    for derived in range(3):
        part = voxels
        for axis in range(3):
            part = ndimage.correlate1d(part, second if axis == derived else gaussian, axis=axis, mode="reflect")
        total += part
    return total
