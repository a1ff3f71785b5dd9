"""Shapes of lesions: irregular ellipsoids, or outlines of real lesions taken from masks."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from .fields import smooth_field
from .records import Record


@dataclass(frozen=True)
class Outline(Record):
    """The voxels of one real lesion, packed so that a record stays self-contained.

    Args:
        shape: (k, j, i) of the box around it, one empty voxel included on every side.
        bits: base64 of the packed boolean voxels.
    """

    kind: ClassVar[str] = "outline"
    shape: tuple[int, int, int]
    bits: str

    @classmethod
    def pack(cls, mask: np.ndarray) -> Outline:
        """Outline of a boolean array."""
        padded = np.pad(mask.astype(bool), 1)
        return cls(tuple(padded.shape), base64.b64encode(np.packbits(padded).tobytes()).decode("ascii"))

    def unpack(self) -> np.ndarray:
        """The boolean array (k, j, i)."""
        packed = np.frombuffer(base64.b64decode(self.bits), dtype=np.uint8)
        size = int(np.prod(self.shape))
        return np.unpackbits(packed, count=size).astype(bool).reshape(self.shape)


def outlines_of(mask: np.ndarray, *, least_voxels: int = 12, most_voxels: int = 4000) -> list[Outline]:
    """Outlines of the connected lesions of a mask (k, j, i) on isotropic voxels, by size limits."""
    components, _ = ndimage.label(mask > 0)
    outlines = []
    for number, box in enumerate(ndimage.find_objects(components), start=1):
        lesion = components[box] == number
        if least_voxels <= lesion.sum() <= most_voxels:
            outlines.append(Outline.pack(lesion))
    return outlines


def implicit_radius(
    offsets: np.ndarray,
    *,
    rng: np.random.Generator,
    diameter: float,
    elongation: float,
    irregularity: float,
    outline: Outline | None = None,
    direction: np.ndarray | None = None,
) -> np.ndarray:
    """A function that is 0 in the middle of a lesion, 1 on its border and larger outside; float32 (k, j, i).

    Args:
        offsets: position relative to the center [mm], float32 (k, j, i, 3) in (k, j, i) order.
        diameter: of a ball of the same volume [mm].
        elongation: long over short axes; direction: unit vector of the long axis, random when None.
        irregularity: relative standard deviation of the radius over the surface.
    """
    frame = _random_frame(rng, direction)
    local = offsets @ frame.T.astype(np.float32)
    bumps = 1 + irregularity * smooth_field(offsets.shape[:3], rng, length=max(3.0, min(offsets.shape[:3]) / 4))
    if outline is not None:
        return _outline_radius(local, outline, diameter) / np.maximum(bumps, 0.5)
    short = diameter / 2 / elongation ** (1 / 3)
    axes = np.array([short * elongation, short, short], dtype=np.float32)
    return np.sqrt(((local / axes) ** 2).sum(-1)) / np.maximum(bumps, 0.5)


def _random_frame(rng: np.random.Generator, direction: np.ndarray | None) -> np.ndarray:
    """3x3 rotation whose first row is the direction."""
    rows = rng.standard_normal((3, 3))
    if direction is not None:
        rows[0] = direction + 0.15 * rows[0]
    frame, triangle = np.linalg.qr(rows.T)
    return (frame * np.sign(np.diag(triangle))).T


def _outline_radius(local: np.ndarray, outline: Outline, diameter: float) -> np.ndarray:
    """Radius from the signed distance to a real outline, scaled to the wanted size."""
    mask = outline.unpack()
    inner, outer = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    signed = np.where(mask, inner - 0.5, 0.5 - outer)
    own = 2 * (3 * mask.sum() / (4 * np.pi)) ** (1 / 3)
    middle = np.argwhere(mask).mean(0)
    positions = np.moveaxis(local * np.float32(own / diameter) + middle.astype(np.float32), -1, 0)
    depth = ndimage.map_coordinates(signed.astype(np.float32), positions, order=1, mode="nearest")
    beyond = np.sqrt(sum(np.maximum(0, np.maximum(-p, p - (n - 1))) ** 2 for p, n in zip(positions, mask.shape)))
    return (1 - (depth - beyond) / max(float(signed.max()), 1.0)).astype(np.float32)
