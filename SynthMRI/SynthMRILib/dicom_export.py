"""Write a synthetic volume as a derived DICOM series, one MR image a slice, that says in every file what it is.

Attributes: DICOM PS3.3 C.7.6.1 (general image, derivation), C.7.6.2 (image plane), C.8.3 (MR image), C.12.1
(contributing equipment). Without a reference series the files name nobody; with one its patient and study are copied,
because the series would otherwise stand apart from the examination it was made from.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from . import INTENDED_USE, __version__
from .dicom_headers import quiet_pydicom
from .errors import InputError, ResourceError
from .findings import raise_on_error
from .input_checks import check_grid, check_layout
from .synthetic_marks import WORD as MARK
from .volume import Volume

#: Attributes of patient and study that a derived series shares with the series it was made from.
SHARED = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    *("ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator", "BodyPartExamined"),
    *("PatientPosition", "SpecificCharacterSet", "MagneticFieldStrength"),
)
#: Attributes that the standard wants in every file, also when nothing is known.
EMPTY = ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName")
#: Largest series description that DICOM allows (value representation LO).
LONG_STRING = 64
#: Longest text in a description of a contribution (value representation ST).
SHORT_TEXT = 1024
#: What of a provenance is told first.
FIRST = ("task", "bundle", "parameters")
STEPS = 65535


@dataclass(frozen=True)
class Series:
    """What all files of one series have in common.

    Args:
        template: attributes of all files.
        slope, intercept: stored value to intensity.
        stored: uint16 voxels (k, j, i).
    """

    template: Dataset
    slope: float
    intercept: float
    stored: np.ndarray


def write_dicom_series(
    volume: Volume,
    folder: str | Path,
    *,
    description: str,
    provenance: dict[str, Any],
    reference: str | Path | None = None,
) -> list[Path]:
    """Write one file a slice; all of them or none.

    Args:
        volume: axes at right angles. Intensities are stored in 65,536 steps over their range.
        folder: new or empty.
        description: of the series, e.g. "super-resolution"; it is preceded by SYNTHETIC.
        provenance: what made the volume (see `provenance.py`).
        reference: a DICOM file of the acquired series, whose patient, study and frame of reference are taken over.
            None writes neither; new identifiers are made up.

    Returns:
        The files in the order of the slices.

    Raises:
        InputError: sheared axes, a folder that is not empty, a reference that is no DICOM image.
        ResourceError: the disk is full or may not be written.
    """
    folder = Path(folder)
    raise_on_error(check_layout(volume.grid.size) + check_grid(volume.grid))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"'{folder.name}' is not an empty folder; choose another one.")
    source = None if reference is None else read_reference(Path(reference))
    series = make_series(volume, description=description, provenance=provenance, source=source)
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".synthmri-", dir=folder.parent))
        names = [_write_slice(series, volume, index, staging) for index in range(volume.shape[0])]
        return [(staging / name).replace(folder / name) for name in names]
    except OSError as error:
        raise ResourceError(f"'{folder.name}' could not be written: {error.strerror or error}.") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def read_reference(path: Path) -> Dataset:
    """Header of a DICOM image, without its pixels. Raises InputError for anything else."""
    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError):
        raise InputError(f"'{path.name}' is not a DICOM file; choose a file of the acquired series.") from None
    if "SOPClassUID" not in dataset or "StudyInstanceUID" not in dataset:
        raise InputError(f"'{path.name}' is no DICOM image; choose a file of the acquired series.")
    return dataset


def make_series(volume: Volume, *, description: str, provenance: dict[str, Any], source: Dataset | None) -> Series:
    """Everything but what changes from slice to slice."""
    template = Dataset()
    _add_patient(template, source)
    _add_series(template, description, source)
    _add_derivation(template, provenance, source)
    _add_plane(template, volume)
    lowest, highest = float(volume.voxels.min()), float(volume.voxels.max())
    # What is written is read back with few digits, so the scaling is rounded first and the voxels follow it.
    slope = float(f"{max(highest - lowest, 1e-6) / (STEPS - 1):.9e}")
    intercept = float(f"{lowest:.9e}")
    stored = np.clip(np.rint((volume.voxels.astype(np.float64) - intercept) / slope), 0, STEPS).astype(np.uint16)
    return Series(template, slope, intercept, stored)


def _add_patient(template: Dataset, source: Dataset | None) -> None:
    for name in EMPTY:
        setattr(template, name, "")
    if source is None:
        template.StudyInstanceUID = generate_uid(prefix=None)
        template.FrameOfReferenceUID = generate_uid(prefix=None)
        template.PatientName = f"{MARK}^Research"
        template.PatientID = f"{MARK}-{template.StudyInstanceUID[-8:]}"
        template.PatientIdentityRemoved = "YES"
        template.DeidentificationMethod = "No attribute of the source was copied"
        return
    for name in SHARED:
        if name in source:
            setattr(template, name, source[name].value)
    if not template.get("FrameOfReferenceUID"):
        template.FrameOfReferenceUID = generate_uid(prefix=None)


def _add_series(template: Dataset, description: str, source: Dataset | None) -> None:
    now = datetime.now(UTC)
    template.Modality = "MR"
    template.SeriesInstanceUID = generate_uid(prefix=None)
    template.SeriesNumber = 9000 + int((source.get("SeriesNumber") or 0) if source is not None else 0)
    template.SeriesDescription = f"{MARK} {description}"[:LONG_STRING]
    template.ProtocolName = template.SeriesDescription
    template.SeriesDate = template.ContentDate = template.InstanceCreationDate = now.strftime("%Y%m%d")
    template.SeriesTime = template.ContentTime = template.InstanceCreationTime = now.strftime("%H%M%S")
    if not template.get("StudyDate"):
        template.StudyDate, template.StudyTime = template.SeriesDate, template.SeriesTime
    template.Manufacturer = "SynthMRI"
    template.ManufacturerModelName = "SynthMRI"
    template.SoftwareVersions = __version__
    template.ContentQualification = "RESEARCH"
    template.ImageComments = INTENDED_USE[:10240]
    template.BurnedInAnnotation = "NO"
    template.LossyImageCompression = "00"


def _add_derivation(template: Dataset, provenance: dict[str, Any], source: Dataset | None) -> None:
    template.ImageType = ["DERIVED", "SECONDARY", "OTHER", MARK]
    bundle = provenance.get("bundle") or {}
    what = f"{provenance.get('task', 'unknown task')} by SynthMRI {__version__}"
    model = f", model {bundle['name']} {bundle.get('version', '')} SHA-256 {bundle['sha256']}" if bundle else ""
    template.DerivationDescription = f"{MARK}: {what}{model}. {INTENDED_USE}"[:SHORT_TEXT]
    template.ContributingEquipmentSequence = []
    for text in json_texts(provenance):
        equipment = Dataset()
        equipment.Manufacturer = "SynthMRI"
        equipment.ManufacturerModelName = str(bundle.get("name", "no network"))[:LONG_STRING]
        equipment.SoftwareVersions = __version__
        equipment.ContributionDateTime = template.ContentDate + template.ContentTime
        equipment.ContributionDescription = text
        equipment.PurposeOfReferenceCodeSequence = [_code("109103", "DCM", "Modifying Equipment")]
        template.ContributingEquipmentSequence.append(equipment)
    if source is not None:
        image = Dataset()
        image.ReferencedSOPClassUID = source.SOPClassUID
        image.ReferencedSOPInstanceUID = source.SOPInstanceUID
        image.PurposeOfReferenceCodeSequence = [_code("121322", "DCM", "Source image for image processing operation")]
        template.SourceImageSequence = [image]


def json_texts(record: dict[str, Any], limit: int = SHORT_TEXT) -> list[str]:
    """The record as JSON objects of at most `limit` characters, which together hold it; what made the volume first.

    Objects that are too long are divided, so that `{"a": {"b": 1, "c": 2}}` may become `{"a": {"b": 1}}` and
    `{"a": {"c": 2}}`. A single value that is too long is replaced by a note that says so.
    """
    ordered = {name: record[name] for name in (*FIRST, *record) if name in record}
    parts: list[dict[str, Any]] = [{}]
    for path, value in _leaves(ordered):
        if len(_compact(_with_leaf({}, path, value))) > limit:
            value = "left out: too long for a DICOM text"
        longer = _with_leaf(parts[-1], path, value)
        if len(_compact(longer)) <= limit:
            parts[-1] = longer
        else:
            parts.append(_with_leaf({}, path, value))
    return [_compact(part) for part in parts]


def _leaves(record: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no object, or an empty one, with the names that lead to it."""
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _with_leaf(record: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**record, first: _with_leaf(record.get(first, {}), tuple(rest), value) if rest else value}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _add_plane(template: Dataset, volume: Volume) -> None:
    """Directions and spacing in DICOM's order: rows are the image's j axis, columns its i axis; LPS coordinates."""
    spacing, directions = volume.grid.spacing, volume.grid.directions * np.array([[-1], [-1], [1]])
    template.Rows, template.Columns = volume.shape[1], volume.shape[2]
    template.PixelSpacing = [_short(spacing[1]), _short(spacing[0])]
    template.SliceThickness = template.SpacingBetweenSlices = _short(spacing[2])
    template.ImageOrientationPatient = [_short(x) for x in (*directions[:, 0], *directions[:, 1])]
    template.SamplesPerPixel, template.PhotometricInterpretation = 1, "MONOCHROME2"
    template.BitsAllocated, template.BitsStored, template.HighBit, template.PixelRepresentation = 16, 16, 15, 0
    template.ScanningSequence, template.SequenceVariant, template.ScanOptions = "RM", "NONE", ""
    template.MRAcquisitionType, template.EchoTime, template.EchoTrainLength = "3D", None, None
    template.RepetitionTime = None


def _write_slice(series: Series, volume: Volume, index: int, folder: Path) -> str:
    header = FileMetaDataset()
    header.MediaStorageSOPClassUID = MRImageStorage
    header.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    header.TransferSyntaxUID = ExplicitVRLittleEndian
    name = f"IM{index + 1:05d}.dcm"
    dataset = FileDataset(str(folder / name), {}, file_meta=header, preamble=b"\0" * 128)
    dataset.update(series.template)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, header.MediaStorageSOPInstanceUID
    dataset.InstanceNumber = index + 1
    position = volume.grid.index_to_ras(np.array([0, 0, index])) * [-1, -1, 1]
    dataset.ImagePositionPatient = [_short(x) for x in position]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = series.slope, series.intercept, "US"
    pixels = series.stored[index]
    dataset.WindowCenter = _short(series.intercept + series.slope * float(np.median(series.stored)))
    dataset.WindowWidth = _short(max(series.slope * float(np.ptp(series.stored)), 1e-3))
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    dataset.save_as(folder / name, enforce_file_format=True)
    return name


def _short(value: float) -> float:
    """A number in at most 16 characters, which is what DICOM's decimal strings hold."""
    for digits in range(15, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return float(text)
    return float(f"{value:.6g}")
