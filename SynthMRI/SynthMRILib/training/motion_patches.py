"""Pairs of patches with and without motion from a packed cache of pairs (see `motion_pairs.py`).

As in `patches.py` a sample depends on seed and number alone. Axes are permuted and flipped together with the artifact,
which shows the network every phase-encoding axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..motion.condition import condition_of
from .cache import FOREGROUND, Cache
from .patches import ATTEMPTS, bias_field, source_probabilities


@dataclass(frozen=True)
class MotionSample:
    """A pair of patches.

    Args:
        moved, still: float32 (s, s, s), with motion and without.
        severity_mm: of the motion in `moved`.
        told_mm: the severity that the network is told, or None.
    """

    moved: np.ndarray
    still: np.ndarray
    severity_mm: float
    told_mm: float | None


@dataclass(frozen=True)
class MotionPatchRecord:
    """What was drawn for one sample.

    Args:
        pair: number of the pair in the cache.
        center: middle of the patch as a fraction of the volume along (k, j, i).
        axes: order of the axes; flips: axes that are reversed.
        scale: intensity factor.
        bias: coefficients of the logarithm of a further bias field.
        amount: share of the artifact that is kept: 0 for a sample without motion.
        told: factor on the severity that the network is told, or None when it is told nothing.
    """

    pair: int
    center: tuple[float, float, float]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    scale: float
    bias: tuple[float, ...]
    amount: float
    told: float | None


@dataclass(frozen=True)
class MotionPatchConfig:
    """Ranges from which samples are drawn.

    Args:
        size: edge of the patch in voxels.
        clean: share of samples without motion.
        weakened: share of samples with only a part of the artifact, 0.3 to 1 of it.
        unknown: share of samples whose severity the network is not told.
        told_deviation: standard deviation of the logarithm of the error of the severity it is told.
        weights: relative frequency of each subject or kind of source.
    """

    size: int = 64
    clean: float = 0.12
    weakened: float = 0.3
    unknown: float = 0.3
    told_deviation: float = 0.35
    weights: tuple[tuple[str, float], ...] = (("real", 0.5), ("simulated", 0.5))


class MotionPatchSampler:
    """Draws and makes samples; `sample(n)` always gives the same for the same n."""

    def __init__(self, cache: Cache, config: MotionPatchConfig, *, seed: int) -> None:
        self.cache = cache
        self.config = config
        self.seed = seed
        probabilities = source_probabilities(cache, dict(config.weights))[::2]
        self._probabilities = probabilities / probabilities.sum()

    def batch(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Stacked samples: input (n, 2, s, s, s), severity the second channel, and target (n, 1, s, s, s)."""
        samples = [self.sample(n) for n in numbers]
        inputs = [np.stack([s.moved, np.full_like(s.moved, condition_of(s.told_mm))]) for s in samples]
        return np.stack(inputs), np.stack([s.still for s in samples])[:, None]

    def sample(self, number: int) -> MotionSample:
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, number, attempt])
            sample = self.make(self.draw(rng))
            if (sample.still > FOREGROUND).mean() > 0.2:
                break
        return sample

    def draw(self, rng: np.random.Generator) -> MotionPatchRecord:
        config, kind = self.config, rng.random()
        part = float(rng.uniform(0.3, 1.0)) if kind < config.clean + config.weakened else 1.0
        error = float(np.exp(config.told_deviation * rng.standard_normal()))
        return MotionPatchRecord(
            pair=int(rng.choice(len(self._probabilities), p=self._probabilities)),
            center=tuple(rng.uniform(0.15, 0.85, 3).tolist()),
            axes=tuple(int(a) for a in rng.permutation(3)),
            flips=tuple(bool(f) for f in rng.random(3) < 0.5),
            scale=float(np.exp(rng.uniform(-0.3, 0.2))),
            bias=tuple(rng.normal(0, 0.1, 6).tolist()) if rng.random() < 0.4 else (0.0,) * 6,
            amount=0.0 if kind < config.clean else part,
            told=None if rng.random() < config.unknown else error,
        )

    def make(self, record: MotionPatchRecord) -> MotionSample:
        """The sample a record describes."""
        size, index = self.config.size, 2 * record.pair
        start = tuple(round(c * n - size / 2) for c, n in zip(record.center, self.cache.shape(index)))
        moved, still = (self.cache.block(index + n, start, size) for n in (0, 1))
        moved = still + np.float32(record.amount) * (moved - still)
        factor = bias_field(size, record.bias) * np.float32(record.scale)
        flipped = [axis for axis in range(3) if record.flips[axis]]
        moved, still = (np.flip(v.transpose(record.axes), flipped) * factor for v in (moved, still))
        severity = record.amount * self.cache.entries[index].extra["severity_mm"]
        told = None if record.told is None else record.told * severity
        return MotionSample(np.ascontiguousarray(moved), np.ascontiguousarray(still), severity, told)
