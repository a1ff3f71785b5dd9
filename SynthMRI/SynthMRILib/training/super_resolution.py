"""Training of super-resolution: pairs made from a packed cache, validation on volumes that were held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from ..bundles import network_class
from .cache import Cache
from .configuration import from_mapping
from .losses import charbonnier, foreground_weight, gaussian_likelihood
from .patches import PatchConfig, PatchSampler
from .pictures import Slice

#: A figure of an estimate: from the real block, the estimate, and the mean squared error of the cubic B-spline.
Figure = Callable[[np.ndarray, np.ndarray, float], float]


@dataclass(frozen=True)
class SuperResolutionConfig:
    """What to train and on what.

    Args:
        cache: packed cache of training volumes.
        validation_cache: packed cache of held-out volumes.
        architecture: "RRDBNet", or a peer's name in `bundles.NETWORKS` that doubles the voxels.
        network: arguments of the architecture.
        patches: ranges of the samples.
        batch: patches a step over all processes.
        epsilon: error [network units] up to which the loss is squared; beyond it grows linearly.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_blocks: blocks of each held-out volume that validation looks at.
        validation_size: edge of such a block in voxels.
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    architecture: str = "RRDBNet"
    network: dict[str, Any] = field(default_factory=dict)
    patches: PatchConfig = field(default_factory=PatchConfig)
    batch: int = 4
    epsilon: float = 0.1
    variance_weight: float = 0.005
    validation_blocks: int = 3
    validation_size: int = 96
    seed: int = 0


