"""Autofocus: poses of the head during a scan, found in the volume itself and undone in its k-space.

What a head that moves does to k-space depends on the order in which the sequence fills it: `view_groups.py` knows lines
(MPRAGE and the like) and spokes (reordered 3D turbo spin echo). `pose_search.py` finds how the head lay for each of
them. Neither the kind nor the axes are known: all are tried, and the best axis of each kind is looked at more closely.
That kind counts whose correction makes the edges of the volume fewest, by the entropy of its squared gradient (Atkinson
et al. 1997, McGee et al. 2000). If none makes them clearly fewer, the volume is left as it was. No weights are
involved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..progress import Progress, no_progress, part_of
from ..simulation.motion import effective_displacement, head_mask
from ..volume import Grid
from .features import edge_entropy
from .pose_search import RIGID, SHIFTS, WHOLE, PoseSearch
from .view_groups import Lines, Spokes

KINDS = {"lines": Lines, "spokes": Spokes}
Way = tuple[str, int]
"""Kind of the groups of samples, and array axis: phase encoding of lines, readout of spokes."""
SLAB = 96
"""Voxels to which a volume is cut along an axis that is not cut into groups while poses are looked for."""
SHORTEST = 24
"""An axis of fewer voxels is not looked along."""
DOUBTS = (20.0, 10.0)
"""See `BlockSamples.derivatives`: the first while kinds and axes are compared; of the best one both are tried."""
LAST_DOUBTS = {"lines": (10.0, 5.0, 5.0, 5.0), "spokes": (10.0,)}
"""Of the search for turns after that; the poses of that round count which makes the edges fewest."""
PART_MM = 60.0
"""An axis that is shorter is not divided into parts."""
PARTS = 2
FINAL_PARTS = {"lines": 3, "spokes": 2}
"""Into how many parts the others are divided while poses are looked for, and when they are undone."""
LEAST_FALL = {"lines": 9e-4, "spokes": 2e-4}
"""Fall of the entropy below which nothing is done, chosen on held-out pairs (`Benchmarks/motion_autofocus.py`)."""


@dataclass(frozen=True)
class FirstLook:
    """What the search for shifts saw in a volume, over all kinds and axes, whether or not it counts as motion.

    Args:
        fall: the largest fall of the entropy of the edges.
        second: the fall of the next best: where a head moved, one kind and axis stands out.
    """

    fall: float
    second: float

    def features(self) -> dict[str, float]:
        """As the estimate of severity takes it (`focused_severity.py`): spread evenly."""
        fall = float(np.sign(self.fall) * np.sqrt(1000 * abs(self.fall)))
        return {"focus_fall": fall, "focus_ahead": float(np.sqrt(1000 * max(self.fall - self.second, 0)))}


@dataclass(frozen=True, eq=False)
class AutofocusResult:
    """What autofocus found.

    Args:
        voxels: float32 (k, j, i); those of the input where nothing was found.
        kind: "lines", "spokes", or None where nothing was found.
        axis: array axis of the phase encoding of lines, or of the readout of spokes.
        shifts_mm: (groups, 3) [mm] along the array axes: what was undone.
        turns_deg: (groups,) [deg] angle of the turns that were undone.
        entropy_before, entropy_after: entropy of the edges of the volume.
        undone_mm: effective displacement between the volume before and after: how much of what shows was undone.
        look: what the search saw at first.
    """

    voxels: np.ndarray
    kind: str | None
    axis: int | None
    shifts_mm: np.ndarray
    turns_deg: np.ndarray
    entropy_before: float
    entropy_after: float
    undone_mm: float = 0.0
    look: FirstLook = FirstLook(0.0, 0.0)

    @property
    def found(self) -> bool:
        return self.kind is not None

    @property
    def fall(self) -> float:
        """By how much the entropy of the edges fell."""
        return self.entropy_before - self.entropy_after

    @property
    def way(self) -> Way | None:
        """Kind and axis that were found, if any."""
        return (self.kind, self.axis) if self.found else None

    def undoing(self, voxels: np.ndarray, grid: Grid) -> AutofocusResult:
        """The same with how much of what shows it undoes, where these were the voxels before."""
        return replace(self, undone_mm=effective_displacement(voxels, self.voxels, grid.spacing))

    def as_dict(self) -> dict[str, Any]:
        size = np.linalg.norm(self.shifts_mm, axis=1)
        return {
            "kind": self.kind,
            "axis_kji": self.axis,
            "shift_rms_mm": round(float(np.sqrt(np.mean(size**2))), 3),
            "shift_largest_mm": round(float(size.max(initial=0)), 3),
            "turn_largest_deg": round(float(self.turns_deg.max(initial=0)), 3),
            "undone_mm": round(self.undone_mm, 4),
            "entropy_before": round(self.entropy_before, 6),
            "entropy_after": round(self.entropy_after, 6),
            "look_fall": round(self.look.fall, 6),
            "look_second": round(self.look.second, 6),
        }


def autofocus(
    voxels: np.ndarray, grid: Grid, *, progress: Progress = no_progress, axes: tuple[int, ...] = (0, 1, 2)
) -> AutofocusResult:
    """The volume with the poses undone that make its edges fewest.

    Args:
        voxels: magnitude (k, j, i), in any unit.
        grid: of the volume; only its spacing counts.
        axes: array axes that are tried, as the phase encoding of lines and as the readout of spokes.
    """
    mask = head_mask(voxels)
    before = edge_entropy(voxels, mask)
    nothing = AutofocusResult(voxels, None, None, np.zeros((1, 3)), np.zeros(1), before, before)
    if not mask.any():
        return nothing
    spacing = np.array(grid.spacing[::-1])
    looked, look = _looked(voxels, mask, spacing, axes, part_of(progress, 0.0, 0.5))
    nothing = replace(nothing, look=look)
    for n, focus in enumerate(looked.values()):
        focus.refine(part_of(progress, 0.5 + 0.4 * n / len(looked), 0.5 + 0.4 * (n + 1) / len(looked)))
    best = max((f for f in looked.values() if f.fall > f.least_fall), key=lambda f: f.fall, default=None)
    if best is None:
        return nothing
    progress(0.9, "Autofocus: correcting")
    found = best.result(voxels, mask, before)
    if found.fall <= best.least_fall:
        return nothing
    return replace(found.undoing(voxels, grid), look=look)


def first_look(voxels: np.ndarray, grid: Grid, *, progress: Progress = no_progress) -> FirstLook:
    """What a search for shifts sees, without undoing anything; arguments as of `autofocus`."""
    mask = head_mask(voxels)
    if not mask.any():
        return FirstLook(0.0, 0.0)
    return _looked(voxels, mask, np.array(grid.spacing[::-1]), (0, 1, 2), progress)[1]


def _looked(
    voxels: np.ndarray, mask: np.ndarray, spacing: np.ndarray, axes: tuple[int, ...], progress: Progress
) -> tuple[dict[str, Focus], FirstLook]:
    """The best axis of each kind that makes the edges fewer, and what was seen of all."""
    ways = ways_of(voxels.shape, axes)
    best: dict[str, Focus] = {}
    falls = []
    for n, (kind, axis) in enumerate(ways):
        progress(n / len(ways), f"Autofocus: looking for {kind} ({n + 1} of {len(ways)})")
        focus = Focus(voxels, mask, spacing, kind, axis)
        falls.append(focus.look(DOUBTS[0]))
        if focus.fall > (best[kind].fall if kind in best else 0):
            best[kind] = focus
    first, second = [*sorted(falls, reverse=True), 0.0, 0.0][:2]
    return best, FirstLook(first, second)


def ways_of(shape: tuple[int, ...], axes: tuple[int, ...] = (0, 1, 2)) -> list[Way]:
    """Every kind along every axis that is long enough to be looked along."""
    return [(kind, axis) for kind in KINDS for axis in axes if _long_enough(shape, kind, axis)]


def _long_enough(shape: tuple[int, ...], kind: str, axis: int) -> bool:
    encoded = [axis] if kind == "lines" else [a for a in range(3) if a != axis]
    return min(shape[a] for a in encoded) >= SHORTEST


@dataclass(frozen=True, eq=False)
class Asked:
    """What a network asks for.

    Args:
        poses: (groups + 1, 6), see `PoseSearch`.
        change: mean square of what the network changes of the head.
        explained: logarithm of the likelihood of that change with the poses over that without any.
    """

    poses: np.ndarray
    change: float
    explained: float


class Focus:
    """The search for one kind of groups along one axis, on a slab of the volume, which is `part`."""

    def __init__(self, voxels: np.ndarray, mask: np.ndarray, spacing: np.ndarray, kind: str, axis: int) -> None:
        self.kind, self.axis = kind, axis
        others = [a for a in range(3) if a != axis]
        self._order = [axis, *others] if kind == "lines" else [*others, axis]
        self._spacing = spacing[self._order]
        self.part = part = slab(mask, axis, kind)
        self._start = np.array([s.start or 0 for s in part])[self._order]
        self._mask, self._voxels = self._turned(mask[part]), self._turned(voxels[part])
        groups = KINDS[kind](self._voxels.shape)
        self.search = PoseSearch(self._voxels, self._spacing, groups, fast=True)
        self._entropy = self._entropy_at_first = self.entropy_now()

    @property
    def fall(self) -> float:
        """By how much the entropy of the slab has fallen."""
        return self._entropy_at_first - self._entropy

    @property
    def least_fall(self) -> float:
        return LEAST_FALL[self.kind]

    def look(self, doubt: float) -> float:
        """Find shifts from nothing; those that were found before are kept if they make the edges fewer.

        Returns by how much the entropy falls with what was found now, also if it is not kept.
        """
        before, entropy = self.search.poses.copy(), self._entropy
        self.search.poses[:] = 0
        if self.kind == "lines":
            self.search.outward(doubt)
        self.search.refine(doubt)
        self._entropy = self.entropy_now()
        seen = self.fall
        if self._entropy >= entropy:
            self.search.poses, self._entropy = before, entropy
        return seen

    def refine(self, progress: Progress) -> None:
        """Look once more with less doubt, then for turns as well."""
        self.look(DOUBTS[1])
        self.search.anchor()
        self._entropy = self.entropy_now()
        shifts_alone = self.search
        self.divide()
        best, entropy = self.search.poses.copy(), self._entropy
        doubts = LAST_DOUBTS[self.kind]
        for n, doubt in enumerate(doubts):
            progress((n + 1) / (len(doubts) + 1), "Autofocus: looking for turns")
            self.search.refine(doubt, numbers=RIGID)
            self.search.anchor()
            self._entropy = self.entropy_now()
            if self._entropy < entropy:
                best, entropy = self.search.poses.copy(), self._entropy
        self.search.poses, self._entropy = best, entropy
        if not self.search.poses[:, SHIFTS:].any():
            self.search = shifts_alone

    def divide(self) -> None:
        """From now on see turns as well."""
        self.search = self._divided(self._voxels, PARTS, self.search.center, fast=True)

    def asked(self, correct: Callable[[np.ndarray], np.ndarray], severity_mm: float, doubt: float) -> Asked:
        """What a network asks for beyond the poses that are undone; see `PoseSearch.follow`.

        Args:
            correct: what the network makes of the slab (k, j, i).
        """
        back = np.argsort(self._order)
        seen = np.maximum(self.search.corrected(), 0)
        image = self._turned(correct(np.ascontiguousarray(seen.transpose(back))))
        search = self._divided(seen, PARTS, self.search.center, fast=True)
        search.poses[:] = 0
        explained = search.follow(image, severity_mm, doubt)
        return Asked(search.poses, float(np.mean((image - seen)[self._mask] ** 2)), explained)

    def _divided(self, voxels: np.ndarray, parts: int, center: np.ndarray, *, fast: bool = False) -> PoseSearch:
        lengths = np.array(voxels.shape) * self._spacing
        number = tuple(parts if length >= PART_MM else 1 for length in lengths)
        groups, poses = self.search.groups, self.search.poses
        return PoseSearch(voxels, self._spacing, groups, parts=number, center=center, poses=poses, fast=fast)

    def result(self, voxels: np.ndarray, mask: np.ndarray, before: float) -> AutofocusResult:
        """The whole volume with the poses undone, not below zero.

        Voxels of exactly zero, which are the surroundings of a stripped volume, stay so.
        """
        poses, back = self.search.poses, np.argsort(self._order)
        center = self.search.center + self._start
        if poses[:, SHIFTS:].any():
            whole = self._divided(self._turned(voxels), FINAL_PARTS[self.kind], center)
        else:
            whole = PoseSearch(self._turned(voxels), self._spacing, self.search.groups, parts=WHOLE, poses=poses)
        made = np.ascontiguousarray(np.maximum(whole.corrected(), 0).transpose(back)) * (voxels != 0)
        turns = np.linalg.norm(whole.turns_deg, axis=1)[:-1]
        after = edge_entropy(made, mask)
        return AutofocusResult(made, self.kind, self.axis, poses[:-1, :SHIFTS][:, back], turns, before, after)

    def _turned(self, voxels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(voxels.transpose(self._order))

    def entropy_now(self) -> float:
        return edge_entropy(np.maximum(self.search.corrected(), 0), self._mask)


def slab(mask: np.ndarray, axis: int, kind: str) -> tuple[slice, slice, slice]:
    """The middle of the head: `SLAB` voxels along an axis that is not cut into groups, everything of the others.

    That axis is the longer of those across lines, or the readout of spokes.
    """
    across = max((a for a in range(3) if a != axis), key=lambda a: mask.shape[a]) if kind == "lines" else axis
    size = mask.shape[across]
    profile = mask.sum(axis=tuple(a for a in range(3) if a != across))
    middle = round(float((profile * np.arange(size)).sum() / profile.sum()))
    start = int(np.clip(middle - SLAB // 2, 0, max(size - SLAB, 0)))
    return tuple(slice(start, start + SLAB) if a == across else slice(None) for a in range(3))
