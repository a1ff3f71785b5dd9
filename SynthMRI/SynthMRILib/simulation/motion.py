"""Motion during a scan: from a trace, a view order and a head to the same scan with and without motion.

The head is complex (smooth phase, optionally several coils), k-space is filled shot by shot from moved poses, noise
enters k-space, and the result is a magnitude. Poses are counted from the one that holds while the center of k-space is
acquired, so that the target lies where the corrupted volume seems to lie; a remaining shift is measured and removed.
What it leaves out: spin history, changes of B0 and coil sensitivity with pose, motion within a shot.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy import fft, ndimage

from ..volume import Grid, Volume
from . import coils, traces, view_orders
from .coils import CoilRecord
from .moving_k_space import moving_k_space, moving_slices
from .records import Record, draw_seed
from .rigid import head_pivot, relative_pose, rms_displacement
from .traces import TraceRecord
from .view_orders import ViewOrder, ViewOrderRecord

SEVERITY_BANDS_MM = (0.15, 0.5, 1.0, 2.0)
"""Limits of five bands: none, slight, moderate, marked, severe."""
SEVERITY_NAMES = ("none", "slight", "moderate", "marked", "severe")
CENTER = 0.125
"""The center of k-space: frequencies up to this fraction of the largest."""


@dataclass(frozen=True)
class MotionRecord(Record):
    """One scan of a moving head; `noise` is the deviation of complex noise, fraction of the 99.5th percentile."""

    kind: ClassVar[str] = "motion"
    trace: TraceRecord
    order: ViewOrderRecord
    coils: CoilRecord = field(default_factory=CoilRecord)
    noise: float = 0.0
    noise_seed: int = 0


@dataclass(frozen=True, eq=False)
class MotionResult:
    """A scan with motion and the same scan without.

    Args:
        moved, still: magnitude volumes with the same phase, coils and noise.
        severity_mm: displacement of the head, root mean square over its voxels and over the edge energy of k-space.
        effective_mm: how much of that shows, see `effective_displacement`.
        band: 0 (none) to 4 (severe), see SEVERITY_BANDS_MM.
        displacement_mm: largest displacement of any shot, root mean square over the head.
        residual_mm: shift of the corrupted volume that was removed (R, A, S).
        poses: of every shot, relative to the reference (shots, 6) [mm, deg]; times: of every shot [s].
    """

    moved: Volume
    still: Volume
    severity_mm: float
    effective_mm: float
    band: int
    displacement_mm: float
    residual_mm: tuple[float, float, float]
    poses: np.ndarray
    times: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Labels for training, JSON types."""
        return {
            "severity_mm": self.severity_mm,
            "effective_mm": self.effective_mm,
            "band": self.band,
            "band_name": SEVERITY_NAMES[self.band],
            "displacement_mm": self.displacement_mm,
            "residual_mm": list(self.residual_mm),
            "shots": len(self.times),
        }


def draw(rng: np.random.Generator, *, sequence: str | None = None, severity: float | None = None) -> MotionRecord:
    """A scan of a moving head.

    Args:
        sequence: one of `view_orders.SEQUENCES`, or any.
        severity: factor on ordinary motion; log-uniform from 0.3 to 3 when None.
    """
    if severity is None:
        severity = float(np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    return MotionRecord(
        trace=traces.draw(rng, severity=severity),
        order=view_orders.draw(rng, sequence=sequence),
        coils=coils.draw(rng, channels=1),
        noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.02)))),
        noise_seed=draw_seed(rng),
    )


def apply(record: MotionRecord, volume: Volume) -> MotionResult:
    """Scan a volume (magnitude, noise-free or nearly so) with this motion."""
    grid, voxels = volume.grid, volume.voxels
    course = _course(record, volume)
    moved, still = _scan(record, voxels, grid, course.order, course.poses, course.pivot)
    shift = residual_shift(moved, still, course.mask)
    moved = np.abs(_shifted(moved, -shift)) if np.abs(shift).max() > 1e-3 else moved
    severity = course.severity_mm()
    return MotionResult(
        moved=volume.with_voxels(moved),
        still=volume.with_voxels(still),
        severity_mm=severity,
        effective_mm=effective_displacement(moved, still, grid.spacing),
        band=int(np.searchsorted(SEVERITY_BANDS_MM, severity, side="right")),
        displacement_mm=float(course.displacements.max()),
        residual_mm=tuple((grid.ijk_to_ras[:3, :3] @ shift[::-1]).tolist()),
        poses=course.poses,
        times=course.order.times,
    )


