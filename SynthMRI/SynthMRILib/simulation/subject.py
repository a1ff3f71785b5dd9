"""One simulated subject: shape, tissues, lesions and foreign structures, imaged by any number of protocols.

The same subject gives T1w, T2w, FLAIR, DIR and any other contrast in perfect register, with the masks of its lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from . import anatomy, deformation, foreign, lesions
from .anatomy import AnatomyRecord
from .deformation import DeformationRecord
from .foreign import ForeignRecord
from .lesion_shapes import Outline
from .lesions import LesionSet, LesionsRecord
from .mixture import Mixture
from .protocols import ProtocolRecord
from .records import Record
from .render import render
from .structure import LABELLED_LESIONS, Spacing


@dataclass(frozen=True)
class SubjectRecord(Record):
    """What a subject is made of; None where a part is absent."""

    kind: ClassVar[str] = "subject"
    anatomy: AnatomyRecord
    deformation: DeformationRecord | None = None
    lesions: LesionsRecord | None = None
    foreign: ForeignRecord | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """A subject ready to be imaged.

    Args:
        record: what it was made from.
        labels: label map after deformation (k, j, i).
        head: its mixture of tissues.
        lesions: mask and table of its lesions.
        foreign: uint8 mask of the foreign structure (see `foreign.apply`).
        spacing: (i, j, k) [mm].
    """

    record: SubjectRecord
    labels: np.ndarray
    head: Mixture
    lesions: LesionSet
    foreign: np.ndarray
    spacing: Spacing

    def volume(self, protocol: ProtocolRecord, *, b1: np.ndarray | None = None, signed: bool = False) -> np.ndarray:
        """Noise-free signal of a protocol, float32 (k, j, i), relative to fully relaxed water."""
        return render(self.head, self.record.anatomy.relaxation, protocol, b1=b1, signed=signed)


def draw(
    rng: np.random.Generator,
    *,
    deformed: bool = True,
    lesions_probability: float = 0.5,
    foreign_structure: str | None = None,
    cortical_factor: float = 1.0,
    outlines: Sequence[Outline] = (),
) -> SubjectRecord:
    """A subject.

    Args:
        deformed: give the head another shape.
        lesions_probability: of multiple sclerosis lesions.
        foreign_structure: one of `foreign.KINDS`, or None.
        cortical_factor, outlines: see `lesions.draw`.
    """
    return SubjectRecord(
        anatomy=anatomy.draw(rng),
        deformation=deformation.draw(rng) if deformed else None,
        lesions=lesions.draw(rng, cortical_factor=cortical_factor, outlines=outlines)
        if rng.random() < lesions_probability
        else None,
        foreign=foreign.draw(rng, structure=foreign_structure) if foreign_structure else None,
    )


def apply(record: SubjectRecord, labels: np.ndarray, *, spacing: Spacing = (1.0, 1.0, 1.0)) -> Subject:
    """The subject of a record, from a label map (k, j, i) with spacing (i, j, k) [mm]."""
    if record.deformation is not None:
        labels = deformation.apply(record.deformation, labels, spacing=spacing)
    center = foreign.center_of(record.foreign, labels, spacing) if record.foreign is not None else None
    if center is not None:
        labels = foreign.push_labels(record.foreign, labels, center, spacing=spacing)
    head = anatomy.apply(record.anatomy, labels, spacing=spacing)
    found = labelled_lesions(record, labels, spacing)
    if record.lesions is not None:
        head, found = lesions.apply(record.lesions, head, labels, spacing=spacing, found=found)
    mask = np.zeros(labels.shape, dtype=np.uint8)
    if center is not None:
        head, mask = foreign.apply(record.foreign, head, labels, center, spacing=spacing)
    return Subject(record, labels, head, found, mask, spacing)


def labelled_lesions(record: SubjectRecord, labels: np.ndarray, spacing: Spacing) -> LesionSet:
    """The lesions that the label map itself holds, when the subject shows them."""
    mask = np.zeros(labels.shape, dtype=np.uint16)
    table: list[dict[str, Any]] = []
    if record.anatomy.labelled_lesions:
        mask[np.isin(labels, LABELLED_LESIONS)] = 1
    if mask.any():
        volume = float(mask.sum() * np.prod(spacing))
        table.append({"number": 1, "location": "labelled", "volume_mm3": volume})
    return LesionSet(mask, table)
