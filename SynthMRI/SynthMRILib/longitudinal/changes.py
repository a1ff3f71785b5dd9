"""From two matched visits to a difference, a z-map and candidates of lesion change.

A difference is only worth as much as it is larger than what noise and imperfect registration give; near edges that is
more. So the deviation of the difference is estimated as a function of the local gradient, from the brain itself, and
z is the difference over it. Candidates are parts of the z-map above a threshold with hysteresis. Where slices are
thick, the other visit may show the same intensity up to half a slice away; only what lies beyond its range counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import ndimage

from ..volume import Grid

NEW, ENLARGING, SHRINKING, RESOLVED = KINDS = ("new", "enlarging", "shrinking", "resolved")
#: Larger z than this do not count more when the local variation is taken.
CLIPPED_Z = 3.0
#: Between real visits z has a median energy of about 1. One far below comes from visits that differ by less than the
#: 1 % that `expected_deviation` assumes at least, and would make a lesion the only thing that varies.
LEAST_ENERGY = 0.1
CONNECTED = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class ChangeRule:
    """What counts as a candidate.

    Args:
        smoothing_mm: Gaussian blur of the difference before z is taken.
        seed_z, grow_z: a candidate has a voxel beyond the first and reaches as far as the second, but never below half
            of its own height.
        least_mm3: smallest candidate.
        rim_mm: distance from the brain's border within which nothing counts.
        field_mm: Gaussian width of the smooth ratio by which intensities are matched.
        local_mm: Gaussian width within which a higher variation of z raises the bar.
        bright: a lesion is brighter than the brain's median by this many robust deviations.
        least_step: smallest change of intensity beyond the range that the other visit has within reach (half of the
            thickest slice), mean over the candidate, in units of the brain's median.
    """

    smoothing_mm: float = 0.8
    seed_z: float = 4.5
    grow_z: float = 2.5
    least_mm3: float = 10.0
    rim_mm: float = 3.0
    field_mm: float = 15.0
    local_mm: float = 8.0
    bright: float = 1.0
    least_step: float = 0.1

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Candidate:
    """One candidate of change.

    Args:
        kind: one of KINDS; position: center of mass, RAS [mm]; volume_mm3: of the part that changed.
        mean_z, largest_z: over that part, with the sign of the change.
        before, after: mean intensity there, in units of the brain's median.
    """

    kind: str
    position: tuple[float, float, float]
    volume_mm3: float
    mean_z: float
    largest_z: float
    before: float
    after: float

    def as_row(self, number: int) -> dict[str, Any]:
        names = dict(zip(("R_mm", "A_mm", "S_mm"), (round(p, 1) for p in self.position)))
        figures = {name: round(getattr(self, name), 3) for name in ("mean_z", "largest_z", "before", "after")}
        return {"number": number, "kind": self.kind, **names, "volume_mm3": round(self.volume_mm3, 1), **figures}


@dataclass(frozen=True, eq=False)
class Changes:
    """What differs between two visits; arrays (k, j, i).

    Args:
        before, after: matched intensities, the brain's median is 1; zero outside of the brain.
        difference: after - before; z: over its expected deviation.
        labels: int16, number of the candidate or 0.
        candidates: in the order of their numbers from 1.
    """

    before: np.ndarray
    after: np.ndarray
    difference: np.ndarray
    z: np.ndarray
    labels: np.ndarray
    candidates: list[Candidate]


def find_changes(
    first: np.ndarray,
    second: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    rule: ChangeRule | None = None,
    *,
    reach_mm: float = 0.0,
) -> Changes:
    """Compare two visits in one space.

    Args:
        first, second: intensities (k, j, i) of one contrast.
        brain: where both have data, boolean (k, j, i).
        reach_mm: how far slices of the visits may put the same tissue apart; half of the thickest slice.
    """
    rule = rule or ChangeRule()
    before, after = matched(first, second, brain, grid, field_mm=rule.field_mm)
    difference = np.where(brain, after - before, 0).astype(np.float32)
    smooth = inside_blur(difference, brain, grid, sigma_mm=rule.smoothing_mm)
    z = np.where(brain, smooth / expected_deviation(before, after, smooth, brain, grid), 0).astype(np.float32)
    z /= local_excess(z, brain, grid, sigma_mm=rule.local_mm)
    beyond = beyond_range(before, after, brain, grid, rule.smoothing_mm, reach_mm)
    labels, candidates = find_candidates(before, after, z, beyond, brain, grid, rule)
    return Changes(before, after, difference, z, labels, candidates)


def matched(
    first: np.ndarray, second: np.ndarray, brain: np.ndarray, grid: Grid, *, field_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both visits with the brain's median at 1 and without the smooth part of their ratio, shared evenly."""
    before, after = (np.where(brain, v / max(float(np.median(v[brain])), 1e-9), 0) for v in (first, second))
    usable = brain & (before > 0.2) & (after > 0.2)
    ratio = np.where(usable, np.log(np.maximum(after, 1e-6) / np.maximum(before, 1e-6)), 0)
    # What has changed much is not what bias looks like, and must not pull the field along.
    spread = 1.4826 * np.median(np.abs(ratio[usable])) if usable.any() else 0.0
    usable &= np.abs(ratio) <= 3 * spread + 1e-6
    field = inside_blur(np.where(usable, ratio, 0).astype(np.float32), usable, grid, sigma_mm=field_mm, fill=True)
    half = np.exp(0.5 * field)
    return (before * half).astype(np.float32), (after / half).astype(np.float32)