def scaled_to(record: MotionRecord, volume: Volume, *, severity_mm: float) -> MotionRecord:
    """The same motion, larger or smaller, so that its severity is about `severity_mm`; unchanged for a still head."""
    present = _course(record, volume).severity_mm()
    return replace(record, trace=record.trace.scaled(severity_mm / present)) if present > 0 else record


@dataclass(frozen=True, eq=False)
class _Course:
    """How a head moves through a scan: poses of the shots, what each weighs and how far it displaces the head [mm]."""

    mask: np.ndarray
    pivot: np.ndarray
    order: ViewOrder
    poses: np.ndarray
    edge_weight: np.ndarray
    displacements: np.ndarray

    def severity_mm(self) -> float:
        return float(np.sqrt((self.edge_weight * self.displacements**2).sum()))


def _course(record: MotionRecord, volume: Volume) -> _Course:
    mask = head_mask(volume.voxels)
    pivot = head_pivot(mask, volume.grid)
    order = view_orders.apply(record.order, volume.grid)
    absolute = traces.poses(record.trace, order.times, duration=order.duration)
    center_weight, edge_weight = shot_weights(volume.voxels, order)
    poses = relative_poses(absolute, center_weight, pivot)
    return _Course(mask, pivot, order, poses, edge_weight, _displacements(poses, mask, volume.grid, pivot))


