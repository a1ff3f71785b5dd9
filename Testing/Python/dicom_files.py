"""Small DICOM files, made on the spot: classic and enhanced MR, as scanners write them and as accidents leave them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from conftest import placed_grid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    generate_uid,
)
from SynthMRILib.errors import InputError
from SynthMRILib.volume import Grid
from SynthMRILib.volume_io import read_volume

#: Stands for a person in every file made here; must never be seen outside of it.
PATIENT = {"PatientName": "Doe^Jane", "PatientID": "ID-4711", "PatientBirthDate": "19700101"}
# Whole, with its letters: a new identifier of random digits may hold 4711 by chance.
SECRETS = ("Doe", "Jane", "ID-4711", "19700101", "Brain routine")

SHAPE = (18, 18, 20)
OBLIQUE = placed_grid(SHAPE, spacing=(0.71875, 0.9, 3.3), rotation=(12, -8, 31), origin=(70.25, -91.5, -44.125))
STRAIGHT = placed_grid(SHAPE, spacing=(1, 1, 3), rotation=(0, 0, 180))

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: One JPEG-LS frame of 18 x 20 pixels (encoder: CharLS), as no encoder comes with the project: see `jpeg_ls_pixels`.
JPEG_LS_FRAME = base64.b64decode(
    "/9j/9wALCgASABQBAREA/9oACAEBAAAAAAAF1U0f93m9/zu7t3dhphZRJD0eaxhHf3dzAa7u/mud3fzGuzEsFHd/f3939/f3f2iZGo1G6jUajdRq"
    "NYJDXzf835v+b82iIT220T220T26IJJJJJJJJJNPttJAPbJQHklp4SQNLYSQNKckgfHREGhUKiFQqFRCpFwzs7O7Ozs7s7O5sRVIqqRVIqqRVJDQ"
    "3/983/983/plbbbbbbbbbjCSSgOqoDVXLkkDSWJIGkMSQNCwiDIMgyINCoVEKlj/2Q=="
)


def jpeg_ls_pixels() -> np.ndarray:
    """The pixels of `JPEG_LS_FRAME`, uint16 (18, 20)."""
    row, column = np.arange(18)[:, None], np.arange(20)[None, :]
    return (100 + 37 * row + 11 * column + (row * column) % 7).astype(np.uint16)


def stack(shape: tuple[int, int, int] = (18, 18, 20)) -> np.ndarray:
    """uint16 array (k, j, i) in which every voxel tells its slice."""
    return (np.arange(shape[0])[:, None, None] * 20 + np.arange(np.prod(shape[1:])).reshape(shape[1:])).astype(
        np.uint16
    )


def image_dataset(pixels: np.ndarray, *, storage: str, series: str, number: int, modality: str = "MR") -> Dataset:
    """A dataset with uncompressed uint16 pixels (frames, rows, columns) and no place in space yet."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = storage, generate_uid(), series
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = modality, number, "Brain routine"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RepetitionTime, dataset.EchoTime, dataset.MagneticFieldStrength = 8000, 120, 3
    for keyword, value in PATIENT.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    return dataset


def write_series(
    folder: Path,
    voxels: np.ndarray,
    grid: Grid,
    *,
    number: int = 4,
    modality: str = "MR",
    compression: str = "",
    change: Callable[[int, Dataset], None] = lambda *_: None,
    names: Sequence[str] = (),
    series: str = "",
) -> list[Path]:
    """Classic MR, one file a slice. `change(index, dataset)` may alter a slice; setting `skip` on it drops the file."""
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    lps = LPS @ grid.ijk_to_ras
    paths = []
    for index, pixels in enumerate(voxels):
        dataset = image_dataset(pixels, storage=MRImageStorage, series=series, number=number, modality=modality)
        dataset.PixelSpacing = [float(f"{s:.10g}") for s in (grid.spacing[1], grid.spacing[0])]
        dataset.ImageOrientationPatient = [f"{x:.13f}"[:16] for x in (LPS[:3, :3] @ grid.directions[:, :2]).T.ravel()]
        dataset.ImagePositionPatient = [f"{x:.12f}"[:16] for x in lps[:3] @ [0, 0, index, 1]]
        dataset.SliceThickness, dataset.InstanceNumber = f"{grid.spacing[2]:.6g}", index + 1
        change(index, dataset)
        if getattr(dataset, "skip", False):
            continue
        path = folder / (names[index] if names else f"{number:02}_{index:03}.dcm")
        save(dataset, path, compression=compression)
        paths.append(path)
    return paths


def write_enhanced(
    path: Path, voxels: np.ndarray, grid: Grid, *, order: Sequence[int], slopes: Sequence[float], compression: str = ""
) -> None:
    """Enhanced MR, all frames in one file, stored in `order`, each with its own slope."""
    dataset = image_dataset(voxels[list(order)], storage=EnhancedMRImageStorage, series=generate_uid(), number=7)
    dataset.NumberOfFrames = len(order)
    del dataset.RepetitionTime, dataset.EchoTime
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _dataset(PixelSpacing=[grid.spacing[1], grid.spacing[0]], SliceThickness=grid.spacing[2])
    ]
    directions = (LPS[:3, :3] @ grid.directions[:, :2]).T.ravel()
    shared.PlaneOrientationSequence = [_dataset(ImageOrientationPatient=[f"{x:.13f}"[:16] for x in directions])]
    shared.MRTimingAndRelatedParametersSequence = [_dataset(RepetitionTime=5000.0)]
    frames = []
    for index in order:
        position = [f"{x:.12f}"[:16] for x in LPS[:3] @ grid.ijk_to_ras @ [0, 0, index, 1]]
        frame = _dataset(PlanePositionSequence=[_dataset(ImagePositionPatient=position)])
        frame.PixelValueTransformationSequence = [_dataset(RescaleSlope=slopes[index], RescaleIntercept=index)]
        frame.MREchoSequence = [_dataset(EffectiveEchoTime=98.0)]
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = frames
    save(dataset, path, compression=compression)


def save(dataset: Dataset, path: Path, *, compression: str = "") -> None:
    """Save with `compression` "" (none), "RLE", "JPEG" (lossless), "JPEG2000" (lossless) or "JPEG-LS"."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if compression == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif compression == "JPEG-LS":
        frames = [JPEG_LS_FRAME] * int(dataset.get("NumberOfFrames", 1))
        _replace_pixels(dataset, pydicom.encaps.encapsulate(frames), JPEGLSLossless)
        dataset.BitsStored, dataset.HighBit = 10, 9
    elif compression:
        encoded = _encode_with_gdcm(dataset.pixel_array, path.with_suffix(".gdcm"), compression)
        _replace_pixels(dataset, encoded.PixelData, encoded.file_meta.TransferSyntaxUID)
    dataset.save_as(path, enforce_file_format=True)


def _encode_with_gdcm(pixels: np.ndarray, path: Path, compression: str) -> Dataset:
    image = sitk.GetImageFromArray(pixels.reshape(-1, *pixels.shape[-2:]))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetFileName(str(path))
    writer.SetUseCompression(True)
    writer.SetCompressor(compression)
    writer.Execute(image)
    encoded = pydicom.dcmread(path)
    path.unlink()
    return encoded


def _replace_pixels(dataset: Dataset, pixels: bytes, syntax: str) -> None:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pixels
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"


def _dataset(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def message_of(path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert not any(secret in message for secret in SECRETS), message
    assert message.endswith(".")
    assert "\n" not in message
    return message
