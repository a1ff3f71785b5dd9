"""Critic with a score for every voxel that sees each scale through the Haar wavelet transform.

After the critic of DISGAN (Wang et al. 2023): a U-Net in which, at every scale, the smooth band of the transform joins
the encoder and its seven detail bands join the decoder, so that fine texture is judged at the scale it belongs to. The
bands are joined by 1x1x1 convolutions. Group normalization takes the place of batch normalization: a batch here is a
few patches, and the transform goes down to very small maps.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .rrdb import SLOPE
from .wavelet import haar_forward

GROUP = 4


class Unit(nn.Module):
    """Convolution, group normalization, leaky activation."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(max(1, outputs // GROUP), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.convolution(x)), SLOPE)


class WaveletCritic(nn.Module):
    """Maps (n, channels, k, j, i) to scores of the same size.

    Args:
        channels: number of input channels.
        features: width of each level, finest first; every level after the first halves the resolution, so the size
            of the input must be a multiple of 2 to the power of their number less one (ValueError otherwise).
    """

    def __init__(self, *, channels: int = 1, features: tuple[int, ...] = (8, 16, 32, 64)) -> None:
        super().__init__()
        steps = list(pairwise(features))
        self.entry = Unit(channels, features[0])
        self.down = nn.ModuleList(Unit(a, b, stride=2) for a, b in steps)
        self.smooth = nn.ModuleList(nn.Conv3d(a, max(1, a // 2), 1) for a, _ in steps)
        self.join_down = nn.ModuleList(Unit(b + max(1, a // 2), b) for a, b in steps)
        self.detail = nn.ModuleList(nn.Conv3d(7 * a, b, 1) for a, b in steps)
        self.up = nn.ModuleList(Unit(3 * b if n + 1 < len(steps) else 2 * b, a) for n, (a, b) in enumerate(steps))
        self.score = nn.Conv3d(2 * features[0], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips, details = [self.entry(x)], []
        for down, smooth, join, detail in zip(self.down, self.smooth, self.join_down, self.detail):
            bands = haar_forward(skips[-1])
            details.append(detail(bands[:, :, 1:].flatten(1, 2)))
            skips.append(join(torch.cat([down(skips[-1]), smooth(bands[:, :, 0])], dim=1)))
        y = skips.pop()
        for n in reversed(range(len(self.up))):
            y = self.up[n](torch.cat([y, details[n]], dim=1))
            y = functional.interpolate(y, scale_factor=2, mode="nearest")
            y = torch.cat([y, skips.pop()], dim=1)
        return self.score(y)
