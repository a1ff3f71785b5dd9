"""A bank of linear filters with a residual U-Net on top: the network begins at the filters' result and refines it.

Least squares finds the filters from few pairs (see `filter_bank.py`), and a network that starts from nothing takes long
to get there. So the filters are fixed, and the U-Net, whose last layer starts at zero, learns what they leave.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .filter_bank import FilterBank
from .unet import AMPLIFIED, ResidualUNet

CHANNELS = 3
"""Of the U-Net: what the filters made, the condition, and their change, amplified."""

Features = tuple[Tensor, Tensor]


class FilterBankUNet(nn.Module):
    """Maps (n, 2, k, j, i), volume and condition, to the mean and log-variance of (n, 1, k, j, i) in network units.

    The first mean is that of the filters, exactly. Dropout sits in the head of the U-Net alone.

    Args:
        fluctuations, edges, conditions: as of `FilterBank`, whose weights are not trained here.
        features, convolutions, dropout, fold, details: as of `ResidualUNet`.
    """

    scale = 1

    def __init__(
        self,
        *,
        fluctuations: tuple[float, ...],
        edges: tuple[float, ...],
        conditions: tuple[float, ...],
        features: tuple[int, ...] = (32, 64, 96),
        convolutions: int = 2,
        dropout: float = 0.1,
        fold: int = 2,
        details: bool = True,
    ) -> None:
        super().__init__()
        self.bank = FilterBank(fluctuations=fluctuations, edges=edges, conditions=conditions)
        self.bank.requires_grad_(False)
        self.unet = ResidualUNet(
            channels=CHANNELS,
            features=features,
            convolutions=convolutions,
            residual=True,
            dropout=dropout,
            fold=fold,
            details=details,
        )
        nn.init.zeros_(self.unet.exit.weight)
        self.stride = self.unet.stride
        self.receptive_field_radius = self.unet.receptive_field_radius + self.bank.receptive_field_radius
        self.peak_channels = max(self.unet.peak_channels, self.bank.peak_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.draw_mask(x) if self.training else None
        return self.forward_head(self.forward_features(x), x, mask)

    def forward_features(self, x: Tensor) -> Features:
        """The deterministic part: features of the U-Net, and what it sees, whose first channel the filters made."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            filtered, _ = self.bank(x.float())
        seen = torch.cat([filtered, x[:, 1:2], AMPLIFIED * (filtered - x[:, :1])], dim=1)
        return self.unet.forward_features(seen), seen

    def draw_mask(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Channel factors of one stochastic pass, see `ResidualUNet`."""
        return self.unet.draw_mask(x, generator)

    def forward_head(self, features: Features, _: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The stochastic part: mean and log-variance from the features and a channel mask, or none."""
        return self.unet.forward_head(*features, mask)
