"""Residual U-Net for volumes, without normalization layers, from several channels to one.

After the U-Net (Ronneberger et al. 2015) with the residual units and strided convolutions of V-Net (Milletari et al.
2016). Without normalization the output of a voxel depends on its surroundings alone, so that tiles with a halo give
the very result of the whole volume as long as they start on the coarsest grid. As in `rrdb.py` a second output gives
the logarithm of the error variance, and channel dropout sits in the head alone, so that Monte-Carlo passes share
everything before it.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .filter_bank import box_mean
from .rrdb import MAXIMUM_LOG_VARIANCE, MINIMUM_LOG_VARIANCE, SLOPE, channels_last, convolution, draw_channel_mask

DETAILS = (3, 7)
"""Edges of the box filters [voxels]."""
AMPLIFIED = 8.0
"""Brings details of a few hundredths of the brightness to about one."""


class ResidualUnit(nn.Module):
    """A few convolutions, added to their input with a weight that is learned and starts small.

    The weight goes into the last convolution: to multiply what that makes would take far longer, above all in reduced
    precision, because the product would be in 32 bits.
    """

    def __init__(self, features: int, convolutions: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(convolution(features, features) for _ in range(convolutions))
        self.weight = nn.Parameter(torch.full((1,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        y, last = x, self.layers[-1]
        for layer in self.layers[:-1]:
            y = layer(functional.leaky_relu(y, SLOPE))
        y = functional.leaky_relu(y, SLOPE)
        return x + functional.conv3d(y, self.weight * last.weight, self.weight * last.bias, padding=last.padding)


class ResidualUNet(nn.Module):
    """Maps (n, channels, k, j, i) to the mean and log-variance of (n, 1, k, j, i), both in network units.

    Args:
        channels: number of input channels, conditions included (see `inference.runner`).
        features: width of each level, finest first; every level halves the resolution of the one before.
        convolutions: convolutions in each residual unit; one unit a level on the way down and one on the way up.
        residual: whether the mean is a channel of the input plus what the network adds.
        base: which channel that is.
        gated: whether what it adds is multiplied by the second channel: nothing where that is zero.
        dropout: probability with which a channel of the head is dropped in training and in Monte-Carlo passes.
        fold: edge of the blocks of voxels that become channels at the entry and voxels again at the exit (as in the
            pixel shuffle of Shi et al. 2016): with 2, the whole network works at half the resolution, sees twice as
            far and costs an eighth a feature, while no voxel of the input is lost.
        details: whether the network also sees what box filters take away from the first channel, at two scales and
            amplified. Without it (and without normalization) all features follow the brightness, and what little there
            is of ripples and edges is learned very slowly.
    """

    scale = 1

    def __init__(
        self,
        *,
        channels: int = 1,
        features: tuple[int, ...] = (24, 48, 96),
        convolutions: int = 2,
        residual: bool = True,
        base: int = 0,
        gated: bool = False,
        dropout: float = 0.1,
        fold: int = 1,
        details: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.base = base
        self.gated = gated
        self.dropout = dropout
        self.fold = fold
        self.details = details
        self.features = features[0]
        depth = len(features) - 1
        self.stride = fold * 2**depth
        units = sum((2 if level < depth else 1) * convolutions * 2**level for level in range(depth + 1))
        self.receptive_field_radius = fold * (1 + units + (2**depth - 1) + 2) + fold - 1
        self.receptive_field_radius += sum(size // 2 for size in DETAILS) if details else 0
        channels += len(DETAILS) if details else 0
        # Of the widest layers, counted for a voxel of the input.
        self.peak_channels = channels + max(7 * features[0] // fold**3, 4)
        self.entry = convolution(channels * fold**3, features[0])
        self.down_units = nn.ModuleList(ResidualUnit(f, convolutions) for f in features)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(features))
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(features))
        self.up_units = nn.ModuleList(ResidualUnit(f, convolutions) for f in features[:-1])
        self.head = convolution(features[0], features[0])
        self.exit = convolution(features[0], 2 * fold**3)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)
        for module in self.up:
            nn.init.normal_(module.weight, std=(1.0 / module.in_channels) ** 0.5)
        if self.fold > 1:
            nn.init.zeros_(self.exit.weight)
        else:
            nn.init.normal_(self.exit.weight, std=1e-3)
        self.exit.bias.data[self.fold**3 :] = -6.0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.draw_mask(x) if self.training and self.dropout > 0 else None
        return self.forward_head(self.forward_features(x), x, mask)

    def forward_features(self, x: Tensor) -> Tensor:
        """The deterministic part, shared by all Monte-Carlo passes: (n, features, k, j, i), or a `fold`-th of these."""
        shape = [-(-n // self.fold) for n in x.shape[2:]]
        seen = torch.cat([detailed(x[:, :1]), x], dim=1) if self.details else x
        y = channels_last(self.entry(folded(padded(seen, self.stride), self.fold)))
        skips = []
        for unit, down in zip(self.down_units, self.down):
            y = unit(y)
            skips.append(y)
            y = down(y)
        y = self.down_units[-1](y)
        for unit, up in zip(reversed(self.up_units), reversed(self.up)):
            y = unit(skips.pop() + up(y))
        y = functional.leaky_relu(y[:, :, : shape[0], : shape[1], : shape[2]], SLOPE)
        return functional.leaky_relu(self.head(y), SLOPE)

    def draw_mask(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Channel factors (n, features, 1, 1, 1) of one stochastic pass: 0 for dropped, 1 / (1 - dropout) for kept."""
        return draw_channel_mask(x, self.features, self.dropout, generator)

    def forward_head(self, features: Tensor, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The stochastic part: mean and log-variance from the features of `x` and a channel mask, or none."""
        out = self.exit(features if mask is None else features * mask)
        out = unfolded(out, self.fold)[:, :, : x.shape[2], : x.shape[3], : x.shape[4]]
        mean = out[:, :1] * x[:, 1:2] if self.gated else out[:, :1]
        mean = mean + x[:, self.base : self.base + 1] if self.residual else mean
        return mean, out[:, 1:].clamp(MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE)


def padded(x: Tensor, multiple: int) -> Tensor:
    """`x` with zeros at the end of every axis, up to a multiple of `multiple` voxels."""
    missing = [-n % multiple for n in x.shape[2:]]
    if not any(missing):
        return x
    return functional.pad(x, [0, missing[2], 0, missing[1], 0, missing[0]])


def detailed(x: Tensor) -> Tensor:
    """What box filters of growing size take away, one after the other, amplified: (n, scales, k, j, i)."""
    found = []
    for size in DETAILS:
        smooth = box_mean(x, size)
        found.append(AMPLIFIED * (x - smooth))
        x = smooth
    return torch.cat(found, dim=1)


def folded(x: Tensor, edge: int) -> Tensor:
    """Every block of edge^3 voxels as channels of one voxel: (n, c edge^3, k / edge, j / edge, i / edge)."""
    if edge == 1:
        return x
    n, c, *shape = x.shape
    k, j, i = (size // edge for size in shape)
    blocks = x.reshape(n, c, k, edge, j, edge, i, edge).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return channels_last(blocks.reshape(n, c * edge**3, k, j, i))


def unfolded(x: Tensor, edge: int) -> Tensor:
    """What `folded` made, as it was."""
    if edge == 1:
        return x
    n, c, k, j, i = x.shape
    blocks = x.reshape(n, c // edge**3, edge, edge, edge, k, j, i).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return blocks.reshape(n, c // edge**3, k * edge, j * edge, i * edge)
