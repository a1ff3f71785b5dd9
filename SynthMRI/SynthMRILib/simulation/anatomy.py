"""From a label map to a head: mixtures of tissues with partial volume, texture, membranes, vessels and fat.

Labels name regions; a radiologist's eye also expects what no label holds: fat planes between muscles, dura, falx and
tentorium, small vessels, slightly longer relaxation times around the ventricles. `structure` adds these, `mixture` the
partial volume, `relaxation` the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import relaxation, structure
from .fields import binomial_smooth, smooth_field
from .mixture import Mixture, mix
from .records import Record, draw_seed
from .relaxation import RelaxationRecord
from .structure import StructureRecord
from .tissue import TISSUE_INDEX, tissues_of

FINE_GAIN = (25 / 11) ** 1.5
"""Brings white noise smoothed by (1, 3, 1) / 5 along three axes back to unit standard deviation."""


@dataclass(frozen=True)
class AnatomyRecord(Record):
    """What one subject is like.

    Args:
        relaxation: factors on the tissue table.
        structure: what is added to the labels.
        sharpness: steepness of tissue boundaries; blend: of those between white and gray matter, see `mixture.mix`.
        texture: factor on the variation within tissues.
        texture_weights: share of variance at the scales of `TEXTURE_SCALES_MM`.
        texture_seed: seed of the variation.
        labelled_lesions: show lesions that the label map itself holds; otherwise they are white matter.
    """

    kind: ClassVar[str] = "anatomy"
    relaxation: RelaxationRecord
    structure: StructureRecord
    sharpness: float = 2.0
    blend: float = 1.0
    texture: float = 1.0
    texture_weights: tuple[float, ...] = (0.15, 0.35, 0.3, 0.2)
    texture_seed: int = 0
    labelled_lesions: bool = True


TEXTURE_SCALES_MM = (0.0, 2.5, 8.0, 30.0)
"""Correlation lengths of the variation within tissues; 0 is grain of about one voxel."""


def draw(rng: np.random.Generator) -> AnatomyRecord:
    """A subject."""
    return AnatomyRecord(
        relaxation=relaxation.draw(rng),
        structure=structure.draw(rng),
        sharpness=float(rng.uniform(1.6, 2.4)),
        blend=float(rng.uniform(0.6, 1.4)),
        texture=float(rng.uniform(0.6, 1.5)),
        texture_weights=tuple(rng.dirichlet((2.0, 4.0, 3.0, 2.0)).tolist()),
        texture_seed=draw_seed(rng),
        labelled_lesions=bool(rng.random() < 0.3),
    )


def apply(
    record: AnatomyRecord, labels: np.ndarray, *, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Mixture:
    """The head of that subject as a mixture of tissues.

    Args:
        labels: integers (k, j, i), FreeSurfer numbering with 5xx for extra-cerebral tissue.
        spacing: (i, j, k) [mm].
    """
    tissues = tissues_of(labels)
    if not record.labelled_lesions:
        tissues[tissues == TISSUE_INDEX["lesion"]] = TISSUE_INDEX["white-matter"]
    tissues = structure.add_sheets(record.structure, tissues, labels, spacing)
    variation = texture(record, labels.shape, spacing)
    structure.add_halo(record.structure, variation, labels, spacing)
    head = mix(tissues, variation, sharpness=record.sharpness, blend=record.blend)
    head = structure.add_arachnoid(record.structure, head, labels, spacing)
    return structure.add_vessels(record.structure, head, labels, spacing)


def texture(record: AnatomyRecord, shape: tuple[int, ...], spacing: tuple[float, float, float]) -> np.ndarray:
    """float32 field of standard deviation `record.texture`, a sum over four scales."""
    rng = np.random.default_rng(record.texture_seed)
    total = np.zeros(shape, dtype=np.float32)
    for scale, weight in zip(TEXTURE_SCALES_MM, record.texture_weights):
        if scale == 0:
            part = binomial_smooth(rng.standard_normal(shape, dtype=np.float32)) * np.float32(FINE_GAIN)
        else:
            part = smooth_field(shape, rng, length=tuple(scale / s for s in spacing[::-1]))
        part *= np.float32(record.texture * np.sqrt(weight))
        total += part
    return total


@dataclass(frozen=True, eq=False)
class ParameterMaps:
    """Proton density (relative), T1, T2 and T2* [ms]: float32 (k, j, i).

    In partial volume, rates are averaged by water content.
    """

    proton_density: np.ndarray
    t1: np.ndarray
    t2: np.ndarray
    t2_star: np.ndarray


def parameter_maps(record: AnatomyRecord, head: Mixture, *, field_strength: float = 3.0) -> ParameterMaps:
    """Maps to look at or to hand to another simulator; contrasts are computed from the mixture itself."""
    from .render import weighted_sum

    tissues = relaxation.table(record.relaxation, field_strength=field_strength)

    def total(choose) -> np.ndarray:
        return weighted_sum(head, lambda level: choose(*tissues.at_level(level)))

    density = total(lambda pd, _t1, _t2, _t2s: pd)
    water = np.maximum(density, 1e-6)
    t1 = water / np.maximum(total(lambda pd, t1, _t2, _t2s: pd / t1), 1e-9)
    t2 = water / np.maximum(total(lambda pd, _t1, t2, _t2s: pd / t2), 1e-9)
    t2_star = water / np.maximum(total(lambda pd, _t1, _t2, t2s: pd / t2s), 1e-9)
    present = density > 1e-4
    return ParameterMaps(density, *(np.where(present, values, 0).astype(np.float32) for values in (t1, t2, t2_star)))
