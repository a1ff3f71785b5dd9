"""Densely connected super-resolution network, a peer for benchmarks: interpolate first, then sharpen on the fine grid.

After DCSRN (Chen et al., Brain MRI super resolution using 3D deep densely connected neural networks, 2018): one dense
block of four layers with growth 24 after a convolution to 48 features. Left out is its batch normalization, as in our
own network; added is a second output, the logarithm of the error variance, so that all networks share one loss.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .rrdb import (
    MAXIMUM_LOG_VARIANCE,
    MINIMUM_LOG_VARIANCE,
    channels_last,
    convolution,
    draw_channel_mask,
)


class DCSRN(nn.Module):
    """Maps (n, 1, k, j, i) to the mean and log-variance of (n, 1, 2 k, 2 j, 2 i), in network units.

    Args:
        features: features of the first convolution.
        growth: channels that each layer of the dense block adds.
        convolutions: layers of the dense block.
        dropout: probability with which a channel of the last layer's input is dropped in training.
    """

    stride = 1
    scale = 2

    def __init__(self, *, features: int = 48, growth: int = 24, convolutions: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.features = features + convolutions * growth
        #: In voxels of the input: half of what the convolutions see on the fine grid, and the interpolation.
        self.receptive_field_radius = (convolutions + 2 + 1) // 2 + 1
        self.peak_channels = 2 * self.features * self.scale**3
        self.entry = convolution(1, features)
        self.layers = nn.ModuleList(convolution(features + n * growth, growth) for n in range(convolutions))
        self.exit = convolution(self.features, 2)
        nn.init.normal_(self.exit.weight, std=1e-3)
        self.exit.bias.data.copy_(torch.tensor([0.0, -6.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.draw_mask(x) if self.training else None
        return self.forward_head(self.forward_features(x), x, mask)

    def forward_features(self, x: Tensor) -> Tensor:
        """The deterministic part: (n, features, 2 k, 2 j, 2 i)."""
        seen = channels_last(self.entry(self._interpolated(x)))
        for layer in self.layers:
            seen = torch.cat([seen, layer(functional.elu(seen))], dim=1)
        return functional.elu(seen)

    def draw_mask(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Channel factors (n, features, 1, 1, 1) of one stochastic pass."""
        return draw_channel_mask(x, self.features, self.dropout, generator)

    def forward_head(self, features: Tensor, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance from the features of `x` and a channel mask, or none."""
        out = self.exit(features if mask is None else features * mask)
        mean = out[:, :1] + self._interpolated(x)
        return mean, out[:, 1:].clamp(MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE)

    def _interpolated(self, x: Tensor) -> Tensor:
        return functional.interpolate(x[:, :1], scale_factor=self.scale, mode="trilinear", align_corners=False)
