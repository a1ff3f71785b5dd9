"""A small convolutional network that says how severe motion is in a block of a volume.

Strided convolutions and residual units as on the way down of `unet.py`, then mean and deviation of every channel over
the block, so that blocks of any size can be given. No normalization layers, so that the strength of an artifact is not
divided out.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .rrdb import MAXIMUM_LOG_VARIANCE, MINIMUM_LOG_VARIANCE, SLOPE
from .unet import DETAILS, ResidualUnit, detailed

SMALLEST = 1e-3


class SeverityNet(nn.Module):
    """Maps blocks (n, 1, k, j, i) in network units to mean and log-variance (n,) of the logarithm of the severity.

    Args:
        features: width of each level, finest first; the first has half the resolution of the block, and so on.
        convolutions: convolutions in the residual unit of each level.
        hidden: width of the layer between the pooled channels and the output.
        details: whether the network also sees what box filters take away (see `unet.py`), and pools the logarithm of
            the deviation: ripples are a few hundredths of the brightness, and severity counts in ratios.
    """

    scale = 1

    def __init__(
        self,
        *,
        features: tuple[int, ...] = (16, 32, 64),
        convolutions: int = 2,
        hidden: int = 32,
        details: bool = False,
    ) -> None:
        super().__init__()
        self.details = details
        self.stride = 2 ** len(features)
        reach = [convolutions * 2 ** (level + 1) for level in range(len(features))]
        self.receptive_field_radius = 1 + sum(reach) + self.stride
        self.receptive_field_radius += sum(size // 2 for size in DETAILS) if details else 0
        self.entry = nn.Conv3d(1 + (len(DETAILS) if details else 0), features[0], 4, stride=2, padding=1)
        self.units = nn.ModuleList(ResidualUnit(f, convolutions) for f in features)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(features))
        self.hidden = nn.Linear(2 * features[-1], hidden)
        self.exit = nn.Linear(hidden, 2)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.exit.weight, std=1e-2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat([detailed(x), x], dim=1) if self.details else x
        y = self.units[0](self.entry(seen))
        for down, unit in zip(self.down, self.units[1:]):
            y = unit(down(functional.leaky_relu(y, SLOPE)))
        deviation, mean = torch.std_mean(y, dim=(2, 3, 4))
        deviation = torch.log(deviation.float() + SMALLEST) if self.details else deviation
        out = self.exit(functional.leaky_relu(self.hidden(torch.cat([mean, deviation], dim=1)), SLOPE))
        return out[:, 0], out[:, 1].clamp(MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE)
