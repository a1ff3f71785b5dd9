"""Training of the conditional diffusion model for motion correction, on slices of the packed pairs.

A network learns to predict the noise in a slice without motion, given the same slice with motion and its neighbors
(Ho et al. 2020; two encoders as in Wang 2026, with the schedule corrected, see `networks/noise_schedule.py`). Slices
are cut across every axis, since axes of a block are permuted; steps and noise depend on seed and number alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..inference.diffusion import SamplingPlan, sample
from ..networks.diffusion import ConditionalDiffusion
from .cache import Cache
from .configuration import from_mapping
from .losses import noise_prediction
from .motion_patches import MotionPatchConfig, MotionPatchSampler, MotionSample
from .pictures import SHOWN, Slice

VALIDATION_STEP = 250
"""Step of the schedule at which the error of held-out slices is told: a quarter of the noise, where details form."""


@dataclass(frozen=True)
class MotionDiffusionConfig:
    """What to train and on what.

    Args:
        cache: packed pairs for training; validation_cache: packed pairs of held-out volumes.
        network: arguments of `ConditionalDiffusion` but for the channels of the condition.
        patches: ranges of the blocks that slices are cut from.
        neighbors: slices to either side that belong to the condition.
        blocks: blocks a step over all processes; slices: slices of each.
        highest: steps of the schedule are drawn up to this share of it; a sample then starts no later.
        validation_slices: held-out slices that validation looks at.
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    patches: MotionPatchConfig = field(default_factory=MotionPatchConfig)
    neighbors: int = 1
    blocks: int = 2
    slices: int = 6
    highest: float = 1.0
    validation_slices: int = 24
    seed: int = 0

    @property
    def batch(self) -> int:
        """Blocks a step, which processes share."""
        return self.blocks


class MotionDiffusionTraining:
    """A `TrainingTask` for the diffusion model."""

    network_name = "ConditionalDiffusion"
    inputs = ("input",)

    def __init__(self, config: MotionDiffusionConfig) -> None:
        self.config = config
        self.schedule = self.build_network().schedule
        self.sampler = MotionPatchSampler(Cache(config.cache), config.patches, seed=config.seed)
        held_out = MotionPatchSampler(Cache(config.validation_cache), config.patches, seed=config.seed + 1)
        samples = [held_out.sample(n) for n in range(config.validation_slices)]
        middle = config.patches.size // 2
        self.held_out = stacked([slices_of(s, np.array([middle]), config.neighbors) for s in samples])

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MotionDiffusionTraining:
        """From the "training" and "patches" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(MotionPatchConfig, config.get("patches", {}), "patches")
        values = {**config.get("training", {}), "patches": patches}
        return cls(from_mapping(MotionDiffusionConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return {**self.config.network, "condition_channels": 2 * self.config.neighbors + 1}

    @property
    def section(self) -> dict[str, Any]:
        """What a run has to know of the network: how many neighbors it sees, and from which step it can start."""
        return {"neighbors": self.config.neighbors, "highest": self.config.highest}

    def build_network(self) -> nn.Module:
        return ConditionalDiffusion(**self.network_arguments)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        """Condition and still slices in network units, steps of the schedule, and noise."""
        share = self.config.blocks // world
        first = step * self.config.blocks + rank * share
        rng = np.random.default_rng([self.config.seed, 1, step, rank])
        size, near = self.config.patches.size, self.config.neighbors
        chosen = [rng.choice(np.arange(near, size - near), self.config.slices, replace=False) for _ in range(share)]
        samples = [self.sampler.sample(first + n) for n in range(share)]
        condition, still = stacked([slices_of(s, at, near) for s, at in zip(samples, chosen)])
        steps = rng.integers(1, round(self.config.highest * self.schedule.steps) + 1, len(still))
        noise = rng.standard_normal(still.shape, dtype=np.float32)
        return condition, still, torch.from_numpy(steps), torch.from_numpy(noise)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        condition, still, steps, noise = batch
        noisy = self.schedule.noisy(2 * still - 1, noise, steps)
        loss = noise_prediction(network(noisy, steps, condition=2 * condition - 1), noise)
        return loss, {"noise": loss.item()}

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The error of the predicted noise, and the gain in PSNR [dB] of 10-step samples over the slices with motion.

        Samples start from the slices with motion, at a quarter of the schedule.
        """
        condition, still = self.held_out
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(still.shape, generator=generator)
        steps = torch.full((len(still),), VALIDATION_STEP)
        noisy = self.schedule.noisy(2 * still - 1, noise, steps)
        seen = network(noisy, steps, condition=2 * condition - 1)
        moved = condition[:, self.config.neighbors : self.config.neighbors + 1]
        made = sample(network, condition, SamplingPlan(steps=10, start=0.25), estimate=moved)
        before, after = (((v - still) ** 2).mean(dim=(1, 2, 3)) + 1e-6 for v in (moved, made))
        return {
            "noise_error": round(float(noise_prediction(seen, noise)), 4),
            "gain_db_over_input_of_slices": round(float((10 * torch.log10(before / after)).mean()), 3),
        }

    def samples(self, network: nn.Module) -> list[Slice]:
        """A few held-out slices: with motion, sampled, and without."""
        condition, still = (part[:SHOWN] for part in self.held_out)
        moved = condition[:, self.config.neighbors : self.config.neighbors + 1]
        made = sample(network, condition, SamplingPlan(steps=10, start=0.25), estimate=moved)
        return [
            Slice.middle(f"slice {n}", *(part[n].numpy() for part in (moved, made, still))) for n in range(len(still))
        ]


def slices_of(sample: MotionSample, positions: np.ndarray, neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Slices across the first axis: (n, 2 neighbors + 1, j, i) with motion, (n, 1, j, i) without."""
    near = positions[:, None] + np.arange(-neighbors, neighbors + 1)
    return sample.moved[near], sample.still[positions][:, None]


def stacked(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    return tuple(torch.from_numpy(np.concatenate(parts)) for parts in zip(*pairs))