def inside_blur(voxels: np.ndarray, mask: np.ndarray, grid: Grid, *, sigma_mm: float, fill: bool = False) -> np.ndarray:
    """Gaussian blur that takes values from the mask alone; zero outside of it unless `fill`."""
    sigma = [sigma_mm / s for s in grid.spacing[::-1]]
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(np.where(mask, voxels, 0).astype(np.float32), sigma) / np.maximum(weight, 1e-3)
    return blurred if fill else np.where(mask, blurred, 0)


def expected_deviation(
    before: np.ndarray, after: np.ndarray, difference: np.ndarray, brain: np.ndarray, grid: Grid, *, bins: int = 12
) -> np.ndarray:
    """Deviation of the difference without change, from the gradient: float32 (k, j, i), never below 1 % of the brain.

    In each of `bins` equal shares of the brain by gradient, the robust deviation of the difference; in between linear.
    """
    slope = ndimage.gaussian_gradient_magnitude((before + after) / 2, [1.0 / s for s in grid.spacing[::-1]])
    values, steps = slope[brain], np.abs(difference[brain])
    edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    middles, deviations = [], []
    for low, high in pairwise(edges):
        chosen = (values >= low) & (values <= high)
        middles.append(float(np.median(values[chosen])))
        deviations.append(1.4826 * float(np.median(steps[chosen])))
    deviations = np.maximum.accumulate(np.maximum(deviations, 0.01))
    return np.interp(slope, middles, deviations).astype(np.float32)


def local_excess(z: np.ndarray, brain: np.ndarray, grid: Grid, *, sigma_mm: float) -> np.ndarray:
    """By how much z varies more around a voxel than in most of the brain, at least 1; float32 (k, j, i).

    Where slices of both visits average other anatomy, every edge differs; one lesion does not raise it, because large
    values count no more than CLIPPED_Z. Where visits are nearly equal z varies less in most of the brain than noise
    would, and a lesion is not held against that.
    """
    energy = inside_blur(np.minimum(np.abs(z), CLIPPED_Z) ** 2, brain, grid, sigma_mm=sigma_mm)
    usual = max(float(np.median(energy[brain])), LEAST_ENERGY)
    return np.sqrt(np.maximum(energy / usual, 1)).astype(np.float32)


