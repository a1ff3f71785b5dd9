"""What a network says of motion in the blocks of a volume: nearly all of the head, not its middle alone.

A network that corrects motion knows best how much there is: what it would change, compared with the edges that motion
displaces, is a displacement; its log-variance says what it cannot correct. A network that estimates severity itself
(`networks/severity.py`) gives its logarithm.

`block_features` serve the quick estimate, `change_features` the one with what autofocus sees.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from ..networks.severity import SeverityNet
from .condition import UNKNOWN

BLOCK = 64
BORDER = 8
"""Voxels at the border of a block that do not count: a network sees little of their surroundings."""
MOST_BLOCKS = 8
SIGNAL = 0.05
SMALLEST = 1e-4
LEAST_HEAD = 0.02
"""Share of a block that must be head for it to say something."""
SLIGHT = 0.25
"""The condition of slight motion (`condition.py`): told so, a network changes little where there is none."""


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


def block_features(network: nn.Module, voxels: np.ndarray) -> dict[str, float]:
    """Quartiles over blocks of the logarithm of the severity or displacement, and the median log-variance.

    Of a correcting network also "network_change", what it changes relative to the brightness, and
    "network_direction", how much more it does so along one axis than along another.
    """
    blocks = [block_at(voxels, start) for start in block_starts(voxels)]
    if isinstance(network, SeverityNet):
        rows = [estimated(network, block) for block in blocks]
    else:
        rows = [changed(network, block) for block in with_head(blocks)]
    table = {name: [row[name] for row in rows] for name in rows[0]}
    low, middle, high = np.percentile(table.pop("level"), (25, 50, 75))
    quartiles = {"network_median": float(middle), "network_low": float(low), "network_high": float(high)}
    return {**quartiles, **{f"network_{name}": float(np.median(values)) for name, values in table.items()}}


def change_features(network: nn.Module, voxels: np.ndarray) -> dict[str, float]:
    """What a correcting network would change that is told of slight motion; run it in the precision that is wanted.

    Returns:
        "change_low": over blocks the lower quartile of the logarithm of the displacement [voxels] that the change is
        worth; "change_size": logarithm of the root mean square change [network units] of the head in all blocks.
    """
    sizes, slopes, counts = [], [], []
    for block in with_head([block_at(voxels, start) for start in block_starts(voxels)]):
        change, _ = change_of(network, block, SLIGHT)
        head = head_of(block)
        sizes.append(float(np.mean(change[head] ** 2)))
        slopes.append(slope_of(smoothed(block), head))
        counts.append(int(head.sum()))
    worth = np.log(np.sqrt(sizes) / np.maximum(slopes, SMALLEST) + 10 * SMALLEST)
    return {
        "change_low": float(np.percentile(worth, 25)),
        "change_size": float(0.5 * np.log(np.average(sizes, weights=counts) + SMALLEST**2)),
    }


def with_head(blocks: list[np.ndarray]) -> list[np.ndarray]:
    """Those with enough of the head in their inner part, or else the first."""
    return [block for block in blocks if (inner(block) > SIGNAL).mean() > LEAST_HEAD] or blocks[:1]


def block_at(voxels: np.ndarray, start: tuple[int, ...]) -> np.ndarray:
    """A cube of `BLOCK` voxels, zero beyond the volume."""
    block = np.zeros((BLOCK,) * 3, dtype=np.float32)
    part = voxels[tuple(slice(s, s + BLOCK) for s in start)]
    block[tuple(slice(n) for n in part.shape)] = part
    return block


def inner(block: np.ndarray) -> np.ndarray:
    return block[(slice(BORDER, -BORDER),) * 3]


@torch.inference_mode()
def estimated(network: nn.Module, block: np.ndarray) -> dict[str, float]:
    """The word of a network that estimates severity."""
    mean, log_variance = network(torch.from_numpy(block)[None, None].to(next(network.parameters()).device))
    return {"level": mean.item(), "log_variance": log_variance.item()}


@torch.inference_mode()
def change_of(network: nn.Module, block: np.ndarray, told: float) -> tuple[np.ndarray, np.ndarray]:
    """What a correcting network that is told a condition would change of the inner part, and its log-variance there."""
    channels = torch.from_numpy(np.stack([block, np.full_like(block, told)])[None])
    channels = channels.to(next(network.parameters()).device).contiguous(memory_format=torch.channels_last_3d)
    mean, log_variance = (inner(part[0, 0].float().cpu().numpy()) for part in network(channels))
    return mean - inner(block), log_variance


def head_of(block: np.ndarray) -> np.ndarray:
    """Where the inner part of a block is head; everywhere if it is nowhere."""
    head = inner(block) > SIGNAL
    return head if head.any() else np.ones_like(head)


def smoothed(block: np.ndarray) -> np.ndarray:
    """The inner part of a block, a little smoothed."""
    return inner(ndimage.gaussian_filter(block, 1.0))


def slope_of(smooth: np.ndarray, head: np.ndarray) -> float:
    """Root mean square gradient of the head in the smoothed inner part of a block [network units a voxel]."""
    return float(np.sqrt(sum(np.mean(g[head] ** 2) for g in np.gradient(smooth))))


def changed(network: nn.Module, block: np.ndarray) -> dict[str, float]:
    """What a network would change that corrects and is told no severity."""
    change, log_variance = change_of(network, block, UNKNOWN)
    head, smooth = head_of(block), smoothed(block)
    slope, size = slope_of(smooth, head), float(np.sqrt(np.mean(change[head] ** 2)))
    along = [float(np.sqrt(np.mean(np.diff(change, axis=axis) ** 2))) + SMALLEST for axis in range(3)]
    return {
        "level": float(np.log(size / max(slope, SMALLEST) + SMALLEST)),
        "change": float(np.log(size / max(float(smooth[head].mean()), SMALLEST) + SMALLEST)),
        "log_variance": float(log_variance[head].mean()),
        "direction": float(np.log(max(along) / min(along))),
    }
