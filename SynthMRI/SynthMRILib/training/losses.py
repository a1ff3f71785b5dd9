"""Losses between a prediction and its target, each with its definition. Arrays are (n, 1, k, j, i) in network units.

Losses between networks are in `adversarial_losses.py`, those in feature space in `feature_losses.py`.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..networks.filter_bank import box_mean
from ..networks.wavelet import haar_forward

AIR_WEIGHT = 0.1
AIR_LEVEL = 0.02
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
CONTRAST_SMOOTHING, CONTRAST_REACH = 3, 9
"""Edges of the cubes [voxels] over which lesions and their surroundings are averaged for `lost_contrast`."""


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


def lesion_l1(prediction: Tensor, target: Tensor, lesions: Tensor) -> Tensor:
    """Mean absolute error inside the lesions of each sample, averaged over the samples that have any.

    Divided by lesion volume, so that a sample counts the same whatever its lesion load; zero when there are none.

    Args:
        lesions: mask or weight of lesion voxels, 0 to 1, of the shape of the target.
    """
    volume = lesions.sum(dim=(1, 2, 3, 4))
    error = (lesions * (prediction - target).abs()).sum(dim=(1, 2, 3, 4))
    each = error / volume.clamp(min=1e-6)
    return each.sum() / (volume > 0).sum().clamp(min=1)


def lost_contrast(prediction: Tensor, target: Tensor, lesions: Tensor, brain: Tensor) -> Tensor:
    """How far lesions stand out less from their surroundings than in the target; nothing where they stand out more.

    The contrast at a voxel of a lesion is the mean of the lesion within CONTRAST_SMOOTHING voxels minus the mean of the
    brain around it, lesions left out, within CONTRAST_REACH. Averaged over the lesion voxels of each sample, then over
    the samples that have any; zero when there are none.

    Args:
        lesions, brain: masks, 0 or 1, of the shape of the target.
    """
    around = brain * (1 - lesions)
    inner = torch.cat([prediction * lesions, target * lesions, lesions], dim=1)
    outer = torch.cat([prediction * around, target * around, around], dim=1)
    inner, outer = box_mean(inner, CONTRAST_SMOOTHING), box_mean(outer, CONTRAST_REACH)
    contrast = inner[:, :2] / inner[:, 2:].clamp(min=1e-6) - outer[:, :2] / outer[:, 2:].clamp(min=1e-6)
    lost = functional.relu(contrast[:, 1:] - contrast[:, :1])
    kept = lesions * (outer[:, 2:] > 0)
    volume = kept.sum(dim=(1, 2, 3, 4))
    each = (kept * lost).sum(dim=(1, 2, 3, 4)) / volume.clamp(min=1e-6)
    return each.sum() / (volume > 0).sum().clamp(min=1)


def ssim(prediction: Tensor, target: Tensor, *, peak: float = 1.0) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) with a 3D Gaussian window of 11 voxels, sigma 1.5.

    Only windows that lie wholly inside the patch count, so every axis needs at least 11 voxels (ValueError otherwise).

    Args:
        peak: data range; C1 = (0.01 peak)^2 and C2 = (0.03 peak)^2.
    """
    if min(prediction.shape[2:]) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs patches of at least {2 * SSIM_RADIUS + 1} voxels, not {prediction.shape[2:]}.")
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    parts = torch.cat([prediction, target, prediction**2, target**2, prediction * target], dim=1)
    mean_p, mean_t, square_p, square_t, product = _windowed(parts).unbind(dim=1)
    variance_p, variance_t = square_p - mean_p**2, square_t - mean_t**2
    covariance = product - mean_p * mean_t
    similarity = (2 * mean_p * mean_t + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_p**2 + mean_t**2 + c1) * (variance_p + variance_t + c2))
    return similarity.mean()


def ssim_loss(prediction: Tensor, target: Tensor, *, peak: float = 1.0) -> Tensor:
    """1 - SSIM."""
    return 1 - ssim(prediction, target, peak=peak)


def wavelet_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the seven detail bands of the Haar transform; what the smooth band holds does not count.

    An odd last voxel of an axis is left out.
    """
    difference = prediction - target
    even = tuple(slice(size - size % 2) for size in difference.shape[2:])
    return haar_forward(difference[(..., *even)])[:, :, 1:].abs().mean()


def noise_prediction(predicted: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error between the noise that was added and the noise a diffusion network sees in its input."""
    return functional.mse_loss(predicted, noise)


@cache
def _window(device: torch.device, dtype: torch.dtype) -> Tensor:
    t = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, dtype=torch.float64)
    kernel = torch.exp(-(t**2) / (2 * SSIM_SIGMA**2))
    return (kernel / kernel.sum()).to(device=device, dtype=dtype)


def _windowed(x: Tensor) -> Tensor:
    """Gaussian mean of every channel over the windows inside the patch, one axis after the other."""
    kernel = _window(x.device, x.dtype)
    for axis in (2, 3, 4):
        x = x.unfold(axis, 2 * SSIM_RADIUS + 1, 1) @ kernel
    return x
