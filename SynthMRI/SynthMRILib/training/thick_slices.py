"""Pairs of thick and thin slices from a packed cache.

Slices are taken from a sharp patch under a box or a Gaussian profile, with or without a gap, at any offset; they are
then interpolated back as the product does it. Of acquired volumes only axes that were sharp when they were acquired
become the thick one: teaching a network to restore what was never there would teach it to blur.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..slice_profile import along_axis, profile_matrix
from ..through_plane.conditions import channels, conditions
from ..through_plane.resampling import distance_to_slices, splined
from .cache import FOREGROUND, Cache, Entry
from .patches import ATTEMPTS, PatchConfig, PatchRecord, PatchSampler, add_rician_noise


@dataclass(frozen=True)
class SliceConfig:
    """Ranges of the slices.

    Args:
        least, most: distance of slices in voxels of the sharp patch, drawn uniformly in its logarithm.
        gap: share of samples with a gap; largest_gap: of the distance of slices.
        gaussian: share of samples with a Gaussian profile; the others are boxes.
        sharp: contrasts of acquired volumes whose first axis is as sharp as the others, by subject.
    """

    least: float = 2.0
    most: float = 6.0
    gap: float = 0.3
    largest_gap: float = 0.3
    gaussian: float = 0.5
    sharp: tuple[tuple[str, str], ...] = (("patient07", "flair"),)


@dataclass(frozen=True)
class SliceRecord:
    """What was drawn for one sample.

    Args:
        patch: the sharp patch; its first axis is the thick one.
        spacing, thickness: of the slices [voxels of the patch]; start: center of the first one.
        kind: "box" or "gaussian".
    """

    patch: PatchRecord
    spacing: float
    thickness: float
    start: float
    kind: str


@dataclass(frozen=True)
class ThickSliceConfig:
    """Patches of 2 * (size + 4) voxels an edge, and their slices."""

    patches: PatchConfig = field(default_factory=PatchConfig)
    slices: SliceConfig = field(default_factory=SliceConfig)


class ThickSliceSampler(PatchSampler):
    """Draws and makes samples; `thick_sample(n)` always gives the same pair for the same n."""

    def __init__(self, cache: Cache, config: ThickSliceConfig, *, seed: int) -> None:
        super().__init__(cache, config.patches, seed=seed)
        self.slices = config.slices

    def batch(self, numbers: range) -> tuple[np.ndarray, np.ndarray]:
        """Stacked samples: what the network sees (n, 4, s, s, s) and the sharp patches (n, 1, s, s, s)."""
        inputs, targets = zip(*(self.thick_sample(n) for n in numbers))
        return np.stack(inputs), np.stack(targets)[:, None]

    def thick_sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (4, s, s, s) and target (s, s, s) of sample `number`, float32."""
        for attempt in range(ATTEMPTS):
            record = self.draw_slices(np.random.default_rng([self.seed, number, attempt]))
            target = self._high(record.patch)
            if (target > FOREGROUND).mean() > 0.2:
                break
        return thick_inputs(target, record), target

    def draw_slices(self, rng: np.random.Generator) -> SliceRecord:
        patch, slices = self.draw(rng), self.slices
        axes = sharp_first(patch.axes, self.cache.entries[patch.volume], slices, rng)
        patch = PatchRecord(**{**vars(patch), "axes": axes})
        spacing = float(np.exp(rng.uniform(np.log(slices.least), np.log(slices.most))))
        gap = float(rng.uniform(0, slices.largest_gap)) if rng.random() < slices.gap else 0.0
        kind = "gaussian" if rng.random() < slices.gaussian else "box"
        return SliceRecord(patch, spacing, spacing * (1 - gap), float(rng.uniform(0, spacing)), kind)


def sharp_first(
    axes: tuple[int, int, int], entry: Entry, slices: SliceConfig, rng: np.random.Generator
) -> tuple[int, int, int]:
    """The order of axes, changed where the first one was acquired in thick slices."""
    sharp = entry.source != "real" or (entry.subject, entry.contrast) in {tuple(s) for s in slices.sharp}
    if sharp or axes[0] != 0:
        return axes
    other = int(rng.integers(1, 3))
    return tuple(axes[n] for n in ((1, 0, 2) if other == 1 else (2, 1, 0)))


def thick_inputs(sharp: np.ndarray, record: SliceRecord) -> np.ndarray:
    """What the network sees of a sharp patch taken in thick slices along its first axis: float32 (4, k, j, i)."""
    size = sharp.shape[0]
    centers = np.arange(record.start, size - 0.5, record.spacing)
    matrix = profile_matrix(centers, record.thickness, size=size, kind=record.kind)
    thick = along_axis(sharp, matrix, 0)
    if record.patch.noise:
        thick = add_rician_noise(thick, record.patch.noise * record.patch.scale, record.patch.noise_seed)
    return seen_by_the_network(
        thick, (np.arange(size) - record.start) / record.spacing, record.spacing, record.thickness
    )


def seen_by_the_network(thick: np.ndarray, positions: np.ndarray, spacing: float, thickness: float) -> np.ndarray:
    """Thick slices interpolated to `positions` [slices] and the facts of the slices: float32 (4, k, j, i)."""
    volume = np.maximum(splined(thick, positions, axis=0), 0)
    seen = channels(volume, distance_to_slices(np.clip(positions, 0, thick.shape[0] - 1)))
    facts = [np.full_like(volume, value) for value in conditions(spacing, thickness)]
    return np.concatenate([seen, np.stack(facts)])
