"""Losses, each with its definition. Arrays are (n, 1, k, j, i) in network units."""

from __future__ import annotations

import torch
from torch import Tensor

AIR_WEIGHT = 0.1
AIR_LEVEL = 0.02


def foreground_weight(target: Tensor) -> Tensor:
    """1 where the target has signal, `AIR_WEIGHT` in air, scaled to a mean of one in each sample."""
    weight = torch.where(target > AIR_LEVEL, 1.0, AIR_WEIGHT)
    return weight / weight.mean(dim=(1, 2, 3, 4), keepdim=True)


def charbonnier(prediction: Tensor, target: Tensor, weight: Tensor, *, epsilon: float) -> Tensor:
    """Weighted mean of sqrt(d^2 + e^2) - e: squared for errors below `epsilon`, absolute above."""
    distance = torch.sqrt((prediction - target) ** 2 + epsilon**2) - epsilon
    return (weight * distance).mean()


def gaussian_likelihood(prediction: Tensor, log_variance: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of half of (d^2 / v + log v), where the prediction is held fixed: it trains the variance alone."""
    squared = (prediction.detach() - target) ** 2
    return 0.5 * (weight * (squared * torch.exp(-log_variance) + log_variance)).mean()
