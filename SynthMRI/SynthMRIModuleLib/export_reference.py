"""The DICOM file whose patient and study an export copies: whether it belongs to the volume, and whose it is.

Names of a patient are made here to be shown in the panel. They must never be written to a log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from .node_volume import ijk_to_ras, reason_not_usable
from .result_nodes import source_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from SynthMRILib.dicom_headers import Frame
    from SynthMRILib.volume import Grid

#: Where Slicer keeps the SOP instance UIDs of the files that a volume was read from, separated by spaces.
INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"
#: How far pixels of a slice may lie from voxels of the volume, in voxels: what rounding in other formats does.
TOLERANCE = 0.1
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class SourceFacts:
    """What a thread needs to know of the acquired volume that a result was made from.

    Args:
        name: of its node, only to be shown.
        grid: where its voxels lie, in RAS [mm].
        instances: SOP instance UIDs of the files it was read from; empty where it does not say.
    """

    name: str
    grid: Grid
    instances: frozenset[str]

    @classmethod
    def of(cls, result: slicer.vtkMRMLNode | None) -> SourceFacts:
        """Raises InputError where the acquired volume is not there to compare with."""
        from SynthMRILib.errors import InputError
        from SynthMRILib.volume import Grid

        source = source_of(result)
        if source is None or reason_not_usable(source):
            raise InputError(
                _(
                    "The acquired volume that this was made from is not in the scene, so nothing tells whether the "
                    "file belongs to it. Leave the acquired series empty, or compute the result anew."
                )
            )
        instances = frozenset((source.GetAttribute(INSTANCES_ATTRIBUTE) or "").split())
        shape = source.GetImageData().GetDimensions()[::-1]
        return cls(source.GetName(), Grid(shape, ijk_to_ras(source)), instances)


def checked_reference(path: Path, source: SourceFacts) -> str:
    """Whose patient and study would be copied, in words for the panel.

    Knows no MRML, so that a thread can do it. Raises InputError with a sentence when the file is no DICOM image, or
    does not belong to the acquired volume.
    """
    from SynthMRILib.dicom_export import read_reference
    from SynthMRILib.errors import InputError

    header = read_reference(path)
    reason = _reason_not_of(path, header, source)
    if reason:
        raise InputError(reason)
    words = _("Patient and study are copied of: {whose}.").format(whose=whose(header))
    if source.instances:
        return words
    return words + _(
        " '{name}' does not say which DICOM files it was read from, so only its place was compared, which volumes of "
        "several patients may share: make sure that this is the patient."
    ).format(name=source.name)


def whose(header: Dataset) -> str:
    """Patient, study and series by what a reader knows them by; unknown parts are left out."""
    from SynthMRILib.dicom_headers import quiet_pydicom

    with quiet_pydicom():
        name, identifier, born, studied, study, series = (
            _text(header, tag)
            for tag in (
                *("PatientName", "PatientID", "PatientBirthDate"),
                *("StudyDate", "StudyDescription", "SeriesDescription"),
            )
        )
    parts = (
        name.replace("^", " ").strip() or _("patient without a name"),
        identifier and _("ID {identifier}").format(identifier=identifier),
        born and _("born {date}").format(date=_date(born)),
        studied and _("study of {date}").format(date=_date(studied)),
        study and f"'{study}'",
        series and _("series '{name}'").format(name=series),
    )
    return ", ".join(part for part in parts if part)


def _reason_not_of(path: Path, header: Dataset, source: SourceFacts) -> str:
    """Why a file is not of the series that a volume was read from, in one sentence; empty when it is."""
    from SynthMRILib.dicom_headers import read_image_file

    if source.instances and str(header.get("SOPInstanceUID", "")) not in source.instances:
        return _(
            "'{file}' is none of the DICOM files that '{name}' was read from, so it may be of another patient. "
            "Choose a file of that series."
        ).format(file=path.name, name=source.name)
    image = read_image_file(path)
    frames = image.frames if image is not None else ()
    if any(_lies_in(frame, source.grid, exactly=not source.instances) for frame in frames):
        return ""
    return _(
        "The slice in '{file}' does not lie where '{name}' has its voxels, so it may be of another patient, or the "
        "volume was moved or resampled. Choose a file of the series that it was read from, or none."
    ).format(file=path.name, name=source.name)


def _lies_in(frame: Frame, grid: Grid, *, exactly: bool) -> bool:
    """Whether the pixels of a slice are voxels of a grid; a cropped grid need not hold all of them.

    Args:
        exactly: also across the slice, where slices that are unevenly spaced lie beside the grid of their volume.
    """
    if frame.position is None:
        return False
    columns, rows = frame.size
    across, down = (frame.orientation[n] * frame.spacing[n] * (count - 1) for n, count in enumerate(frame.size))
    corners = frame.position + np.array([0 * across, across, down, across + down])
    indices = grid.ras_to_index(corners * LPS_TO_RAS)
    nearest = np.rint(indices)
    steps = np.abs(nearest[1:3] - nearest[0])
    axes = np.argmax(steps, axis=1)
    wanted = np.zeros((2, 3))
    wanted[[0, 1], axes] = columns - 1, rows - 1
    if axes[0] == axes[1] or not np.array_equal(steps, wanted):
        return False
    beside = np.abs(indices - nearest).max(axis=0)
    if not exactly:
        beside[3 - axes.sum()] = 0
    low, high = nearest.min(axis=0), nearest.max(axis=0)
    return bool(beside.max() <= TOLERANCE and (high >= 0).all() and (low < np.array(grid.size)).all())


def _text(header: Dataset, tag: str) -> str:
    """The value as text; empty where it is missing or cannot be read."""
    try:
        value: Any = header.get(tag)
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError):
        return ""
    return "" if value is None else str(value).strip()


def _date(text: str) -> str:
    """20200131 as 2020-01-31; anything else as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text
