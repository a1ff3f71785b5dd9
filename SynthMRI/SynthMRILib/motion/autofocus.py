"""Autofocus: a few dominant poses found by making the edges of the volume as few as possible, and undone in k-space.

After Atkinson et al. (1997) and McGee et al. (2000): of all rigid motions of a part of k-space, the true one gives the
image whose edges have the least entropy (here that of the squared gradient in the head). A magnitude volume has lost
the phase that tells one half of k-space from the other, so a part here is a band of frequencies of both signs along one
axis: what a scan acquires late when it starts at the center (centric order). The center stays; bands further out each
get a pose. Motion of other orders is not of this form: then entropy hardly falls, and the volume is left as it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, ndimage, optimize

from ..progress import Progress, part_of
from ..simulation.moving_k_space import KSpaceSampler, index_motion
from ..simulation.rigid import head_pivot
from ..volume import Grid
from .features import edge_entropy

EDGES = (0.06, 0.16, 0.3, 0.5)
"""Borders of the bands [cycles a voxel]; below the first lies the center, which keeps its pose."""
MARGIN = 0.03
"""How far beyond its borders a turned band is looked for [cycles a voxel]."""
SMALL = 48
"""Voxels to which the two axes across the bands are reduced while poses are searched."""
LARGEST = np.full(6, 4.0)
"""Largest translation [mm] and rotation [deg] that is looked for."""
OUTER = (1, 2)
"""Bands that are moved together at first; the innermost may still belong to the center."""
STEP = 0.3
"""Distance over which the slope of the entropy is taken [mm, deg]."""
SCREENED = (1.2, 2.4)
"""Sizes of the motion that is tried first [mm, deg]."""
LEAST_FALL = 3e-4
"""Fall of the entropy below which nothing is done."""
EVALUATIONS = 50
"""Of the entropy in each search of a pose."""


@dataclass(frozen=True, eq=False)
class AutofocusResult:
    """What autofocus found.

    Args:
        voxels: float32 (k, j, i); those of the input where nothing was found.
        axis: array axis along which k-space was cut, or None where nothing was found.
        poses: correction of each band (bands, 6) [mm, deg]: R, A, S, then about R, A, S.
        entropy_before, entropy_after: entropy of the edges of the volume reduced across the bands.
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
    voxels: np.ndarray,
    grid: Grid,
    *,
    progress: Progress = lambda *_: None,
    axes: tuple[int, ...] = (0, 1, 2),
    evaluations: int = EVALUATIONS,
) -> AutofocusResult:
    """The volume with the poses undone that reduce the entropy of its edges most.

    Args:
        voxels: magnitude (k, j, i), in any unit.
        axes: array axes along which k-space may have been filled from the center outward.
        evaluations: of the entropy in each of the four searches.
    """
    pivot = head_pivot(voxels > 0.1 * voxels.max(), grid)
    progress(0.0, "Autofocus: looking for the axis")
    found = []
    for n, axis in enumerate(axes):
        found.append(_screened(_Focus(voxels, grid, axis, pivot), part_of(progress, 0.1 * n, 0.1 * (n + 1))))
    focus, start, fall = max(found, key=lambda item: item[2])
    poses, entropy = np.zeros((len(EDGES) - 1, 6)), focus.still
    if fall > LEAST_FALL:
        poses, entropy = _searched(focus, start, evaluations, part_of(progress, 0.3, 0.9))
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
    """The entropy of the edges of a volume, reduced across the bands, as a function of the poses of its bands."""

    def __init__(self, voxels: np.ndarray, grid: Grid, axis: int, pivot: np.ndarray) -> None:
        self.axis = axis
        small, small_grid = reduced(voxels, grid, axis)
        self.bands = [Band(small, small_grid, axis, n, pivot) for n in range(len(EDGES) - 1)]
        self.rest = small - sum(band.image for band in self.bands)
        self.images = [band.image for band in self.bands]
        self.head = head(small)
        self.still = self.entropy()

    def entropy(self, changed: dict[int, np.ndarray] | None = None) -> float:
        images = [(changed or {}).get(n, image) for n, image in enumerate(self.images)]
        return edge_entropy(np.maximum(self.rest + sum(images), 0), self.head)

    def with_pose(self, pose: np.ndarray, bands: tuple[int, ...]) -> float:
        """Entropy when these bands have this pose and the others what they were given."""
        return self.entropy({n: self.bands[n].moved(pose) for n in bands})


def head(voxels: np.ndarray) -> np.ndarray:
    """True in the head and a voxel around it; ghosts in air are left out."""
    smooth = ndimage.gaussian_filter(voxels, 1.5)
    return ndimage.binary_dilation(smooth > 0.12 * np.percentile(smooth, 99.5))


def candidates() -> np.ndarray:
    """Poses to begin with (n, 6): translations along axes and diagonals, rotations about axes.

    A lattice, because the entropy first rises on the way to its minimum.
    """
    units = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=float)
    units = units[units.any(axis=1)]
    units /= np.linalg.norm(units, axis=1)[:, None]
    translations = np.concatenate([size * units for size in SCREENED])
    rotations = np.concatenate([np.eye(3), -np.eye(3)]) * SCREENED[0]
    poses = np.zeros((len(translations) + len(rotations), 6))
    poses[: len(translations), :3], poses[len(translations) :, 3:] = translations, rotations
    return poses


def _screened(focus: _Focus, progress: Progress) -> tuple[_Focus, np.ndarray, float]:
    """The best of the candidates for the outer bands, and how far entropy falls."""
    best, fall = np.zeros(6), 0.0
    poses = candidates()
    for n, pose in enumerate(poses):
        gain = focus.still - focus.with_pose(pose, OUTER)
        best, fall = (pose, gain) if gain > fall else (best, fall)
        progress((n + 1) / len(poses), "Autofocus: looking for the axis")
    return focus, best, fall


def _searched(focus: _Focus, start: np.ndarray, evaluations: int, progress: Progress) -> tuple[np.ndarray, float]:
    """Poses of all bands and the entropy they give: first the outer bands together, then each band by itself."""
    number = len(focus.bands)
    poses = np.zeros((number, 6))
    poses[list(OUTER)] = _least(lambda p: focus.with_pose(p, OUTER), start, evaluations)
    for n in OUTER:
        focus.images[n] = focus.bands[n].moved(poses[n])
    for n in range(number):
        progress((n + 1) / (number + 1), "Autofocus: refining")
        poses[n] = _least(lambda p, n=n: focus.with_pose(p, (n,)), poses[n], evaluations)
        focus.images[n] = focus.bands[n].moved(poses[n])
    return poses, focus.entropy()


def _least(entropy: Callable[[np.ndarray], float], start: np.ndarray, evaluations: int) -> np.ndarray:
    """The pose of least entropy near `start`; `start` itself, or no motion, when nothing is better."""
    options = {"maxfun": evaluations, "eps": STEP / 2, "ftol": 1e-5}
    found = optimize.minimize(
        lambda pose: 1e3 * entropy(pose),
        start,
        method="L-BFGS-B",
        bounds=optimize.Bounds(-LARGEST, LARGEST),
        options=options,
    )
    return min((found.x, start, np.zeros(6)), key=entropy)


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