def beyond_range(
    before: np.ndarray, after: np.ndarray, brain: np.ndarray, grid: Grid, sigma_mm: float, reach_mm: float
) -> np.ndarray:
    """By how much the brighter visit exceeds all that the other one shows within reach, never negative (k, j, i).

    Without a reach of a voxel it is the plain difference.
    """
    index = [np.arange(-int(reach_mm // s), int(reach_mm // s) + 1) * s for s in grid.spacing[::-1]]
    ball = sum(axis**2 for axis in np.meshgrid(*index, indexing="ij", sparse=True)) <= reach_mm**2
    if ball.size == 1:
        return np.abs(after - before)
    smooth = [inside_blur(visit, brain, grid, sigma_mm=sigma_mm) for visit in (before, after)]
    highest = [ndimage.maximum_filter(visit, footprint=ball) for visit in smooth]
    return np.maximum(0, np.maximum(smooth[1] - highest[0], smooth[0] - highest[1]))


def find_candidates(
    before: np.ndarray,
    after: np.ndarray,
    z: np.ndarray,
    step: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    rule: ChangeRule,
) -> tuple[np.ndarray, list[Candidate]]:
    """Numbered label map and candidates, largest first; `step` is that of `beyond_range`."""
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=grid.spacing[::-1])[1:-1, 1:-1, 1:-1]
    inside = depth > rule.rim_mm
    limit = 1 + rule.bright * robust_deviation(np.minimum(before, after)[brain])
    found = []
    for sign, brighter in ((1, after), (-1, before)):
        grown, _ = ndimage.label(inside & (sign * z > rule.grow_z), structure=CONNECTED)
        for number, box in enumerate(ndimage.find_objects(grown), start=1):
            part = _steep(grown[box] == number, sign * z[box])
            if _counts(part, box, sign * z, brighter, step, limit, grid, rule):
                found.append((sign, box, part))
    found.sort(key=lambda item: -np.count_nonzero(item[2]))
    labels = np.zeros(brain.shape, dtype=np.int16)
    candidates = []
    for number, (sign, box, part) in enumerate(found, start=1):
        labels[box][part] = number
        candidates.append(_candidate(sign, box, part, (before, after), z, grid, limit))
    return labels, candidates


def _steep(part: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The part of a component above half of its height, which is where the border of a blurred change lies."""
    return part & (z >= 0.5 * np.percentile(z[part], 90))


def _counts(part, box, z, brighter, step, limit: float, grid: Grid, rule: ChangeRule) -> bool:
    return (
        np.count_nonzero(part) * float(np.prod(grid.spacing)) >= rule.least_mm3
        and z[box][part].max() > rule.seed_z
        and brighter[box][part].mean() > limit
        and step[box][part].mean() > rule.least_step
    )


def _candidate(sign: int, box, part: np.ndarray, visits, z: np.ndarray, grid: Grid, limit: float) -> Candidate:
    voxels = np.argwhere(part) + [s.start for s in box]
    position = grid.index_to_ras(voxels.mean(axis=0)[::-1])
    before, after = (float(visit[box][part].mean()) for visit in visits)
    values = z[box][part]
    middle = max(limit, (1 + max(before, after)) / 2)
    there = _bright_nearby(part, box, visits[0 if sign > 0 else 1], middle, grid)
    kind = (ENLARGING if there else NEW) if sign > 0 else (SHRINKING if there else RESOLVED)
    volume = len(voxels) * float(np.prod(grid.spacing))
    largest = float(values.max() if sign > 0 else values.min())
    place = tuple(float(p) for p in position)
    return Candidate(kind, place, volume, float(values.mean()), largest, before, after)


def _bright_nearby(part: np.ndarray, box, darker: np.ndarray, limit: float, grid: Grid) -> bool:
    """Whether the visit that is darker shows a lesion in or around the part: voxels above the limit, 10 mm3 or more."""
    wide = tuple(slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(box, darker.shape))
    around = np.zeros(darker[wide].shape, dtype=bool)
    around[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide))] = part
    around = ndimage.binary_dilation(around, iterations=2)
    return np.count_nonzero(around & (darker[wide] > limit)) * float(np.prod(grid.spacing)) >= 10.0


def robust_deviation(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
