"""DICOM: every way in which a sound volume lies on a disk."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from conftest import placed_grid
from dicom_files import (
    OBLIQUE,
    SECRETS,
    SHAPE,
    STRAIGHT,
    image_dataset,
    jpeg_ls_pixels,
    message_of,
    save,
    stack,
    write_enhanced,
    write_series,
)
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage, generate_uid
from SynthMRILib.volume_io import read_volume


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
