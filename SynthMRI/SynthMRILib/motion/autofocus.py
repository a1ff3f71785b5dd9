"""Autofocus: a few dominant poses found by making the edges of the volume as few as possible, and undone in k-space.

After Atkinson et al. (1997) and McGee et al. (2000): of all rigid motions of a part of k-space, the true one gives the
image of least gradient entropy. A magnitude volume has lost the phase that tells one half of k-space from the other,
so a part here is a band of frequencies of both signs along one axis: what a scan acquires late when it starts at the
center (centric order). The center stays; bands further out each get a pose. Motion of other orders is not of this form:
then entropy hardly falls, and the volume is left as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, optimize

from ..progress import Progress, part_of
from ..simulation.moving_k_space import KSpaceSampler, index_motion
from ..simulation.rigid import head_pivot
from ..volume import Grid
from .features import gradient_entropy

EDGES = (0.06, 0.16, 0.3, 0.5)
"""Borders of the bands [cycles a voxel]; below the first lies the center, which keeps its pose."""
MARGIN = 0.03
"""How far beyond its borders a turned band is looked for [cycles a voxel]."""
SMALL = 96
"""Voxels to which the two axes across the bands are reduced while poses are searched."""
LARGEST = np.array([4.0, 4.0, 4.0, 4.0, 4.0, 4.0])
"""Largest translation [mm] and rotation [deg] that is looked for."""
SCREENED = (-2.0, -1.0, 1.0, 2.0)
LEAST_FALL = 2e-4
"""Fall of the gradient entropy below which nothing is done: noise alone moves it by less."""
EVALUATIONS = 70


@dataclass(frozen=True, eq=False)
class AutofocusResult:
    """What autofocus found.

    Args:
        voxels: float32 (k, j, i); those of the input where nothing was found.
        axis: array axis along which k-space was cut, or None where nothing was found.
        poses: correction of each band (bands, 6) [mm, deg]: R, A, S, then about R, A, S.
        entropy_before, entropy_after: gradient entropy of the volume reduced across the bands.
    """

    voxels: np.ndarray
    axis: int | None
    poses: np.ndarray
    entropy_before: float
    entropy_after: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "axis_kji": self.axis,
            "bands_cycles_per_voxel": list(EDGES),
            "poses_mm_deg": np.round(self.poses, 3).tolist(),
            "entropy_before": round(self.entropy_before, 6),
            "entropy_after": round(self.entropy_after, 6),
        }


def autofocus(
    voxels: np.ndarray, grid: Grid, *, progress: Progress = lambda *_: None, axes: tuple[int, ...] = (0, 1, 2)
) -> AutofocusResult:
    """The volume with the poses undone that reduce its gradient entropy most.

    Args:
        voxels: magnitude (k, j, i), in any unit.
        axes: array axes along which k-space may have been filled from the center outward.
    """
    pivot = head_pivot(voxels > 0.1 * voxels.max(), grid)
    progress(0.0, "Autofocus: looking for the axis")
    found = []
    for n, axis in enumerate(axes):
        found.append(_screened(_Focus(voxels, grid, axis, pivot), part_of(progress, n / 10, (n + 1) / 10)))
    focus, start, fall = max(found, key=lambda item: item[2])
    poses, entropy = np.zeros((len(EDGES) - 1, 6)), focus.still
    if fall > LEAST_FALL:
        poses, entropy = _searched(focus, start, part_of(progress, 0.3, 0.9))
    if focus.still - entropy <= LEAST_FALL:
        return AutofocusResult(voxels, None, np.zeros_like(poses), focus.still, focus.still)
    progress(0.9, "Autofocus: correcting")
    corrected = refocused(voxels, grid, focus.axis, poses, pivot=pivot)
    return AutofocusResult(corrected, focus.axis, poses, focus.still, entropy)


def refocused(voxels: np.ndarray, grid: Grid, axis: int, poses: np.ndarray, *, pivot: np.ndarray) -> np.ndarray:
    """The volume with its bands along an axis moved by the given poses: float32 (k, j, i), not below zero."""
    bands = [Band(voxels, grid, axis, n, pivot) for n in range(len(EDGES) - 1)]
    rest = voxels - sum(band.image for band in bands)
    return np.maximum(rest + sum(band.moved(pose) for band, pose in zip(bands, poses)), 0).astype(np.float32)


class Band:
    """The part of a volume in one band of frequencies, which can be moved without interpolating the image.

    Args:
        number: of the band, innermost first; the band lies between `EDGES[number]` and the next.
    """

    def __init__(self, voxels: np.ndarray, grid: Grid, axis: int, number: int, pivot: np.ndarray) -> None:
        self.grid, self.pivot, self.shape = grid, pivot, voxels.shape
        along = np.abs(fft.fftfreq(voxels.shape[axis]))
        low, high = EDGES[number], EDGES[number + 1] + (number == len(EDGES) - 2)
        inside = (along >= low) & (along < high)
        form = [-1 if a == axis else 1 for a in range(3)]
        self.image = fft.ifftn(fft.fftn(voxels) * inside.reshape(form)).real.astype(np.float32)
        self.sampler = KSpaceSampler(self.image.astype(np.complex64))
        near = (along >= low - MARGIN) & (along < high + MARGIN)
        self.lines = [np.flatnonzero(near) if a == axis else np.arange(n) for a, n in enumerate(voxels.shape)]
        self.nu = np.array(
            np.meshgrid(*(fft.fftfreq(n)[line] for n, line in zip(self.shape, self.lines)), indexing="ij")
        )

    def moved(self, pose: np.ndarray) -> np.ndarray:
        """The image of the band after a rigid motion, float32 (k, j, i)."""
        if not np.any(pose):
            return self.image
        turns, shifts = index_motion(self.grid, pose[None], self.pivot, self.sampler.center)
        turned = np.tensordot(turns[0], self.nu, axes=1)
        ramp = np.exp(-2j * np.pi * np.tensordot(shifts[0], self.nu, axes=1))
        spectrum = np.zeros(self.shape, dtype=np.complex64)
        spectrum[np.ix_(*self.lines)] = self.sampler(turned) * ramp
        return fft.ifftn(spectrum, overwrite_x=True).real.astype(np.float32)


class _Focus:
    """The gradient entropy of a volume, reduced across the bands, as a function of the poses of its bands."""

    def __init__(self, voxels: np.ndarray, grid: Grid, axis: int, pivot: np.ndarray) -> None:
        self.axis = axis
        small, small_grid = reduced(voxels, grid, axis)
        self.bands = [Band(small, small_grid, axis, n, pivot) for n in range(len(EDGES) - 1)]
        self.rest = small - sum(band.image for band in self.bands)
        self.images = [band.image for band in self.bands]
        self.still = self.entropy()

    def entropy(self, changed: dict[int, np.ndarray] | None = None) -> float:
        images = [(changed or {}).get(n, image) for n, image in enumerate(self.images)]
        return gradient_entropy(np.maximum(self.rest + sum(images), 0))

    def with_pose(self, pose: np.ndarray, bands: tuple[int, ...]) -> float:
        """Entropy when these bands have this pose and the others what they were given."""
        return self.entropy({n: self.bands[n].moved(pose) for n in bands})


def _screened(focus: _Focus, progress: Progress) -> tuple[_Focus, np.ndarray, float]:
    """The best motion along or about one axis for all bands at once, and how far entropy falls."""
    best, fall = np.zeros(6), 0.0
    for component in range(6):
        for size in SCREENED:
            pose = size * np.eye(6)[component]
            gain = focus.still - focus.with_pose(pose, (0, 1, 2))
            best, fall = (pose, gain) if gain > fall else (best, fall)
        progress((component + 1) / 6, "Autofocus: looking for the axis")
    return focus, best, fall


def _searched(focus: _Focus, start: np.ndarray, progress: Progress) -> tuple[np.ndarray, float]:
    """Poses of all bands and the entropy they give: first together, then each by itself, outermost first."""
    number = len(focus.bands)
    everything = tuple(range(number))
    pose = _least(lambda p: focus.with_pose(p, everything), start)
    poses = np.tile(pose, (number, 1))
    focus.images = [band.moved(pose) for band in focus.bands]
    for n in reversed(everything):
        progress((number - n) / (number + 1), "Autofocus: refining")
        poses[n] = _least(lambda p, n=n: focus.with_pose(p, (n,)), poses[n])
        focus.images[n] = focus.bands[n].moved(poses[n])
    return poses, focus.entropy()


def _least(entropy: Any, start: np.ndarray) -> np.ndarray:
    """The pose of least entropy near `start`; `start` itself when nothing is better."""
    bounds = optimize.Bounds(-LARGEST, LARGEST)
    options = {"maxfev": EVALUATIONS, "xtol": 0.05, "ftol": 1e-6}
    found = optimize.minimize(entropy, start, method="Powell", bounds=bounds, options=options)
    still = np.zeros(6)
    candidates = [(entropy(p), n) for n, p in enumerate((found.x, start, still))]
    return (found.x, start, still)[min(candidates)[1]]


def reduced(voxels: np.ndarray, grid: Grid, axis: int) -> tuple[np.ndarray, Grid]:
    """The volume with at most `SMALL` voxels along the two other axes, by leaving out high frequencies there."""
    spectrum, matrix = fft.fftn(voxels), np.array(grid.ijk_to_ras)
    for other in (a for a in range(3) if a != axis):
        n = voxels.shape[other]
        kept = min(n, SMALL)
        order = np.argsort(np.abs(fft.fftfreq(n)), kind="stable")[:kept]
        lines = order[np.argsort(np.rint(fft.fftfreq(n, 1 / n)[order]) % kept, kind="stable")]
        spectrum = np.take(spectrum, lines, axis=other) * (kept / n)
        matrix[:3, 2 - other] *= n / kept
    return np.maximum(fft.ifftn(spectrum).real, 0).astype(np.float32), Grid(spectrum.shape, matrix)