class SuperResolutionTraining:
    """A `TrainingTask` for x2 super-resolution."""

    inputs = ("input",)
    limits = ("Low-resolution inputs were simulated; no pairs of real low- and high-resolution scans were at hand.",)

    def __init__(self, config: SuperResolutionConfig) -> None:
        self.config = config
        self.sampler = PatchSampler(Cache(config.cache), config.patches, seed=config.seed)
        self.held_out = ValidationSet(
            Cache(config.validation_cache), blocks=config.validation_blocks, size=config.validation_size
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SuperResolutionTraining:
        """From the "training" and "patches" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(PatchConfig, config.get("patches", {}), "patches")
        values = {**config.get("training", {}), "patches": patches}
        return cls(from_mapping(SuperResolutionConfig, values, "training"))

    @property
    def ranges(self) -> dict[str, Any]:
        """From which ranges samples are drawn."""
        return asdict(self.config.patches)

    @property
    def network_name(self) -> str:
        return self.config.architecture

    @property
    def network_arguments(self) -> dict[str, Any]:
        return self.config.network

    def build_network(self) -> nn.Module:
        return network_class(self.config.architecture)(**self.config.network)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        low, high = self.sampler.batch(range(first, first + share))
        return torch.from_numpy(low), torch.from_numpy(high)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        low, high = batch
        mean, log_variance = network(low.contiguous(memory_format=torch.channels_last_3d))
        weight = foreground_weight(high)
        fidelity = charbonnier(mean, high, weight, epsilon=self.config.epsilon)
        likelihood = gaussian_likelihood(mean, log_variance, high, weight)
        figures = {"fidelity": fidelity.item(), "likelihood": likelihood.item()}
        return fidelity + self.config.variance_weight * likelihood, figures

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self.held_out.gains(network)

    def validation_blocks(self, network: nn.Module) -> list[dict[str, Any]]:
        """Errors of the spline and of the network in parts of the held-out blocks, see `facts.interval_rows`."""
        return self.held_out.errors(network)

    def samples(self, network: nn.Module) -> list[Slice]:
        """Slices of the first held-out block of each contrast."""
        return self.held_out.slices(network)


class ValidationSet:
    """Blocks of held-out volumes; the figure is the gain in PSNR [dB] over the cubic B-spline, by contrast."""

    BORDER = 8

    def __init__(self, cache: Cache, *, blocks: int, size: int) -> None:
        self.size = size
        rng = np.random.default_rng(0)
        self.blocks = [
            (f"{entry.source}_{entry.contrast}", self._block(cache, index, rng))
            for index, entry in enumerate(cache.entries)
            for _ in range(blocks)
        ]
        self.entries = [entry for entry in cache.entries for _ in range(blocks)]
        self.baseline = [self._error(high, upsampled_by_spline(block_mean(high))) for _, high in self.blocks]

    def _block(self, cache: Cache, index: int, rng: np.random.Generator) -> np.ndarray:
        middle = np.array(cache.shape(index)) / 2 + rng.uniform(-0.15, 0.15, 3) * cache.shape(index)
        start = cache.inside(index, tuple(int(m) - self.size // 2 for m in middle), self.size)
        return cache.block(index, start, self.size)

    def _error(self, high: np.ndarray, estimate: np.ndarray) -> float:
        inner = (slice(self.BORDER, -self.BORDER),) * 3
        mask = high[inner] > 0.02
        return float(np.mean((high[inner] - estimate[inner])[mask] ** 2))

    def gains(self, network: nn.Module) -> dict[str, float]:
        return self.figures(network, {"gain_db": self.gain_db})

    def figures(self, network: nn.Module, kinds: dict[str, Figure]) -> dict[str, float]:
        """Mean of each figure over the blocks of a source and contrast, as "kind_source_contrast"."""
        gathered: dict[str, list[float]] = {}
        for (name, high), baseline in zip(self.blocks, self.baseline):
            estimate = enhanced(network, block_mean(high))
            for kind, figure in kinds.items():
                gathered.setdefault(f"{kind}_{name}", []).append(figure(high, estimate, baseline))
        return {name: round(float(np.mean(values)), 3) for name, values in sorted(gathered.items())}

    def gain_db(self, high: np.ndarray, estimate: np.ndarray, baseline: float) -> float:
        """Gain in PSNR [dB] over the cubic B-spline, whose mean squared error is `baseline`."""
        return float(10 * np.log10(baseline / self._error(high, estimate)))

    def errors(self, network: nn.Module) -> list[dict[str, Any]]:
        """Summed squared errors of the spline ("before") and of the network ("after") in the octants of each block."""
        found = []
        for entry, (_, high) in zip(self.entries, self.blocks):
            low = block_mean(high)
            inner = (slice(self.BORDER, -self.BORDER),) * 3
            mask = high[inner] > 0.02
            estimates = upsampled_by_spline(low), enhanced(network, low)
            squared = [(high - estimate)[inner] ** 2 * mask for estimate in estimates]
            halves = [(slice(None, n // 2), slice(n // 2, None)) for n in mask.shape]
            for part in product(*halves):
                if mask[part].any():
                    before, after = (float(error[part].sum()) for error in squared)
                    facts = {"source": entry.source, "contrast": entry.contrast, "subject": entry.subject}
                    found.append({**facts, "before": before, "after": after})
        return found

    def slices(self, network: nn.Module) -> list[Slice]:
        """The middle slice of the first block of each source and contrast."""
        shown: dict[str, Slice] = {}
        for name, high in self.blocks:
            if name not in shown:
                low = block_mean(high)
                middle = low.shape[0] // 2
                shown[name] = Slice(name, low[middle], enhanced(network, low)[2 * middle], high[2 * middle])
        return list(shown.values())


@torch.inference_mode()
def enhanced(network: nn.Module, low: np.ndarray) -> np.ndarray:
    """The network's mean for a whole low-resolution block (k, j, i)."""
    device = next(network.parameters()).device
    x = torch.from_numpy(low)[None, None].to(device).contiguous(memory_format=torch.channels_last_3d)
    return network(x)[0][0, 0].float().cpu().numpy()


def block_mean(high: np.ndarray) -> np.ndarray:
    """Mean of 2x2x2 voxels."""
    k, j, i = (n // 2 for n in high.shape)
    return high[: 2 * k, : 2 * j, : 2 * i].reshape(k, 2, j, 2, i, 2).mean(axis=(1, 3, 5)).astype(np.float32)


def upsampled_by_spline(low: np.ndarray) -> np.ndarray:
    """Cubic B-spline interpolation at the centers of the high-resolution voxels."""
    shape = tuple(2 * n for n in low.shape)
    return ndimage.affine_transform(low, 0.5 * np.eye(3), offset=-0.25, output_shape=shape, order=3, mode="nearest")
