"""HaarPSI as a loss, so that a network can be trained for what the index values: edges in the right place and strength.

Method and constants are those of `evaluation/haarpsi.py` (Reisenhofer et al. 2018). A network trained with this
loss was trained for that index: its figure is then no independent witness, and the model card has to say so.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..evaluation.haarpsi import FULL_SCALE, SCALES, STABILITY, STEEPNESS

WIDEST = 2 ** SCALES[-1]
"""Pixels, each two voxels wide, that the coarsest filter spans."""


def haar_similarity_loss(prediction: Tensor, target: Tensor, *, peak: float = 1.0) -> Tensor:
    """1 - HaarPSI over the slices of all three planes, pooled over the batch.

    Only filters that lie wholly inside the patch count, so every axis needs at least 16 voxels (ValueError otherwise).

    Args:
        prediction, target: (n, 1, k, j, i) in network units.
        peak: intensity that becomes 255.
    """
    if min(prediction.shape[2:]) < 2 * WIDEST:
        raise ValueError(f"HaarPSI needs patches of at least {2 * WIDEST} voxels, not {tuple(prediction.shape[2:])}.")
    pair = torch.cat([prediction.float(), target.float()], dim=1) * (FULL_SCALE / peak)
    score, total = 0.0, 0.0
    for plane in range(3):
        window = [1 if axis == plane else 2 for axis in range(3)]
        subsampled = functional.avg_pool3d(pair, window)
        for along, across in (axes_of(plane), axes_of(plane)[::-1]):
            similarity, weight = similarity_and_weight(subsampled, along, across)
            score = score + (weight * torch.sigmoid(STEEPNESS * similarity)).sum()
            total = total + weight.sum()
    mean = (score / total.clamp(min=1e-6)).clamp(1e-6, 1 - 1e-6)
    return torch.where(total > 0, 1 - (torch.logit(mean) / STEEPNESS) ** 2, torch.zeros_like(mean))


def axes_of(plane: int) -> tuple[int, int]:
    """The two axes of slices across axis `plane`."""
    first, second = (axis for axis in range(3) if axis != plane)
    return first, second


def similarity_and_weight(pair: Tensor, along: int, across: int) -> tuple[Tensor, Tensor]:
    """Similarity of the fine scales and weight by the coarse one, for differences along an axis; pair (n, 2, ...)."""
    similarity = 0.0
    for scale in SCALES[:-1]:
        a, b = coefficients(pair, 2**scale, along, across).abs().unbind(dim=1)
        similarity = similarity + (2 * a * b + STABILITY) / (a * a + b * b + STABILITY) / len(SCALES[:-1])
    weight = coefficients(pair, WIDEST, along, across).abs().amax(dim=1).detach()
    return similarity, weight


def coefficients(pair: Tensor, width: int, along: int, across: int) -> Tensor:
    """Haar coefficients of one width, where the widest filter fits as well: all widths give the same pixels."""
    half = width // 2
    means = functional.avg_pool3d(pair, [{along: half, across: width}.get(axis, 1) for axis in range(3)], stride=1)
    count = pair.shape[2 + along] - width + 1
    difference = half * (means.narrow(2 + along, 0, count) - means.narrow(2 + along, half, count))
    for axis in (along, across):
        difference = difference.narrow(2 + axis, (WIDEST - width) // 2, pair.shape[2 + axis] - WIDEST + 1)
    return difference
