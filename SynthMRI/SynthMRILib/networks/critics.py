"""Critics that judge volumes patch by patch: residual blocks with stride, and the PatchGAN.

Both end in a map of scores without activation. They normalize each sample by itself (instance normalization), so that
real and generated patches may go through in one batch without telling each other apart. Critics are needed for
training only and are never part of a bundle.

Sources: the critic of the three-player GAN for brain MR (Wang et al. 2022: four residual blocks with strided
convolutions, instance normalization and leaky activations); Isola et al. 2017 (PatchGAN).
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as functional
from torch import Tensor, nn

from .rrdb import SLOPE


class StridedBlock(nn.Module):
    """Two convolutions, the second of stride 2, with a skip around them: half the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv3d(outputs, outputs, 3, stride=2, padding=1)
        self.skip = nn.Conv3d(inputs, outputs, 1)
        self.norms = nn.ModuleList(nn.InstanceNorm3d(outputs, affine=True) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.norms[0](self.first(x)), SLOPE)
        y = self.norms[1](self.second(y))
        return functional.leaky_relu(y + self.skip(functional.avg_pool3d(x, 2, ceil_mode=True)), SLOPE)


class ResNetCritic(nn.Module):
    """Maps (n, channels, k, j, i) to scores (n, 1, k / 16, j / 16, i / 16) with the default four blocks.

    Args:
        channels: number of input channels; more than one where the critic also sees what the generator was given.
        features: width of each block; every block halves the resolution.
    """

    def __init__(self, *, channels: int = 1, features: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        widths = (channels, *features)
        self.blocks = nn.Sequential(*(StridedBlock(a, b) for a, b in pairwise(widths)))
        self.score = nn.Conv3d(features[-1], 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.blocks(x))


class PatchCritic(nn.Module):
    """PatchGAN: each score sees one patch of the volume, whose edge is `patch` voxels.

    Args:
        channels: number of input channels.
        features: width of each layer of stride 2; one more layer of stride 1 and the scores follow.
    """

    def __init__(self, *, channels: int = 1, features: tuple[int, ...] = (32, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n, (inputs, outputs) in enumerate(pairwise((channels, *features, 2 * features[-1]))):
            layers.append(nn.Conv3d(inputs, outputs, 4, stride=2 if n < len(features) else 1, padding=1))
            layers += [nn.InstanceNorm3d(outputs, affine=True)] if n else []
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv3d(2 * features[-1], 1, 4, padding=1))
        self.patch = 7
        for _ in features:
            self.patch = 2 * self.patch + 2

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
