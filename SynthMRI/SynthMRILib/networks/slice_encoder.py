"""A small network that turns slices into feature vectors, in which sets of volumes are compared.

A few strided convolutions within each slice, then mean and deviation of every channel over the slice. It is trained
to tell contrasts and kinds of degradation apart, so its features see what a volume shows and how well it is made.
Small and trained on few subjects, it takes no part in diagnosis and its distances compare with no published ones.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

SLOPE = 0.1


class SliceEncoder(nn.Module):
    """Maps slices (n, 1, slices, rows, columns) to features (n, slices, `size`).

    Args:
        features: width of each level; each level halves rows and columns.
        size: length of a feature vector.
        contrasts, degradations: how many of each are told apart in training.
    """

    scale = 1
    receptive_field_radius = 0

    def __init__(
        self,
        *,
        features: tuple[int, ...] = (16, 32, 64, 64),
        size: int = 64,
        contrasts: int = 5,
        degradations: int = 5,
    ) -> None:
        super().__init__()
        self.size = size
        widths = (1, *features)
        self.layers = nn.ModuleList(
            nn.Conv3d(a, b, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)) for a, b in pairwise(widths)
        )
        self.project = nn.Linear(2 * features[-1], size)
        self.contrast = nn.Linear(size, contrasts)
        self.degradation = nn.Linear(size, degradations)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, *, classify: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Features, or with `classify` scores of contrast and degradation of each slice, (n, slices, classes)."""
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
        deviation, mean = torch.std_mean(x, dim=(3, 4))
        features = self.project(torch.cat([mean, deviation], dim=1).transpose(1, 2))
        if not classify:
            return features
        active = functional.leaky_relu(features, SLOPE)
        return self.contrast(active), self.degradation(active)