def _scan(
    record: MotionRecord, voxels: np.ndarray, grid: Grid, order: ViewOrder, poses: np.ndarray, pivot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(record.noise_seed)
    sigma = np.float32(record.noise * _unit(voxels))
    phase = coils.object_phase(record.coils, voxels.shape)
    moved, still = (np.zeros(voxels.shape, dtype=np.float32) for _ in range(2))
    for sensitivity in coils.sensitivities(record.coils, voxels.shape):
        channel = (voxels * phase * sensitivity).astype(np.complex64)
        if order.sliced:
            spectrum = moving_slices(channel, grid, order, poses, pivot=pivot)
            image = fft.ifft2(spectrum, axes=sorted(order.axes[:2]))
        else:
            image = fft.ifftn(moving_k_space(channel, grid, order, poses, pivot=pivot))
        noise = sigma * rng.standard_normal((*voxels.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        moved += np.abs(image + noise) ** 2
        still += np.abs(channel + noise) ** 2
    return np.sqrt(moved), np.sqrt(still)


def head_mask(voxels: np.ndarray) -> np.ndarray:
    """True in the head: above 5 % of the 99.5th percentile, closed and filled slice by slice along the first axis."""
    bright = ndimage.binary_closing(voxels > 0.05 * _unit(voxels), iterations=2)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in bright])


def shot_weights(voxels: np.ndarray, order: ViewOrder) -> tuple[np.ndarray, np.ndarray]:
    """Share of every shot in the energy of the center of k-space, and in its edge energy |k|^2 |F|^2: both sum to 1.

    Edge energy, because nearly all plain energy lies in a handful of samples that say nothing about detail.
    """
    readout, phase, partition = order.axes
    axes = (phase,) if order.sliced else (phase, partition)
    energy = np.abs(fft.fftn(voxels, axes=axes)) ** 2
    energy = energy.sum(axis=readout)
    energy = energy if phase < partition else energy.T
    nu = [fft.fftfreq(energy.shape[0])[:, None], 0 if order.sliced else fft.fftfreq(energy.shape[1])[None]]
    radius = np.broadcast_to(np.sqrt(nu[0] ** 2 + np.square(nu[1])), energy.shape)
    number = len(order.times)
    center = np.bincount(order.shots.ravel(), (energy * (radius <= CENTER / 2)).ravel(), minlength=number)
    edges = np.bincount(order.shots.ravel(), (energy * radius**2).ravel(), minlength=number)
    return tuple(weight / max(weight.sum(), 1e-30) for weight in (center, edges))


def relative_poses(poses: np.ndarray, weight: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """Poses counted from their weighted mean. Poses of a head that lies still stay exactly zero."""
    if not np.any(poses - poses[0]):
        return np.zeros_like(poses)
    reference = weight @ poses
    return np.array([relative_pose(pose, reference, pivot) for pose in poses])


def _displacements(poses: np.ndarray, mask: np.ndarray, grid: Grid, pivot: np.ndarray) -> np.ndarray:
    """Root mean square displacement of the head in every pose [mm]."""
    indices = np.argwhere(mask[::3, ::3, ::3]) * 3
    if indices.shape[0] < 2:
        indices = np.argwhere(np.ones(mask.shape, dtype=bool))
    points = grid.index_to_ras(indices[:, ::-1])
    center, spread = points.mean(axis=0), np.cov(points.T, bias=True)
    return np.array([rms_displacement(pose, pivot=pivot, center=center, spread=spread) for pose in poses])


def effective_displacement(moved: np.ndarray, still: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """The displacement that would change a volume as much as its motion did [mm].

    Root mean square difference over root mean square gradient of the smoothed volume, both in the head. It is what can
    be seen of motion: large displacements while the rim of k-space is acquired, where there is little signal, hardly
    show.

    Args:
        moved, still: magnitude volumes (k, j, i) with motion and without, alike in everything else.
        spacing: of their voxels (i, j, k) [mm].
    """
    head = signal(still)
    if not head.any():
        return 0.0
    change = np.sqrt(np.mean((moved - still)[head] ** 2, dtype=np.float64))
    return float(change / max(edge_slope(still, spacing), 1e-15))


def edge_slope(voxels: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Root mean square gradient of the smoothed volume in the head [units of the volume per mm].

    Args:
        voxels: magnitude (k, j, i).
        spacing: of the voxels (i, j, k) [mm].
    """
    head, smooth = signal(voxels), ndimage.gaussian_filter(voxels, 1.0)
    if not head.any():
        return 0.0
    axes = [axis for axis, n in enumerate(voxels.shape) if n > 1]
    squares = (np.mean((np.gradient(smooth, axis=a)[head] / spacing[2 - a]) ** 2, dtype=np.float64) for a in axes)
    return float(np.sqrt(sum(squares)))


def residual_shift(moved: np.ndarray, still: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Shift (k, j, i) [voxels] of the corrupted volume against the target: one step of least squares on gradients."""
    axes = [axis for axis, n in enumerate(still.shape) if n > 1]
    smooth = ndimage.gaussian_filter(still, 1.0)
    gradients = np.stack([np.gradient(smooth, axis=axis)[mask] for axis in axes])
    difference = ndimage.gaussian_filter(moved - still, 1.0)[mask]
    normal = gradients @ gradients.T
    shift = np.zeros(3)
    if np.linalg.cond(normal) <= 1e8:
        shift[axes] = np.clip(np.linalg.solve(normal, -(gradients @ difference)), -2, 2)
    return shift


def _shifted(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The image moved by a fraction of voxels (k, j, i), by a phase ramp along every axis."""
    spectrum = fft.fftn(image)
    for axis, (n, distance) in enumerate(zip(image.shape, shift)):
        ramp = np.exp(-2j * np.pi * fft.fftfreq(n) * distance).astype(np.complex64)
        spectrum *= ramp.reshape([-1 if a == axis else 1 for a in range(3)])
    return fft.ifftn(spectrum)


def signal(voxels: np.ndarray) -> np.ndarray:
    """Where a volume is above 5 % of its 99.5th percentile."""
    return voxels > 0.05 * _unit(voxels)


def _unit(voxels: np.ndarray) -> float:
    bright = voxels[voxels > 0]
    return float(np.percentile(bright, 99.5)) if bright.size else 1.0
