"""DICOM: every way in which a volume lies on a disk, and every way in which it does not."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
from conftest import placed_grid
from dicom_files import (
    SECRETS,
    image_dataset,
    jpeg_ls_pixels,
    save,
    stack,
    write_enhanced,
    write_series,
)
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage, generate_uid
from SynthMRILib.errors import InputError
from SynthMRILib.input_checks import check_volume
from SynthMRILib.volume_io import read_volume

SHAPE = (18, 18, 20)
OBLIQUE = placed_grid(SHAPE, spacing=(0.71875, 0.9, 3.3), rotation=(12, -8, 31), origin=(70.25, -91.5, -44.125))
STRAIGHT = placed_grid(SHAPE, spacing=(1, 1, 3), rotation=(0, 0, 180))


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


def message_of(path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert not any(secret in message for secret in SECRETS), message
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("compression", ["", "RLE", "JPEG", "JPEG2000"])
@pytest.mark.parametrize("grid", [OBLIQUE, STRAIGHT], ids=["oblique", "straight"])
def test_a_series_of_slices_is_read_with_its_exact_place(tmp_path, compression, grid):
    write_series(tmp_path, stack(), grid, compression=compression)
    volume = read_volume(tmp_path)
    assert volume.grid.matches(grid, tolerance=1e-6)
    np.testing.assert_array_equal(volume.voxels, stack())


def test_jpeg_ls_slices_are_decoded(tmp_path):
    write_series(tmp_path, stack(), STRAIGHT, compression="JPEG-LS")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, np.broadcast_to(jpeg_ls_pixels(), SHAPE))


def test_the_order_and_names_of_the_files_do_not_matter(tmp_path):
    names = [f"IM{n:05}" for n in np.random.default_rng(3).permutation(SHAPE[0])]
    write_series(tmp_path / "DICOM" / "SE01", stack(), OBLIQUE, names=names)
    (tmp_path / "DICOM" / "notes.txt").write_text("not DICOM")
    volume = read_volume(tmp_path)
    assert volume.grid.matches(OBLIQUE)
    np.testing.assert_array_equal(volume.voxels, stack())


def test_slices_that_were_stored_downwards_give_the_same_positions(tmp_path):
    flipped = placed_grid(SHAPE, spacing=(1, 1, 3), left_handed=True)
    write_series(tmp_path, stack(), flipped)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, stack()[::-1])
    np.testing.assert_allclose(volume.grid.index_to_ras([0, 0, 17]), flipped.index_to_ras([0, 0, 0]), atol=1e-9)


def test_every_slice_has_its_own_rescaling(tmp_path):
    def rescale(index, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, -3

    write_series(tmp_path, stack(), STRAIGHT, change=rescale)
    volume = read_volume(tmp_path)
    slopes = 0.5 + np.arange(SHAPE[0])[:, None, None]
    np.testing.assert_allclose(volume.voxels, stack() * slopes - 3)
    assert volume.header["PixelType"] == "float32"


@pytest.mark.parametrize("compression", ["", "RLE", "JPEG", "JPEG2000"])
def test_an_enhanced_file_is_read_frame_by_frame(tmp_path, compression):
    order = np.random.default_rng(5).permutation(SHAPE[0])
    slopes = 1 + 0.25 * np.arange(SHAPE[0])
    write_enhanced(tmp_path / "a.dcm", stack(), OBLIQUE, order=order, slopes=slopes, compression=compression)
    for path in (tmp_path, tmp_path / "a.dcm"):
        volume = read_volume(path)
        assert volume.grid.matches(OBLIQUE)
        expected = stack() * slopes[:, None, None] + np.arange(SHAPE[0])[:, None, None]
        np.testing.assert_allclose(volume.voxels, expected)
        assert (volume.header["EchoTime"], volume.header["RepetitionTime"]) == (98.0, 5000.0)


def test_the_header_tells_the_contrast_and_never_the_patient(tmp_path):
    def change(_, dataset):
        dataset.ContrastBolusAgent, dataset.SequenceName, dataset.InversionTime = "Gadolinium for Doe", "*tir3d1", 2500

    write_series(tmp_path, stack(), STRAIGHT, change=change)
    header = read_volume(tmp_path).header
    expected = {"Format": "DICOM", "Modality": "MR", "PixelType": "uint16", "ContrastAgent": True, "EchoTime": 120.0}
    assert header.items() >= {**expected, "InversionTime": 2500.0, "SequenceName": "*tir3d1"}.items()
    assert header["MagneticFieldStrength"] == 3.0
    assert not any(secret in str(header) for secret in SECRETS)


def test_a_file_without_preamble_is_read(tmp_path):
    for path in write_series(tmp_path, stack(), STRAIGHT):
        path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stack())


def test_localizers_and_other_objects_in_the_folder_do_not_disturb(tmp_path):
    write_series(tmp_path, stack(), OBLIQUE, number=4)
    localizer = generate_uid()
    for n, rotation in enumerate([(0, 0, 0), (90, 0, 0), (0, 90, 0)]):
        grid = placed_grid((7, 18, 20), spacing=(1, 1, 10), rotation=rotation)
        names = [f"scout{n}{k}" for k in range(7)]
        write_series(tmp_path, stack()[:7], grid, number=1, series=localizer, names=names)
    picture = image_dataset(stack()[0], storage=SecondaryCaptureImageStorage, series=generate_uid(), number=99)
    save(picture, tmp_path / "screenshot.dcm")
    assert read_volume(tmp_path).grid.matches(OBLIQUE)


def test_several_volumes_are_listed_and_one_file_tells_which(tmp_path):
    write_series(tmp_path, stack(), OBLIQUE, number=4)
    path = write_series(tmp_path, stack() + 1, STRAIGHT, number=12)[3]
    assert message_of(tmp_path) == (
        f"The folder '{tmp_path.name}' holds 2 series: 4 (MR, 20 x 18 x 18), 12 (MR, 20 x 18 x 18); "
        "choose one file of the series you mean."
    )
    np.testing.assert_array_equal(read_volume(path).voxels, stack() + 1)


def test_echoes_in_one_series_are_refused_and_one_file_tells_which(tmp_path):
    series = generate_uid()

    def echo(time):
        return lambda _, dataset: setattr(dataset, "EchoTime", time)

    write_series(tmp_path, stack(), STRAIGHT, series=series, change=echo(20), names=[f"a{k}" for k in range(18)])
    paths = write_series(
        tmp_path, stack() + 7, STRAIGHT, series=series, change=echo(90), names=[f"b{k}" for k in range(18)]
    )
    assert "Series 4 holds 2 acquisitions of the same slices" in message_of(tmp_path)
    volume = read_volume(paths[5])
    np.testing.assert_array_equal(volume.voxels, stack() + 7)
    assert volume.header["EchoTime"] == 90.0


def test_copies_of_a_file_count_once(tmp_path):
    paths = write_series(tmp_path, stack(), STRAIGHT)
    shutil.copy(paths[6], tmp_path / "copy of a slice.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stack())


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


def test_reading_changes_nothing_in_the_folder(tmp_path):
    write_series(tmp_path, stack(), STRAIGHT, compression="JPEG2000")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    read_volume(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_slice_of_another_series_with_the_same_number_is_kept_apart(tmp_path):
    write_series(tmp_path, stack(), STRAIGHT)
    extra = image_dataset(stack()[0], storage=MRImageStorage, series=generate_uid(), number=4)
    save(extra, tmp_path / "other.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path).voxels, stack())
