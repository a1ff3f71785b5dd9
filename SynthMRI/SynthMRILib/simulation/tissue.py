"""Tissues of the head: their relaxation times and proton densities, and which labels belong to which.

Values at 3 T follow Wansapura 1999, Stanisz 2005 and Wright 2008 for brain, and common textbook values for the rest;
each is the center of a range from which a simulated head draws. T1 at another field strength follows the power law
T1 ~ B0^(1/3) of Bottomley 1984; cerebrospinal fluid, fat and vitreous humor change little and keep their value.
T2 is nearly constant between 1.5 and 3 T and shortens at 7 T; T2* goes as 1 / B0.
Label numbers are those of FreeSurfer, with 5xx for extra-cerebral tissue as in the head maps of SynthSeg (Billot 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REFERENCE_FIELD = 3.0
T1_FIELD_EXPONENT = 1.0 / 3.0


@dataclass(frozen=True)
class Tissue:
    """One tissue at 3 T.

    Args:
        name: word used in records.
        t1, t2, t2_star: relaxation times [ms].
        proton_density: relative to cerebrospinal fluid (0 to 1).
        spread: relative standard deviation between subjects of t1 and t2.
        texture: relative standard deviation of T1 within the tissue; T2, T2* and proton density follow in proportion.
        watery: T1 does not depend on the field strength.
    """

    name: str
    t1: float
    t2: float
    t2_star: float
    proton_density: float
    spread: float = 0.05
    texture: float = 0.02
    watery: bool = False


TISSUES: tuple[Tissue, ...] = (
    Tissue("air", 1000.0, 1.0, 0.1, 0.0, 0.0, 0.0, watery=True),
    Tissue("white-matter", 850.0, 72.0, 48.0, 0.68, 0.04, 0.02),
    Tissue("cortex", 1480.0, 96.0, 58.0, 0.78, 0.05, 0.03),
    Tissue("deep-gray", 1330.0, 80.0, 42.0, 0.77, 0.04, 0.02),
    Tissue("thalamus", 1180.0, 80.0, 48.0, 0.75, 0.04, 0.03),
    Tissue("pallidum", 1060.0, 64.0, 26.0, 0.73, 0.05, 0.02),
    Tissue("cerebellar-white-matter", 900.0, 78.0, 48.0, 0.70, 0.05, 0.02),
    Tissue("cerebellar-cortex", 1350.0, 88.0, 52.0, 0.77, 0.05, 0.04),
    Tissue("brain-stem", 1000.0, 78.0, 46.0, 0.72, 0.04, 0.025),
    Tissue("csf", 4300.0, 1500.0, 700.0, 1.0, 0.04, 0.01, watery=True),
    Tissue("choroid-plexus", 2000.0, 125.0, 70.0, 0.86, 0.12, 0.08),
    Tissue("artery", 1700.0, 130.0, 60.0, 0.90, 0.05, 0.05),
    Tissue("vein", 1700.0, 60.0, 22.0, 0.88, 0.08, 0.05),
    Tissue("optic-nerve", 1000.0, 80.0, 45.0, 0.72, 0.06, 0.03),
    Tissue("spinal-cord", 950.0, 78.0, 45.0, 0.72, 0.05, 0.03),
    Tissue("eye", 4000.0, 900.0, 500.0, 1.0, 0.05, 0.01, watery=True),
    Tissue("muscle", 1400.0, 36.0, 25.0, 0.78, 0.06, 0.06),
    Tissue("fat", 380.0, 100.0, 35.0, 0.85, 0.08, 0.05, watery=True),
    Tissue("skin", 900.0, 38.0, 20.0, 0.70, 0.10, 0.08),
    Tissue("compact-bone", 500.0, 2.0, 0.5, 0.12, 0.15, 0.15),
    Tissue("marrow", 480.0, 85.0, 20.0, 0.62, 0.12, 0.12),
    Tissue("mucosa", 1450.0, 80.0, 35.0, 0.76, 0.15, 0.12),
    Tissue("lesion", 1350.0, 125.0, 75.0, 0.78, 0.06, 0.20),
    Tissue("enhancing-lesion", 1450.0, 140.0, 80.0, 0.80, 0.08, 0.15),
    Tissue("cortical-lesion", 1750.0, 122.0, 70.0, 0.82, 0.05, 0.03),
    Tissue("edema", 1500.0, 150.0, 90.0, 0.82, 0.08, 0.06),
    Tissue("tumor", 1600.0, 125.0, 60.0, 0.82, 0.15, 0.08),
    Tissue("enhancing-tumor", 1500.0, 115.0, 55.0, 0.82, 0.12, 0.08),
    Tissue("necrosis", 2600.0, 350.0, 120.0, 0.93, 0.20, 0.10),
    Tissue("hemosiderin", 1100.0, 30.0, 6.0, 0.55, 0.20, 0.15),
    Tissue("dura", 900.0, 32.0, 18.0, 0.58, 0.08, 0.06),
)
TISSUE_NAMES: tuple[str, ...] = tuple(tissue.name for tissue in TISSUES)
TISSUE_INDEX: dict[str, int] = {name: index for index, name in enumerate(TISSUE_NAMES)}

_BOUND: dict[str, float] = {
    "white-matter": 1.0,
    "cerebellar-white-matter": 1.0,
    "optic-nerve": 1.0,
    "brain-stem": 0.9,
    "spinal-cord": 0.9,
    "muscle": 0.9,
    "pallidum": 0.8,
    "thalamus": 0.65,
    "deep-gray": 0.55,
    "cerebellar-cortex": 0.5,
    "dura": 0.5,
    "skin": 0.5,
    "cortex": 0.45,
    "edema": 0.4,
    "lesion": 0.35,
    "cortical-lesion": 0.35,
    "enhancing-lesion": 0.3,
    "tumor": 0.3,
    "enhancing-tumor": 0.3,
}
BOUND_WATER = np.array([_BOUND.get(name, 0.0) for name in TISSUE_NAMES])
"""Effect of magnetization transfer by tissue, relative to white matter: an estimate that follows myelin content."""

_LABELS: dict[str, tuple[int, ...]] = {
    "white-matter": (2, 41, 78, 79),
    "cortex": (3, 42, 17, 53, 18, 54),
    "deep-gray": (11, 50, 12, 51, 26, 58),
    "thalamus": (10, 49),
    "pallidum": (13, 52),
    "cerebellar-white-matter": (7, 46),
    "cerebellar-cortex": (8, 47),
    "brain-stem": (16, 28, 60),
    "csf": (4, 43, 5, 44, 14, 15, 24, 72),
    "choroid-plexus": (31, 63, 136, 137, 163, 164),
    "artery": (502,),
    "vein": (514, 30, 62),
    "optic-nerve": (85, 530),
    "spinal-cord": (512,),
    "eye": (506,),
    "muscle": (507, 508),
    "skin": (511,),
    "compact-bone": (515,),
    "marrow": (516,),
    "mucosa": (509,),
    "lesion": (25, 57, 77),
}
SOFT_TISSUE_LABEL = 507
"""Muscle, fat and fascia in one label; `anatomy` tells them apart."""

BRAIN_LABELS: tuple[int, ...] = (
    *(2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 25, 26, 28, 30, 31, 136, 137),
    *(41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 63, 72, 77, 85, 163, 164),
)
"""Labels inside the pia, ventricles included; subarachnoid fluid (24) is outside."""


def field_factors(field_strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors of T1, T2 and T2* of all tissues from 3 T to another field strength [T]: three arrays (tissues,)."""
    ratio = field_strength / REFERENCE_FIELD
    watery = np.array([tissue.watery for tissue in TISSUES])
    t1 = np.where(watery, 1.0, ratio**T1_FIELD_EXPONENT)
    t2 = np.where(watery, 1.0, max(ratio, 1.0) ** -0.4)
    return t1, t2, np.full(len(TISSUES), 1 / ratio)


def tissue_table(size: int) -> np.ndarray:
    """uint8 lookup table from label number (0 to size - 1) to tissue index; unknown labels become muscle."""
    table = np.full(size, TISSUE_INDEX["muscle"], dtype=np.uint8)
    table[0] = TISSUE_INDEX["air"]
    for name, labels in _LABELS.items():
        for label in labels:
            if label < size:
                table[label] = TISSUE_INDEX[name]
    return table


def tissues_of(labels: np.ndarray) -> np.ndarray:
    """uint8 tissue index of every voxel of a label map."""
    return tissue_table(max(int(labels.max()) + 1, 1))[labels]
