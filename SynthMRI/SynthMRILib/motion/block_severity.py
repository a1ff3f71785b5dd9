"""What the severity network says of a few blocks of a volume."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

BLOCK = 64
MOST_BLOCKS = 6
SIGNAL = 0.05


def block_starts(voxels: np.ndarray, *, size: int = BLOCK, most: int = MOST_BLOCKS) -> list[tuple[int, ...]]:
    """Corners of at most `most` blocks on a lattice, those with the largest share of head first."""
    signal = ndimage.uniform_filter((voxels > SIGNAL).astype(np.float32), [min(size, n) for n in voxels.shape])
    corners = []
    for n in voxels.shape:
        count = max(1, -(-n // size))
        corners.append(np.unique(np.linspace(0, max(n - size, 0), count).astype(int)))
    starts = [tuple(int(c) for c in start) for start in np.stack(np.meshgrid(*corners), axis=-1).reshape(-1, 3)]
    middles = [tuple(min(s + size // 2, n - 1) for s, n in zip(start, voxels.shape)) for start in starts]
    shares = [float(signal[middle]) for middle in middles]
    return [starts[n] for n in np.argsort(shares)[::-1][:most]]


@torch.inference_mode()
def block_features(network: nn.Module, voxels: np.ndarray) -> dict[str, float]:
    """Median, lower and upper quartile over blocks of the logarithm of the severity, and the median log-variance."""
    device = next(network.parameters()).device
    values = []
    for start in block_starts(voxels):
        block = np.zeros((BLOCK,) * 3, dtype=np.float32)
        part = voxels[tuple(slice(s, s + BLOCK) for s in start)]
        block[tuple(slice(n) for n in part.shape)] = part
        mean, log_variance = network(torch.from_numpy(block)[None, None].to(device))
        values.append((mean.item(), log_variance.item()))
    means, log_variances = np.array(values).T
    low, middle, high = np.percentile(means, (25, 50, 75))
    return {
        "network_median": float(middle),
        "network_low": float(low),
        "network_high": float(high),
        "network_log_variance": float(np.median(log_variances)),
    }
