"""Training of any task's network from packed pairs of a user's volumes: what `synthmri finetune` runs.

Patches are mirrored and, where voxels are as long along all axes, turned; intensities are left as the scanner made
them. The loss is that of super-resolution: fidelity to the target, and a likelihood that trains the variance output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..bundles import network_class
from .cache import FOREGROUND
from .configuration import from_mapping
from .losses import charbonnier, foreground_weight, gaussian_likelihood
from .pair_packing import PairCache
from .pictures import Slice

ATTEMPTS = 8
#: Voxels at the border of a patch that do not count: the network sees zeros beyond it instead of the head.
BORDER = 4
ISOTROPIC = 1.1


@dataclass(frozen=True)
class PairPatchConfig:
    """Ranges from which patches are drawn.

    Args:
        size: edge of the input patch in voxels.
        mirror: reverse each axis in half of the patches.
        turn: put axes of isotropic volumes in any order.
    """

    size: int = 24
    mirror: bool = True
    turn: bool = True


@dataclass(frozen=True)
class PairedConfig:
    """What to train and on what.

    Args:
        cache, validation_cache: packed pairs, see `pair_packing.py`.
        network_name: name in `bundles.NETWORKS`; network: its arguments.
        inputs: roles of the volumes that the task takes.
        batch: patches a step over all processes.
        epsilon: error [network units] up to which the loss is squared; beyond it grows linearly.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_size: edge of the block in the middle of each held-out pair that validation looks at, in voxels of
            the input.
        seed: seed of the patches.
    """

    cache: Path
    validation_cache: Path
    network_name: str
    network: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("input",)
    batch: int = 4
    epsilon: float = 0.05
    variance_weight: float = 0.005
    validation_size: int = 48
    seed: int = 0


class PairedTraining:
    """A `TrainingTask` on pairs."""

    limits = ("It was adapted to pairs from one source; on volumes from elsewhere it may do worse than before.",)

    def __init__(self, config: PairedConfig, patches: PairPatchConfig) -> None:
        self.config = config
        self.patches = patches
        self.network_name, self.network_arguments = config.network_name, config.network
        self.inputs = tuple(config.inputs)
        self.pairs = PairCache(config.cache)
        self.held_out = HeldOut(PairCache(config.validation_cache), size=config.validation_size)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PairedTraining:
        """From the "training" and "pairs" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(PairPatchConfig, config["pairs"], "pairs")
        return cls(from_mapping(PairedConfig, config.get("training", {}), "training"), patches)

    @property
    def ranges(self) -> dict[str, Any]:
        """Nothing is simulated."""
        return {"simulated": "nothing; acquired pairs", "patch": self.patches.size, "mirrored": self.patches.mirror}

    def build_network(self) -> nn.Module:
        return network_class(self.network_name)(**self.network_arguments)

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Channels (c, s, s, s) and target (1, f s, f s, f s) of sample `number`; always the same for a number."""
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.config.seed, number, attempt])
            pair = int(rng.integers(len(self.pairs)))
            center = rng.uniform(0.1, 0.9, 3)
            start = tuple(round(c * n - self.patches.size / 2) for c, n in zip(center, self.pairs.shape(pair)))
            inputs, target = self.pairs.blocks(pair, start, self.patches.size)
            axes, flips = self._orientation(pair, rng)
            if (target > FOREGROUND).mean() > 0.2:
                break
        inputs = np.stack([oriented(channel, axes, flips) for channel in inputs])
        return inputs, np.ascontiguousarray(oriented(target, axes, flips))[None]

    def _orientation(self, pair: int, rng: np.random.Generator) -> tuple[tuple[int, ...], list[int]]:
        spacing = self.pairs.entry(pair).extra["spacing_kji"]
        turned = self.patches.turn and max(spacing) < ISOTROPIC * min(spacing)
        axes = tuple(int(a) for a in rng.permutation(3))
        flips = [axis for axis in range(3) if rng.random() < 0.5]
        return axes if turned else (0, 1, 2), flips if self.patches.mirror else []

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        inputs, targets = zip(*(self.sample(n) for n in range(first, first + share)))
        return torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets))

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        inputs, target = batch
        border = BORDER * self.pairs.scale
        inner = (..., *(slice(border, -border),) * 3)
        mean, log_variance = (part[inner] for part in network(inputs.contiguous(memory_format=torch.channels_last_3d)))
        target = target[inner]
        weight = foreground_weight(target)
        fidelity = charbonnier(mean, target, weight, epsilon=self.config.epsilon)
        likelihood = gaussian_likelihood(mean, log_variance, target, weight)
        figures = {"fidelity": fidelity.item(), "likelihood": likelihood.item()}
        return fidelity + self.config.variance_weight * likelihood, figures

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self.held_out.figures(network)

    def samples(self, network: nn.Module) -> list[Slice]:
        """Slices of the first held-out pair of each contrast."""
        return self.held_out.slices(network)


def oriented(voxels: np.ndarray, axes: tuple[int, ...], flips: list[int]) -> np.ndarray:
    """A cube with its axes in another order and some reversed."""
    return np.flip(voxels.transpose(axes), flips)


class HeldOut:
    """Blocks in the middle of held-out pairs; figures are PSNR [dB] by contrast, for a range of 1."""

    def __init__(self, pairs: PairCache, *, size: int) -> None:
        self.border = BORDER * pairs.scale
        self.blocks = []
        for n in range(len(pairs)):
            start = tuple((length - size) // 2 for length in pairs.shape(n))
            self.blocks.append((pairs.entry(n).contrast, *pairs.blocks(n, start, size)))

    def figures(self, network: nn.Module) -> dict[str, float]:
        gathered: dict[str, list[float]] = {}
        inner = (slice(self.border, -self.border),) * 3
        for contrast, inputs, target in self.blocks:
            mask = target[inner] > FOREGROUND
            error = np.mean((mean_of(network, inputs)[inner] - target[inner])[mask] ** 2) if mask.any() else np.nan
            gathered.setdefault(contrast, []).append(-10 * np.log10(max(float(error), 1e-12)))
        return {f"psnr_db_{name}": round(float(np.nanmean(v)), 3) for name, v in sorted(gathered.items())}

    def slices(self, network: nn.Module) -> list[Slice]:
        """The middle of the first block of each contrast."""
        first = {contrast: (inputs, target) for contrast, inputs, target in reversed(self.blocks)}
        rows = []
        for name, (inputs, target) in sorted(first.items()):
            planes = [volume[volume.shape[0] // 2] for volume in (inputs[0], mean_of(network, inputs), target)]
            rows.append(Slice(name, *planes))
        return rows


@torch.inference_mode()
def mean_of(network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """The network's mean (k, j, i) for channels (c, k, j, i)."""
    x = torch.from_numpy(inputs)[None].to(next(network.parameters()).device)
    return network(x.contiguous(memory_format=torch.channels_last_3d))[0][0, 0].float().cpu().numpy()
