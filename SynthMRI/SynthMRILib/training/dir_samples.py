"""Patches for synthetic DIR: clean simulated contrasts made to look as they come from scanners and stripping tools.

What is drawn is drawn first, from a generator that depends on seed and sample number alone. Inputs are then corrupted
(tone, fluid that flows, bias, resolution, misregistration, noise), stripped and scaled just as the task scales its
inputs, with landmarks as inexact as a tissue fit's. Any non-empty subset of the inputs may be left (modality dropout).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ..dir_synthesis.scaling import ContrastScale
from ..simulation.fields import smooth_field
from .dir_packing import INPUTS, MAPS, VOLUMES, HeadCache, strip_mask, unpacked_depth
from .patches import bias_field

MARGIN = 4
#: What stripping left farther outside of the pia than this (dura, vessels, marrow) is black in the target [mm].
REMNANTS_MM = 1.5
#: Subsets of (FLAIR, T1w, T2w) and how often each is what a sample has.
SUBSETS: dict[tuple[str, ...], float] = {
    ("flair", "t1", "t2"): 0.30,
    ("flair", "t1"): 0.22,
    ("flair", "t2"): 0.12,
    ("flair",): 0.13,
    ("t1", "t2"): 0.10,
    ("t1",): 0.07,
    ("t2",): 0.06,
}


@dataclass(frozen=True)
class SampleConfig:
    """Ranges from which samples are drawn.

    Args:
        size: edge of a patch [voxels of 1 mm].
        lesion_share: share of patches centered on a lesion, where the head has any.
        noise: largest standard deviation of noise by input, in units of its white matter.
        noise_free: share of inputs without added noise.
        thick_share: share of inputs with thick slices (T1w and T2w; of FLAIR half as many).
        shift_mm: largest misregistration of T1w and T2w along each axis [mm].
        tone: range of the change of contrast by input, see `toned`.
        bias: standard deviation of the coefficients of the logarithm of the bias field.
        flow: largest brightening of fluid in FLAIR, in units of white matter.
        landmark_error: standard deviation of the logarithm of the landmark of fluid; that of white matter a fifth.
        real_share: share of patches of real examinations, where the cache has any (see `dir_real.py`).
        real_corruption: factor on noise and tone there, where the inputs bring their own.
        retone: of packed examinations, standard deviation of a further tone that the dictionary fit does not know.
        fit_missing: of packed examinations, share of samples without the dictionary fit.
    """

    size: int = 32
    lesion_share: float = 0.45
    noise: tuple[float, float, float] = (0.09, 0.06, 0.10)
    noise_free: float = 0.15
    thick_share: float = 0.6
    shift_mm: float = 0.5
    tone: tuple[tuple[float, float], ...] = ((-0.7, 0.15), (-0.3, 0.8), (-0.9, 0.2))
    bias: float = 0.05
    flow: float = 0.35
    landmark_error: float = 0.12
    real_share: float = 0.0
    real_corruption: float = 0.5
    retone: float = 0.0
    fit_missing: float = 0.0


@dataclass(frozen=True)
class InputRecord:
    """What was drawn for one input.

    Args:
        tone: change of contrast; flow: brightening of fluid; bias: coefficients (3 linear, 3 quadratic).
        blur: standard deviation along each axis [voxels]; shift: misregistration along each axis [voxels].
        stripped_first: the volume was stripped before it was interpolated, so that its rim fades.
        noise: standard deviation; grain: blur of the noisy volume [voxels].
        landmark_errors: factors on the landmarks of fluid and white matter.
        seed: of flow and noise.
    """

    tone: float
    flow: float
    bias: tuple[float, ...]
    blur: tuple[float, ...]
    shift: tuple[float, ...]
    stripped_first: bool
    noise: float
    grain: float
    landmark_errors: tuple[float, float]
    seed: int


@dataclass(frozen=True)
class SampleRecord:
    """What was drawn for one sample.

    Args:
        head: index in the cache; center: middle of the patch [voxels], (k, j, i).
        axes: order of the axes; flips: axes that are reversed.
        strip: mean distance [mm] of the stripped border from the pia, and its spread; strip_seed: of its course.
        subset: inputs that are given.
        inputs: by role.
    """

    head: int
    center: tuple[int, int, int]
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    strip: tuple[float, float]
    strip_seed: int
    subset: tuple[str, ...]
    inputs: dict[str, InputRecord]


@dataclass(frozen=True, eq=False)
class Sample:
    """Arrays of one sample: channels (6, s, s, s), target, lesion and brain (1, s, s, s), float32."""

    channels: np.ndarray
    target: np.ndarray
    lesion: np.ndarray
    brain: np.ndarray


class DirSampler:
    """Draws and makes samples; `sample(n)` is always the same for the same n."""

    def __init__(self, cache: HeadCache, config: SampleConfig, *, seed: int) -> None:
        self.cache = cache
        self.config = config
        self.seed = seed
        self._real = [n for n, entry in enumerate(cache.entries) if entry.source == "real"]
        self._simulated = [n for n in range(len(cache)) if n not in self._real]

    @property
    def subsets(self) -> list[tuple[str, ...]]:
        """Subsets of the inputs that samples can have."""
        return list(SUBSETS)

    def sample(self, number: int, *, subset: tuple[str, ...] | None = None) -> Sample:
        """Sample `number`, with the inputs of `subset` instead of those drawn when it is given."""
        record = self.draw(np.random.default_rng([self.seed, number]))
        return self.make(record, subset or record.subset)

    def batch(self, numbers: range) -> tuple[np.ndarray, ...]:
        """Stacked channels, targets, lesions and brains, each (n, c, s, s, s)."""
        samples = [self.sample(n) for n in numbers]
        return tuple(
            np.stack([getattr(s, name) for s in samples]) for name in ("channels", "target", "lesion", "brain")
        )

    def draw(self, rng: np.random.Generator) -> SampleRecord:
        head = self._head(rng)
        thick_axis = 0 if rng.random() < 0.7 else int(rng.integers(3))
        return SampleRecord(
            head=head,
            center=self._center(rng, head),
            axes=tuple(int(a) for a in rng.permutation(3)) if rng.random() < 0.5 else (0, 1, 2),
            flips=tuple(bool(f) for f in rng.random(3) < 0.5),
            strip=(float(rng.uniform(-0.7, 4.0)), float(rng.uniform(0.0, 1.5))),
            strip_seed=int(rng.integers(2**31)),
            subset=list(SUBSETS)[rng.choice(len(SUBSETS), p=list(SUBSETS.values()))],
            inputs={role: self._input(rng, role, thick_axis, head) for role in INPUTS},
        )

    def _head(self, rng: np.random.Generator) -> int:
        real = bool(self._real) and (not self._simulated or rng.random() < self.config.real_share)
        return int(rng.choice(self._real if real else self._simulated))

    def _input(self, rng: np.random.Generator, role: str, thick_axis: int, head: int) -> InputRecord:
        drawn = draw_input(rng, role, thick_axis, self.config)
        factor = self.config.real_corruption if head in self._real else 1.0
        return replace(drawn, noise=factor * drawn.noise, tone=factor * drawn.tone)

    def _center(self, rng: np.random.Generator, head: int) -> tuple[int, int, int]:
        lesions = self.cache.entries[head].extra["lesions"]
        if lesions and rng.random() < self.config.lesion_share:
            middle = np.array(lesions[rng.integers(len(lesions))]["center_kji"])
            jitter = rng.integers(-self.config.size // 4, self.config.size // 4 + 1, 3)
            return tuple(int(c) for c in middle + jitter)
        return tuple(int(c) for c in rng.uniform(0.15, 0.85, 3) * self.cache.shape(head))

    def make(self, record: SampleRecord, subset: tuple[str, ...]) -> Sample:
        """The sample of a record."""
        size = self.config.size + 2 * MARGIN
        volumes, maps = self.cache.blocks(record.head, tuple(c - size // 2 for c in record.center), size)
        volumes, maps = (turned(array, record.axes, record.flips) for array in (volumes, maps))
        depth = unpacked_depth(maps[MAPS.index("depth")])
        rng = np.random.default_rng(record.strip_seed)
        brain = strip_mask(depth, rng, mean_mm=record.strip[0], spread_mm=record.strip[1])
        fluid = maps[MAPS.index("fluid")].astype(np.float32) / 255
        landmarks = self.cache.entries[record.head].extra["landmarks"]
        channels = np.zeros((2 * len(INPUTS), *brain.shape), dtype=np.float32)
        for n, role in enumerate(INPUTS):
            if role in subset:
                drawn = record.inputs[role]
                scale = scale_of(role, drawn, landmarks[role])
                toned_volume = toned(role, volumes[n], landmarks[role]["fluid"], drawn.tone)
                channels[n] = corrupted(toned_volume, brain, fluid, drawn, scale)
                channels[len(INPUTS) + n] = brain
        inner = (slice(None), *(slice(MARGIN, -MARGIN),) * 3)
        target = np.where(depth < REMNANTS_MM, volumes[VOLUMES.index("dir")], 0)
        parts = (target * brain, (maps[MAPS.index("lesion")] > 0) & brain, brain)
        return Sample(channels[inner], *(part[None][inner].astype(np.float32) for part in parts))


def draw_input(rng: np.random.Generator, role: str, thick_axis: int, config: SampleConfig) -> InputRecord:
    """What happens to one input; `thick_axis` is the axis across thick slices where it has them."""
    flair = role == "flair"
    blur = rng.uniform(0.0, 0.5, 3)
    if rng.random() < config.thick_share * (0.5 if flair else 1.0):
        blur[thick_axis] = rng.uniform(0.6, 1.6)
    return InputRecord(
        tone=float(rng.uniform(*config.tone[INPUTS.index(role)])),
        flow=float(rng.uniform(0, config.flow if flair else 0.3 * config.flow)) if rng.random() < 0.4 else 0.0,
        bias=tuple(rng.normal(0, config.bias, 6).tolist()) if rng.random() < 0.7 else (0.0,) * 6,
        blur=tuple(blur.tolist()),
        shift=(0.0,) * 3 if flair else tuple(rng.uniform(-config.shift_mm, config.shift_mm, 3).tolist()),
        stripped_first=bool(rng.random() < 0.5),
        noise=0.0 if rng.random() < config.noise_free else float(rng.uniform(0, config.noise[INPUTS.index(role)])),
        grain=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.5 else 0.0,
        landmark_errors=(
            float(np.exp(config.landmark_error * rng.standard_normal())),
            float(np.exp(0.2 * config.landmark_error * rng.standard_normal())),
        ),
        seed=int(rng.integers(2**31)),
    )


def turned(array: np.ndarray, axes: tuple[int, ...], flips: tuple[bool, ...]) -> np.ndarray:
    """Channels (c, k, j, i) with their spatial axes permuted and reversed."""
    moved = array.transpose(0, *(a + 1 for a in axes))
    return np.ascontiguousarray(np.flip(moved, [a + 1 for a in range(3) if flips[a]]))


def scale_of(role: str, drawn: InputRecord, landmarks: dict[str, Any]) -> ContrastScale:
    """The scale that an inexact tissue fit would find."""
    return ContrastScale(role, landmarks["fluid"] * drawn.landmark_errors[0], drawn.landmark_errors[1])


def toned(role: str, clean: np.ndarray, fluid: float, tone: float) -> np.ndarray:
    """Another contrast with fluid and white matter (1) where they are; monotone for tones between -1 and 1.

    Real gray matter and lesions lie elsewhere between the two than signal equations say, by magnetization transfer,
    blur and unknown timing. T1w and T2w: u + tone u (1 - u), where u goes from 0 in the darker to 1 in the brighter of
    both tissues. FLAIR: what is brighter than white matter is raised to the power exp(tone).

    Args:
        clean: signal in units of white matter; fluid: that of cerebrospinal fluid.
    """
    if role == "flair":
        return np.where(clean > 1, np.maximum(clean, 1) ** np.float32(np.exp(tone)), clean)
    u = (clean - np.float32(fluid)) / np.float32(1 - fluid) if role == "t1" else (clean - 1) / np.float32(fluid - 1)
    bump = np.float32(tone) * np.clip(u, 0, 1) * (1 - np.clip(u, 0, 1))
    return clean + bump * np.float32(abs(1 - fluid))


def corrupted(
    clean: np.ndarray, brain: np.ndarray, fluid: np.ndarray, drawn: InputRecord, scale: ContrastScale
) -> np.ndarray:
    """An input in network units, float32 (k, j, i), zero outside of the brain; arguments as for `degraded`."""
    return scale.apply(degraded(clean, brain, fluid, drawn)) * brain


def degraded(clean: np.ndarray, brain: np.ndarray, fluid: np.ndarray, drawn: InputRecord) -> np.ndarray:
    """What a scanner would have given, float32 (k, j, i) in units of white matter.

    Args:
        clean: noise-free signal in units of white matter.
        brain: what stripping left; fluid: share of fluid in each voxel.
    """
    rng = np.random.default_rng(drawn.seed)
    voxels = clean
    if drawn.flow > 0:
        field = np.maximum(smooth_field(clean.shape, rng, length=12.0, order=1), 0)
        voxels = voxels + np.float32(drawn.flow) * field * fluid
    if any(drawn.bias):
        voxels = voxels * bias_field(clean.shape, drawn.bias)
    if drawn.stripped_first:
        voxels = voxels * brain
    voxels = blurred(voxels, drawn.blur)
    voxels = shifted(voxels, drawn.shift)
    if drawn.noise > 0:
        noise = np.float32(drawn.noise) * rng.standard_normal((2, *clean.shape), dtype=np.float32)
        voxels = np.hypot(voxels + noise[0], noise[1])
    return blurred(voxels, (drawn.grain,) * 3).astype(np.float32)


def blurred(voxels: np.ndarray, sigmas: tuple[float, ...]) -> np.ndarray:
    """Gaussian blur along each axis; less than a fifth of a voxel does nothing."""
    for axis, sigma in enumerate(sigmas):
        if sigma >= 0.2:
            voxels = ndimage.gaussian_filter1d(voxels, sigma, axis=axis, truncate=2.5, mode="nearest")
    return voxels


def shifted(voxels: np.ndarray, shift: tuple[float, ...]) -> np.ndarray:
    """The volume moved by less than a voxel along each axis, by linear interpolation."""
    for axis, part in enumerate(shift):
        if part:
            neighbor = np.roll(voxels, 1 if part > 0 else -1, axis=axis)
            voxels = (1 - abs(part)) * voxels + abs(part) * neighbor
    return voxels.astype(np.float32)
