"""Training of the small network in whose features sets of volumes are compared (`synthmri evaluate set`).

It learns to name the contrast of a slice and what was done to it: nothing, blur, noise, ghosts, or coarse rows. The
task only serves to make features that react to both; nobody needs its answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import Tensor, nn

from ..networks.slice_encoder import SliceEncoder
from .cache import Cache
from .configuration import from_mapping
from .packing import SIMULATED

#: Slices have so many rows and columns of so many millimeters, as `evaluation.sets.frame` cuts them.
SIZE = 96
SPACING_MM = 2
#: Part of each axis from whose middle slices are taken.
MIDDLE = 0.6


@dataclass(frozen=True)
class SliceFeaturesConfig:
    """What to train and on what.

    Args:
        cache: packed volumes for training; validation_cache: of held-out subjects.
        network: arguments of `SliceEncoder`.
        batch: slices a step over all processes.
        validation_slices: slices that validation looks at.
        seed: seed of the samples.
    """

    cache: Path
    validation_cache: Path
    network: dict[str, Any] = field(default_factory=dict)
    batch: int = 48
    validation_slices: int = 256
    seed: int = 0


class SliceFeaturesTraining:
    """A `TrainingTask` for `SliceEncoder`."""

    network_name = "SliceEncoder"
    inputs = ("input",)

    def __init__(self, config: SliceFeaturesConfig) -> None:
        self.config = config
        self.sampler = SliceSampler(Cache(config.cache), seed=config.seed)
        held_out = SliceSampler(Cache(config.validation_cache), seed=config.seed + 1)
        self.held_out = _batch(held_out, range(config.validation_slices))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SliceFeaturesTraining:
        """From the "training" of a configuration. Raises InputError for what it does not know."""
        return cls(from_mapping(SliceFeaturesConfig, config.get("training", {}), "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        return self.config.network

    def build_network(self) -> nn.Module:
        return SliceEncoder(**self.config.network)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        return _batch(self.sampler, range(first, first + share))

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        slices, contrast, degradation = batch
        scores = network(slices, classify=True)
        by_contrast = functional.cross_entropy(scores[0][:, 0], contrast)
        by_degradation = functional.cross_entropy(scores[1][:, 0], degradation)
        return by_contrast + by_degradation, {"contrast": by_contrast.item(), "degradation": by_degradation.item()}

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> dict[str, float]:
        slices, contrast, degradation = self.held_out
        scores = network(slices, classify=True)
        shares = [(s[:, 0].argmax(dim=1) == truth).float().mean() for s, truth in zip(scores, (contrast, degradation))]
        return {
            "share_of_contrasts_named_right": round(float(shares[0]), 3),
            "share_of_degradations_named_right": round(float(shares[1]), 3),
        }


class SliceSampler:
    """Draws degraded slices from a cache; a slice depends on seed and number alone."""

    def __init__(self, cache: Cache, *, seed: int) -> None:
        self._seed = seed
        usable = [n for n, entry in enumerate(cache.entries) if is_usable(entry)]
        self._volumes = [(coarser(cache.volume(n)), SIMULATED.index(cache.entries[n].contrast)) for n in usable]

    def sample(self, number: int) -> tuple[np.ndarray, int, int]:
        """float32 slice (SIZE, SIZE) in units of the reference intensity, its contrast and its degradation."""
        random = np.random.default_rng([self._seed, number])
        volume, contrast = self._volumes[random.integers(len(self._volumes))]
        axis = int(random.integers(3))
        count = volume.shape[axis]
        place = int(count * (0.5 + MIDDLE * (random.random() - 0.5)))
        cut = np.take(volume, place, axis=axis).astype(np.float32)
        cut = np.rot90(cut, random.integers(4))[:: 1 if random.random() < 0.5 else -1]
        degradation = int(random.integers(len(DEGRADATIONS)))
        degraded = DEGRADATIONS[degradation](centered(cut), random)
        return np.ascontiguousarray(degraded * random.uniform(0.8, 1.2), dtype=np.float32), contrast, degradation


def is_usable(entry: Any) -> bool:
    """True for a volume of a known contrast with voxels of about 1 mm along every axis."""
    spacing = entry.extra.get("spacing_kji", (1, 1, 1))
    return entry.contrast in SIMULATED and all(abs(s - 1) < 0.2 for s in spacing)


def coarser(voxels: np.ndarray) -> np.ndarray:
    """Means over cubes of SPACING_MM voxels, float16."""
    k, j, i = (n // SPACING_MM * SPACING_MM for n in voxels.shape)
    parts = (
        voxels[:k, :j, :i]
        .astype(np.float32)
        .reshape(k // SPACING_MM, SPACING_MM, j // SPACING_MM, SPACING_MM, i // SPACING_MM, SPACING_MM)
    )
    return parts.mean(axis=(1, 3, 5)).astype(np.float16)


def centered(cut: np.ndarray) -> np.ndarray:
    """The middle of a slice on SIZE x SIZE pixels, zero beyond it."""
    out = np.zeros((SIZE, SIZE), dtype=np.float32)
    from_slice, to_slice = [], []
    for n in cut.shape:
        size = min(n, SIZE)
        from_slice.append(slice((n - size) // 2, (n - size) // 2 + size))
        to_slice.append(slice((SIZE - size) // 2, (SIZE - size) // 2 + size))
    out[tuple(to_slice)] = cut[tuple(from_slice)]
    return out


def _unchanged(cut: np.ndarray, _random: np.random.Generator) -> np.ndarray:
    return cut


def _blurred(cut: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return ndimage.gaussian_filter(cut, random.uniform(0.6, 2.0))


def _noisy(cut: np.ndarray, random: np.random.Generator) -> np.ndarray:
    sigma = random.uniform(0.03, 0.15)
    return np.hypot(cut + sigma * random.standard_normal(cut.shape), sigma * random.standard_normal(cut.shape))


def _ghosted(cut: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Copies shifted along one axis, as periodic motion makes them."""
    axis, shift = int(random.integers(2)), int(random.integers(6, SIZE // 3))
    return cut + random.uniform(0.1, 0.4) * (np.roll(cut, shift, axis) + np.roll(cut, -shift, axis)) / 2


def _coarse(cut: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rows or columns in steps, as thick slices look."""
    axis, step = int(random.integers(2)), int(random.integers(2, 5))
    along = np.moveaxis(cut, axis, 0)
    starts = np.arange(0, len(along), step)
    means = np.add.reduceat(along, starts, axis=0) / np.diff([*starts, len(along)])[:, None]
    return np.moveaxis(np.repeat(means, step, axis=0)[: len(along)], 0, axis)


DEGRADATIONS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    _unchanged,
    _blurred,
    _noisy,
    _ghosted,
    _coarse,
)


def _batch(sampler: SliceSampler, numbers: range) -> tuple[Tensor, ...]:
    slices, contrasts, degradations = zip(*(sampler.sample(n) for n in numbers))
    return torch.from_numpy(np.stack(slices)[:, None, None]), torch.tensor(contrasts), torch.tensor(degradations)
