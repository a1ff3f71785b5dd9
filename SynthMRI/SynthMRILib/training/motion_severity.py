"""Training of the network that estimates the severity of motion, on the pairs that motion correction is trained on.

What a patch is to be given is the effective displacement in that very patch: damage differs from place to place, and a
network that is told the severity of the whole volume learns to know the volumes of its training instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import stats
from torch import Tensor, nn

from ..motion.condition import log_severity
from ..networks.severity import SeverityNet
from ..simulation.motion import effective_displacement
from .cache import Cache
from .configuration import from_mapping
from .motion_patches import MotionPatchConfig, MotionPatchSampler


@dataclass(frozen=True)
class MotionSeverityConfig:
    """What to train and on what.

    Args:
        cache: packed pairs for training; validation_cache: packed pairs of held-out volumes.
        network: arguments of `SeverityNet`.
        patches: ranges of the samples.
        thickness: voxels of a patch along its first axis that are used: thin patches are many for the same time.
        batch: patches a step over all processes.
        variance_weight: weight of the likelihood that trains the variance output.
        validation_patches: patches of held-out pairs that validation looks at.
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    patches: MotionPatchConfig = field(default_factory=MotionPatchConfig)
    thickness: int = 24
    batch: int = 8
    variance_weight: float = 0.1
    validation_patches: int = 64
    seed: int = 0


class MotionSeverityTraining:
    """A `TrainingTask` for the severity of motion."""

    network_name = "SeverityNet"
    inputs = ("input",)

    def __init__(self, config: MotionSeverityConfig) -> None:
        self.config = config
        self.sampler = MotionPatchSampler(Cache(config.cache), config.patches, seed=config.seed)
        held_out = MotionPatchSampler(Cache(config.validation_cache), config.patches, seed=config.seed + 1)
        self.held_out = self._samples(held_out, range(config.validation_patches))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MotionSeverityTraining:
        """From the "training" and "patches" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(MotionPatchConfig, config.get("patches", {}), "patches")
        values = {**config.get("training", {}), "patches": patches}
        return cls(from_mapping(MotionSeverityConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return self.config.network

    def build_network(self) -> nn.Module:
        return SeverityNet(**self.config.network)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        return self._samples(self.sampler, range(first, first + share))

    def _samples(self, sampler: MotionPatchSampler, numbers: range) -> tuple[Tensor, Tensor]:
        samples = [sampler.sample(n) for n in numbers]
        first = (self.config.patches.size - self.config.thickness) // 2
        part = slice(first, first + self.config.thickness)
        patches = np.stack([s.moved[part] for s in samples])[:, None]
        severities = [effective_displacement(s.moved[part], s.still[part], s.spacing) for s in samples]
        return torch.from_numpy(patches), torch.tensor([log_severity(s) for s in severities])

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        moved, severity = batch
        mean, log_variance = network(moved.contiguous(memory_format=torch.channels_last_3d))
        distance = functional.smooth_l1_loss(mean, severity)
        squared = (mean.detach() - severity) ** 2
        likelihood = 0.5 * (squared * torch.exp(-log_variance) + log_variance).mean()
        figures = {"distance": distance.item(), "likelihood": likelihood.item()}
        return distance + self.config.variance_weight * likelihood, figures

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        moved, severity = self.held_out
        mean = torch.cat([network(part)[0] for part in moved.split(8)]).cpu()
        return {
            "rank_correlation_of_patches": round(float(stats.spearmanr(mean, severity).statistic), 3),
            "mean_absolute_log_error_of_patches": round(float((mean - severity).abs().mean()), 3),
        }
