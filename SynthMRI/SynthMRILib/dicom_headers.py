"""The few DICOM tags a volume needs: where each frame lies, how to scale it, and how it was acquired.

Tags: DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16 (multi-frame functional groups), C.8.3 (MR image). Tags that identify
a person are never loaded.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from .synthetic_marks import in_image_type

#: Facts kept in `Volume.header`, and other names enhanced files have for them. Units as in DICOM (ms, mm, T, degrees).
FACTS: dict[str, tuple[str, ...]] = {
    "RepetitionTime": (),
    "EchoTime": ("EffectiveEchoTime",),
    "InversionTime": ("InversionTimes",),
    "FlipAngle": (),
    "MagneticFieldStrength": (),
    "SequenceName": ("PulseSequenceName",),
    "ScanningSequence": (),
    "MRAcquisitionType": (),
    "SliceThickness": (),
    "SpacingBetweenSlices": (),
}
#: What tells apart several acquisitions that share one series and lie at the same positions.
ACQUISITION_TAGS = {
    "EchoTime": ("EffectiveEchoTime",),
    "EchoNumbers": (),
    "InversionTime": ("InversionTimes",),
    "TemporalPositionIdentifier": ("TemporalPositionIndex",),
    "DiffusionBValue": (),
    "AcquisitionNumber": (),
    "ImageType": ("FrameType",),
    "AcquisitionTime": (),
}
_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "Rows", "Columns"),
    *("NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PixelRepresentation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"),
    *("ContrastBolusAgent", "ContrastBolusAgentSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *FACTS,
    *(name for aliases in FACTS.values() for name in aliases),
    *ACQUISITION_TAGS,
]


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice in a file.

    Args:
        path: the file.
        index: its number in the file, from 0.
        instance: the file's SOP instance UID, which copies of the file share.
        size: columns and rows.
        spacing: between columns and between rows [mm]; None when the frame has no place in space.
        position: LPS position of the center of the first voxel [mm].
        orientation: LPS directions of a row and of a column, shape (2, 3).
        slope: stored value to unit of the source, factor.
        intercept: the same, offset.
        acquisition: values of `ACQUISITION_TAGS`.
    """

    path: Path
    index: int
    instance: str
    size: tuple[int, int]
    spacing: tuple[float, float] | None
    position: np.ndarray | None
    orientation: np.ndarray | None
    slope: float
    intercept: float
    acquisition: dict[str, str]


@dataclass(frozen=True, eq=False)
class ImageFile:
    """One DICOM file with pixels, its frames, and the facts worth keeping."""

    path: Path
    series: str
    number: str
    modality: str
    samples: int
    is_localizer: bool
    frames: tuple[Frame, ...]
    facts: dict[str, Any]


def is_dicom(path: Path) -> bool:
    """Whether a file starts like DICOM: the mark after the preamble or, in old files without one, an early group."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start[:2] in (b"\2\0", b"\x08\0")


def read_image_file(path: Path) -> ImageFile | None:
    """The headers of one file; None when it is no DICOM image."""
    try:
        if not is_dicom(path):
            return None
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=True)
            return _image_file(path, dataset) if "SOPClassUID" in dataset and "Rows" in dataset else None
    except (InvalidDicomError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, EOFError):
        return None


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings, which may quote tags of a person, off the terminal and out of logs."""
    logger = logging.getLogger("pydicom")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


def _image_file(path: Path, dataset: Dataset) -> ImageFile:
    shared = _macros(dataset, "SharedFunctionalGroupsSequence")
    per_frame = _macros(dataset, "PerFrameFunctionalGroupsSequence")
    count = int(dataset.get("NumberOfFrames") or 1)
    places = [[dataset, *macros, *(shared or [[]])[0]] for macros in per_frame] or [[dataset]] * count
    frames = tuple(_frame(path, index, places[index]) for index in range(count))
    return ImageFile(
        path=path,
        series=str(dataset.get("SeriesInstanceUID", "")),
        number=str(_or(dataset.get("SeriesNumber"), "?")),
        modality=_modality(dataset),
        samples=int(dataset.get("SamplesPerPixel") or 1),
        is_localizer="LOCALIZER" in frames[0].acquisition["ImageType"],
        frames=frames,
        facts=_facts(places[0], frames),
    )


def _macros(dataset: Dataset, name: str) -> list[list[Dataset]]:
    """For every item of a functional group sequence, the datasets that hold its attributes."""
    return [[e.value[0] for e in item if e.VR == "SQ" and e.value] for item in dataset.get(name) or []]


def _frame(path: Path, index: int, places: list[Dataset]) -> Frame:
    position, orientation, spacing = (
        _numbers(_find(places, name), count)
        for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
    )
    is_placed = position is not None and orientation is not None and spacing is not None
    return Frame(
        path=path,
        index=index,
        instance=str(places[0].get("SOPInstanceUID", "")),
        size=(int(places[0].Columns), int(places[0].Rows)),
        spacing=(spacing[1], spacing[0]) if is_placed else None,
        position=np.array(position) if is_placed else None,
        orientation=np.array(orientation).reshape(2, 3) if is_placed else None,
        slope=float(_or(_find(places, "RescaleSlope"), 1.0)),
        intercept=float(_or(_find(places, "RescaleIntercept"), 0.0)),
        acquisition={name: str(_find(places, name, *others)) for name, others in ACQUISITION_TAGS.items()},
    )


def _find(places: list[Dataset], *names: str) -> Any:
    """The first value under one of the names: in the file itself, then in the functional groups of its frame."""
    for dataset in places:
        for name in names:
            value = dataset.get(name)
            if value is not None and value != "":
                return value
    return None


def _facts(places: list[Dataset], frames: tuple[Frame, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {"Format": "DICOM", "Modality": _modality(places[0])}
    for name, others in FACTS.items():
        value = _plain(_find(places, name, *others))
        if value is not None:
            facts[name] = value
    agent = str(_or(_find(places, "ContrastBolusAgent"), "")).strip().upper()
    facts["ContrastAgent"] = agent not in ("", "NONE", "NO") or bool(places[0].get("ContrastBolusAgentSequence"))
    if in_image_type(_find(places, "ImageType", "FrameType")):
        facts["Synthetic"] = True
    is_rescaled = any((frame.slope, frame.intercept) != (1, 0) for frame in frames)
    kind = "int" if places[0].get("PixelRepresentation") else "uint"
    facts["PixelType"] = "float32" if is_rescaled else f"{kind}{places[0].get('BitsAllocated', 16)}"
    return facts


def _modality(dataset: Dataset) -> str:
    return str(dataset.get("Modality") or "?")


def _plain(value: Any) -> float | str | None:
    """A JSON value: a number, or short text. Several values give the first."""
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        value = value[0] if len(value) else None
    if value is None:
        return None
    return str(value)[:32] if isinstance(value, str) else float(value)


def _numbers(value: Any, count: int) -> list[float] | None:
    numbers = [float(v) for v in value] if value is not None else []
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
