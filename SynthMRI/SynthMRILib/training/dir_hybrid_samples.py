"""Patches for the hybrid network of synthetic DIR, cut from packed examinations (`dir_examinations.py`).

All degradation was drawn when they were packed. What is drawn here, from seed and sample number alone, is which subset
of the inputs, which examination, where, how the patch is turned, and what the dictionary fit did not know: a further
change of contrast. In some samples the fit is missing, so that the network learns to look at the contrasts themselves.
"""

from __future__ import annotations

import numpy as np

from ..dir_synthesis.network import FIRST_FIT_CHANNEL
from ..dir_synthesis.scaling import PLACES
from .dir_examinations import ExaminationCache, Examinations
from .dir_packing import INPUTS
from .dir_samples import SUBSETS, Sample, SampleConfig, toned, turned


class HybridSampler:
    """Draws and makes samples; `sample(n)` is always the same for the same n.

    Args:
        config: its size, share of lesions, share of real examinations, retone and fit_missing are used.
    """

    def __init__(self, cache: ExaminationCache | Examinations, config: SampleConfig, *, seed: int) -> None:
        self.cache = cache
        self.config = config
        self.seed = seed
        self._by_kind: dict[tuple[bool, tuple[str, ...]], list[int]] = {}
        for index, entry in enumerate(cache.entries):
            self._by_kind.setdefault((entry.source == "real", tuple(entry.extra["subset"])), []).append(index)

    @property
    def subsets(self) -> list[tuple[str, ...]]:
        """Subsets of the inputs that are packed."""
        return [s for s in SUBSETS if any(subset == s for _, subset in self._by_kind)]

    def sample(self, number: int, *, subset: tuple[str, ...] | None = None) -> Sample:
        """Sample `number`, with the inputs of `subset` instead of those drawn when it is given."""
        rng = np.random.default_rng([self.seed, number])
        index = self._index(rng, subset)
        start = self._start(rng, index)
        axes = tuple(int(a) for a in rng.permutation(3)) if rng.random() < 0.5 else (0, 1, 2)
        flips = tuple(bool(f) for f in rng.random(3) < 0.5)
        channels, target, maps = (turned(b, axes, flips) for b in self.cache.blocks(index, start, self.config.size))
        return Sample(self._changed(rng, channels), target, maps[:1], maps[1:])

    def batch(self, numbers: range) -> tuple[np.ndarray, ...]:
        """Stacked channels, targets, lesions and brains, each (n, c, s, s, s)."""
        samples = [self.sample(n) for n in numbers]
        return tuple(
            np.stack([getattr(s, name) for s in samples]) for name in ("channels", "target", "lesion", "brain")
        )

    def _index(self, rng: np.random.Generator, subset: tuple[str, ...] | None) -> int:
        real = rng.random() < self.config.real_share
        available = self.subsets
        shares = np.array([SUBSETS[s] for s in available])
        drawn = available[rng.choice(len(available), p=shares / shares.sum())]
        chosen = subset or drawn
        kinds = [self._by_kind.get((kind, chosen)) for kind in (real, not real)]
        return int(rng.choice(next(found for found in kinds if found)))

    def _changed(self, rng: np.random.Generator, channels: np.ndarray) -> np.ndarray:
        """Channels with another contrast in every input, and without the fit in some samples."""
        tones, missing = rng.standard_normal(len(INPUTS)), rng.random() < self.config.fit_missing
        changed = channels.copy()
        for n, role in enumerate(INPUTS):
            fluid, white = PLACES[role]
            tone = float(np.clip(self.config.retone * tones[n], -0.9, 0.9))
            changed[n] = white * toned(role, channels[n] / np.float32(white), fluid / white, tone)
        if missing:
            changed[FIRST_FIT_CHANNEL:] = 0
        return changed

    def _start(self, rng: np.random.Generator, index: int) -> tuple[int, ...]:
        size, lesions = self.config.size, self.cache.entries[index].extra["lesions"]
        middle = rng.uniform(0.15, 0.85, 3) * self.cache.shape(index)
        if lesions and rng.random() < self.config.lesion_share:
            jitter = rng.integers(-size // 4, size // 4 + 1, 3)
            middle = np.array(lesions[rng.integers(len(lesions))]["center_kji"]) + jitter
        return tuple(int(c) - size // 2 for c in middle)
