"""The relaxation times and proton densities that the tissues of one subject have, and how they vary within a tissue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .records import Record
from .tissue import TISSUE_INDEX, TISSUE_NAMES, TISSUES, field_factors

RELAXIVITY = 4.5e-3
"""Longitudinal relaxivity of gadolinium chelates in blood [1 / (ms mmol/l)], 3 T."""
T2_RESPONSE, T2_STAR_RESPONSE, DENSITY_RESPONSE = 0.8, 0.6, 0.3
"""How strongly T2, T2* and proton density follow a relative change of T1 within a tissue (water content drives all)."""

_UPTAKE = {
    "artery": 1.0,
    "vein": 1.0,
    "choroid-plexus": 0.6,
    "mucosa": 0.5,
    "dura": 0.35,
    "enhancing-lesion": 0.35,
    "enhancing-tumor": 0.45,
    "muscle": 0.08,
    "skin": 0.10,
}
"""Concentration of contrast agent relative to that in blood, by tissue."""


@dataclass(frozen=True)
class RelaxationRecord(Record):
    """Factors on the tissue table of one subject: {tissue: (t1, t2, t2_star, proton_density)}, all about 1."""

    kind: ClassVar[str] = "relaxation"
    factors: dict[str, tuple[float, float, float, float]]


def draw(rng: np.random.Generator, *, spread: float = 1.0) -> RelaxationRecord:
    """Factors for a subject; `spread` scales the standard deviations of the tissue table."""
    factors = {}
    for tissue in TISSUES:
        t1, t2, t2_star, density = spread * tissue.spread * rng.standard_normal(4)
        factors[tissue.name] = tuple(np.exp([t1, t2, t2 + 0.5 * t2_star, 0.3 * density]).tolist())
    return RelaxationRecord(factors)


@dataclass(frozen=True, eq=False)
class TissueTable:
    """Parameters of all tissues at one field strength.

    Args:
        t1, t2, t2_star: [ms]; proton_density: relative; texture: relative standard deviation of T1. Arrays (tissues,).
    """

    t1: np.ndarray
    t2: np.ndarray
    t2_star: np.ndarray
    proton_density: np.ndarray
    texture: np.ndarray

    def at_level(self, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(pd, t1, t2, t2_star), each (tissues, levels), for deviations `level` in standard deviations."""
        change = self.texture[:, None] * np.asarray(level)[None]
        density = np.minimum(self.proton_density[:, None] * np.exp(DENSITY_RESPONSE * change), 1.0)
        t2 = self.t2[:, None] * np.exp(T2_RESPONSE * change)
        t2_star = np.minimum(self.t2_star[:, None] * np.exp(T2_STAR_RESPONSE * change), t2)
        return density, self.t1[:, None] * np.exp(change), t2, t2_star


def table(record: RelaxationRecord, *, field_strength: float, gadolinium: float = 0.0) -> TissueTable:
    """The tissue table of a subject.

    Args:
        field_strength: [T].
        gadolinium: concentration of contrast agent in blood [mmol/l]; about 0.5 to 1.5 some minutes after injection.
    """
    factors = np.array([record.factors.get(name, (1.0,) * 4) for name in TISSUE_NAMES])
    base = np.array([(t.t1, t.t2, t.t2_star, t.proton_density) for t in TISSUES])
    t1, t2, t2_star, density = (base * factors).T
    by_field = field_factors(field_strength)
    t1, t2, t2_star = t1 * by_field[0], t2 * by_field[1], t2_star * by_field[2]
    if gadolinium > 0:
        t1 = t1.copy()
        for name, share in _UPTAKE.items():
            index = TISSUE_INDEX[name]
            t1[index] = 1 / (1 / t1[index] + RELAXIVITY * gadolinium * share)
    texture = np.array([tissue.texture for tissue in TISSUES])
    return TissueTable(t1, t2, np.minimum(t2_star, t2), np.minimum(density, 1.0), texture)
