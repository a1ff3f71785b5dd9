"""Separable resampling of patches by small matrices: fast enough to feed training on a CPU.

A linear resampling of an axis is a matrix; a patch of 64^3 voxels is resampled by three matrix products. Kernels: cubic
convolution (Keys 1981, a = -0.5), widened when shrinking so that nothing aliases; block mean; Gaussian followed by
decimation; windowed sinc, which is what truncating k-space does.
"""

from __future__ import annotations

from functools import cache

import numpy as np


def resample(patch: np.ndarray, matrices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Apply one matrix (outputs x inputs) an axis to a (k, j, i) array."""
    for matrix in matrices:
        patch = np.tensordot(patch, matrix, axes=([0], [1]))  # the resampled axis goes last: three turns restore order
    return patch


def zoom_matrix(outputs: int, zoom: float) -> np.ndarray:
    """Cubic zoom about the center: rows of `outputs` voxels from ceil(outputs / zoom) + 8 input voxels."""
    inputs = zoom_inputs(outputs, zoom)
    positions = (np.arange(outputs) - (outputs - 1) / 2) / zoom + (inputs - 1) / 2
    width = max(1.0, 1.0 / zoom)
    return normalized(cubic((positions[:, None] - np.arange(inputs)) / width))


def zoom_inputs(outputs: int, zoom: float) -> int:
    """Input voxels that `zoom_matrix` needs along an axis."""
    return int(np.ceil(outputs / zoom)) + 8


@cache
def halving_matrix(outputs: int, kind: str, margin: int) -> np.ndarray:
    """Halve the resolution of the middle of an axis of 2 * (outputs + margin) voxels.

    Args:
        outputs: low-resolution voxels wanted.
        kind: "mean" (of two voxels), "gaussian" (FWHM of one low-resolution voxel), "kspace" (sinc to half the band).
        margin: low-resolution voxels left out at both ends together; must be even.
    """
    inputs = 2 * (outputs + margin)
    positions = 2.0 * (np.arange(outputs) + margin / 2) + 0.5
    distance = positions[:, None] - np.arange(inputs)
    if kind == "mean":
        weights = (np.abs(distance) < 1).astype(np.float64)
    elif kind == "gaussian":
        weights = np.exp(-0.5 * (distance / (2.0 / 2.3548)) ** 2)
    elif kind == "kspace":
        window = np.clip(np.cos(np.pi * distance / (2 * margin + 2)), 0, None)
        weights = np.sinc(distance / 2) * np.where(np.abs(distance) <= margin + 1, window, 0)
    else:
        raise ValueError(f"unknown kind of low resolution: {kind}")
    return normalized(weights)


def normalized(weights: np.ndarray) -> np.ndarray:
    """Rows that sum to one, float32."""
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
