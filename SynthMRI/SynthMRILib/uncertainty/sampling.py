"""Monte-Carlo dropout: mean and variance over stochastic passes, without keeping the passes.

Gal and Ghahramani, ICML 2016; the split into epistemic and aleatoric parts is Kendall and Gal's, NeurIPS 2017. The
deterministic part of the network is computed once a tile and shared by all passes; each pass has one channel mask, the
same in every tile, so that no tile leaves a seam. Mean and squared deviation are Welford's, in float64, because the
difference of two large means of squares loses the variance of a bright voxel to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ..bundles import Bundle
    from ..progress import Progress
    from ..tasks.base import NetworkInput, Parameters

#: Output channels of `DropoutPasses`, all in network units.
CHANNELS = ("mean", "epistemic", "aleatoric")
#: Fewest passes before an early stop, and the edge [voxels] of the block that decides it.
FEWEST_PASSES = 5
PILOT_EDGE = 40
#: Where a channel is above this (network units), there is signal.
SIGNAL = 0.02


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
        self.mean.add_(difference, alpha=1 / self.count)
        self._squares.addcmul_(difference, value - self.mean)

    def variance(self) -> Tensor:
        """Unbiased variance; zero after a single tensor. Never negative."""
        return self._squares / max(1, self.count - 1)


def pass_mask(network: nn.Module, block: Tensor, *, number: int, seed: int) -> Tensor:
    """The channel mask of one pass: a function of seed and pass alone."""
    return network.draw_mask(block[:1], torch.Generator().manual_seed(1_000_003 * seed + number))


class DropoutPasses:
    """A forward function for `inference.runner.run_tiles` with the outputs of `CHANNELS`.

    A network without dropout runs once: its epistemic part is zero, because nothing in it says what it does not know.

    Args:
        samples: stochastic passes, 2 or more.
        seed: seed of the channel masks.
        tolerance: end once the median relative standard error of the total is below this; 0 never ends early. Only
            for a single tile: tiles that end after different numbers of passes would leave seams.

    Attributes:
        used: passes of the last tile.
    """

    def __init__(self, *, samples: int, seed: int, tolerance: float = 0.0) -> None:
        self.samples, self.seed, self.tolerance = samples, seed, tolerance
        self.used = 0

    def __call__(self, network: nn.Module, block: Tensor) -> Tensor:
        if not has_dropout(network):
            self.used = 1
            return mean_and_deviation(network, block)
        features = network.forward_features(block)
        means, variances = RunningMoments(), RunningMean()
        for number in range(self.samples):
            mask = pass_mask(network, block, number=number, seed=self.seed)
            mean, log_variance = network.forward_head(features, block, mask)
            means.add(on_cpu_if_needed(mean[0, 0]))
            variances.add(on_cpu_if_needed(log_variance[0, 0].float().exp()))
            self.used = number + 1
            if self.tolerance and self._settled(block, means.variance(), variances.mean):
                break
        return torch.stack([means.mean, means.variance().sqrt(), variances.mean.sqrt()])

    def _settled(self, block: Tensor, epistemic: Tensor, aleatoric: Tensor) -> bool:
        if self.used < FEWEST_PASSES:
            return False
        signal = on_cpu_if_needed(block[0].amax(dim=0)) > SIGNAL
        for axis, (fine, coarse) in enumerate(zip(epistemic.shape, block.shape[2:])):
            signal = signal.repeat_interleave(fine // coarse, dim=axis)
        chosen = signal if signal.any() else torch.ones_like(signal)
        error = relative_error_of_total(epistemic[chosen].cpu().numpy(), aleatoric[chosen].cpu().numpy(), self.used)
        return float(np.median(error)) < self.tolerance


def has_dropout(network: nn.Module) -> bool:
    """Whether stochastic passes of the network differ."""
    return hasattr(network, "draw_mask")


def mean_and_deviation(network: nn.Module, block: Tensor) -> Tensor:
    """The outputs of `CHANNELS` of a network that has a variance output but no dropout."""
    mean, log_variance = (on_cpu_if_needed(part[0, 0].float()) for part in network(block))
    return torch.stack([mean, torch.zeros_like(mean), (0.5 * log_variance).exp()])


class RunningMean:
    """Mean of tensors that are seen one at a time, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: Tensor | None = None

    def add(self, value: Tensor) -> None:
        """Take one more tensor, of the shape of the first."""
        self.count += 1
        if self.mean is None:
            self.mean = value.double()
        else:
            self.mean += (value - self.mean) / self.count


