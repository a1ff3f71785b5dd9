"""Monte-Carlo dropout: mean and variance over stochastic passes, without keeping the passes.

Gal and Ghahramani, ICML 2016; the split into epistemic and aleatoric parts is Kendall and Gal's, NeurIPS 2017. The
deterministic part of the network is computed once a tile and shared by all passes; each pass has one channel mask, the
same in every tile, so that no tile leaves a seam. Mean and squared deviation are Welford's, in float64, because the
difference of two large means of squares loses the variance of a bright voxel to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: Output channels of `dropout_forward`, all in network units.
CHANNELS = ("mean", "epistemic", "aleatoric")


class RunningMoments:
    """Mean and variance of tensors that are seen one at a time, in float64.

    Memory does not grow with the number of tensors.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, value: Tensor) -> None:
        """Take one more tensor, of the shape of the first."""
        value = value.double()
        self.count += 1
        if self.mean is None:
            self.mean, self._squares = value.clone(), torch.zeros_like(value)
            return
        difference = value - self.mean
        self.mean += difference / self.count
        self._squares += difference * (value - self.mean)

    def variance(self) -> Tensor:
        """Unbiased variance; zero after a single tensor. Never negative."""
        return self._squares / max(1, self.count - 1)


def pass_masks(network: nn.Module, block: Tensor, *, samples: int, seed: int) -> list[Tensor]:
    """The channel masks of all passes: a function of seed and pass alone."""
    generators = (torch.Generator().manual_seed(1_000_003 * seed + n) for n in range(samples))
    return [network.draw_mask(block[:1], generator) for generator in generators]


def dropout_forward(*, samples: int, seed: int) -> Callable[[nn.Module, Tensor], Tensor]:
    """A forward function for `inference.runner.run_tiles` with the outputs of `CHANNELS`.

    Args:
        samples: stochastic passes, 2 or more.
        seed: seed of the channel masks.
    """

    def forward(network: nn.Module, block: Tensor) -> Tensor:
        features = network.forward_features(block)
        means, variances = RunningMoments(), RunningMoments()
        for mask in pass_masks(network, block, samples=samples, seed=seed):
            mean, log_variance = network.forward_head(features, block, mask)
            means.add(on_cpu_if_needed(mean[0, 0]))
            variances.add(on_cpu_if_needed(log_variance[0, 0].float().exp()))
        return torch.stack([means.mean, means.variance().sqrt(), variances.mean.sqrt()])

    return forward


def on_cpu_if_needed(value: Tensor) -> Tensor:
    """The tensor where float64 exists; Apple's GPU has none."""
    return value.cpu() if value.device.type == "mps" else value


def relative_standard_error(samples: int) -> float:
    """Relative standard error of an epistemic variance estimated from `samples` passes: sqrt(2 / (n - 1))."""
    return (2.0 / max(1, samples - 1)) ** 0.5
