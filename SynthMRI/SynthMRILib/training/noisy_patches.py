"""Pairs of noisy and less noisy patches from a packed cache, for denoising.

The noise is Rician: the magnitude of the patch plus complex Gaussian noise, of a level that may vary over the patch.
The network is told how much noise was added (after FFDNet, Zhang et al. 2018), not how much there is: an acquired
volume holds noise of its own, which stays in the target. What is told errs a little, as an estimate from a volume does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..denoising import LEVEL_UNIT
from .cache import Cache
from .patches import ATTEMPTS, MARGIN, PatchConfig, PatchRecord, PatchSampler, bias_field


@dataclass(frozen=True)
class NoiseConfig:
    """Ranges of the noise; the patches themselves are drawn by `PatchConfig`.

    Args:
        least, most: noise level in units of the reference intensity, drawn uniformly in its logarithm.
        varying: share of samples whose level varies over the patch.
        variation: standard deviation of the logarithm's polynomial coefficients there.
        error: standard deviation of the logarithm of what the network is told over what is true.
        untouched: share of samples without added noise whose network is told of a little.
        brightness: range of the intensity factor.
    """

    least: float = 0.008
    most: float = 0.18
    varying: float = 0.4
    variation: float = 0.2
    error: float = 0.2
    untouched: float = 0.05
    brightness: tuple[float, float] = (0.7, 1.2)


@dataclass(frozen=True)
class NoisyRecord:
    """What was drawn for one sample.

    Args:
        patch: the patch without noise.
        level: standard deviation of each part of the complex noise in units of the reference intensity.
        told: level that the network is told, before its variation.
        variation: coefficients of the logarithm of the level over the patch (3 linear, 3 quadratic).
        outside: whether air that is exactly zero, as around a stripped brain, gets noise too.
    """

    patch: PatchRecord
    level: float
    told: float
    variation: tuple[float, ...]
    outside: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class NoisyPatchConfig:
    """Patches of 2 * (size + 4) voxels an edge, and their noise."""

    patches: PatchConfig = field(default_factory=PatchConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)


class NoisyPatchSampler(PatchSampler):
    """Draws and makes samples; `sample(n)` always gives the same pair for the same n."""

    def __init__(self, cache: Cache, config: NoisyPatchConfig, *, seed: int) -> None:
        super().__init__(cache, config.patches, seed=seed)
        self.noise = config.noise

    def batch(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Stacked samples: noisy volume and noise level (n, 2, s, s, s), target (n, 1, s, s, s)."""
        inputs, targets = zip(*(self.noisy_sample(n) for n in numbers))
        return np.stack(inputs), np.stack(targets)[:, None]

    def noisy_sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (2, s, s, s) and target (s, s, s) of sample `number`, float32."""
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, number, attempt])
            record = self.draw_noisy(rng)
            target = self._high(record.patch)
            if (target > 0.02).mean() > 0.2:
                break
        return self.noisy(record, target), target

    def draw_noisy(self, rng: np.random.Generator) -> NoisyRecord:
        patch, noise = self.draw(rng), self.noise
        patch = PatchRecord(**{**asdict(patch), "scale": float(rng.uniform(*noise.brightness))})
        level = float(np.exp(rng.uniform(np.log(noise.least), np.log(noise.most))))
        told = level * float(np.exp(rng.normal(0, noise.error)))
        if rng.random() < noise.untouched:
            level, told = 0.0, float(rng.uniform(0, 0.03))
        varies = rng.random() < noise.varying
        variation = tuple(rng.normal(0, noise.variation, 6).tolist()) if varies else (0.0,) * 6
        return NoisyRecord(patch, level, told, variation, bool(rng.random() < 0.5))

    def noisy(self, record: NoisyRecord, target: np.ndarray) -> np.ndarray:
        """The noisy patch and the level that the network is told, times `LEVEL_UNIT`: float32 (2, s, s, s)."""
        variation = bias_field(2 * (self.config.size + MARGIN), record.variation)
        rng = np.random.default_rng(record.patch.noise_seed)
        noise = rng.standard_normal((2, *target.shape), dtype=np.float32) * (np.float32(record.level) * variation)
        noisy = np.hypot(target + noise[0], noise[1])
        told = np.float32(LEVEL_UNIT * record.told) * variation
        if not record.outside:
            noisy, told = noisy * (target > 0), told * (target > 0)
        return np.stack([noisy, told]).astype(np.float32)
