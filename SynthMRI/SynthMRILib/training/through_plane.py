"""Training of through-plane super-resolution: thick slices interpolated to a fine grid become what thin ones show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.unet import ResidualUNet
from ..slice_profile import along_axis, profile_matrix
from .cache import Cache, Entry
from .configuration import from_mapping
from .losses import charbonnier, foreground_weight, gaussian_likelihood
from .patches import PatchConfig
from .thick_slices import SliceConfig, ThickSliceConfig, ThickSliceSampler, seen_by_the_network


@dataclass(frozen=True)
class ThroughPlaneConfig:
    """What to train and on what.

    Args:
        cache: packed cache of training volumes; validation_cache: of held-out volumes.
        network: arguments of `ResidualUNet`; it gets four channels, see `through_plane/conditions.py`.
        patches, slices: ranges of the samples.
        batch: patches a step over all processes.
        epsilon: error [network units] up to which the loss is squared; beyond it grows linearly.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_spacing: slice distance of validation [voxels].
        validation_size: edge of the block of each held-out volume that validation looks at [voxels].
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    patches: PatchConfig = field(default_factory=PatchConfig)
    slices: SliceConfig = field(default_factory=SliceConfig)
    batch: int = 4
    epsilon: float = 0.1
    variance_weight: float = 0.005
    validation_spacing: float = 4.0
    validation_size: int = 48
    seed: int = 0


class ThroughPlaneTraining:
    """A `TrainingTask` for through-plane super-resolution."""

    network_name = "ResidualUNet"
    inputs = ("input",)

    def __init__(self, config: ThroughPlaneConfig) -> None:
        self.config = config
        samples = ThickSliceConfig(config.patches, config.slices)
        self.sampler = ThickSliceSampler(Cache(config.cache), samples, seed=config.seed)
        self.held_out = ThickBlocks(
            Cache(config.validation_cache), spacing=config.validation_spacing, size=config.validation_size
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ThroughPlaneTraining:
        """From "training", "patches" and "slices" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(PatchConfig, config.get("patches", {}), "patches")
        slices = from_mapping(SliceConfig, config.get("slices", {}), "slices")
        values = {**config.get("training", {}), "patches": patches, "slices": slices}
        return cls(from_mapping(ThroughPlaneConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return {**self.config.network, "channels": 4}

    def build_network(self) -> nn.Module:
        return ResidualUNet(**self.network_arguments)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        inputs, targets = self.sampler.batch(range(first, first + share))
        return torch.from_numpy(inputs), torch.from_numpy(targets)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        inputs, target = batch
        mean, log_variance = network(inputs.contiguous(memory_format=torch.channels_last_3d))
        weight = foreground_weight(target)
        fidelity = charbonnier(mean, target, weight, epsilon=self.config.epsilon)
        likelihood = gaussian_likelihood(mean, log_variance, target, weight)
        figures = {"fidelity": fidelity.item(), "likelihood": likelihood.item()}
        return fidelity + self.config.variance_weight * likelihood, figures

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self.held_out.gains(network)


class ThickBlocks:
    """A block of each held-out volume; the figure is the gain in PSNR [dB] over the B-spline, by source, contrast."""

    BORDER = 6

    def __init__(self, cache: Cache, *, spacing: float, size: int) -> None:
        self.blocks = [
            (f"{entry.source}_{entry.contrast}", *self._pair(cache, index, entry, spacing, size))
            for index, entry in enumerate(cache.entries)
        ]

    def _pair(self, cache: Cache, index: int, entry: Entry, spacing: float, size: int) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees and the sharp block; of acquired volumes the second axis becomes the thick one."""
        start = tuple(n // 2 - size // 2 for n in cache.shape(index))
        sharp = cache.block(index, start, size)
        sharp = np.ascontiguousarray(np.moveaxis(sharp, 1, 0) if entry.source == "real" else sharp)
        first = (spacing - 1) / 2
        centers = np.arange(first, size - 0.5, spacing)
        thick = along_axis(sharp, profile_matrix(centers, spacing, size=size, kind="gaussian"), 0)
        return seen_by_the_network(thick, (np.arange(size) - first) / spacing, spacing, spacing), sharp

    def gains(self, network: nn.Module) -> dict[str, float]:
        gathered: dict[str, list[float]] = {}
        for name, seen, sharp in self.blocks:
            ratio = self._error(sharp, seen[0]) / self._error(sharp, restored(network, seen))
            gathered.setdefault(name, []).append(10 * np.log10(ratio))
        return {f"gain_db_{name}": round(float(np.mean(values)), 3) for name, values in sorted(gathered.items())}

    def _error(self, sharp: np.ndarray, estimate: np.ndarray) -> float:
        inner = (slice(self.BORDER, -self.BORDER),) * 3
        mask = sharp[inner] > 0.02
        return float(np.mean((sharp[inner] - estimate[inner])[mask] ** 2))


@torch.inference_mode()
def restored(network: nn.Module, seen: np.ndarray) -> np.ndarray:
    """The network's mean (k, j, i) for a block with its channels."""
    device = next(network.parameters()).device
    x = torch.from_numpy(seen)[None].to(device).contiguous(memory_format=torch.channels_last_3d)
    return network(x)[0][0, 0].float().cpu().numpy()
