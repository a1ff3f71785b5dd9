"""Stored values of a DICOM file, before any rescaling.

pydicom decodes what needs no plugin (uncompressed, deflated, RLE); all else (JPEG, JPEG-LS, JPEG 2000) goes through
GDCM in SimpleITK. GDCM sees a copy without rescaling tags and without a patient, because it would apply the first
frame's slope to all frames of an enhanced file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from .dicom_headers import quiet_pydicom
from .itk_io import quiet_simpleitk

_PIXEL_TAGS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)


def stored_values(path: Path) -> np.ndarray:
    """Array (frame, row, column) of the values as stored. Raises ValueError when they cannot be decoded."""
    with quiet_pydicom(), quiet_simpleitk():
        try:
            values = _decode(pydicom.dcmread(path, force=True))
        except MemoryError:
            raise
        except Exception as error:  # decoders raise nearly everything on damaged data
            raise ValueError("pixels cannot be decoded") from error
    return values.reshape(-1, *values.shape[-2:])


def _decode(dataset: Dataset) -> np.ndarray:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        is_implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
    elif syntax.is_encapsulated and syntax != RLELossless:
        return _decode_with_gdcm(dataset)
    return dataset.pixel_array


def _decode_with_gdcm(dataset: Dataset) -> np.ndarray:
    with tempfile.TemporaryDirectory(prefix="synthmri-") as folder:
        copy = Path(folder) / "pixels.dcm"
        _pixels_only(dataset).save_as(copy, enforce_file_format=True)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(copy), imageIO="GDCMImageIO"))


def _pixels_only(dataset: Dataset) -> Dataset:
    """A secondary capture with the same compressed pixels and nothing else."""
    is_single = int(dataset.get("NumberOfFrames") or 1) == 1
    copy = Dataset()
    copy.SOPClassUID = (
        SecondaryCaptureImageStorage if is_single else MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    )
    copy.SOPInstanceUID = generate_uid()
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            copy[keyword] = dataset[keyword]
    return copy
