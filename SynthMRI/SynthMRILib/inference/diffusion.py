"""Draw samples from a conditional diffusion network, and make volumes of them slice by slice.

Every slice of a volume starts from the same noise field, and fresh noise is the same for all slices of a step, so that
neighbors agree and the volume has no stripes across the slices. A start from an estimate adds only the noise of an
early step to it, and takes that out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..networks.diffusion import ConditionalDiffusion
from ..progress import Progress, no_progress


@dataclass(frozen=True)
class SamplingPlan:
    """How to draw a sample.

    Args:
        steps: network evaluations, 10 to 50 are usual.
        eta: fresh noise in each step, from 0 (none: the first noise field decides all) to 1 (ancestral).
        seed: seed of all noise.
        start: share of the noise to begin with where there is an estimate, 0 to 1; 1 forgets the estimate.
    """

    steps: int = 20
    eta: float = 0.0
    seed: int = 0
    start: float = 1.0


class SharedNoise:
    """Noise fields of the size of one slice, the same for every slice, from one seed."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.shape = shape
        self.seed = seed

    def field(self, number: int) -> Tensor:
        """Field `number` (1, 1, ...), 0 for the start and t for the step that leaves t."""
        generator = torch.Generator().manual_seed(100_003 * self.seed + number)
        return torch.randn((1, 1, *self.shape), generator=generator)


@torch.inference_mode()
def sample(
    network: ConditionalDiffusion, condition: Tensor, plan: SamplingPlan, *, estimate: Tensor | None = None
) -> Tensor:
    """Draw one sample for each condition (n, c, j, i); condition, estimate and result are in network units [0, 1].

    Args:
        estimate: (n, 1, j, i) to start from, see `SamplingPlan.start`; without one a sample starts from noise alone.
    """
    schedule = network.schedule
    noise = SharedNoise(tuple(condition.shape[2:]), plan.seed)
    first = schedule.steps if estimate is None else max(1, round(plan.start * schedule.steps))
    steps = schedule.subset(plan.steps, start=first)
    count, device = len(condition), condition.device
    x = noise.field(0).to(device).expand(count, -1, *[-1] * network.dimensions)
    if estimate is not None:
        x = schedule.noisy(2 * estimate - 1, x, torch.full((count,), first, device=device))
    encoded = network.encode_condition(2 * condition - 1)
    for t, before in pairwise(steps):
        seen = network(x, torch.full((count,), t, device=device), encoded).float()
        spread = schedule.spread(t, before, eta=plan.eta)
        x = schedule.step_back(x, seen, t, before, spread=spread)
        if spread > 0:
            x = x + spread * noise.field(t).to(device)
    return (x + 1) / 2


def sample_volume(
    network: ConditionalDiffusion,
    volumes: np.ndarray,
    plan: SamplingPlan,
    *,
    neighbors: int = 0,
    estimate: np.ndarray | None = None,
    axis: int = 0,
    batch: int = 8,
    progress: Progress = no_progress,
) -> np.ndarray:
    """A sampled volume (k, j, i) in network units.

    Args:
        volumes: condition (c, k, j, i) in network units, about [0, 1].
        neighbors: slices to either side that belong to the condition of a slice; the network has
            c * (2 * neighbors + 1) condition channels.
        estimate: (k, j, i) to start from.
        axis: axis of the volume across which slices are taken: 0 (k), 1 (j) or 2 (i).
        batch: slices computed at once.
    """
    volumes = np.moveaxis(volumes, 1 + axis, 1)
    start = None if estimate is None else torch.from_numpy(np.ascontiguousarray(np.moveaxis(estimate, axis, 0)))
    slices = volumes.shape[1]
    device = next(network.parameters()).device
    made = np.empty(volumes.shape[1:], dtype=np.float32)
    for part in batches(slices, batch):
        condition = torch.from_numpy(slices_with_neighbors(volumes, part, neighbors)).to(device)
        begin = None if start is None else start[part][:, None].to(device)
        made[part] = sample(network, condition, plan, estimate=begin)[:, 0].float().cpu().numpy()
        progress(part.stop / slices, f"Slice {part.stop} of {slices}")
    return np.ascontiguousarray(np.moveaxis(made, 0, axis))


def batches(slices: int, size: int) -> Iterator[slice]:
    """Consecutive runs of at most `size` slices."""
    for first in range(0, slices, size):
        yield slice(first, min(first + size, slices))


def slices_with_neighbors(volumes: np.ndarray, part: slice, neighbors: int) -> np.ndarray:
    """Slices (n, c * (2 * neighbors + 1), j, i) of (c, k, j, i); beyond the ends the last slice is repeated."""
    numbers = np.arange(part.start, part.stop)[:, None] + np.arange(-neighbors, neighbors + 1)
    numbers = numbers.clip(0, volumes.shape[1] - 1)
    stacked = volumes[:, numbers]
    n, width = numbers.shape
    return np.ascontiguousarray(np.moveaxis(stacked, 0, 1).reshape(n, len(volumes) * width, *volumes.shape[2:]))


def stripe_index(volume: np.ndarray, axis: int, *, level: float = 0.05) -> float:
    """How much the brightness jumps from slice to slice: 0 for a volume without stripes.

    The mean of every slice over its voxels above `level` that are so in both neighbors too, less the mean of the same
    voxels in the neighbors; its root mean square over the slices, relative to the mean brightness.
    """
    slices = np.moveaxis(volume, axis, 0).astype(np.float32)
    bright = slices > level
    shared = bright[1:-1] & bright[:-2] & bright[2:]
    count = shared.sum(axis=(1, 2))
    used = count > 0.1 * max(count.max(initial=0), 1)
    if not used.any():
        return 0.0
    jumps = np.where(shared, slices[1:-1] - (slices[:-2] + slices[2:]) / 2, 0).sum(axis=(1, 2))
    return float(np.sqrt(np.mean((jumps[used] / count[used]) ** 2)) / volume[volume > level].mean())
