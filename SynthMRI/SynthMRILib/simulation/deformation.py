"""Random shapes of the same head: an affine map and a smooth displacement that folds nowhere.

The displacement is a smooth random field per axis. A map x + u(x) is one-to-one when u is a contraction; the amplitude
is reduced until the largest norm of its gradient is below `MAXIMUM_GRADIENT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from .fields import smooth_field
from .records import Record, draw_seed

MAXIMUM_GRADIENT = 0.7


@dataclass(frozen=True)
class DeformationRecord(Record):
    """One deformation.

    Args:
        rotation_deg: about the i, j, k axes [deg].
        scale: along i, j, k.
        shear: three off-diagonal terms.
        amplitude_mm: standard deviation of the displacement [mm] before it is limited.
        length_mm: correlation length of the displacement [mm].
        field_seed: seed of the displacement.
    """

    kind: ClassVar[str] = "deformation"
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shear: tuple[float, float, float] = (0.0, 0.0, 0.0)
    amplitude_mm: float = 0.0
    length_mm: float = 40.0
    field_seed: int = 0


def draw(rng: np.random.Generator) -> DeformationRecord:
    """A deformation of ordinary size: up to 8 degrees, 7 % size, 3 mm local displacement."""
    return DeformationRecord(
        rotation_deg=tuple(rng.uniform(-8, 8, 3).tolist()),
        scale=tuple((1 + rng.uniform(-0.07, 0.07, 3)).tolist()),
        shear=tuple(rng.uniform(-0.04, 0.04, 3).tolist()),
        amplitude_mm=float(rng.uniform(0.5, 3.0)),
        length_mm=float(rng.uniform(25, 50)),
        field_seed=draw_seed(rng),
    )


def apply(
    record: DeformationRecord,
    volume: np.ndarray,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    order: int = 0,
) -> np.ndarray:
    """The volume pulled through the deformation; beyond its border, the border goes on (air, or neck).

    Args:
        volume: (k, j, i); labels with order 0, intensities with order 1 or 3.
        spacing: (i, j, k) [mm].
    """
    source = source_positions(record, volume.shape, spacing)
    if order > 0:
        return ndimage.map_coordinates(volume, source, order=order, mode="nearest")
    nearest = [np.clip(np.rint(axis).astype(np.int32), 0, n - 1) for axis, n in zip(source, volume.shape)]
    return volume[tuple(nearest)]


def source_positions(
    record: DeformationRecord, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> list[np.ndarray]:
    """Continuous index (k, j, i) in the source of every voxel of the result: three float32 arrays."""
    step = np.array(spacing[::-1])
    matrix = np.diag(1 / step) @ affine_matrix(record)[::-1, ::-1] @ np.diag(step)
    center = (np.array(shape) - 1) / 2
    axes = [np.arange(n, dtype=np.float32) - np.float32(c) for n, c in zip(shape, center)]
    shifts = displacement(record, shape, spacing)
    positions = []
    for row in range(3):
        terms = [np.float32(matrix[row, column]) * axes[column] for column in range(3)]
        position = terms[0][:, None, None] + terms[1][:, None] + terms[2] + np.float32(center[row])
        positions.append(position + shifts[row] if shifts else position)
    return positions


def affine_matrix(record: DeformationRecord) -> np.ndarray:
    """3x3 matrix in (i, j, k) order, in mm, from a position of the result to one of the source."""
    matrix = np.diag(record.scale).astype(float)
    matrix[0, 1], matrix[0, 2], matrix[1, 2] = record.shear
    for axis, angle in enumerate(np.deg2rad(record.rotation_deg)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def displacement(
    record: DeformationRecord, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> list[np.ndarray]:
    """Displacement along (k, j, i) [voxels]: three float32 arrays, or an empty list when there is none."""
    if record.amplitude_mm <= 0:
        return []
    rng = np.random.default_rng(record.field_seed)
    step = spacing[::-1]
    length = tuple(record.length_mm / s for s in step)
    shifts = [record.amplitude_mm * smooth_field(shape, rng, length=length) for _ in range(3)]
    largest = max_gradient(shifts, step)
    limit = min(1.0, MAXIMUM_GRADIENT / largest) if largest > 0 else 1.0
    return [shift * np.float32(limit / s) for shift, s in zip(shifts, step)]


def max_gradient(shifts: list[np.ndarray], step: tuple[float, ...]) -> float:
    """Largest Frobenius norm of the displacement's gradient (shifts and step in mm), an upper bound of its contraction.

    The field is smooth, so every third voxel tells it.
    """
    stride = 3 if min(shifts[0].shape) >= 6 else 1
    thin = [shift[::stride, ::stride, ::stride] for shift in shifts]
    squares = sum(derivative**2 for shift in thin for derivative in np.gradient(shift, *[stride * s for s in step]))
    return float(np.sqrt(squares.max()))
