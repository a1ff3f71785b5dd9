"""Loss in the space of a feature network, and the guard that keeps a network which learns along from collapsing.

A feature network that is trained to make generated and real features alike has a perfect answer that is worthless: the
same features for everything. The guard measures the variance of the features of real patches against what it was in
the beginning, and pushes it up as soon as it falls below a share of that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

#: Share of the first variance below which the guard pushes, and how strongly.
FLOOR, PUSH = 0.5, 10.0


def feature_loss(generated: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of feature maps (n, c, k, j, i), over all their elements."""
    return functional.l1_loss(generated, real)


def feature_variance(features: Tensor) -> Tensor:
    """Variance of each channel over samples and positions, averaged over the channels; zero when all are alike."""
    return features.float().var(dim=(0, 2, 3, 4), unbiased=False).mean()


class GuardedFeatures(nn.Module):
    """A feature network that learns along, and the variance of its features in its first step.

    Args:
        network: maps (n, 1, k, j, i) to feature maps.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("first_variance", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)

    def share_left(self, features: Tensor) -> Tensor:
        """Variance of real features relative to the first step's, which is kept when it is seen for the first time."""
        variance = feature_variance(features)
        if self.first_variance == 0:
            self.first_variance.copy_(variance.detach())
        return variance / self.first_variance.clamp(min=1e-12)

    def loss(self, generated: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """What trains the features, and the share of their variance that is left.

        Args:
            generated, real: features of generated and real patches.
        """
        left = self.share_left(real)
        return feature_loss(generated, real) + PUSH * functional.relu(FLOOR - left) ** 2, left.detach()
