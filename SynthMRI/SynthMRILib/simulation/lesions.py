"""Multiple sclerosis lesions in a head: drawn by place, size, shape and severity; every one keeps its mask.

Places follow the 2017 McDonald criteria: periventricular (elongated away from the ventricle), juxtacortical,
intracortical (also across the boundary to white matter), infratentorial, and subcortical white matter. Relaxation
times go smoothly from rim to core; values of cortical lesions are an assumption (no 3 T table is known to us). Number
and size by default follow the 27 masks of the MS cohort (Lesjak 2017) that training uses: median 86 lesions of 18 mm3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .lesion_shapes import Outline, implicit_radius
from .mixture import Mixture, write_overlay
from .records import Record, draw_seed
from .structure import LABELLED_LESIONS, VENTRICLES, WHITE, Spacing, distance_mm

LOCATIONS = ("periventricular", "juxtacortical", "intracortical", "infratentorial", "subcortical")
CORTEX = (3, 42)
BRAIN_STEM_AND_CEREBELLUM = (16, 7, 46)

_WHITE_TISSUE = ("white-matter", "lesion", "deep-gray", "thalamus")
_ALLOWED = {
    "periventricular": _WHITE_TISSUE,
    "juxtacortical": (*_WHITE_TISSUE, "cortex"),
    "intracortical": ("cortex",),
    "leukocortical": ("cortex", "white-matter"),
    "infratentorial": ("brain-stem", "cerebellar-white-matter", "cerebellar-cortex"),
    "subcortical": _WHITE_TISSUE,
}


_FREQUENCY = {
    "periventricular": 0.36,
    "juxtacortical": 0.18,
    "intracortical": 0.10,
    "infratentorial": 0.11,
    "subcortical": 0.25,
}


@dataclass(frozen=True)
class LesionRecord(Record):
    """One lesion.

    Args:
        location: one of LOCATIONS; position: where in that place, a fraction (0 to 1) of its voxels in array order.
        diameter_mm: of a ball of the same size before it is clipped to brain tissue.
        elongation: long axis over short axes.
        irregularity: standard deviation of the radius over the surface, relative.
        outline: a real lesion's shape instead of an ellipsoid.
        core, rim: deviation of the tissue in the middle and at the border, in standard deviations of lesion tissue.
        edge_mm: width of the border over which the lesion fades.
        leukocortical: an intracortical lesion that crosses into white matter.
        enhancement: "none", "nodular" or "ring" after contrast agent.
        shape_seed: seed of orientation and surface.
    """

    kind: ClassVar[str] = "lesion"
    location: str
    position: float
    diameter_mm: float
    elongation: float = 1.3
    irregularity: float = 0.15
    outline: Outline | None = None
    core: float = 0.5
    rim: float = -0.5
    edge_mm: float = 1.5
    leukocortical: bool = False
    enhancement: str = "none"
    shape_seed: int = 0


@dataclass(frozen=True)
class LesionsRecord(Record):
    """All lesions of one subject, drawn in order: a later one yields to an earlier one where they overlap."""

    kind: ClassVar[str] = "lesions"
    lesions: tuple[LesionRecord, ...] = ()


@dataclass(frozen=True, eq=False)
class LesionSet:
    """Where the lesions are.

    Args:
        mask: uint16 (k, j, i), 0 outside, else the number of the lesion (1, 2, ...).
        table: one dictionary a lesion: number, location, volume_mm3, center_kji, diameter_mm, core, rim, enhancement.
    """

    mask: np.ndarray
    table: list[dict[str, Any]] = field(default_factory=list)


def draw(
    rng: np.random.Generator,
    *,
    number: int | None = None,
    locations: Sequence[str] = LOCATIONS,
    median_diameter_mm: float = 3.5,
    cortical_factor: float = 1.0,
    outlines: Sequence[Outline] = (),
) -> LesionsRecord:
    """Lesions of one subject.

    Args:
        number: how many; drawn (log-normal, median 40, half that of the cohort) when None.
        median_diameter_mm: of a log-normal distribution of sizes.
        locations: places to draw from.
        cortical_factor: oversampling of intracortical and juxtacortical lesions.
        outlines: real shapes; half of the lesions outside cortex take one when there are any.
    """
    if number is None:
        number = int(np.clip(rng.lognormal(np.log(40), 0.9), 1, 200))
    boost = [cortical_factor if place in ("juxtacortical", "intracortical") else 1.0 for place in locations]
    weights = np.array([_FREQUENCY[place] * factor for place, factor in zip(locations, boost)])
    chosen = rng.choice(len(locations), size=number, p=weights / weights.sum())
    return LesionsRecord(tuple(_draw_one(rng, locations[index], median_diameter_mm, outlines) for index in chosen))


def _draw_one(rng: np.random.Generator, location: str, median: float, outlines: Sequence[Outline]) -> LesionRecord:
    cortical = location == "intracortical"
    diameter = float(np.clip(rng.lognormal(np.log(median), 0.5), 1.5, 18.0))
    outline = outlines[rng.integers(len(outlines))] if len(outlines) and not cortical and rng.random() < 0.5 else None
    core = float(rng.normal(0.2, 1.0))
    return LesionRecord(
        location=location,
        position=float(rng.random()),
        diameter_mm=diameter,
        elongation=float(rng.uniform(1.2, 2.5) if location == "periventricular" or cortical else rng.uniform(1.0, 1.6)),
        irregularity=float(rng.uniform(0.05, 0.25)),
        outline=outline,
        core=core,
        rim=core - float(rng.uniform(0.0, 1.5)),
        edge_mm=float(min(rng.uniform(0.7, 2.0), 0.5 * diameter)),
        leukocortical=bool(cortical and rng.random() < 0.5),
        enhancement=str(rng.choice(["none", "nodular", "ring"], p=(0.88, 0.08, 0.04))) if not cortical else "none",
        shape_seed=draw_seed(rng),
    )


def apply(
    record: LesionsRecord,
    head: Mixture,
    labels: np.ndarray,
    *,
    spacing: Spacing = (1.0, 1.0, 1.0),
    found: LesionSet | None = None,
) -> tuple[Mixture, LesionSet]:
    """The head with these lesions, and where they are. A place the label map lacks gets no lesion.

    Args:
        labels: the label map from which `head` was made (k, j, i).
        spacing: (i, j, k) [mm].
        found: lesions that are there already; it is added to.
    """
    head = head.editable()
    found = LesionSet(np.zeros(labels.shape, dtype=np.uint16)) if found is None else found
    places = Places(labels, spacing)
    for lesion in record.lesions:
        center = places.voxel(lesion)
        if center is not None:
            _insert(lesion, head, found, places, np.array(center))
    return head, found


def _insert(lesion: LesionRecord, head: Mixture, found: LesionSet, places: Places, center: np.ndarray) -> None:
    step = np.array(places.spacing[::-1])
    reach = 0.75 * lesion.diameter_mm * lesion.elongation + lesion.edge_mm + step.max()
    low = np.maximum(np.floor(center - reach / step).astype(int), 0)
    high = np.minimum(np.ceil(center + reach / step).astype(int) + 1, head.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high))
    positions = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high)], indexing="ij"), -1)
    offsets = ((positions - center) * step).astype(np.float32)
    radius = implicit_radius(
        offsets,
        rng=np.random.default_rng(lesion.shape_seed),
        diameter=lesion.diameter_mm,
        elongation=lesion.elongation,
        irregularity=lesion.irregularity,
        outline=lesion.outline,
        direction=places.direction(center) if lesion.location == "periventricular" else None,
    )
    allowed = _ALLOWED["leukocortical" if lesion.leukocortical else lesion.location]
    room = head.crop(box).fraction(*allowed)
    share = room * np.clip((1 - radius) * lesion.diameter_mm / 2 / lesion.edge_mm + 0.5, 0, 1)
    level = lesion.rim + (lesion.core - lesion.rim) * np.clip(1 - radius**2, 0, 1)
    _paint(lesion, head, box, radius, share.astype(np.float32), level.astype(np.float32))
    _keep(lesion, found, box, share, center, places)


def _paint(lesion: LesionRecord, head: Mixture, box, radius: np.ndarray, share: np.ndarray, level: np.ndarray) -> None:
    if lesion.location == "intracortical":
        return write_overlay(head, box, "cortical-lesion", share, 2 * level)
    if lesion.enhancement == "nodular":
        return write_overlay(head, box, "enhancing-lesion", share, level)
    if lesion.enhancement == "ring":
        ring = (radius > 0.6) & (radius < 1.1)
        write_overlay(head, box, "enhancing-lesion", np.where(ring, share, 0), level)
        return write_overlay(head, box, "lesion", np.where(ring, 0, share), level)
    return write_overlay(head, box, "lesion", share, level)


def _keep(lesion: LesionRecord, found: LesionSet, box, share: np.ndarray, center: np.ndarray, places: Places) -> None:
    inside = (share >= 0.5) & (found.mask[box] == 0)
    if not inside.any():
        inside = (share == share.max()) & (share > 0.2) & (found.mask[box] == 0)
    if not inside.any():
        return
    number = len(found.table) + 1
    found.mask[box][inside] = number
    found.table.append(
        {
            "number": number,
            "location": "leukocortical" if lesion.leukocortical else lesion.location,
            "volume_mm3": float(inside.sum() * np.prod(places.spacing)),
            "center_kji": [int(c) for c in center],
            "diameter_mm": lesion.diameter_mm,
            "core": lesion.core,
            "rim": lesion.rim,
            "enhancement": lesion.enhancement,
        }
    )


class Places:
    """Which voxels of a label map belong to which place."""

    def __init__(self, labels: np.ndarray, spacing: Spacing) -> None:
        self.spacing = spacing
        self._labels = labels
        self._ventricle = distance_mm(np.isin(labels, VENTRICLES), spacing)
        self._cortex = distance_mm(np.isin(labels, CORTEX), spacing)
        self._voxels: dict[str, np.ndarray] = {}

    def voxel(self, lesion: LesionRecord) -> tuple[int, ...] | None:
        """Index (k, j, i) of the lesion's center, or None when the label map has no such place."""
        if lesion.location not in self._voxels:
            self._voxels[lesion.location] = np.flatnonzero(self._zone(lesion.location))
        voxels = self._voxels[lesion.location]
        if not voxels.size:
            return None
        chosen = voxels[min(int(lesion.position * voxels.size), voxels.size - 1)]
        return tuple(int(index) for index in np.unravel_index(chosen, self._labels.shape))

    def direction(self, center: np.ndarray) -> np.ndarray:
        """Unit vector (k, j, i) away from the ventricles at a voxel."""
        box = tuple(slice(max(c - 2, 0), c + 3) for c in center)
        slope = np.array([gradient.mean() for gradient in np.gradient(self._ventricle[box], *self.spacing[::-1])])
        norm = np.linalg.norm(slope)
        return slope / norm if norm > 0 else np.array([1.0, 0.0, 0.0])

    def _zone(self, location: str) -> np.ndarray:
        white = np.isin(self._labels, (*WHITE, *LABELLED_LESIONS))
        if location == "intracortical":
            return np.isin(self._labels, CORTEX)
        if location == "infratentorial":
            return np.isin(self._labels, BRAIN_STEM_AND_CEREBELLUM)
        if location == "periventricular":
            return white & (self._ventricle < 4)
        if location == "juxtacortical":
            return white & (self._cortex < 2) & (self._ventricle > 8)
        return white & (self._cortex > 4) & (self._ventricle > 6)
