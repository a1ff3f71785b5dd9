"""Files: voxels and geometry that survive every format, our own files and those of others."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from conftest import head_like
from SynthMRILib.input_checks import check_volume
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume
from volume_files import (
    FORMATS,
    GRIDS,
    SHAPE,
    save_nifti,
    write_mha,
    write_nrrd,
)

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_what_is_written_is_read_again_bit_by_bit_and_in_the_same_place(tmp_path, suffix, grid):
    volume = Volume(head_like(SHAPE) - 17.3, grid)
    write_volume(volume, tmp_path / f"a{suffix}")
    again = read_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    assert again.voxels.dtype == np.float32
    assert again.grid.matches(grid, tolerance=1e-9)


#: What each format holds for other programs, for a head within 2 m of the origin [mm].
HELD = {".nii": 1e-4, ".nii.gz": 1e-4, ".nrrd": 1e-9, ".nhdr": 1e-9, ".mha": 1e-9, ".mhd": 1e-9}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("grid", [g for n, g in GRIDS.items() if "shear" not in n and "far" not in n])
def test_other_programs_find_the_volume_in_the_same_place(tmp_path, suffix, grid):
    write_volume(Volume(head_like(SHAPE), grid), tmp_path / f"a{suffix}")
    image = sitk.ReadImage(tmp_path / f"a{suffix}")
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    assert Grid(SHAPE, LPS @ lps).matches(grid, tolerance=HELD[suffix])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), head_like(SHAPE))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_nifti_holds_the_closest_32_bit_numbers(tmp_path, grid):
    write_volume(Volume(head_like(SHAPE), grid), tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(image.affine.astype(np.float32), grid.ijk_to_ras.astype(np.float32))
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32).T, head_like(SHAPE))
    assert image.header["sform_code"] == 1
    if image.header["qform_code"] != 0:
        quaternion = Grid(SHAPE, image.get_qform())
        assert quaternion.matches(grid, tolerance=1e-3)


def test_a_64_bit_position_is_forgotten_when_another_program_moves_the_volume(tmp_path, an_oblique_volume):
    write_volume(an_oblique_volume, tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    image.set_sform(np.add(image.affine, 5 * np.eye(4, k=3)), 1)
    nibabel.save(image, tmp_path / "moved.nii.gz")
    moved = read_volume(tmp_path / "moved.nii.gz").grid
    np.testing.assert_allclose(np.subtract(moved.origin, an_oblique_volume.grid.origin), [5, 0, 0], atol=1e-4)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", ">i2", ">f4"])
def test_nifti_files_of_others_are_read_exactly(tmp_path, grid, dtype):
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE[::-1]).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(np.dtype(dtype))
    nibabel.save(nibabel.Nifti1Image(voxels, grid.ijk_to_ras, header), tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.voxels, voxels.T)
    assert volume.grid.matches(Grid(SHAPE, nibabel.load(tmp_path / "a.nii").affine))
    assert volume.header["PixelType"] == np.dtype(dtype.strip(">")).name


MOVED = np.array([[1, 0, 0, 10], [0, 1, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("sform_code", [0, 1, 2, 4])
@pytest.mark.parametrize("qform_code", [0, 1, 2])
def test_of_two_positions_slicers_choice_is_taken(tmp_path, sform_code, qform_code):
    path = save_nifti(
        tmp_path / "a.nii", np.zeros(SHAPE[::-1], "i2"), sform=(MOVED, sform_code), qform=(np.eye(4), qform_code)
    )
    volume = read_volume(path)
    expected = LPS[:3, :3] @ sitk.ReadImage(path).GetOrigin()
    np.testing.assert_allclose(volume.grid.origin, expected, atol=1e-6)
    codes = [finding.code for finding in check_volume(volume)]
    assert ("volume-orientation-conflict" in codes) == (sform_code > 0 and qform_code > 0)
    assert ("volume-orientation-unknown" in codes) == (sform_code == qform_code == 0)


def test_scaling_and_units_of_a_nifti_file_are_applied(tmp_path):
    voxels = np.arange(np.prod(SHAPE), dtype="i2").reshape(SHAPE[::-1])
    image = nibabel.Nifti1Image(voxels, np.diag([700, 800, 900, 1]))
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(0.25, -3)
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(volume.spacing, (0.7, 0.8, 0.9))
    stored = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    np.testing.assert_allclose(volume.voxels, stored.T, rtol=1e-6)


def test_a_fourth_axis_of_one_frame_is_no_hindrance(tmp_path):
    voxels = head_like(SHAPE).T
    path = save_nifti(tmp_path / "a.nii", voxels[..., None], np.eye(4))
    np.testing.assert_array_equal(read_volume(path).voxels, voxels.T)


def test_nrrd_files_in_other_spaces_are_turned_to_ras(tmp_path):
    for space, origin in {
        "right-anterior-superior": (1, 2, 3),
        "left-anterior-superior": (-1, 2, 3),
        "left-posterior-superior": (-1, -2, 3),
    }.items():
        path = write_nrrd(tmp_path / "a.nrrd", space=space)
        assert read_volume(path).grid.origin == origin


def test_a_compressed_file_is_recognized_by_its_content(tmp_path, a_volume):
    write_volume(a_volume, tmp_path / "a.nii")
    (tmp_path / "b.nii").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii").voxels, a_volume.voxels)


def test_files_with_names_beyond_ascii_work(tmp_path, a_volume):
    for suffix in FORMATS:
        path = tmp_path / f"Schädel 頭{suffix}"
        write_volume(a_volume, path)
        np.testing.assert_array_equal(read_volume(path).voxels, a_volume.voxels)


def test_the_kind_of_voxels_and_the_modality_are_kept(tmp_path):
    path = write_mha(tmp_path / "a.mha", spacing="1 1 1\nModality = MET_MOD_CT")
    assert read_volume(path).header == {"Format": "MetaImage", "PixelType": "int16", "Modality": "CT"}


def test_real_scans_are_read_where_nibabel_finds_them(shared_data):
    paths = sorted(shared_data.glob("ms_longitudinal/patient0[13]/study*.nii.gz"))
    assert len(paths) >= 10
    for path in paths:
        image = nibabel.load(path)
        volume = read_volume(path)
        assert volume.grid.matches(Grid(volume.shape, image.affine))
    np.testing.assert_array_equal(volume.voxels, np.asarray(image.dataobj, dtype=np.float32).T)
