"""Protocols of brain MR: what a scanner is told, drawn over the range that sites use, and the signal it then gives.

Ranges surround common protocols: MPRAGE TR 2300-2400, TI 900-1000; TSE TR 2600-8000, TE 80-115; DIR with inversion
times 3000/550 (TR 7500), 2550/450 (TR 5500) and, at 1.5 T, 3400/325 (PMC5459288). Inversion times are solved for the
nulls of nominal tissue and then missed by a few per cent, as on scanners, where T1 and B1+ are never the nominal ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from . import contrast as sequences
from .records import Record
from .relaxation import TissueTable
from .tissue import BOUND_WATER, REFERENCE_FIELD, T1_FIELD_EXPONENT, TISSUE_INDEX, TISSUE_NAMES

CONTRASTS = ("t1w", "t1w-contrast-enhanced", "t2w", "pd", "flair", "dir", "random")
FIELD_STRENGTHS = (1.5, 3.0, 7.0)
NOMINAL_WHITE_T1, NOMINAL_FLUID_T1 = 850.0, 4300.0


@dataclass(frozen=True)
class ProtocolRecord(Record):
    """One sequence as set up for one examination. Times in ms, angles in degrees, field strength in T.

    Args:
        contrast: one of CONTRASTS.
        sequence: "mprage", "spoiled-gradient-echo", "spin-echo", "flair", "dir" or "random".
        ti: (first) inversion to excitation; ti2: second inversion to excitation (DIR).
        train: duration of the echo train, or number of pulses times `echo_spacing` for MPRAGE.
        inversion: efficiency of the inversion pulses at nominal B1+.
        adiabatic: inversion keeps its efficiency over a wide range of B1+.
        gadolinium: contrast agent in blood [mmol/l].
        fat: fraction of the signal of fat that fat saturation leaves.
        magnetization_transfer: fraction of white matter's signal that the many pulses of a turbo spin echo saturate.
        blood: factors on the signal of flowing blood (arteries, veins): spin-echo voids, gradient-echo inflow.
        intensities: arbitrary signal by tissue, for "random".
    """

    kind: ClassVar[str] = "protocol"
    contrast: str
    sequence: str
    field_strength: float = 3.0
    tr: float = 0.0
    te: float = 0.0
    ti: float = 0.0
    ti2: float = 0.0
    flip: float = 0.0
    echo_spacing: float = 0.0
    pulses: int = 0
    train: float = 0.0
    inversion: float = 1.0
    adiabatic: bool = True
    gadolinium: float = 0.0
    fat: float = 1.0
    magnetization_transfer: float = 0.0
    blood: tuple[float, float] = (1.0, 1.0)
    intensities: dict[str, float] = field(default_factory=dict)


def draw(rng: np.random.Generator, contrast: str, *, field_strength: float | None = None) -> ProtocolRecord:
    """A protocol for a contrast; the field strength is drawn (mostly 3 T) unless given."""
    if contrast not in _DRAWS:
        raise ValueError(f"unknown contrast {contrast!r}; known: {', '.join(CONTRASTS)}")
    if field_strength is None:
        field_strength = float(rng.choice(FIELD_STRENGTHS, p=(0.4, 0.55, 0.05)))
    return _DRAWS[contrast](rng, field_strength)


def _t1w(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    kind = rng.choice(["mprage", "spoiled-gradient-echo", "spin-echo"], p=(0.6, 0.2, 0.2))
    if kind == "mprage" or field_strength > 3:
        return _mprage(rng, field_strength)
    common = {"contrast": "t1w", "sequence": str(kind), "field_strength": field_strength, "fat": _fat(rng, 0.15)}
    if kind == "spin-echo":
        blood = (float(rng.uniform(0.05, 0.4)), float(rng.uniform(0.2, 0.8)))
        return ProtocolRecord(**common, tr=_u(rng, 450, 700), te=_u(rng, 8, 15), blood=blood)
    blood = (float(rng.uniform(1.0, 2.2)), float(rng.uniform(0.8, 1.2)))
    return ProtocolRecord(**common, tr=_u(rng, 8, 30), te=_u(rng, 2.5, 5), flip=_u(rng, 14, 30), blood=blood)


def _mprage(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    pulses, spacing = int(rng.integers(120, 193)), _u(rng, 6.0, 8.0)
    ti = _u(rng, 850, 1100) * (field_strength / REFERENCE_FIELD) ** 0.2
    return ProtocolRecord(
        contrast="t1w",
        sequence="mprage",
        field_strength=field_strength,
        tr=max(_u(rng, 1900, 2500), ti + 0.6 * pulses * spacing),
        te=_u(rng, 2.0, 4.0),
        ti=max(ti, 0.55 * pulses * spacing),
        flip=_u(rng, 7, 10),
        echo_spacing=spacing,
        pulses=pulses,
        inversion=_u(rng, 0.9, 1.0),
        fat=_fat(rng, 0.25),
        blood=(float(rng.uniform(1.0, 1.8)), float(rng.uniform(0.7, 1.1))),
    )


def _t1w_enhanced(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    base = _t1w(rng, field_strength)
    values = {**vars(base), "contrast": "t1w-contrast-enhanced", "gadolinium": _u(rng, 0.4, 1.5)}
    return ProtocolRecord(**values)


def _t2w(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    return _turbo_spin_echo(rng, field_strength, "t2w", te=_u(rng, 80, 115), tr=_u(rng, 2600, 8000))


def _pd(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    return _turbo_spin_echo(rng, field_strength, "pd", te=_u(rng, 8, 30), tr=_u(rng, 2200, 4500))


def _turbo_spin_echo(rng, field_strength: float, contrast: str, *, te: float, tr: float) -> ProtocolRecord:
    return ProtocolRecord(
        contrast=contrast,
        sequence="spin-echo",
        field_strength=field_strength,
        tr=tr,
        te=te,
        train=_u(rng, 80, 250),
        magnetization_transfer=_u(rng, 0.0, 0.15),
        fat=_fat(rng, 0.3),
        blood=_voids(rng),
    )


def _flair(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    tr, train = _u(rng, 4800, 10000), _u(rng, 300, 900)
    ti = sequences.null_time(tr - train, NOMINAL_FLUID_T1) * _u(rng, 0.93, 1.04)
    return ProtocolRecord(
        contrast="flair",
        sequence="flair",
        field_strength=field_strength,
        tr=tr,
        te=_u(rng, 85, 130),
        ti=ti,
        train=train,
        inversion=_u(rng, 0.92, 1.0),
        adiabatic=bool(rng.random() < 0.8),
        magnetization_transfer=_u(rng, 0.0, 0.2),
        fat=_fat(rng, 0.75),
        blood=_voids(rng),
    )


def _dir(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    tr, train = _u(rng, 5500, 11000), _u(rng, 500, 900)
    white = NOMINAL_WHITE_T1 * (field_strength / REFERENCE_FIELD) ** T1_FIELD_EXPONENT
    ti1, ti2 = sequences.null_times(tr - train, white, NOMINAL_FLUID_T1)
    return ProtocolRecord(
        contrast="dir",
        sequence="dir",
        field_strength=field_strength,
        tr=tr,
        te=_u(rng, 60, 120),
        ti=ti1 * _u(rng, 0.97, 1.02),
        ti2=ti2 * _u(rng, 0.95, 1.05),
        train=train,
        inversion=_u(rng, 0.96, 1.0),
        adiabatic=bool(rng.random() < 0.9),
        magnetization_transfer=_u(rng, 0.0, 0.15),
        fat=_fat(rng, 0.85),
        blood=_voids(rng),
    )


def _random(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    values = dict(zip(TISSUE_NAMES, rng.uniform(0.05, 1.0, len(TISSUE_NAMES)).tolist()))
    values["air"] = 0.0
    values["compact-bone"] *= float(rng.uniform(0.05, 0.5))
    return ProtocolRecord("random", "random", field_strength, intensities=values)


_DRAWS = {
    "t1w": _t1w,
    "t1w-contrast-enhanced": _t1w_enhanced,
    "t2w": _t2w,
    "pd": _pd,
    "flair": _flair,
    "dir": _dir,
    "random": _random,
}


def _u(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _fat(rng: np.random.Generator, probability: float) -> float:
    """Fraction of the signal of fat that is left: fat saturation is used with this probability and never complete."""
    return float(rng.uniform(0.05, 0.3)) if rng.random() < probability else 1.0


def _voids(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(0.02, 0.2)), float(rng.uniform(0.05, 0.5))


def protocol_signal(
    protocol: ProtocolRecord, tissues: TissueTable, level: np.ndarray, *, b1: float = 1.0
) -> np.ndarray:
    """Signed signal (tissues, levels) of all tissues at deviations `level`; `b1` is the transmit field over nominal."""
    density, t1, t2, t2_star = tissues.at_level(level)
    if protocol.sequence == "random":
        values = np.array([protocol.intensities.get(name, 0.5) for name in TISSUE_NAMES])
        signal = values[:, None] * (density / np.maximum(tissues.proton_density[:, None], 1e-6)) ** 3
    else:
        signal = _sequence(protocol, density, t1, t2, t2_star, b1)
    factor = 1 - protocol.magnetization_transfer * BOUND_WATER
    for name, value in (
        ("fat", protocol.fat),
        ("marrow", protocol.fat),
        ("artery", protocol.blood[0]),
        ("vein", protocol.blood[1]),
    ):
        factor[TISSUE_INDEX[name]] = value
    factor[TISSUE_INDEX["air"]] = 0
    return signal * factor[:, None]


def _sequence(p: ProtocolRecord, density, t1, t2, t2_star, b1: float) -> np.ndarray:
    inversion = sequences.inversion_efficiency(p.inversion, b1, adiabatic=p.adiabatic)
    refocusing = sequences.refocusing_efficiency(b1)
    if p.sequence == "mprage":
        return sequences.mprage(
            density,
            t1,
            t2_star,
            tr=p.tr,
            ti=p.ti,
            flip=p.flip * b1,
            spacing=p.echo_spacing,
            pulses=p.pulses,
            te=p.te,
            inversion=inversion,
        )
    if p.sequence == "spoiled-gradient-echo":
        return sequences.spoiled_gradient_echo(density, t1, t2_star, tr=p.tr, te=p.te, flip=p.flip * b1)
    if p.sequence == "spin-echo":
        return refocusing * sequences.spin_echo(density, t1, t2, tr=p.tr, te=p.te, train=p.train)
    times = {"tr": p.tr, "te": p.te, "train": p.train, "inversion": inversion}
    if p.sequence == "flair":
        return refocusing * sequences.flair(density, t1, t2, ti=p.ti, **times)
    if p.sequence == "dir":
        return refocusing * sequences.double_inversion(density, t1, t2, ti1=p.ti, ti2=p.ti2, **times)
    raise ValueError(f"unknown sequence {p.sequence!r}")
