"""What labels leave out: subcutaneous and intermuscular fat, orbital fat, dura, falx, tentorium, small vessels.

Membranes between two structures are where the distances to both are equal. Vessels are the curves on which two smooth
random fields are both zero: thin, winding, of any orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage, special

from .fields import interpolate_axis, smooth_field
from .mixture import Mixture, write_overlay
from .records import Record, draw_seed
from .tissue import SOFT_TISSUE_LABEL, TISSUE_INDEX

Spacing = tuple[float, float, float]

SKIN, EYE, BONE, FLUID = (511,), (506,), (515, 516), 24
VENTRICLES = (4, 43, 5, 44)
CHAMBERS = (*VENTRICLES, 14, 15)
WHITE = (2, 41)
LABELLED_LESIONS = (25, 57, 77)
LEFT_CEREBRUM, RIGHT_CEREBRUM = (2, 3), (41, 42)
CEREBELLUM = (7, 8, 46, 47)


@dataclass(frozen=True)
class StructureRecord(Record):
    """What is added to the labels of one subject.

    Args:
        fat_mm: mean thickness of the fat under the skin [mm]; fat_variation_mm: its standard deviation.
        fat_planes: half width of the fat planes between muscles, in standard deviations of a smooth field.
        orbit_mm: distance from the eyes within which soft tissue is fat.
        membrane_mm: thickness of falx and tentorium [mm]; 0 for none.
        dura: fraction of the bone's inner surface that shows dura.
        halo: longer relaxation times beside the ventricles, in standard deviations of the white matter's variation.
        depth: the same, but fading over the whole depth of white matter; may be negative.
        arachnoid: share of tissue in the fluid next to bone.
        vessels: density of small vessels, 0 to 1; vessel_mm: their radius [mm].
        perivascular: fraction of vessels in white matter shown as fluid-filled spaces rather than veins.
        field_seed: seed of all fields.
    """

    kind: ClassVar[str] = "structure"
    fat_mm: float = 5.0
    fat_variation_mm: float = 1.0
    fat_planes: float = 0.15
    orbit_mm: float = 12.0
    membrane_mm: float = 0.9
    dura: float = 0.6
    halo: float = 1.0
    depth: float = 0.0
    arachnoid: float = 0.3
    vessels: float = 0.5
    vessel_mm: float = 0.4
    perivascular: float = 0.3
    field_seed: int = 0


def draw(rng: np.random.Generator) -> StructureRecord:
    """The structure of a subject."""
    return StructureRecord(
        fat_mm=float(rng.uniform(3, 7)),
        fat_variation_mm=float(rng.uniform(0.5, 1.5)),
        fat_planes=float(rng.uniform(0.05, 0.25)),
        orbit_mm=float(rng.uniform(8, 15)),
        membrane_mm=float(rng.choice([0.0, 0.6, 0.9, 1.2])),
        dura=float(rng.uniform(0.3, 0.9)),
        halo=float(rng.uniform(0.0, 4.0)),
        depth=float(rng.uniform(-2.0, 3.0)),
        arachnoid=float(rng.uniform(0.0, 0.6)),
        vessels=float(rng.uniform(0.1, 1.0)),
        vessel_mm=float(rng.uniform(0.25, 0.55)),
        perivascular=float(rng.uniform(0.0, 0.6)),
        field_seed=draw_seed(rng),
    )


def add_sheets(record: StructureRecord, tissues: np.ndarray, labels: np.ndarray, spacing: Spacing) -> np.ndarray:
    """uint8 tissue map with fat, dura, falx and tentorium written into soft tissue and fluid."""
    rng = np.random.default_rng(record.field_seed)
    _add_fat(record, tissues, labels, spacing, rng)
    dura = _inner_table(record, labels, spacing, rng)
    if record.membrane_mm > 0:
        dura |= _membrane(record, labels, spacing, (LEFT_CEREBRUM, RIGHT_CEREBRUM))
        dura |= _membrane(record, labels, spacing, ((*LEFT_CEREBRUM, *RIGHT_CEREBRUM), CEREBELLUM))
    tissues[dura & (labels == FLUID)] = TISSUE_INDEX["dura"]
    return tissues


def _add_fat(record, tissues, labels, spacing: Spacing, rng: np.random.Generator) -> None:
    soft = labels == SOFT_TISSUE_LABEL
    if not soft.any():
        return
    length = tuple(20 / s for s in spacing[::-1])
    thickness = record.fat_mm + record.fat_variation_mm * smooth_field(labels.shape, rng, length=length, order=1)
    fat = distance_mm(np.isin(labels, (0, *SKIN)), spacing) < thickness
    planes = smooth_field(labels.shape, rng, length=tuple(12 / s for s in spacing[::-1]))
    fat |= np.abs(planes) < record.fat_planes
    fat |= distance_mm(np.isin(labels, EYE), spacing) < record.orbit_mm
    tissues[soft & fat] = TISSUE_INDEX["fat"]


def _inner_table(record, labels, spacing: Spacing, rng: np.random.Generator) -> np.ndarray:
    """Fluid next to bone, where a smooth field says that the dura shows."""
    bone = np.isin(labels, BONE)
    shown = smooth_field(labels.shape, rng, length=tuple(15 / s for s in spacing[::-1]), order=1)
    return ndimage.binary_dilation(bone) & (shown < special.ndtri(record.dura))


def _membrane(record, labels, spacing: Spacing, sides: tuple[tuple[int, ...], tuple[int, ...]]) -> np.ndarray:
    """Where the distances to two structures are equal and both near."""
    first, second = (distance_mm(np.isin(labels, side), spacing) for side in sides)
    return (np.abs(first - second) < record.membrane_mm) & (first < 6.0)


def add_halo(record: StructureRecord, variation: np.ndarray, labels: np.ndarray, spacing: Spacing) -> None:
    """Raise the variation in white matter toward the ventricles, in place."""
    distance = distance_mm(np.isin(labels, VENTRICLES), spacing)
    near = record.halo * np.exp(distance / np.float32(-4.0)) + record.depth * np.exp(distance / np.float32(-15.0))
    variation += np.where(np.isin(labels, WHITE), near, 0).astype(np.float32)


def add_arachnoid(record: StructureRecord, head: Mixture, labels: np.ndarray, spacing: Spacing) -> Mixture:
    """The mixture with membranes and veins in the outer fluid, which is therefore never as bright as a ventricle."""
    near = np.exp(distance_mm(np.isin(labels, BONE), spacing) / np.float32(-3.0))
    head = head.editable()
    write_overlay(head, (slice(None),) * 3, "dura", np.where(labels == FLUID, np.float32(record.arachnoid) * near, 0))
    return head


def add_vessels(record: StructureRecord, head: Mixture, labels: np.ndarray, spacing: Spacing) -> Mixture:
    """The mixture with small vessels: veins in tissue and fluid, some of them perivascular spaces in white matter."""
    rng = np.random.default_rng([record.field_seed, 1])
    length = 14.0 - 7.0 * record.vessels
    steps = tuple(length / s for s in spacing[::-1])
    fields = [smooth_field(head.shape, rng, length=steps) for _ in range(2)]
    # A field of unit deviation and this knot distance has a slope of about 2.6 / length (measured).
    distance = np.sqrt(fields[0] ** 2 + fields[1] ** 2) * np.float32(length / 2.6)
    share = 0.9 * np.exp(-0.5 * (distance / np.float32(record.vessel_mm)) ** 2)
    inside = (distance < 3 * record.vessel_mm) & _vascular(head) & ~np.isin(labels, CHAMBERS)
    share = np.where(inside, share, 0).astype(np.float32)
    head = head.editable()
    everywhere = (slice(None),) * 3
    in_white = head.first == TISSUE_INDEX["white-matter"]
    kind = smooth_field(head.shape, rng, length=tuple(10 / s for s in spacing[::-1]), order=1)
    spaces = in_white & (kind < special.ndtri(np.clip(record.perivascular, 1e-6, 1 - 1e-6)))
    write_overlay(head, everywhere, "vein", np.where(spaces, 0, share))
    write_overlay(head, everywhere, "csf", np.where(spaces, 0.6 * share, 0))
    return head


def _vascular(head: Mixture) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[
        [TISSUE_INDEX[name] for name in ("white-matter", "cortex", "csf", "deep-gray", "cerebellar-white-matter")]
    ] = 1
    return table[head.first]


def distance_mm(mask: np.ndarray, spacing: Spacing, *, coarse: int = 2) -> np.ndarray:
    """float32 distance [mm] of every voxel from a mask, computed on every `coarse`-th voxel and interpolated linearly.

    A large number everywhere when the mask is empty.
    """
    thin = mask[::coarse, ::coarse, ::coarse]
    if not thin.any():
        return np.full(mask.shape, 1e3, dtype=np.float32)
    distance = ndimage.distance_transform_edt(~thin, sampling=[coarse * s for s in spacing[::-1]]).astype(np.float32)
    for axis, n in reversed(list(enumerate(mask.shape))):
        distance = interpolate_axis(distance, np.arange(n) / coarse, axis=axis, order=1)
    return distance
