"""Filters that adapt to their surroundings, found by least squares: the least that a deep network has to beat.

After RAISR (Romano et al. 2017), in three dimensions and told the severity of an artifact. Around every voxel two local
figures (fluctuation of a voxel or two, and edges of the smoothed volume) name a class; each class has one linear filter
for each of a few severities, between which is interpolated. The axes of the filter are sorted by how much the volume
fluctuates along them, and it is symmetric along each, so that a few numbers serve every orientation of an artifact.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .rrdb import MAXIMUM_LOG_VARIANCE, MINIMUM_LOG_VARIANCE

RADIUS = 2
LINE = 9
WIDE = 9
ORDERS = tuple(itertools.permutations(range(3)))
SMALLEST = 1e-6
USUAL = 0.3


class FilterBank(nn.Module):
    """Maps (n, 2, k, j, i), volume and condition, to the mean and log-variance of (n, 1, k, j, i) in network units.

    Args:
        fluctuations: borders of the classes of fluctuation, rising [network units].
        edges: borders of the classes of edges, rising [network units a voxel].
        conditions: values of the condition channel to which the filters belong, rising.
    """

    scale = 1
    stride = 1
    receptive_field_radius = 6
    peak_channels = 48

    def __init__(
        self,
        *,
        fluctuations: tuple[float, ...] = (0.01, 0.02, 0.04, 0.08),
        edges: tuple[float, ...] = (0.02, 0.05, 0.1),
        conditions: tuple[float, ...] = (0.0, 0.25, 1.0),
    ) -> None:
        super().__init__()
        self.fluctuations, self.edges, self.conditions = tuple(fluctuations), tuple(edges), tuple(conditions)
        self.classes = (len(self.fluctuations) + 1) * (len(self.edges) + 1)
        number = len(self.conditions)
        self.taps = nn.Parameter(torch.zeros(number, self.classes, (RADIUS + 1) ** 3))
        self.far = nn.Parameter(torch.zeros(number, self.classes, 4))
        self.log_variance = nn.Parameter(torch.full((number, self.classes), -6.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = [self._one(volume[None, :1], volume[1].flatten()[0].item()) for volume in x]
        mean, log_variance = (torch.cat(part) for part in zip(*parts))
        return mean, log_variance.clamp(MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE)

    def _one(self, volume: Tensor, condition: float) -> tuple[Tensor, Tensor]:
        taps, far, log_variance = (self._between(p, condition) for p in (self.taps, self.far, self.log_variance))
        classes, order = self.classes_of(volume), order_of(volume)
        surroundings = far_means(volume)
        change = torch.zeros_like(volume)
        for number, axes in enumerate(ORDERS):
            mine = order == number
            if not mine.any():
                continue
            kernels = kernels_of(taps).permute(0, *(1 + axes.index(a) for a in range(3)))[:, None]
            filtered = functional.conv3d(volume, kernels.contiguous(), padding=RADIUS).gather(1, classes)
            maps = torch.cat([surroundings[:, a : a + 1] for a in axes] + [surroundings[:, 3:]], dim=1)
            weights = far[classes[:, 0]].movedim(-1, 1)
            change = torch.where(mine, filtered + (weights * maps).sum(dim=1, keepdim=True), change)
        return volume + change, log_variance[classes]

    def classes_of(self, volume: Tensor) -> Tensor:
        """Class of every voxel, int64 (n, 1, k, j, i)."""
        fine = torch.bucketize(fluctuation(volume), torch.tensor(self.fluctuations, device=volume.device))
        coarse = torch.bucketize(edge_strength(volume), torch.tensor(self.edges, device=volume.device))
        return fine * (len(self.edges) + 1) + coarse

    def _between(self, values: Tensor, condition: float) -> Tensor:
        """Values at a condition, interpolated between its neighbors; an unknown one, below zero, counts as `USUAL`."""
        known = torch.tensor(self.conditions)
        condition = condition if condition >= 0 else USUAL
        place = int(torch.bucketize(torch.tensor(condition), known).clamp(1, len(known) - 1))
        low, high = float(known[place - 1]), float(known[place])
        share = min(max((condition - low) / (high - low), 0.0), 1.0)
        return (1 - share) * values[place - 1] + share * values[place]


def box_mean(x: Tensor, size: int | tuple[int, int, int]) -> Tensor:
    """Mean over a box; air is taken to go on beyond the border."""
    sizes = (size,) * 3 if isinstance(size, int) else size
    for axis, n in enumerate(sizes):
        if n > 1:
            window = [n if a == axis else 1 for a in range(3)]
            air = [n // 2 if a == axis else 0 for a in (2, 1, 0) for _ in range(2)]
            x = functional.avg_pool3d(functional.pad(x, air), window, stride=1)
    return x


def fluctuation(volume: Tensor) -> Tensor:
    """Root mean square over 5 voxels of what a mean over 3 voxels takes away."""
    return box_mean((volume - box_mean(volume, 3)) ** 2, 5).clamp(min=SMALLEST**2).sqrt()


def edge_strength(volume: Tensor) -> Tensor:
    """Magnitude of the gradient of the volume smoothed over 3 voxels, smoothed itself."""
    smooth = functional.pad(box_mean(volume, 3), (1,) * 6)
    total = torch.zeros_like(volume)
    for axis in (2, 3, 4):
        ahead, behind = (inner(smooth, axis, shift) for shift in (1, -1))
        total += ((ahead - behind) / 2) ** 2
    return box_mean(total, 3).clamp(min=SMALLEST**2).sqrt()


def inner(padded: Tensor, axis: int, shift: int) -> Tensor:
    """A volume padded by one voxel without its border, moved by one voxel along an axis."""
    index = [slice(None)] * 2 + [slice(1, n - 1) for n in padded.shape[2:]]
    index[axis] = slice(1 + shift, padded.shape[axis] - 1 + shift)
    return padded[tuple(index)]


def order_of(volume: Tensor) -> Tensor:
    """Number in `ORDERS` of the axes sorted by fluctuation along them, most first: int64 (n, 1, k, j, i)."""
    padded = functional.pad(volume, (1,) * 6)
    energies = []
    for axis in (2, 3, 4):
        second = inner(padded, axis, 1) + inner(padded, axis, -1) - 2 * volume
        energies.append(box_mean(second**2, 7))
    ranked = torch.cat(energies, dim=1).argsort(dim=1, descending=True, stable=True)
    table = torch.zeros(9, dtype=torch.int64, device=volume.device)
    for number, axes in enumerate(ORDERS):
        table[3 * axes[0] + axes[1]] = number
    return table[3 * ranked[:, :1] + ranked[:, 1:2]]


def far_means(volume: Tensor) -> Tensor:
    """Means along lines of 9 voxels of each axis and over a cube of 9, less the voxel itself: (n, 4, k, j, i)."""
    lines = [box_mean(volume, tuple(LINE if a == axis else 1 for a in range(3))) for axis in range(3)]
    return torch.cat([*lines, box_mean(volume, WIDE)], dim=1) - volume


def kernels_of(taps: Tensor) -> Tensor:
    """Symmetric kernels (classes, 5, 5, 5) from taps (classes, 27), each the sum over what mirrors onto each other."""
    distance = torch.arange(-RADIUS, RADIUS + 1, device=taps.device).abs()
    side = RADIUS + 1
    index = (distance[:, None, None] * side + distance[:, None]) * side + distance
    return taps[:, index]
