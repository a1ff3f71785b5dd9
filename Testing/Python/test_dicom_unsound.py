"""DICOM series that are no volume: each is refused with a sentence that names the place."""

from __future__ import annotations

import pydicom
import pytest
from conftest import placed_grid
from dicom_files import (
    SHAPE,
    STRAIGHT,
    message_of,
    stack,
    write_series,
)
from SynthMRILib.input_checks import check_volume
from SynthMRILib.volume_io import read_volume


def at(index):
    """Apply a change to one slice only."""

    def decorate(change):
        return lambda k, dataset: change(dataset) if k == index else None

    return decorate


def set_on(index, **values):
    return at(index)(lambda dataset: [setattr(dataset, keyword, value) for keyword, value in values.items()])


def move(index, millimetres):
    """Shift one slice along the axis of `STRAIGHT`."""

    def change(dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + millimetres]

    return at(index)(change)


def shear(index, dataset):
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y + 0.8 * index, z]


UNSOUND = {
    "missing slice": (
        set_on(9, skip=True),
        "A slice is missing in series 4 between slice 8 (24.00 mm) and slice 9 (30.00 mm); export all slices again.",
    ),
    "variable gap": (
        move(17, 0.7),
        "Series 4 has a gap of 3.70 instead of 3.00 mm between slice 16 (48.00 mm) and slice 17 (51.70 mm); "
        "resample it evenly first.",
    ),
    "two slices at one place": (
        move(5, -3),
        "Series 4 has two slices at one place (slice 4, 12.00 mm from the first); remove one of them.",
    ),
    "turned slice": (
        set_on(3, ImageOrientationPatient=[0, 1, 0, 0, 0, 1]),
        "Series 4 mixes slices of different orientation; keep the slices of one volume.",
    ),
    "gantry tilt": (
        shear,
        "Series 4 is sheared by 14.9 degrees (gantry tilt); resample it to a rectangular grid first.",
    ),
    "slice moved sideways": (
        at(8)(lambda d: setattr(d, "ImagePositionPatient", [5, 5, 24])),
        "Series 4 has slice 8 shifted sideways; resample it to a rectangular grid first.",
    ),
    "other size": (
        at(2)(lambda d: (setattr(d, "Rows", 9), setattr(d, "PixelData", d.PixelData[: 9 * 20 * 2]))),
        "Series 4 mixes slices of 20 x 9 and 20 x 18 pixels; keep the slices of one volume.",
    ),
    "other pixel spacing": (
        set_on(2, PixelSpacing=[1, 1.5]),
        "Series 4 mixes slices of different pixel spacing; keep the slices of one volume.",
    ),
    "zero spacing": (
        lambda _, d: setattr(d, "PixelSpacing", [0, 1]),
        "Series 4 has a pixel spacing of 1 x 0 mm, which must be positive; export it again.",
    ),
    "no position": (
        set_on(4, ImagePositionPatient=None),
        "Series 4 does not say where its slices lie; a volume needs positions and spacing.",
    ),
    "directions too long": (
        lambda _, d: setattr(d, "ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
        "Series 4 holds directions that are not of unit length; export it again.",
    ),
    "parallel directions": (
        lambda _, d: setattr(d, "ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        "Series 4 holds rows parallel to its columns; export it again.",
    ),
    "color": (
        lambda _, d: setattr(d, "SamplesPerPixel", 3),
        "Every voxel holds 3 values (color, vector or frames); extract one of them first.",
    ),
    "incomplete pixels": (
        at(11)(lambda d: setattr(d, "PixelData", d.PixelData[:100])),
        "The pixels of slice 11 of series 4 are damaged or incomplete; export it again.",
    ),
}


@pytest.mark.parametrize(("change", "expected"), UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_series_is_refused_with_a_sentence_that_names_the_place(tmp_path, change, expected):
    write_series(tmp_path, stack(), STRAIGHT, change=change)
    assert message_of(tmp_path) == expected


def test_a_truncated_slice_is_refused(tmp_path):
    path = write_series(tmp_path, stack(), STRAIGHT)[4]
    path.write_bytes(path.read_bytes()[:-200])
    assert message_of(tmp_path) == "The pixels of slice 4 of series 4 are damaged or incomplete; export it again."


@pytest.mark.parametrize("compression", ["JPEG", "JPEG2000", "JPEG-LS", "RLE"])
def test_damaged_compressed_pixels_are_refused(tmp_path, compression):
    path = write_series(tmp_path, stack(), STRAIGHT, compression=compression)[4]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7" + b"junk" * 20])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    assert message_of(tmp_path) == "The pixels of slice 4 of series 4 are damaged or incomplete; export it again."


def test_folders_and_files_without_a_volume_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert message_of(tmp_path / "empty") == (
        "The folder 'empty' holds no DICOM images; choose the folder with the slices."
    )
    (tmp_path / "one").mkdir()
    write_series(tmp_path / "one", stack()[:1], STRAIGHT)
    assert message_of(tmp_path / "one") == "Series 4 has a single slice; a volume is needed."
    (tmp_path / "not.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"junk" * 50)
    assert message_of(tmp_path / "not.dcm") == ("'not.dcm' is damaged or holds no image; choose another DICOM file.")


def test_a_short_series_is_read_and_then_found_too_small(tmp_path):
    write_series(tmp_path, stack()[:5], STRAIGHT)
    assert [f.code for f in check_volume(read_volume(tmp_path))] == ["volume-axis-short"]


def test_a_ct_series_is_read_with_a_warning(tmp_path):
    write_series(tmp_path, stack(), STRAIGHT, modality="CT", change=lambda _, d: setattr(d, "RescaleIntercept", -1024))
    findings = check_volume(read_volume(tmp_path))
    assert {(f.severity, f.code) for f in findings} == {("warning", "volume-ct"), ("warning", "volume-modality")}


def test_positions_rounded_to_hundredths_are_accepted(tmp_path):
    grid = placed_grid(SHAPE, spacing=(0.7, 0.7, 3.3333), rotation=(10, 20, 30))

    def rounded(_, dataset):
        dataset.ImagePositionPatient = [round(float(x), 2) for x in dataset.ImagePositionPatient]

    write_series(tmp_path, stack(), grid, change=rounded)
    assert read_volume(tmp_path).grid.matches(grid, tolerance=0.02)
