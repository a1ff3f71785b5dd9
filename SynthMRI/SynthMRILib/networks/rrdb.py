"""Residual-in-residual dense network for volumes, without normalization layers.

After ESRGAN (Wang et al. 2018) and its use for brain MR in DISGAN (Wang et al. 2023), with three changes: all
convolutions run at the input resolution and the voxel shuffle comes last, so that a CPU can afford it; the receptive
field is kept small and is known, so that tiles with a halo give the very result of the whole volume; and a second
output gives the logarithm of the error variance. Channel dropout sits in the last block alone, so that Monte-Carlo
passes share everything before it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

SLOPE = 0.2
RESIDUAL_SCALE = 0.2
MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE = -12.0, 4.0


def convolution(inputs: int, outputs: int) -> nn.Conv3d:
    """A 3x3x3 convolution that keeps the shape; beyond the volume lies zero, as air does."""
    return nn.Conv3d(inputs, outputs, 3, padding=1)


def channels_last(x: Tensor) -> Tensor:
    """`x` with its channels innermost in memory.

    A convolution of a single channel gives them outermost, and every later layer would copy what it reads: a quarter
    of the time of the whole network on a CPU.
    """
    return x.contiguous(memory_format=torch.channels_last_3d)


def draw_channel_mask(x: Tensor, features: int, dropout: float, generator: torch.Generator | None) -> Tensor:
    """Channel factors (n, features, 1, 1, 1) for a batch like `x`: 0 for dropped, 1 / (1 - dropout) for kept."""
    keep = 1.0 - dropout
    size = (x.shape[0], features, 1, 1, 1)
    kept = torch.rand(size, generator=generator, device="cpu" if generator else x.device) < keep
    return kept.to(device=x.device, dtype=x.dtype) / keep


def voxel_shuffle(x: Tensor, factor: int) -> Tensor:
    """Move channels into space: (n, c * factor**3, k, j, i) to (n, c, k * factor, j * factor, i * factor)."""
    n, channels, k, j, i = x.shape
    x = x.view(n, channels // factor**3, factor, factor, factor, k, j, i)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, -1, k * factor, j * factor, i * factor)


class DenseBlock(nn.Module):
    """Convolutions that each see all earlier ones, added to the input with a small weight."""

    def __init__(self, features: int, growth: int, convolutions: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            convolution(features + n * growth, growth if n < convolutions - 1 else features)
            for n in range(convolutions)
        )

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in self.layers[:-1]:
            seen = torch.cat([seen, functional.leaky_relu(layer(seen), SLOPE, inplace=True)], dim=1)
        return x + RESIDUAL_SCALE * self.layers[-1](seen)


class ResidualInResidualBlock(nn.Module):
    """A chain of dense blocks with a skip around it."""

    def __init__(self, features: int, growth: int, convolutions: int, dense_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(features, growth, convolutions) for _ in range(dense_blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.blocks(x)


class RRDBNet(nn.Module):
    """Maps (n, channels, k, j, i) to the mean and log-variance of (n, 1, k * scale, j * scale, i * scale).

    Intensities are in network units (see `intensity.py`). The mean is the linearly interpolated first channel plus
    what the network adds.

    Args:
        channels: number of input channels.
        features: width of the trunk.
        growth: channels that each layer of a dense block adds.
        convolutions: layers of a dense block.
        dense_blocks: dense blocks in each residual-in-residual block.
        blocks: number of residual-in-residual blocks.
        scale: output voxels per input voxel along every axis (1 or 2).
        dropout: probability with which a channel of the last block is dropped in training and in Monte-Carlo passes.
    """

    stride = 1

    def __init__(
        self,
        *,
        channels: int = 1,
        features: int = 32,
        growth: int = 16,
        convolutions: int = 4,
        dense_blocks: int = 2,
        blocks: int = 1,
        scale: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.features = features
        self.receptive_field_radius = blocks * dense_blocks * convolutions + 4
        self.peak_channels = 3 * features + (2 * convolutions - 1) * growth
        self.entry = convolution(channels, features)
        self.trunk = nn.Sequential(
            *(ResidualInResidualBlock(features, growth, convolutions, dense_blocks) for _ in range(blocks))
        )
        self.trunk_end = convolution(features, features)
        self.head = convolution(features, features)
        self.exit = convolution(features, 2 * scale**3)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.exit.weight, std=1e-3)
        self.exit.bias.data[self.scale**3 :] = -6.0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.draw_mask(x) if self.training else None
        return self.forward_head(self.forward_features(x), x, mask)

    def forward_features(self, x: Tensor) -> Tensor:
        """The deterministic part, shared by all Monte-Carlo passes: (n, features, k, j, i)."""
        entry = channels_last(self.entry(x))
        return functional.leaky_relu(self.head(entry + self.trunk_end(self.trunk(entry))), SLOPE, inplace=True)

    def draw_mask(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Channel factors (n, features, 1, 1, 1) of one stochastic pass: 0 for dropped, 1 / (1 - dropout) for kept."""
        return draw_channel_mask(x, self.features, self.dropout, generator)

    def forward_head(self, features: Tensor, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The stochastic part: mean and log-variance from the features of `x` and a channel mask, or none."""
        out = voxel_shuffle(self.exit(features if mask is None else features * mask), self.scale)
        mean = out[:, :1] + self._interpolated(x[:, :1])
        return mean, out[:, 1:2].clamp(MINIMUM_LOG_VARIANCE, MAXIMUM_LOG_VARIANCE)

    def _interpolated(self, x: Tensor) -> Tensor:
        if self.scale == 1:
            return x
        return functional.interpolate(x, scale_factor=self.scale, mode="trilinear", align_corners=False)
