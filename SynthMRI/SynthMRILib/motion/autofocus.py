"""Autofocus: shifts of the head during a scan, found in the volume itself and undone in its k-space.

In many 3D sequences (MPRAGE and the like) one shot acquires all of k-space with one frequency along one axis, so a head
that moves between shots displaces such planes of k-space, here called lines, against each other. `displaced_lines.py`
finds by how much. Along which axis the shots followed each other is not known: all three are tried, and the one counts
whose correction makes the edges of the volume fewest, by the entropy of its squared gradient (Atkinson et al. 1997,
McGee et al. 2000). If none makes them clearly fewer, the volume is left as it was. No weights are involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..progress import Progress, no_progress, part_of
from ..simulation.motion import head_mask
from ..volume import Grid
from .displaced_lines import DisplacedLines
from .features import edge_entropy

SLAB = 96
"""Voxels to which the longer one of the two other axes is cut while shifts are looked for."""
SHORTEST = 24
"""An axis of fewer lines is not looked along."""
DOUBTS = (20.0, 10.0)
"""See `DisplacedLines.outward`: the first while axes are compared; on the best axis both are tried."""
LAST_DOUBT, LAST_ROUNDS = 5.0, 2
"""Of the refinement after that, which goes on as long as the edges become fewer."""
LEAST_FALL = 9e-4
"""Fall of the entropy below which nothing is done: chosen on held-out pairs by `Benchmarks/motion_autofocus.py`."""


@dataclass(frozen=True, eq=False)
class AutofocusResult:
    """What autofocus found.

    Args:
        voxels: float32 (k, j, i); those of the input where nothing was found.
        axis: array axis along which the shots followed each other, or None where nothing was found.
        shifts_mm: (lines // 2 + 1, 3) [mm] along the array axes: what was undone, from the center of k-space outward.
        entropy_before, entropy_after: entropy of the edges of the volume.
    """

    voxels: np.ndarray
    axis: int | None
    shifts_mm: np.ndarray
    entropy_before: float
    entropy_after: float

    @property
    def found(self) -> bool:
        return self.axis is not None

    def as_dict(self) -> dict[str, Any]:
        size = np.linalg.norm(self.shifts_mm, axis=1)
        return {
            "axis_kji": self.axis,
            "shift_rms_mm": round(float(np.sqrt(np.mean(size**2))), 3),
            "shift_largest_mm": round(float(size.max(initial=0)), 3),
            "entropy_before": round(self.entropy_before, 6),
            "entropy_after": round(self.entropy_after, 6),
        }


def autofocus(
    voxels: np.ndarray, grid: Grid, *, progress: Progress = no_progress, axes: tuple[int, ...] = (0, 1, 2)
) -> AutofocusResult:
    """The volume with the shifts undone that make its edges fewest.

    Args:
        voxels: magnitude (k, j, i), in any unit.
        grid: of the volume; only its spacing counts.
        axes: array axes along which shots may have followed each other.
    """
    mask = head_mask(voxels)
    before = edge_entropy(voxels, mask)
    best = AutofocusResult(voxels, None, np.zeros((1, 3)), before, before)
    axes = tuple(axis for axis in axes if voxels.shape[axis] >= SHORTEST)
    if not mask.any() or not axes:
        return best
    tried = []
    for n, axis in enumerate(axes):
        progress(0.6 * n / len(axes), f"Autofocus: looking along axis {n + 1} of {len(axes)}")
        focus = _Focus(voxels, mask, axis)
        focus.look(DOUBTS[0])
        tried.append(focus)
    focus = max(tried, key=lambda f: f.fall)
    if focus.fall <= LEAST_FALL:
        return best
    focus.refine(part_of(progress, 0.6, 0.9))
    progress(0.9, "Autofocus: correcting")
    corrected, entropy = focus.corrected(voxels, mask)
    if before - entropy <= LEAST_FALL:
        return best
    return AutofocusResult(corrected, focus.axis, focus.shifts_mm(grid), before, entropy)


class _Focus:
    """The search along one axis, on a slab of the volume."""

    def __init__(self, voxels: np.ndarray, mask: np.ndarray, axis: int) -> None:
        self.axis = axis
        part = slab(mask, axis)
        self._mask = self._turned(mask[part])
        self.lines = DisplacedLines(self._turned(voxels[part]))
        self._entropy = self._start = self._entropy_now()

    @property
    def fall(self) -> float:
        """By how much the entropy of the slab has fallen."""
        return self._start - self._entropy

    def look(self, doubt: float) -> None:
        """Find the shifts from nothing; those that were found before are kept if they make the edges fewer."""
        before, entropy = self.lines.shifts.copy(), self._entropy
        self.lines.shifts[:] = 0
        self.lines.outward(doubt)
        self.lines.refine(doubt)
        self._keep_better(before, entropy)

    def refine(self, progress: Progress) -> None:
        """Look once more with less doubt, then improve what is there."""
        self.look(DOUBTS[1])
        for n in range(LAST_ROUNDS):
            progress((n + 1) / (LAST_ROUNDS + 1), "Autofocus: refining")
            before, entropy = self.lines.shifts.copy(), self._entropy
            self.lines.refine(LAST_DOUBT)
            if not self._keep_better(before, entropy):
                return

    def _keep_better(self, before: np.ndarray, entropy: float) -> bool:
        """Whether the present shifts make the edges fewer; if not, the earlier ones are put back."""
        self._entropy = self._entropy_now()
        if self._entropy < entropy:
            return True
        self.lines.shifts, self._entropy = before, entropy
        return False

    def corrected(self, voxels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
        """The whole volume with the shifts undone, not below zero, and its entropy.

        Voxels of exactly zero, which are the surroundings of a stripped volume, stay so.
        """
        made = DisplacedLines(self._turned(voxels), shifts=self.lines.shifts).corrected()
        made = np.ascontiguousarray(np.moveaxis(np.maximum(made, 0), 0, self.axis)) * (voxels != 0)
        return made, edge_entropy(made, mask)

    def shifts_mm(self, grid: Grid) -> np.ndarray:
        order = [self.axis, *(a for a in range(3) if a != self.axis)]
        return self.lines.shifts[:, np.argsort(order)] * np.array(grid.spacing[::-1])

    def _turned(self, voxels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(voxels, self.axis, 0))

    def _entropy_now(self) -> float:
        return edge_entropy(np.maximum(self.lines.corrected(), 0), self._mask)


def slab(mask: np.ndarray, axis: int) -> tuple[slice, slice, slice]:
    """The middle of the head: `SLAB` voxels of the longer one of the other two axes, everything of the others."""
    across = max((a for a in range(3) if a != axis), key=lambda a: mask.shape[a])
    size = mask.shape[across]
    profile = mask.sum(axis=tuple(a for a in range(3) if a != across))
    middle = round(float((profile * np.arange(size)).sum() / profile.sum()))
    start = int(np.clip(middle - SLAB // 2, 0, max(size - SLAB, 0)))
    return tuple(slice(start, start + SLAB) if a == across else slice(None) for a in range(3))
