"""The convolutional part of a 3D ResNet-10: feature maps in which patches are compared.

After He et al. 2016 in the three-dimensional form of Chen et al. 2019, without its pooling (patches here are small) and
with instance normalization in place of batch normalization. There is no pretrained version that may be redistributed,
so the weights are random: as they are ("frozen"), the features are a fixed set of oriented, multi-scale contrasts.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two convolutions with a skip around them."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.InstanceNorm3d(outputs, affine=True) for _ in range(2))
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(y)) + self.skip(x))


class ResNetFeatures(nn.Module):
    """Maps (n, 1, k, j, i) to features (n, features[-1], k / 16, j / 16, i / 16) with the default four stages.

    Args:
        features: width of each stage, four in a ResNet-10; the stem and every stage but the first halve the resolution.
    """

    def __init__(self, *, features: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, features[0], 7, stride=2, padding=3, bias=False)
        self.norm = nn.InstanceNorm3d(features[0], affine=True)
        stages = [BasicBlock(features[0], features[0], stride=1)]
        stages += [BasicBlock(a, b, stride=2) for a, b in pairwise(features)]
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(functional.relu(self.norm(self.stem(x))))


def frozen_features(*, features: tuple[int, ...], seed: int) -> ResNetFeatures:
    """Features with random weights that depend on the seed alone and never change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNetFeatures(features=features).requires_grad_(False).eval()
