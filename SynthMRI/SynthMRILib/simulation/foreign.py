"""Structures that training without them has never seen: tumor-like masses, resection cavities, voids of blood or metal.

For testing how a network behaves out of its distribution: none claims to be a histology. A mass pushes its surroundings
aside (mass effect), grows from a necrotic core through a solid rim into edema that follows white matter; a cavity holds
fluid behind a thin rim of hemosiderin and gliosis and opens to the brain's surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .fields import smooth_field
from .lesion_shapes import implicit_radius
from .mixture import Mixture, write_overlay
from .records import Record, draw_seed
from .structure import WHITE, Spacing, distance_mm

KINDS = ("tumor", "resection", "void")
SURFACE = (3, 42)
_BRAIN = ("white-matter", "cortex", "deep-gray", "thalamus", "pallidum", "csf", "lesion", "brain-stem", "dura")


@dataclass(frozen=True)
class ForeignRecord(Record):
    """One foreign structure.

    Args:
        structure: one of KINDS.
        position: where, as a fraction (0 to 1) of the candidate voxels in array order.
        diameter_mm: of a ball of the same volume.
        irregularity: relative standard deviation of the radius.
        core: radius of the necrotic core relative to the whole (tumor).
        rim_mm: thickness of the rim of hemosiderin (resection).
        edema_mm: how far edema reaches into white matter.
        push: displacement of the border relative to the radius, below 1 so that nothing folds (tumor).
        shape_seed: seed of everything irregular.
    """

    kind: ClassVar[str] = "foreign"
    structure: str
    position: float
    diameter_mm: float
    irregularity: float = 0.15
    core: float = 0.5
    rim_mm: float = 1.5
    edema_mm: float = 12.0
    push: float = 0.3
    shape_seed: int = 0


def draw(rng: np.random.Generator, *, structure: str | None = None) -> ForeignRecord:
    """A foreign structure of the given or a random kind."""
    structure = str(rng.choice(KINDS)) if structure is None else structure
    sizes = {"tumor": (18, 50), "resection": (20, 50), "void": (3, 12)}
    if structure not in sizes:
        raise ValueError(f"unknown foreign structure {structure!r}; known: {', '.join(KINDS)}")
    return ForeignRecord(
        structure=structure,
        position=float(rng.random()),
        diameter_mm=float(rng.uniform(*sizes[structure])),
        irregularity=float(rng.uniform(0.08, 0.2)),
        core=float(rng.choice([0.0, rng.uniform(0.4, 0.75)])),
        rim_mm=float(rng.uniform(0.8, 2.5)),
        edema_mm=float(rng.uniform(3, 25)),
        push=float(rng.uniform(0.1, 0.5)),
        shape_seed=draw_seed(rng),
    )


def center_of(record: ForeignRecord, labels: np.ndarray, spacing: Spacing) -> np.ndarray | None:
    """Index (k, j, i) of the center: white matter for masses, cortex for cavities. None without such voxels."""
    wanted = np.isin(labels, SURFACE if record.structure == "resection" else WHITE)
    if record.structure == "tumor":
        deep = wanted & (distance_mm(np.isin(labels, SURFACE), spacing) > 5)
        wanted = deep if deep.any() else wanted
    voxels = np.flatnonzero(wanted)
    if not voxels.size:
        return None
    return np.array(np.unravel_index(voxels[min(int(record.position * voxels.size), voxels.size - 1)], labels.shape))


def push_labels(
    record: ForeignRecord, labels: np.ndarray, center: np.ndarray, *, spacing: Spacing = (1.0, 1.0, 1.0)
) -> np.ndarray:
    """Labels displaced by the mass: radially outwards, fading over three radii; bone and beyond stay in place."""
    if record.structure != "tumor" or record.push <= 0:
        return labels
    offsets = _offsets(labels.shape, center, spacing)
    distance = np.sqrt(sum(offset**2 for offset in offsets))
    radius = record.diameter_mm / 2
    # Source distance d (1 - push exp(-(d / 1.5 r)^2)) grows with d for push below 1, so nothing folds.
    shrink = 1 - np.float32(record.push) * np.exp(-((distance / np.float32(1.5 * radius)) ** 2))
    source = [
        np.clip(np.rint(offset * shrink / np.float32(s) + np.float32(c)), 0, n - 1).astype(np.int32)
        for offset, s, c, n in zip(offsets, spacing[::-1], center, labels.shape)
    ]
    pushed = labels[tuple(source)]
    outside = (labels == 0) | (labels >= 500)
    return np.where(outside, labels, np.where(pushed >= 500, 24, pushed)).astype(labels.dtype)


def apply(
    record: ForeignRecord,
    head: Mixture,
    labels: np.ndarray,
    center: np.ndarray,
    *,
    spacing: Spacing = (1.0, 1.0, 1.0),
) -> tuple[Mixture, np.ndarray]:
    """The head with the structure, and its mask.

    The mask is uint8 (k, j, i): 1 core or cavity, 2 rim or solid part, 3 edema or gliosis.
    """
    head = head.editable()
    reach = 0.8 * record.diameter_mm + 1.2 * record.edema_mm + 6
    low = [max(int(c - reach / s), 0) for c, s in zip(center, spacing[::-1])]
    high = [min(int(c + reach / s) + 2, n) for c, s, n in zip(center, spacing[::-1], labels.shape)]
    box = tuple(slice(a, b) for a, b in zip(low, high))
    rng = np.random.default_rng(record.shape_seed)
    near = tuple(b - a for a, b in zip(low, high))
    offsets = np.stack(np.broadcast_arrays(*_offsets(near, center - low, spacing)), -1)
    radius = implicit_radius(
        offsets, rng=rng, diameter=record.diameter_mm, elongation=1.25, irregularity=record.irregularity
    )
    depth = (1 - radius) * np.float32(record.diameter_mm / 2)
    mask = np.zeros(labels.shape, dtype=np.uint8)
    surroundings = head.crop(box)
    room = surroundings.fraction(*_BRAIN)
    for number, name, share, level in _LAYERS[record.structure](record, surroundings, depth, rng):
        share = (share * room).astype(np.float32)
        write_overlay(head, box, name, share, level, on_top=True)
        mask[box][share >= 0.5] = number
    return head, mask


def _soft(depth: np.ndarray, edge: float) -> np.ndarray:
    return np.clip(depth / np.float32(edge) + 0.5, 0, 1)


def _tumor(record, head: Mixture, depth: np.ndarray, rng: np.random.Generator):
    """Edema, solid part and necrosis, outside in."""
    grain = smooth_field(depth.shape, rng, length=6.0)
    fingers = depth + record.edema_mm * (0.7 + 0.4 * grain)
    white = head.fraction("white-matter", "lesion")
    yield 3, "edema", 0.9 * _soft(fingers, 3.0) * white, 0.5 * grain
    yield 2, "enhancing-tumor" if record.core > 0 else "tumor", _soft(depth, 2.0), 1.5 * grain
    if record.core > 0:
        inner = depth - (1 - record.core) * record.diameter_mm / 2 + 1.5 * grain
        yield 1, "necrosis", _soft(inner, 1.5), grain


def _resection(record, head: Mixture, depth: np.ndarray, rng: np.random.Generator):
    """Gliosis, hemosiderin and cavity, outside in; the cavity reaches the surface because it is centered on cortex."""
    grain = smooth_field(depth.shape, rng, length=5.0)
    white = head.fraction("white-matter", "lesion")
    yield 3, "edema", 0.8 * _soft(depth + record.edema_mm * (0.4 + 0.2 * grain), 3.0) * white, grain
    yield 2, "hemosiderin", 0.8 * _soft(depth + record.rim_mm, 1.0) * (grain > -1), 0.5 * grain
    yield 1, "csf", _soft(depth, 1.0), 0.3 * grain


def _void(_record, _head: Mixture, depth: np.ndarray, _rng: np.random.Generator):
    """A small signal void (old blood, calcium, metal)."""
    yield 1, "hemosiderin", _soft(depth, 1.5), np.full(depth.shape, -3.0, dtype=np.float32)


_LAYERS = {"tumor": _tumor, "resection": _resection, "void": _void}


def _offsets(shape: tuple[int, ...], center: np.ndarray, spacing: Spacing) -> list[np.ndarray]:
    """Open grid of positions relative to the center [mm], float32."""
    axes = [(np.arange(n) - c) * s for n, c, s in zip(shape, center, spacing[::-1])]
    return [axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij", sparse=True)]
