"""Pairs of low and high resolution patches from a packed cache.

Everything random about a sample is drawn first, from a generator that depends on seed and sample number alone: any
sample can be made again, in any process, in any order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .cache import FOREGROUND, Cache
from .resampling import halving_matrix, resample, zoom_inputs, zoom_matrix

MARGIN = 4
ATTEMPTS = 8


@dataclass(frozen=True)
class PatchRecord:
    """What was drawn for one sample.

    Args:
        volume: index in the cache.
        center: middle of the patch as a fraction of the volume along (k, j, i).
        zoom: high-resolution voxels per cached voxel.
        axes: order of the axes; flips: axes that are reversed.
        scale: intensity factor; gamma: exponent of the contrast change.
        bias: coefficients of the logarithm of the bias field (3 linear, 3 quadratic).
        degradation: "mean", "gaussian" or "kspace".
        noise: standard deviation of the added Rician noise in units of the reference intensity.
        noise_seed: seed of its voxels.
    """

    volume: int
    center: tuple[float, float, float]
    zoom: float
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    scale: float
    gamma: float
    bias: tuple[float, ...]
    degradation: str
    noise: float
    noise_seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class PatchConfig:
    """Ranges from which samples are drawn.

    Args:
        size: edge of the low-resolution patch in voxels.
        same_zoom: share of samples at the cache's own resolution; the others are zoomed by 0.5 to 2.
        noise_free: share of samples without added noise.
        noise: largest standard deviation of added noise, in units of the reference intensity.
        weights: relative frequency of each subject or kind of source ("patient07", "real", "simulated").
    """

    size: int = 24
    same_zoom: float = 0.5
    noise_free: float = 0.5
    noise: float = 0.04
    weights: tuple[tuple[str, float], ...] = (("real", 0.6), ("simulated", 0.4))


class PatchSampler:
    """Draws and makes samples; `sample(n)` always gives the same pair for the same n."""

    def __init__(self, cache: Cache, config: PatchConfig, *, seed: int) -> None:
        self.cache = cache
        self.config = config
        self.seed = seed
        self._probabilities = source_probabilities(cache, dict(config.weights))

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Low (s, s, s) and high resolution (2s, 2s, 2s) float32 patches of sample `number`."""
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.seed, number, attempt])
            pair = self.make(self.draw(rng))
            if (pair[1] > FOREGROUND).mean() > 0.2:
                break
        return pair

    def batch(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Stacked samples: (n, 1, s, s, s) and (n, 1, 2s, 2s, 2s)."""
        low, high = zip(*(self.sample(n) for n in numbers))
        return np.stack(low)[:, None], np.stack(high)[:, None]

    def draw(self, rng: np.random.Generator) -> PatchRecord:
        config = self.config
        shrink = rng.random() < 0.7
        other_zoom = 2.0 ** (-rng.random() if shrink else rng.random())
        return PatchRecord(
            volume=int(rng.choice(len(self.cache), p=self._probabilities)),
            center=tuple(rng.uniform(0.1, 0.9, 3).tolist()),
            zoom=1.0 if rng.random() < config.same_zoom else float(other_zoom),
            axes=tuple(int(a) for a in rng.permutation(3)),
            flips=tuple(bool(f) for f in rng.random(3) < 0.5),
            scale=float(np.exp(rng.uniform(-1.0, 0.4))),
            gamma=float(np.exp(rng.uniform(-0.25, 0.25))) if rng.random() < 0.5 else 1.0,
            bias=tuple(rng.normal(0, 0.15, 6).tolist()) if rng.random() < 0.5 else (0.0,) * 6,
            degradation=str(rng.choice(["mean", "gaussian", "kspace"], p=[0.7, 0.15, 0.15])),
            noise=0.0 if rng.random() < config.noise_free else float(rng.uniform(0, config.noise)),
            noise_seed=int(rng.integers(2**31)),
        )

    def make(self, record: PatchRecord) -> tuple[np.ndarray, np.ndarray]:
        """The pair a record describes."""
        high = self._high(record)
        matrix = halving_matrix(self.config.size, record.degradation, MARGIN)
        low = resample(high, (matrix,) * 3)
        if record.noise:
            low = add_rician_noise(low, record.noise * record.scale, record.noise_seed)
        inner = slice(MARGIN, -MARGIN)
        return np.ascontiguousarray(low), np.ascontiguousarray(high[inner, inner, inner])

    def _high(self, record: PatchRecord) -> np.ndarray:
        size = 2 * (self.config.size + MARGIN)
        inputs = size if record.zoom == 1.0 else zoom_inputs(size, record.zoom)
        patch = self.cache.block(record.volume, self.cache.start_of(record.volume, record.center, inputs), inputs)
        if record.zoom != 1.0:
            patch = np.maximum(resample(patch, (zoom_matrix(size, record.zoom),) * 3), 0)
        patch = np.flip(patch.transpose(record.axes), [a for a in range(3) if record.flips[a]])
        if record.gamma != 1.0:
            patch = np.power(np.maximum(patch, 0), np.float32(record.gamma))
        return (patch * bias_field(size, record.bias) * np.float32(record.scale)).astype(np.float32)


def source_probabilities(cache: Cache, weights: dict[str, float]) -> np.ndarray:
    """Probability of each volume: groups by weight, volumes of one group alike."""
    sources = np.array([e.subject if e.subject in weights else e.source for e in cache.entries])
    present = {s: w for s, w in weights.items() if (sources == s).any()}
    return np.array([present[s] / (sources == s).sum() if s in present else 0.0 for s in sources]) / sum(
        present.values()
    )


def bias_field(size: int | tuple[int, ...], coefficients: tuple[float, ...]) -> np.ndarray:
    """Smooth positive factor of a shape (k, j, i) or an edge: the exponential of a polynomial of second degree."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in np.broadcast_to(size, 3)]
    terms = zip(axes, coefficients[:3], coefficients[3:])
    factors = [np.exp(a * x + b * x**2).astype(np.float32) for x, a, b in terms]
    return factors[0][:, None, None] * factors[1][None, :, None] * factors[2][None, None, :]


def add_rician_noise(voxels: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """Magnitude of the volume plus complex Gaussian noise of standard deviation `sigma` in each part."""
    noise = np.random.default_rng(seed).normal(0, sigma, (2, *voxels.shape)).astype(np.float32)
    return np.hypot(voxels + noise[0], noise[1])
