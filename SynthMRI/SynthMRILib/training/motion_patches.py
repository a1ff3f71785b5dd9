"""Pairs of patches with and without motion from a packed cache of pairs (see `motion_pairs.py`).

As in `patches.py` a sample depends on seed and number alone. Axes are permuted and flipped together with the artifact,
which shows the network every phase-encoding axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..motion.condition import condition_of
from ..simulation.motion import edge_slope
from ..simulation.records import draw_seed
from .cache import FOREGROUND, Cache
from .patches import ATTEMPTS, bias_field, source_probabilities

MOST_NOISE = 0.05
"""Largest deviation of the noise that is added [network units]."""


@dataclass(frozen=True)
class MotionSample:
    """A pair of patches.

    Args:
        moved, still: float32 (s, s, s), with motion and without.
        severity_mm: of the motion in the volume of `moved`.
        spacing: of the voxels of the patch (i, j, k) [mm].
        told: the change of the volume that the network is told [network units], or None.
    """

    moved: np.ndarray
    still: np.ndarray
    severity_mm: float
    told: float | None
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class MotionPatchRecord:
    """What was drawn for one sample.

    Args:
        pair: number of the pair in the cache.
        center: middle of the patch as a fraction of the volume along (k, j, i).
        axes: order of the axes; flips: axes that are reversed.
        scale: intensity factor.
        bias: coefficients of the logarithm of a further bias field.
        amount: factor on the artifact: 0 for a sample without motion.
        noise: deviation of noise that is added to both, with motion and without; noise_seed: its seed.
        gamma: exponent of the intensities of both.
        told: factor on the change that the network is told, or None when it is told nothing.
    """

    pair: int
    center: tuple[float, float, float]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    scale: float
    bias: tuple[float, ...]
    amount: float
    noise: float
    noise_seed: int
    gamma: float
    told: float | None


@dataclass(frozen=True)
class MotionPatchConfig:
    """Ranges from which samples are drawn.

    Args:
        size: edge of the patch in voxels.
        clean: share of samples without motion.
        weakened: share of samples whose artifact is made weaker or stronger, by a factor within `factors`.
        noisy: share of samples with more noise, the same with motion and without: it is not to be taken away.
        bent: share of samples whose intensities get another exponent.
        unknown: share of samples whose change the network is not told.
        told_deviation: standard deviation of the logarithm of the error of the change it is told.
        weights: relative frequency of each subject or kind of source.
    """

    size: int = 64
    clean: float = 0.12
    weakened: float = 0.3
    factors: tuple[float, float] = (0.3, 1.0)
    noisy: float = 0.0
    bent: float = 0.0
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
        self._slopes: dict[int, float] = {}

    def batch(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Stacked samples: input (n, 2, s, s, s), the change the second channel, and target (n, 1, s, s, s)."""
        samples = [self.sample(n) for n in numbers]
        inputs = [np.stack([s.moved, np.full_like(s.moved, condition_of(s.told))]) for s in samples]
        return np.stack(inputs), np.stack([s.still for s in samples])[:, None]

    def slope(self, index: int) -> float:
        """`edge_slope` of a volume of the cache."""
        if index not in self._slopes:
            spacing = tuple(self.cache.entries[index].extra["spacing_kji"][::-1])
            self._slopes[index] = edge_slope(self.cache.volume(index).astype(np.float32), spacing)
        return self._slopes[index]

    def sample(self, number: int) -> MotionSample:
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, number, attempt])
            sample = self.make(self.draw(rng))
            if (sample.still > FOREGROUND).mean() > 0.2:
                break
        return sample

    def draw(self, rng: np.random.Generator) -> MotionPatchRecord:
        config, kind = self.config, rng.random()
        part = float(rng.uniform(*config.factors)) if kind < config.clean + config.weakened else 1.0
        error = float(np.exp(config.told_deviation * rng.standard_normal()))
        return MotionPatchRecord(
            pair=int(rng.choice(len(self._probabilities), p=self._probabilities)),
            center=tuple(rng.uniform(0.15, 0.85, 3).tolist()),
            axes=tuple(int(a) for a in rng.permutation(3)),
            flips=tuple(bool(f) for f in rng.random(3) < 0.5),
            scale=float(np.exp(rng.uniform(-0.3, 0.2))),
            bias=tuple(rng.normal(0, 0.1, 6).tolist()) if rng.random() < 0.4 else (0.0,) * 6,
            amount=0.0 if kind < config.clean else part,
            noise=float(rng.uniform(0.0, MOST_NOISE)) if rng.random() < config.noisy else 0.0,
            noise_seed=draw_seed(rng),
            gamma=float(np.exp(rng.uniform(-0.3, 0.3))) if rng.random() < config.bent else 1.0,
            told=None if rng.random() < config.unknown else error,
        )

    def make(self, record: MotionPatchRecord) -> MotionSample:
        """The sample a record describes."""
        size, index = self.config.size, 2 * record.pair
        start = self.cache.start_of(index, record.center, size)
        moved, still = (self.cache.block(index + n, start, size) for n in (0, 1))
        moved = np.maximum(still + np.float32(record.amount) * (moved - still), 0)
        factor = bias_field(size, record.bias) * np.float32(record.scale)
        if record.gamma != 1:
            moved, still = moved**record.gamma, still**record.gamma
        if record.noise > 0:
            rng = np.random.default_rng(record.noise_seed)
            noise = np.float32(record.noise) * rng.standard_normal(still.shape, dtype=np.float32)
            moved, still = (np.where(v > 0, np.abs(v + noise), 0) for v in (moved, still))
        flipped = [axis for axis in range(3) if record.flips[axis]]
        moved, still = (np.flip(v.transpose(record.axes), flipped) * factor for v in (moved, still))
        extra = self.cache.entries[index].extra
        severity = record.amount * extra["severity_mm"]
        told = None if record.told is None else record.told * record.scale * severity * self.slope(index)
        spacing = tuple(extra["spacing_kji"][axis] for axis in record.axes[::-1])
        return MotionSample(np.ascontiguousarray(moved), np.ascontiguousarray(still), severity, told, spacing)
