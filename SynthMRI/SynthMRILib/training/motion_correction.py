"""Training of motion correction: pairs from a packed cache, validation on pairs of volumes that were held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..bundles import network_class
from ..motion.condition import TOLD, condition_of, expected_change
from ..simulation.motion import SEVERITY_BANDS_MM, SEVERITY_NAMES
from .cache import Cache
from .configuration import from_mapping
from .losses import foreground_weight, gaussian_likelihood
from .motion_patches import MotionPatchConfig, MotionPatchSampler
from .pictures import SHOWN, Slice

BORDER = 8
"""Voxels at the border of a patch that do not count: the network sees little of their surroundings."""

INNER = (..., *(slice(BORDER, -BORDER),) * 3)
CLEAN_EVERY = 4
"""Of every fourth held-out pair the volume without motion is corrected as well."""


@dataclass(frozen=True)
class MotionCorrectionConfig:
    """What to train and on what.

    Args:
        cache: packed pairs for training; validation_cache: packed pairs of held-out volumes.
        network: arguments of `ResidualUNet` but for its channels, which are the volume and its change.
        start_share: factor on what the weights that training starts from do with the condition and on what they change.
            Below 1 for those of a denoiser, whose condition is the level of noise: it takes away too much at first. For
            networks that fold no voxels into channels.
        patches: ranges of the samples.
        batch: patches a step over all processes.
        floor: squared error of the input [network units] below which a sample counts less: see `relative_error`.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_size: edge of the block in the middle of each held-out pair that validation looks at.
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    start_share: float = 1.0
    patches: MotionPatchConfig = field(default_factory=MotionPatchConfig)
    batch: int = 2
    floor: float = 2e-4
    variance_weight: float = 0.005
    validation_size: int = 80
    seed: int = 0


class MotionCorrectionTraining:
    """A `TrainingTask` for the correction of motion, told how much of the volume that changed."""

    inputs = ("input",)
    network_name = "ResidualUNet"
    section: ClassVar[dict[str, str]] = TOLD

    def __init__(self, config: MotionCorrectionConfig) -> None:
        self.config = config
        self.sampler = MotionPatchSampler(Cache(config.cache), config.patches, seed=config.seed)
        self.held_out = HeldOutPairs(Cache(config.validation_cache), size=config.validation_size)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MotionCorrectionTraining:
        """From the "training" and "patches" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(MotionPatchConfig, config.get("patches", {}), "patches")
        values = {**config.get("training", {}), "patches": patches}
        return cls(from_mapping(MotionCorrectionConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return {**self.config.network, "channels": 2}

    def build_network(self) -> nn.Module:
        return network_class(self.network_name)(**self.network_arguments)

    def adapt_start(self, network: nn.Module) -> None:
        """Weaken the weights that training starts from by `start_share`; see `training.run`."""
        with torch.no_grad():
            for weights in (network.entry.weight[:, 1], network.exit.weight[:1], network.exit.bias[:1]):
                weights *= self.config.start_share

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        moved, still = self.sampler.batch(range(first, first + share))
        return torch.from_numpy(moved), torch.from_numpy(still)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        _, loss, figures = self.fidelity(network, *batch)
        return loss, figures

    def fidelity(self, network: nn.Module, moved: Tensor, still: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        """What the network makes inside of the border, the loss of it, and figures."""
        outputs = network(moved.contiguous(memory_format=torch.channels_last_3d))
        mean, log_variance, still, first = (part[INNER] for part in (*outputs, still, moved[:, :1]))
        weight = foreground_weight(still)
        relative = relative_error(mean, first, still, weight, floor=self.config.floor)
        likelihood = gaussian_likelihood(mean, log_variance, still, weight)
        figures = {"fidelity": relative.item(), "likelihood": likelihood.item()}
        return mean, relative + self.config.variance_weight * likelihood, figures

    def validate(self, network: nn.Module) -> dict[str, float]:
        return self.held_out.gains(network)

    def samples(self, network: nn.Module) -> list[Slice]:
        """Slices of a few held-out pairs."""
        rows = []
        for extra, moved, still, change in self.held_out.pairs[:SHOWN]:
            corrected = corrected_block(network, moved, change)
            rows.append(Slice.middle(f"{extra['sequence']} {extra['severity_mm']:.1f} mm", moved, corrected, still))
        return rows


def relative_error(prediction: Tensor, moved: Tensor, target: Tensor, weight: Tensor, *, floor: float) -> Tensor:
    """Weighted squared error over that of the input, averaged over samples: 1 is nothing gained.

    Each sample counts alike, whether its motion is slight or severe; otherwise a few severe ones would decide alone,
    and slight ones would be made worse. `floor` is added below, for samples with hardly an error to correct.
    """
    after, before = ((weight * (v - target) ** 2).mean(dim=(1, 2, 3, 4)) for v in (prediction, moved))
    return (after / (before + floor)).mean()


class HeldOutPairs:
    """The middle of held-out pairs; figures are gains in PSNR [dB] over the volume with motion."""

    def __init__(self, cache: Cache, *, size: int) -> None:
        self.pairs = []
        for index in range(0, len(cache), 2):
            start = tuple((n - size) // 2 for n in cache.shape(index))
            blocks = [cache.block(index + n, start, size) for n in (0, 1)]
            extra, whole = cache.entries[index].extra, cache.volume(index).astype(np.float32)
            change = expected_change(whole, extra["severity_mm"], tuple(extra["spacing_kji"][::-1]))
            self.pairs.append((extra, *blocks, change))

    def gains(self, network: nn.Module) -> dict[str, float]:
        gathered: dict[str, list[float]] = {}
        for extra, moved, still, change in self.pairs:
            corrected = corrected_block(network, moved, change)
            gain = 10 * np.log10(squared_error(moved, still) / squared_error(corrected, still))
            band = SEVERITY_NAMES[int(np.searchsorted(SEVERITY_BANDS_MM, extra["displacement_mm"], side="right"))]
            for name in ("all", band, extra["sequence"]):
                gathered.setdefault(name, []).append(gain)
            gathered.setdefault("worst", []).append(gain)
        for _, _, still, _ in self.pairs[::CLEAN_EVERY]:
            clean = corrected_block(network, still, 0.0)
            gathered.setdefault("clean_psnr", []).append(-10 * np.log10(squared_error(clean, still)))
        figures = {f"gain_db_over_input_{n}": v for n, v in gathered.items() if n != "clean_psnr"}
        figures["gain_db_over_input_worst"] = [min(gathered["worst"])]
        figures["psnr_db_of_clean"] = gathered["clean_psnr"]
        return {name: round(float(np.mean(values)), 3) for name, values in sorted(figures.items())}


def squared_error(estimate: np.ndarray, still: np.ndarray) -> float:
    """Mean squared error where there is signal, away from the border of the block."""
    inner = (slice(BORDER, -BORDER),) * 3
    mask = still[inner] > 0.02
    return float(np.mean((estimate[inner] - still[inner])[mask] ** 2)) + 1e-12


@torch.inference_mode()
def corrected_block(network: nn.Module, moved: np.ndarray, change: float | None) -> np.ndarray:
    """The network's mean for a whole block (k, j, i), told the change of the volume."""
    block = np.stack([moved, np.full_like(moved, condition_of(change))])[None]
    x = torch.from_numpy(block).to(next(network.parameters()).device)
    return network(x.contiguous(memory_format=torch.channels_last_3d))[0][0, 0].float().cpu().numpy()