def dropout_maps(
    bundle: Bundle,
    prepared: NetworkInput,
    parameters: Parameters,
    *,
    samples: int,
    tolerance: float,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Maps by name of `CHANNELS` (k, j, i) in network units, and the facts that decided them.

    With a tolerance, the number of passes is found on a block in the middle of the signal and used everywhere, so that
    it does not depend on tiles; the error reached over the whole volume is among the facts.
    """
    from ..inference import runner

    if tolerance:
        samples = passes_needed(bundle, prepared, parameters, samples=samples, tolerance=tolerance)
    forward = DropoutPasses(samples=samples, seed=parameters.seed)
    channels, facts, network = runner.run_volume(
        bundle,
        prepared.voxels,
        parameters,
        forward=forward,
        outputs=len(CHANNELS),
        progress=progress,
        conditions=prepared.conditions,
    )
    maps = dict(zip(CHANNELS, channels))
    if not has_dropout(network):
        return maps, {**facts, "passes": 1, "dropout": False, "total_relative_standard_error": 0.0}
    return maps, {**facts, "passes": samples, "dropout": True, **standard_error_facts(maps, samples)}


def passes_needed(
    bundle: Bundle, prepared: NetworkInput, parameters: Parameters, *, samples: int, tolerance: float
) -> int:
    """Passes after which the median relative standard error of the total is below the tolerance, at most `samples`."""
    from ..inference import runner
    from ..progress import no_progress

    forward = DropoutPasses(samples=samples, seed=parameters.seed, tolerance=tolerance)
    block = pilot_block(prepared.voxels)
    runner.run_volume(
        bundle,
        block,
        type(parameters)(**{**parameters.as_dict(), "tile": PILOT_EDGE}),
        forward=forward,
        outputs=len(CHANNELS),
        progress=no_progress,
        conditions=prepared.conditions,
    )
    return forward.used or samples


def pilot_block(voxels: np.ndarray) -> np.ndarray:
    """A cube of at most PILOT_EDGE voxels around the center of the signal; all channels."""
    channels = voxels.reshape(-1, *voxels.shape[-3:])
    signal = channels.max(axis=0) > SIGNAL
    box = []
    for axis, length in enumerate(signal.shape):
        hits = signal.sum(axis=tuple(a for a in range(3) if a != axis))
        center = int(np.average(np.arange(length), weights=hits)) if hits.any() else length // 2
        start = min(max(center - PILOT_EDGE // 2, 0), max(length - PILOT_EDGE, 0))
        box.append(slice(start, start + PILOT_EDGE))
    return np.ascontiguousarray(channels[(slice(None), *box)])


def standard_error_facts(maps: dict[str, np.ndarray], samples: int) -> dict[str, float]:
    """How well the maps are estimated: relative standard errors, medians over the voxels with signal."""
    signal = maps["mean"] > SIGNAL
    chosen = signal if signal.any() else np.ones_like(signal)
    epistemic, aleatoric = maps["epistemic"][chosen] ** 2, maps["aleatoric"][chosen] ** 2
    return {
        "epistemic_variance_relative_standard_error": relative_standard_error(samples),
        "total_relative_standard_error": float(np.median(relative_error_of_total(epistemic, aleatoric, samples))),
    }


def on_cpu_if_needed(value: Tensor) -> Tensor:
    """The tensor where float64 exists; Apple's GPU has none."""
    return value.cpu() if value.device.type == "mps" else value


def relative_standard_error(samples: int) -> float:
    """Relative standard error of an epistemic variance estimated from `samples` passes: sqrt(2 / (n - 1))."""
    return (2.0 / max(1, samples - 1)) ** 0.5


def relative_error_of_total(epistemic: np.ndarray, aleatoric: np.ndarray, samples: int) -> np.ndarray:
    """Relative standard error of sqrt(epistemic + aleatoric), two variances, when only the first one is uncertain."""
    total = np.maximum(epistemic + aleatoric, np.finfo(np.float32).tiny)
    return 0.5 * relative_standard_error(samples) * epistemic / total
