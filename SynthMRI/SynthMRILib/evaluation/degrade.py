"""Make a low-resolution input from a reference, so that what comes back can be compared with it.

Three models of how a scanner would have taken the coarser volume. All lie on `reference.grid.downsampled(factor)`:
a coarse voxel is centered on the block of `factor` voxels that it covers, i.e. at index factor * m + (factor - 1) / 2
of the reference. All keep the mean intensity. They are deterministic and add no noise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InputError
from ..volume import Grid, Volume

DEFINITIONS = {
    "mean": "mean of each block of voxels",
    "kspace": "centered truncation of k-space to the coarse matrix, no apodization, magnitude",
    "gaussian": "Gaussian of full width at half maximum one coarse voxel, sampled at the coarse voxel centers",
}
DEGRADATIONS = tuple(DEFINITIONS)


def degrade(reference: Volume, kind: str, *, factor: int = 2) -> Volume:
    """Low-resolution volume on `reference.grid.downsampled(factor)`; remainder voxels at the end are dropped.

    Args:
        kind: "mean", "kspace" or "gaussian", see `DEFINITIONS`.
        factor: voxels of the reference per coarse voxel along every axis, 2 or more.

    Raises:
        InputError: unknown kind, or a volume too small for the factor.
    """
    if kind not in _ALONG_AXIS:
        raise InputError(f"Unknown degradation '{kind}'. Choose one of: {', '.join(DEGRADATIONS)}.")
    voxels = crop_to_multiple(reference, factor).voxels.astype(np.float64)
    for axis in range(3):
        voxels = np.moveaxis(_ALONG_AXIS[kind](np.moveaxis(voxels, axis, -1), factor), -1, axis)
    if kind == "kspace":
        voxels = np.abs(voxels)
    return reference.with_voxels(voxels, reference.grid.downsampled(factor))


def crop_to_multiple(volume: Volume, factor: int = 2) -> Volume:
    """The volume without the remainder voxels at the end of each axis, so that `factor` divides its shape."""
    if factor < 2 or min(volume.shape) < factor:
        raise InputError(f"A volume of shape {volume.shape} (k, j, i) cannot be made {factor} times coarser.")
    shape = tuple(n // factor * factor for n in volume.shape)
    voxels = volume.voxels[tuple(slice(n) for n in shape)]
    return volume.with_voxels(voxels, Grid(shape, volume.grid.ijk_to_ras))


def _block_mean(lines: np.ndarray, factor: int) -> np.ndarray:
    return lines.reshape(*lines.shape[:-1], -1, factor).mean(axis=-1)


def _truncated_k_space(lines: np.ndarray, factor: int) -> np.ndarray:
    """Keep the frequencies below the coarse Nyquist frequency, half of it at that frequency itself.

    The phase ramp moves the samples from index factor * m to factor * m + (factor - 1) / 2, the coarse centers.
    """
    length = lines.shape[-1]
    coarse = length // factor
    frequency = np.arange(coarse // 2 + 1)
    ramp = np.exp(2j * np.pi * frequency / length * (factor - 1) / 2)
    spectrum = np.fft.rfft(lines, axis=-1)[..., : frequency.size] * ramp
    return np.fft.irfft(spectrum, n=coarse, axis=-1) / factor


def _gaussian_samples(lines: np.ndarray, factor: int) -> np.ndarray:
    """The Gaussian is evaluated at the true distances from each coarse center, so nothing needs interpolation."""
    sigma = factor / (2 * np.sqrt(2 * np.log(2)))
    half = int(np.ceil(4 * sigma / factor)) * factor
    distance = np.arange(factor + 2 * half) - half - (factor - 1) / 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(half, half)], mode="symmetric")
    count = lines.shape[-1] // factor
    return sum(w * padded[..., t : t + (count - 1) * factor + 1 : factor] for t, w in enumerate(weights))


_ALONG_AXIS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "mean": _block_mean,
    "kspace": _truncated_k_space,
    "gaussian": _gaussian_samples,
}
