"""What `synthmri simulate` can make: one name, one record, one set of volumes.

A sample's record holds everything drawn for it, down to the seeds of its fields; with the same label map it is made
again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..volume import Grid, Volume
from . import acquisition, anatomy, bias, lesions, motion, noise, presets, protocols, rigid, subject
from .acquisition import AcquisitionRecord
from .bias import BiasRecord, TransmitRecord
from .heads import normalized
from .motion import MotionRecord
from .noise import NoiseRecord
from .protocols import ProtocolRecord
from .records import Record
from .subject import Subject, SubjectRecord

KINDS: dict[str, str] = {
    "anatomy": "maps of proton density, T1, T2 and T2*",
    "t1w": "T1-weighted head",
    "t1w-contrast-enhanced": "T1-weighted head after contrast agent",
    "t2w": "T2-weighted head",
    "pd": "proton-density-weighted head",
    "flair": "FLAIR head",
    "dir": "double inversion recovery head",
    "random-contrast": "a head of arbitrary contrast",
    "contrasts": "T1w, T2w, PD, FLAIR and DIR of one subject, in register",
    "misregistered": "T1w, T2w and FLAIR of one subject, each slightly moved",
    "lesions": "T1w, T2w, FLAIR and DIR of a subject with multiple sclerosis lesions, and their masks",
    "tumor": "T1w before and after contrast agent, T2w and FLAIR with a tumor-like mass",
    "resection": "T1w, T2w and FLAIR with a resection-like cavity",
    "void": "T1w, T2w and FLAIR with a small signal void",
    "isotropic": "a realistic isotropic scan beside the sharp head",
    "low-resolution": "a scan of low resolution beside the sharp head",
    "thick-slices": "a scan of thick slices beside the sharp head",
    "low-field": "a low-field scan beside a 3 T one",
    "noise": "a noisy volume beside the clean one",
    "bias": "a volume with receive bias and B1+ beside the clean one",
    "motion": "a scan with motion beside the same scan without",
}
_FOREIGN = {"tumor": "tumor", "resection": "resection", "void": "void"}
_CONTRASTS: dict[str, tuple[str, ...]] = {
    "anatomy": (),
    "random-contrast": ("random",),
    "contrasts": ("t1w", "t2w", "pd", "flair", "dir"),
    "misregistered": ("t1w", "t2w", "flair"),
    "lesions": ("t1w", "t2w", "flair", "dir"),
    "tumor": ("t1w", "t1w-contrast-enhanced", "t2w", "flair"),
    "resection": ("t1w", "t2w", "flair"),
    "void": ("t1w", "t2w", "flair"),
}
DEFAULT_CONTRAST = {"motion": "t1w", "low-field": "t2w", "noise": "flair"}


@dataclass(frozen=True)
class SampleRecord(Record):
    """Everything drawn for one sample.

    Args:
        sample: one of KINDS.
        subject: the subject.
        protocols: protocol by contrast.
        poses: pose of the head by contrast, (R, A, S) [mm] and (pitch, roll, yaw) [deg], where contrasts do not
            register.
        transmit, bias, noise, acquisition, motion: what else is done to the first contrast, or None.
    """

    kind: ClassVar[str] = "sample"
    sample: str
    subject: SubjectRecord
    protocols: dict[str, ProtocolRecord] = field(default_factory=dict)
    poses: dict[str, tuple[float, ...]] = field(default_factory=dict)
    transmit: TransmitRecord | None = None
    bias: BiasRecord | None = None
    noise: NoiseRecord | None = None
    acquisition: AcquisitionRecord | None = None
    motion: MotionRecord | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """Volumes by name, label volumes by name, and facts (lesion table, severity): JSON types."""

    volumes: dict[str, Volume]
    masks: dict[str, Volume]
    facts: dict[str, Any]


def draw(
    name: str,
    rng: np.random.Generator,
    *,
    contrast: str | None = None,
    field_strength: float | None = None,
    severity: float | None = None,
    sequence: str | None = None,
    number: int | None = None,
    deformed: bool = True,
) -> SampleRecord:
    """A sample of a kind.

    Args:
        name: one of KINDS.
        contrast: of kinds that degrade one volume.
        field_strength: [T]; drawn when None.
        severity, sequence: of motion, see `motion.draw`.
        number: of lesions, for the kind "lesions".
        deformed: give the head another shape than the label map has.
    """
    if name not in KINDS:
        raise ValueError(f"unknown kind {name!r}; known: {', '.join(KINDS)}")
    person = subject.draw(
        rng,
        deformed=deformed,
        lesions_probability=0.0 if name in _FOREIGN or name == "anatomy" else 0.4,
        foreign_structure=_FOREIGN.get(name),
    )
    if name == "lesions":
        person = _with_lesions(person, rng, number)
    contrasts = _contrasts_of(name, contrast)
    field_strength = float(rng.choice((1.5, 3.0))) if field_strength is None else field_strength
    plans = {c: protocols.draw(rng, c, field_strength=field_strength) for c in contrasts}
    if name == "low-field":
        plans["low-field"] = presets.draw_low_field_protocol(rng, contrasts[0])
    return SampleRecord(name, person, plans, **_effects(name, rng, contrasts, severity, sequence, field_strength))


def _contrasts_of(name: str, contrast: str | None) -> tuple[str, ...]:
    if name in protocols.CONTRASTS:
        return (name,)
    if name in _CONTRASTS:
        return _CONTRASTS[name]
    return (contrast or DEFAULT_CONTRAST.get(name, "flair"),)


def _with_lesions(person: SubjectRecord, rng: np.random.Generator, number: int | None) -> SubjectRecord:
    drawn = lesions.draw(rng, number=number, cortical_factor=2.0)
    return SubjectRecord(person.anatomy, person.deformation, drawn, person.foreign)


def _effects(
    name: str, rng: np.random.Generator, contrasts, severity, sequence, field_strength: float
) -> dict[str, Any]:
    if name == "misregistered":
        spread = np.repeat((0.7, 0.5), 3)
        return {"poses": {c: tuple((spread * rng.standard_normal(6)).tolist()) for c in contrasts[1:]}}
    if name in presets.ACQUISITIONS:
        return {"acquisition": presets.draw_acquisition(rng, name)}
    if name == "noise":
        return {"noise": noise.draw(rng, least=0.01)}
    if name == "bias":
        transmit = bias.draw_transmit(rng, field_strength=field_strength)
        return {"bias": BiasRecord(float(rng.uniform(0.1, 0.3)), 90.0, transmit.field_seed), "transmit": transmit}
    if name == "motion":
        return {"motion": motion.draw(rng, sequence=sequence or _SEQUENCES.get(contrasts[0]), severity=severity)}
    return {}


_SEQUENCES = {"t1w": "mprage", "t1w-contrast-enhanced": "mprage", "dir": "tse-3d"}


def apply(record: SampleRecord, labels: np.ndarray, grid: Grid) -> Sample:
    """Make the sample of a record.

    Args:
        labels: integers (k, j, i), FreeSurfer numbering with 5xx for extra-cerebral tissue.

    Returns:
        Volumes on the grid of the labels with some air around, except where they are acquired on another.
    """
    labels, grid = with_air(labels, grid)
    person = subject.apply(record.subject, labels, spacing=grid.spacing)
    masks = {"labels": Volume(person.labels, grid)}
    if person.lesions.mask.any():
        masks["lesions"] = Volume(person.lesions.mask, grid)
    if person.foreign.any():
        masks["foreign"] = Volume(person.foreign, grid)
    facts: dict[str, Any] = {"lesions": person.lesions.table}
    volumes = _volumes(record, person, grid)
    for effect in (_degrade, _move):
        volumes, extra = effect(record, person, grid, volumes)
        facts.update(extra)
    return Sample(volumes, masks, facts)


def with_air(labels: np.ndarray, grid: Grid, *, margin_mm: float = 12.0) -> tuple[np.ndarray, Grid]:
    """Labels and grid with air added on the sides where the head does not reach the border (it does at the neck)."""
    margins = []
    for axis, spacing in enumerate(grid.spacing[::-1]):
        width = round(margin_mm / spacing)
        filled = [(np.take(labels, side, axis=axis) > 0).mean() for side in (0, -1)]
        margins.append(tuple(width if share < 0.1 else 0 for share in filled))
    padded = np.pad(labels, margins)
    shift = np.eye(4)
    shift[:3, 3] = [-low for low, _ in margins[::-1]]
    return padded, Grid(padded.shape, grid.ijk_to_ras @ shift)


def _volumes(record: SampleRecord, person: Subject, grid: Grid) -> dict[str, Volume]:
    if record.sample == "anatomy":
        maps = anatomy.parameter_maps(record.subject.anatomy, person.head)
        named = {"pd": maps.proton_density, "t1": maps.t1, "t2": maps.t2, "t2-star": maps.t2_star}
        return {name: Volume(values, grid) for name, values in named.items()}
    volumes = {}
    for contrast, protocol in record.protocols.items():
        image = normalized(person.volume(protocol))
        if contrast in record.poses:
            pivot = rigid.head_pivot(image > 0, grid)
            image = np.maximum(rigid.move(image, grid, np.array(record.poses[contrast]), pivot=pivot), 0)
        volumes[contrast] = Volume(image, grid)
    return volumes


def _degrade(record: SampleRecord, person: Subject, grid: Grid, volumes: dict[str, Volume]) -> tuple[dict, dict]:
    contrast = next(iter(record.protocols), "")
    if record.acquisition is not None:
        source = volumes.pop("low-field", volumes[contrast])
        return {**volumes, "acquired": acquisition.apply(record.acquisition, source)}, {}
    if record.noise is not None:
        noisy = noise.apply(record.noise, volumes[contrast].voxels, spacing=grid.spacing)
        return {**volumes, "noisy": Volume(noisy, grid)}, {}
    if record.bias is not None and record.transmit is not None:
        b1 = bias.transmit_field(record.transmit, grid.shape, spacing=grid.spacing)
        shaded = normalized(person.volume(record.protocols[contrast], b1=b1))
        shaded = bias.apply_bias(record.bias, shaded, spacing=grid.spacing)
        return {**volumes, "biased": Volume(shaded, grid), "b1": Volume(b1, grid)}, {}
    return volumes, {}


def _move(record: SampleRecord, _person: Subject, _grid: Grid, volumes: dict[str, Volume]) -> tuple[dict, dict]:
    if record.motion is None:
        return volumes, {}
    contrast = next(iter(record.protocols))
    result = motion.apply(record.motion, volumes[contrast])
    trace = {"seconds": result.times.tolist(), "poses": result.poses.round(4).tolist()}
    return {"still": result.still, "moved": result.moved}, {"motion": {**result.summary(), **trace}}
