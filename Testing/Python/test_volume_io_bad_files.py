"""Bad files: each is refused in one sentence that tells what to do and nothing about the disk or a patient."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SynthMRILib import volume_io
from SynthMRILib.volume_io import read_volume, write_volume
from volume_files import (
    FORMATS,
    SHAPE,
    SHEAR,
    change_nifti,
    error_of,
    make_file,
    real,
    save_nifti,
    short,
    write_mha,
    write_nrrd,
)

COLOR = np.zeros(SHAPE[::-1], dtype=[(c, "u1") for c in "RGB"])

DAMAGED = "is damaged, incomplete or no NIfTI file; export it again."
TWO_D, RIGHT = "a 3D volume is needed.", "resample to a rectangular grid first."
POSITIVE = "which must be positive; correct its header."

BAD_FILES = {
    "no content": (lambda f: make_file(f / "a.nii", b""), "'a.nii' is empty"),
    "2D": (lambda f: save_nifti(f / "a.nii", np.zeros((20, 22), "i2"), np.eye(4)), TWO_D),
    "one slice": (lambda f: save_nifti(f / "a.nii", np.zeros((20, 22, 1), "i2"), np.eye(4)), TWO_D),
    "4D": (lambda f: save_nifti(f / "a.nii", np.zeros((20, 20, 20, 3), "i2"), np.eye(4)), "choose one frame first."),
    "RGB": (lambda f: save_nifti(f / "a.nii", COLOR, np.eye(4)), "Every voxel holds 3 values"),
    "complex": (lambda f: save_nifti(f / "a.nii", np.zeros(SHAPE, "c8"), np.eye(4)), "Every voxel holds 2 values"),
    "axis of 5000": (
        lambda f: save_nifti(f / "a.nii", np.zeros((5000, 16, 16), "u1"), np.eye(4)),
        "more than 2048 voxels",
    ),
    "shear in NIfTI": (lambda f: save_nifti(f / "a.nii", np.zeros(SHAPE, "i2"), SHEAR), RIGHT),
    "shear in NRRD": (lambda f: write_nrrd(f / "a.nrrd", directions="(1,0,0) (0.3,1,0) (0,0,1)"), RIGHT),
    "shear in MHA": (lambda f: write_mha(f / "a.mha", matrix="1 0 0 0.3 1 0 0 0 1"), RIGHT),
    "zero spacing in NIfTI": (lambda f: change_nifti(f / "a.nii", 80, real(0)), POSITIVE),
    "negative spacing in NIfTI": (lambda f: change_nifti(f / "a.nii", 84, real(-1)), POSITIVE),
    "NaN spacing in NIfTI": (lambda f: change_nifti(f / "a.nii", 88, real(np.nan)), POSITIVE),
    "negative spacing in NRRD": (lambda f: write_nrrd(f / "a.nrrd", space="", lines=["spacings: -1 1 1"]), POSITIVE),
    "NaN spacing in NRRD": (lambda f: write_nrrd(f / "a.nrrd", space="", lines=["spacings: nan 1 1"]), POSITIVE),
    "zero direction in NRRD": (
        lambda f: write_nrrd(f / "a.nrrd", directions="(0,0,0) (0,1,0) (0,0,1)"),
        "'a.nrrd' is damaged or incomplete",
    ),
    "negative spacing in MHA": (lambda f: write_mha(f / "a.mha", spacing="1 -1 1"), "1 x -1 x 1 mm"),
    "zero spacing in MHA": (lambda f: write_mha(f / "a.mha", spacing="0 1 1"), POSITIVE),
    "nonsense spacing in MHA": (lambda f: write_mha(f / "a.mha", spacing="one 1 1"), POSITIVE),
    "parallel axes in MHA": (
        lambda f: write_mha(f / "a.mha", matrix="1 0 0 1 0 0 0 0 1"),
        "'a.mha' is damaged or incomplete",
    ),
    "no number in the sform": (
        lambda f: change_nifti(f / "a.nii", 252, short(0, 1) + bytes(24) + real(np.nan)),
        "not a number",
    ),
    "zero sform": (lambda f: change_nifti(f / "a.nii", 252, short(0, 1) + bytes(72)), "must be positive"),
    "more voxels than data": (lambda f: change_nifti(f / "a.nii", 40, short(3, 2000, 2000, 2000)), DAMAGED),
    "no dimensions": (lambda f: change_nifti(f / "a.nii", 40, short(0)), DAMAGED),
    "dimension of zero": (lambda f: change_nifti(f / "a.nii", 40, short(3, 0, 9, 9)), DAMAGED),
    "unknown voxel type": (lambda f: change_nifti(f / "a.nii", 70, short(999)), "save it as float32."),
    "NIfTI-2": (lambda f: change_nifti(f / "a.nii", 0, np.array([540], "<i4").tobytes()), "save it as NIfTI-1."),
    "two-file NIfTI": (lambda f: change_nifti(f / "a.nii", 344, b"ni1\0"), "save it as one .nii or .nii.gz file."),
    "missing": (lambda f: f / "gone.nii.gz", "There is no file or folder 'gone.nii.gz'; check its name."),
    "a picture": (lambda f: make_file(f / "a.png", b"\x89PNG junk" * 40), "'a.png' is no volume"),
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, make, words):
    assert words in error_of(read_volume, make(tmp_path))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_text_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("This is not an image.\n" * 50)
    assert path.name in error_of(read_volume, path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, kept, a_volume):
    for file in write_volume(a_volume, tmp_path / f"a{suffix}"):
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * kept)])
    assert f"'a{suffix}'" in error_of(read_volume, tmp_path / f"a{suffix}")


def test_a_flipped_bit_in_a_compressed_nifti_is_noticed(tmp_path, a_volume):
    path = tmp_path / "a.nii.gz"
    write_volume(a_volume, path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert DAMAGED in error_of(read_volume, path)


def test_a_header_without_its_data_file_is_refused(tmp_path, a_volume):
    for suffix, data in volume_io.DETACHED.items():
        write_volume(a_volume, tmp_path / f"a{suffix}")
        (tmp_path / f"a{data}").unlink()
        assert f"'a{suffix}'" in error_of(read_volume, tmp_path / f"a{suffix}")


def test_colors_in_nrrd_and_mha_are_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((*SHAPE, 3), "uint8"), isVector=True)
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(image, tmp_path / f"a{suffix}")
        assert "Every voxel holds 3 values" in error_of(read_volume, tmp_path / f"a{suffix}")
    frames = sitk.JoinSeries([sitk.GetImageFromArray(np.zeros(SHAPE, "uint8"))] * 3)
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(frames, tmp_path / f"a{suffix}")
        assert "choose one frame first" in error_of(read_volume, tmp_path / f"a{suffix}")
    complex_image = sitk.GetImageFromArray(np.zeros(SHAPE, "complex64"))
    sitk.WriteImage(complex_image, tmp_path / "a.nrrd")
    assert "Every voxel holds 2 values" in error_of(read_volume, tmp_path / "a.nrrd")
