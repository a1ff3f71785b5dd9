"""Motion drawn anew for every sample: regions of still volumes, and their k-space shifted as a moving head shifts it.

A packed cache holds a few dozen scans with motion, which a network can learn by heart. Here every region of every still
volume moves otherwise each time. It is coarser than `simulation/motion.py`: a head that turns shifts both ends of the
region differently, and slices do not move through their plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from ..simulation.motion import residual_shift
from .cache import FOREGROUND, Cache
from .motion_patches import MotionSample
from .patches import ATTEMPTS, bias_field, source_probabilities

WAYS = ("lines", "spokes", "slices")
SPOKE_DEPTH = 48
"""Voxels of a region along the readout of spokes."""
PATCHES = 4
"""Samples that are cut from each region."""


@dataclass(frozen=True)
class DrawnMotionConfig:
    """Ranges from which motion is drawn.

    Args:
        size: edge of the patch in voxels.
        clean: share of regions without motion.
        largest: standard deviation of the shifts of a region: log-uniform between these [voxels].
        turning: share of regions of which both ends are shifted differently.
        noise: largest deviation of noise that is added [network units].
        gamma: standard deviation of the logarithm of the exponent of the intensities.
    """

    size: int = 64
    clean: float = 0.15
    largest: tuple[float, float] = (0.05, 2.5)
    turning: float = 0.5
    noise: float = 0.05
    gamma: float = 0.3


class DrawnMotionSampler:
    """Draws and makes samples; `sample(n)` always gives the same for the same n.

    Args:
        cache: packed pairs; the volumes without motion are used.
        weights: relative frequency of each subject or kind of source.
    """

    def __init__(
        self, cache: Cache, config: DrawnMotionConfig, *, seed: int, weights: dict[str, float] | None = None
    ) -> None:
        self.cache, self.config, self.seed = cache, config, seed
        probabilities = source_probabilities(cache, weights or {"real": 0.5, "simulated": 0.5})[::2]
        self._probabilities = probabilities / probabilities.sum()
        self._latest: tuple[int, tuple] | None = None

    def sample(self, number: int) -> MotionSample:
        moved, still, spacing = self._region(number // PATCHES)
        rng = np.random.default_rng([self.seed, 1, number])
        for _ in range(ATTEMPTS):
            part = self._part(still.shape, rng)
            if (still[part] > FOREGROUND).mean() > 0.2:
                break
        order = rng.permutation(3)
        flipped = [axis for axis in range(3) if rng.random() < 0.5]
        factor = np.float32(np.exp(rng.uniform(-0.3, 0.2)))
        if rng.random() < 0.4:
            factor = factor * bias_field(self.config.size, tuple(rng.normal(0, 0.1, 6)))
        made = [np.flip(self._whole(v[part]).transpose(order), flipped) * factor for v in (moved, still)]
        return MotionSample(*map(np.ascontiguousarray, made), 0.0, None, tuple(spacing[a] for a in order[::-1]))

    def _part(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, ...]:
        starts = [int(rng.integers(max(n - self.config.size, 0) + 1)) for n in shape]
        return tuple(slice(s, s + self.config.size) for s in starts)

    def _whole(self, block: np.ndarray) -> np.ndarray:
        """A cube, zero beyond the region."""
        cube = np.zeros((self.config.size,) * 3, dtype=np.float32)
        cube[tuple(slice(n) for n in block.shape)] = block
        return cube

    def _region(self, number: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        if self._latest is None or self._latest[0] != number:
            self._latest = number, self._made(np.random.default_rng([self.seed, 0, number]))
        return self._latest[1]

    def _made(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        config = self.config
        index = 2 * int(rng.choice(len(self._probabilities), p=self._probabilities)) + 1
        order, way = rng.permutation(3), str(rng.choice(WAYS))
        volume = np.asarray(self.cache.volume(index)).transpose(order)
        still = volume[_cut(volume, way, config.size, rng)].astype(np.float32) ** np.float32(
            np.exp(config.gamma * rng.standard_normal())
        )
        size = 0.0 if rng.random() < config.clean else float(np.exp(rng.uniform(*np.log(config.largest))))
        noise = float(rng.uniform(0, config.noise)) if rng.random() < 0.5 else 0.0
        scan = moved_region(still, way, size, rng, turning=rng.random() < config.turning)
        air = still > 0
        if noise:
            random = (rng.standard_normal((2, *still.shape), dtype=np.float32) * np.float32(noise)).view()
            scan, still = (np.hypot(v + random[0], random[1]) * air for v in (scan, still))
        spacing = tuple(self.cache.entries[index].extra["spacing_kji"][axis] for axis in order)
        return np.abs(scan) * air, still, spacing


def moved_region(still: np.ndarray, way: str, size: float, rng: np.random.Generator, *, turning: bool) -> np.ndarray:
    """A region as a scan of a moving head shows it, magnitude.

    Args:
        still: (n, m, l); lines lie along the first axis, spokes in the plane of the first two, slices across the first.
        way: one of `WAYS`.
        size: standard deviation of the shifts [voxels].
        turning: whether both ends along the longest axis that is not encoded are shifted differently.
    """
    if size == 0:
        return still
    times = _times(still.shape, way, rng)
    curve = drawn_curve(int(times.max()) + 1, rng)
    ends = [curve]
    if turning:
        other = drawn_curve(len(curve), rng) * rng.uniform(0, 0.7)
        ends = [curve + other, curve - other]
    scale = size / max(float(np.std([c - c.mean(axis=0) for c in ends])), 1e-6)
    axis = 2 if way != "lines" or still.shape[2] >= still.shape[1] else 1
    slope = np.linspace(0, 1, still.shape[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    weights = [slope, 1 - slope] if turning else [np.float32(1)]
    made = sum(_shifted(still * w, scale * c[times], way) for w, c in zip(weights, ends))
    rest = residual_shift(np.abs(made), still, still > FOREGROUND)  # nobody can see that the whole head lies elsewhere
    made = fft.ifftn(ndimage.fourier_shift(fft.fftn(made), -rest), overwrite_x=True)
    return np.abs(made).astype(np.float32)


def drawn_curve(number: int, rng: np.random.Generator) -> np.ndarray:
    """Shifts (number, 3) over time: wander, drift, steps and short excursions, in no unit."""
    curve = np.cumsum(rng.standard_normal((number, 3)), axis=0) / np.sqrt(number) * rng.uniform(0, 1)
    curve += np.linspace(0, 1, number)[:, None] * rng.standard_normal(3) * rng.uniform(0, 1)
    for _ in range(rng.integers(0, 4)):
        curve[rng.integers(number) :] += rng.standard_normal(3)
    for _ in range(rng.integers(0, 4)):
        start = int(rng.integers(number))
        curve[start : start + max(1, int(number * rng.uniform(0.01, 0.06)))] += 2 * rng.standard_normal(3)
    return curve * rng.uniform(0.1, 1, 3)


def _times(shape: tuple[int, ...], way: str, rng: np.random.Generator) -> np.ndarray:
    """When each sample of the first two axes (n, m) was acquired, as a number of the shot."""
    n, m = shape[:2]
    if way == "lines":
        line = fft.fftfreq(n, 1 / n)
        rank = np.argsort(np.argsort(np.abs(line) if rng.random() < 0.5 else line, kind="stable"), kind="stable")
        return np.repeat(rank[:, None], m, axis=1)
    if way == "spokes":
        shots = int(rng.integers(40, 160))
        angle = np.arctan2(fft.fftfreq(m)[None], fft.fftfreq(n)[:, None]) / (2 * np.pi) % 1
        place = rng.permutation(shots) if rng.random() < 0.5 else np.arange(shots)
        return place[np.minimum((angle * shots).astype(int), shots - 1)]
    shots = int(rng.integers(6, 24))
    line = np.round(fft.fftfreq(m, 1 / m)).astype(int)
    shot = line % shots if rng.random() < 0.5 else np.argsort(np.argsort(line)) * shots // m
    slices = np.arange(n) if rng.random() < 0.5 else np.argsort(np.argsort(np.arange(n) % 2, kind="stable"))
    return shot[None] * n + slices[:, None] if rng.random() < 0.7 else slices[:, None] * shots + shot[None]


def _shifted(image: np.ndarray, shifts: np.ndarray, way: str) -> np.ndarray:
    """The image (n, m, l) with each sample of its k-space shifted as the head lay then (n, m, 3); complex.

    Shifts count from their mean over the energy of edges.
    """
    axes = (1, 2) if way == "slices" else (0, 1, 2)
    first, second, third = (fft.fftfreq(n).astype(np.float32) for n in image.shape)
    spectrum = fft.fftn(image, axes=axes, workers=1)
    edges = np.einsum("nml,nml->nm", spectrum, spectrum.conj()).real
    edges *= second**2 + (0 if way == "slices" else first[:, None] ** 2)
    shifts = (shifts - np.average(shifts.reshape(-1, 3), axis=0, weights=edges.ravel())).astype(np.float32)
    phase = shifts[..., 1] * second[None] + (0 if way == "slices" else shifts[..., 0] * first[:, None])
    spectrum *= np.exp(-2j * np.pi * (phase[..., None] + shifts[..., 2, None] * third)).astype(np.complex64)
    return fft.ifftn(spectrum, axes=axes, overwrite_x=True, workers=1)


def _cut(volume: np.ndarray, way: str, size: int, rng: np.random.Generator) -> tuple[slice, ...]:
    """Where a region lies: axes that are encoded are whole, the others are cut around the head."""
    length = {"lines": (None, size, size), "spokes": (None, None, SPOKE_DEPTH), "slices": (size, None, size)}[way]
    head, parts = volume > FOREGROUND, []
    for axis, n in enumerate(length):
        if n is None or volume.shape[axis] <= n:
            parts.append(slice(None))
            continue
        profile = head.mean(axis=tuple(a for a in range(3) if a != axis)) + 1e-4
        middle = int(rng.choice(len(profile), p=profile / profile.sum()))
        start = int(np.clip(middle - n // 2, 0, volume.shape[axis] - n))
        parts.append(slice(start, start + n))
    return tuple(parts)
