"""Training of denoising: noise is added to packed volumes, and the network learns to take away what was added."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..denoising import LEVEL_UNIT
from ..networks.unet import ResidualUNet
from .cache import Cache
from .configuration import from_mapping
from .losses import foreground_weight, gaussian_likelihood
from .noisy_patches import NoiseConfig, NoisyPatchConfig, NoisyPatchSampler
from .patches import PatchConfig
from .pictures import SHOWN, Slice


@dataclass(frozen=True)
class DenoisingConfig:
    """What to train and on what.

    Args:
        cache: packed cache of training volumes; validation_cache: of held-out volumes.
        network: arguments of `ResidualUNet`; it gets two channels, the volume and its noise level, and is gated.
        patches, noise: ranges of the samples.
        batch: patches a step over all processes.
        softening: level [network units] added to a sample's own when its error is weighed: errors count relative to
            the noise, and this keeps samples with hardly any from counting most.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_levels: noise levels of validation, in units of the reference intensity.
        validation_size: edge of the block of each held-out volume that validation looks at [voxels].
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    patches: PatchConfig = field(default_factory=PatchConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    batch: int = 4
    softening: float = 0.01
    variance_weight: float = 0.005
    validation_levels: tuple[float, ...] = (0.03, 0.09)
    validation_size: int = 48
    seed: int = 0


class DenoisingTraining:
    """A `TrainingTask` for denoising."""

    network_name = "ResidualUNet"
    inputs = ("input",)

    def __init__(self, config: DenoisingConfig) -> None:
        self.config = config
        samples = NoisyPatchConfig(config.patches, config.noise)
        self.sampler = NoisyPatchSampler(Cache(config.cache), samples, seed=config.seed)
        self.held_out = NoisyBlocks(
            Cache(config.validation_cache), levels=tuple(config.validation_levels), size=config.validation_size
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DenoisingTraining:
        """From "training", "patches" and "noise" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(PatchConfig, config.get("patches", {}), "patches")
        noise = from_mapping(NoiseConfig, config.get("noise", {}), "noise")
        values = {**config.get("training", {}), "patches": patches, "noise": noise}
        return cls(from_mapping(DenoisingConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return {**self.config.network, "channels": 2, "gated": True}

    def build_network(self) -> nn.Module:
        return ResidualUNet(**self.network_arguments)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        inputs, targets = self.sampler.batch(range(first, first + share))
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        """Squared error relative to the noise that was there, and the likelihood of the variance."""
        inputs, target = batch
        mean, log_variance = network(inputs.contiguous(memory_format=torch.channels_last_3d))
        weight = foreground_weight(target)
        level = inputs[:, 1:].amax(dim=(2, 3, 4), keepdim=True) / LEVEL_UNIT
        relative = ((mean - target) / (level + self.config.softening)) ** 2
        fidelity = (weight * (torch.sqrt(1 + relative) - 1)).mean()
        likelihood = gaussian_likelihood(mean, log_variance, target, weight)
        figures = {"fidelity": fidelity.item(), "likelihood": likelihood.item()}
        return fidelity + self.config.variance_weight * likelihood, figures

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self.held_out.gains(network)

    def samples(self, network: nn.Module) -> list[Slice]:
        """Slices of a few held-out blocks."""
        blocks = self.held_out.blocks[:: max(1, len(self.held_out.blocks) // SHOWN)][:SHOWN]
        return [
            Slice.middle(name, noisy, denoised(network, noisy, level), clean) for name, level, clean, noisy in blocks
        ]


class NoisyBlocks:
    """A block of each held-out volume; the figure is the gain in PSNR [dB] over the noisy block, by source, level."""

    BORDER = 4

    def __init__(self, cache: Cache, *, levels: tuple[float, ...], size: int) -> None:
        self.blocks = []
        for index, entry in enumerate(cache.entries):
            start = tuple(n // 2 - size // 2 for n in cache.shape(index))
            clean = cache.block(index, start, size)
            for number, level in enumerate(levels):
                rng = np.random.default_rng([index, number])
                noise = np.float32(level) * rng.standard_normal((2, *clean.shape), dtype=np.float32)
                noisy = np.hypot(clean + noise[0], noise[1])
                name = f"{entry.source}_{entry.contrast}_{100 * level:g}_percent"
                self.blocks.append((name, level, clean, noisy))

    def gains(self, network: nn.Module) -> dict[str, float]:
        gathered: dict[str, list[float]] = {}
        for name, level, clean, noisy in self.blocks:
            ratio = self._error(clean, noisy) / self._error(clean, denoised(network, noisy, level))
            gathered.setdefault(name, []).append(10 * np.log10(ratio))
        return {f"gain_db_{name}": round(float(np.mean(values)), 3) for name, values in sorted(gathered.items())}

    def _error(self, clean: np.ndarray, estimate: np.ndarray) -> float:
        inner = (slice(self.BORDER, -self.BORDER),) * 3
        mask = clean[inner] > 0.02
        return float(np.mean((clean[inner] - estimate[inner])[mask] ** 2))


@torch.inference_mode()
def denoised(network: nn.Module, noisy: np.ndarray, level: float) -> np.ndarray:
    """The network's mean for a block (k, j, i) with noise of one level everywhere."""
    device = next(network.parameters()).device
    inputs = np.stack([noisy, np.full_like(noisy, LEVEL_UNIT * level)])
    x = torch.from_numpy(inputs)[None].to(device).contiguous(memory_format=torch.channels_last_3d)
    return network(x)[0][0, 0].float().cpu().numpy()
