"""HaarPSI: perceptual similarity of two volumes from their Haar wavelet coefficients, slice by slice.

Method: Reisenhofer, Bosse, Kutyniok, Wiegand, "A Haar wavelet-based perceptual similarity index for image quality
assessment", Signal Processing: Image Communication 61 (2018), 33-43, with its constants C = 30 and alpha = 4.2 for
intensities 0 to 255. The index is one of planes, so a volume is scored as the mean over its slices in three planes.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SCALES = (1, 2, 3)
STABILITY = 30.0
STEEPNESS = 4.2
FULL_SCALE = 255.0
#: Voxels around a voxel that its index depends on: eight subsampled pixels, each two voxels wide.
REACH = 16


def haarpsi_volume(reference: np.ndarray, estimate: np.ndarray, *, mask: np.ndarray, peak: float) -> float:
    """Mean HaarPSI over the slices of all three planes that cross `mask`, 0 to 1, 1 for equal volumes.

    Args:
        reference, estimate: arrays (k, j, i) of the same shape; values beyond `peak` are not clipped.
        mask: voxels that count; a subsampled pixel counts when any of its four voxels does.
        peak: intensity that becomes 255.
    """
    pair = [np.asarray(v, dtype=np.float32) * np.float32(FULL_SCALE / peak) for v in (reference, estimate)]
    scores = [_slice_scores(*pair, mask, plane) for plane in range(3)]
    return float(np.mean(np.concatenate(scores)))


def _slice_scores(reference: np.ndarray, estimate: np.ndarray, mask: np.ndarray, plane: int) -> np.ndarray:
    """HaarPSI of every slice across axis `plane` that crosses the mask."""
    first, second = (_subsampled(np.moveaxis(v, plane, 0), np.add) / 4 for v in (reference, estimate))
    inside = _subsampled(np.moveaxis(mask, plane, 0), np.logical_or)
    score = np.zeros(len(first))
    total = np.zeros(len(first))
    for axis in (1, 2):
        similarity, weight = _similarity_and_weight(first, second, axis)
        weight = weight * inside
        score += _slice_sums(weight / (1 + np.exp(-STEEPNESS * similarity)))
        total += _slice_sums(weight)
    crossed = inside.any(axis=(1, 2))
    return _index(score[crossed], total[crossed])


def _index(score: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Squared logit of the weighted mean. Two slices without any edge (total 0) are equal: 1."""
    equal = 1 / (1 + np.exp(-STEEPNESS))
    mean = np.divide(score, total, out=np.full_like(score, equal), where=total > 0)
    return (np.log(mean / (1 - mean)) / STEEPNESS) ** 2


def _similarity_and_weight(first: np.ndarray, second: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Local similarity (mean of the two fine scales) and weight (larger coefficient of the coarse scale)."""
    similarity = 0.0
    for scale in SCALES[:2]:
        a, b = (np.abs(_haar(v, scale, axis)) for v in (first, second))
        similarity = similarity + (2 * a * b + STABILITY) / (a * a + b * b + STABILITY) / 2
    weight = np.maximum(*(np.abs(_haar(v, SCALES[2], axis)) for v in (first, second)))
    return similarity, weight


def _haar(stack: np.ndarray, scale: int, axis: int) -> np.ndarray:
    """Coefficients of the Haar filter of width 2**scale that differs along `axis`, zeros outside the slice."""
    width = 2**scale
    average = np.ones(width)
    difference = np.repeat([1.0, -1.0], width // 2) / width
    weights = {axis: difference, 3 - axis: average}
    for direction, taps in weights.items():
        stack = ndimage.correlate1d(stack, taps, axis=direction, mode="constant", origin=-1)
    return stack


def _subsampled(stack: np.ndarray, combine: np.ufunc) -> np.ndarray:
    """Slices (n, rows, columns) with 2x2 blocks combined; an odd last row or column is completed with zeros."""
    odd = [(0, n % 2) for n in stack.shape[1:]]
    stack = np.pad(stack, [(0, 0), *odd])
    rows = combine(stack[:, ::2], stack[:, 1::2])
    return combine(rows[:, :, ::2], rows[:, :, 1::2])


def _slice_sums(stack: np.ndarray) -> np.ndarray:
    return stack.sum(axis=(1, 2), dtype=np.float64)
