"""Writing: complete or nothing, marked as synthetic, and never over a file that somebody wants to keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from SynthMRILib import SYNTHETIC_NOTICE, volume_io
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume
from volume_files import (
    FORMATS,
    SHAPE,
    SHEAR,
    error_of,
)

ENGINE = Path(volume_io.__file__).parents[1]

PROVENANCE = {"task": "super-resolution", "parameters": {"factor": 2}, "text": 'quote " backslash \\ umlaut ü'}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_written_volume_says_that_it_is_synthetic_and_how_it_was_made(tmp_path, suffix, a_volume):
    write_volume(a_volume, tmp_path / f"a{suffix}", provenance=PROVENANCE)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"notice": SYNTHETIC_NOTICE, **PROVENANCE}
    assert read_volume(tmp_path / f"a{suffix}").header["Synthetic"] is True
    if suffix.startswith(".nii"):
        image = nibabel.load(tmp_path / f"a{suffix}")
        assert bytes(image.header["descrip"]).rstrip(b"\0").decode() == SYNTHETIC_NOTICE
        text = image.header.extensions[0].get_content()
        assert json.loads(bytes(text).rstrip(b"\0"))["SynthMRI"]["provenance"] == PROVENANCE
    else:
        image = sitk.ReadImage(tmp_path / f"a{suffix}")
        assert image.GetMetaData("SynthMRI_notice") == SYNTHETIC_NOTICE
        assert json.loads(image.GetMetaData("SynthMRI_provenance")) == PROVENANCE


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_copy_of_an_acquired_volume_is_not_marked(tmp_path, suffix, a_volume):
    write_volume(a_volume, tmp_path / f"a{suffix}", synthetic=False)
    assert "Synthetic" not in read_volume(tmp_path / f"a{suffix}").header
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_writing_names_its_files_and_leaves_no_other(tmp_path, suffix, a_volume):
    written = write_volume(a_volume, tmp_path / f"a{suffix}", provenance=PROVENANCE)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert written[-1] == tmp_path / f"a{suffix}"


def test_suffixes_may_be_in_capitals(tmp_path, an_oblique_volume):
    for suffix in FORMATS:
        path = tmp_path / f"A{suffix.upper()}"
        write_volume(an_oblique_volume, path, overwrite=True)
        assert read_volume(path).grid.matches(an_oblique_volume.grid)
        assert (path.read_bytes()[:2] == b"\x1f\x8b") == (suffix == ".nii.gz")


def test_the_same_volume_gives_the_same_bytes(tmp_path, a_volume):
    for suffix in FORMATS:
        write_volume(a_volume, tmp_path / f"a{suffix}", provenance=PROVENANCE, overwrite=True)
        write_volume(a_volume, tmp_path / f"b{suffix}", provenance=PROVENANCE, overwrite=True)
        one, other = ((tmp_path / f"{name}{suffix}").read_bytes() for name in "ab")
        assert one.replace(b"a.", b"b.") == other.replace(b"a.", b"b.")


def test_values_that_are_not_finite_survive_writing(tmp_path, a_volume):
    voxels = a_volume.voxels.copy()
    voxels[0, 0, :3] = [np.nan, np.inf, -np.inf]
    for suffix in FORMATS:
        write_volume(a_volume.with_voxels(voxels), tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(read_volume(tmp_path / f"a{suffix}").voxels, voxels)
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("existing", ["header", "sidecar"])
def test_an_existing_file_is_never_overwritten_unasked(tmp_path, suffix, existing, a_volume):
    path = tmp_path / (f"a{suffix}" if existing == "header" else "a.json")
    path.write_text("precious")
    message = error_of(write_volume, a_volume, tmp_path / f"a{suffix}", provenance=PROVENANCE)
    assert message == f"'{path.name}' exists already; choose another name or allow overwriting."
    assert [file.read_text() for file in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_overwriting_replaces_the_volume_and_the_provenance_that_is_no_longer_true(tmp_path, suffix, a_volume):
    write_volume(a_volume, tmp_path / f"a{suffix}", provenance=PROVENANCE)
    write_volume(a_volume.with_voxels(a_volume.voxels * 2), tmp_path / f"a{suffix}", overwrite=True)
    np.testing.assert_array_equal(read_volume(tmp_path / f"a{suffix}").voxels, a_volume.voxels * 2)
    assert not (tmp_path / "a.json").exists()


def test_the_provenance_of_a_neighbor_of_the_same_name_stays(tmp_path, a_volume):
    write_volume(a_volume, tmp_path / "a.nii", provenance=PROVENANCE)
    write_volume(a_volume, tmp_path / "a.nrrd")
    assert (tmp_path / "a.json").exists()


def test_a_sidecar_of_another_program_stays(tmp_path, a_volume):
    write_volume(a_volume, tmp_path / "a.nii")
    (tmp_path / "a.json").write_text('{"EchoTime": 0.1}')
    write_volume(a_volume, tmp_path / "a.nii", overwrite=True)
    assert (tmp_path / "a.json").read_text() == '{"EchoTime": 0.1}'


def read_only_folder(folder: Path) -> Path:
    """A folder nobody may write to; the administrator may write anywhere but into the kernel's own."""
    if os.geteuid() == 0:
        return Path("/proc")
    folder.chmod(0o555)
    return folder


def test_places_that_cannot_be_written_are_refused(tmp_path, a_volume):
    folder = tmp_path / "a.nrrd"
    folder.mkdir()
    sheared = Volume(np.zeros(SHAPE), Grid(SHAPE, SHEAR))
    for volume, path, words in (
        (a_volume, tmp_path / "a.tiff", "'a.tiff' has no suffix SynthMRI can write; use one of .nii.gz, .nii, .nrrd"),
        (a_volume, tmp_path / "none" / "a.nii", "The folder of 'a.nii' does not exist; create it first."),
        (a_volume, folder, "'a.nrrd' is a folder; choose another name."),
        (a_volume, read_only_folder(tmp_path) / "a.nii", "'a.nii' cannot be written there"),
        (sheared, tmp_path / "a.nii", "resample to a rectangular grid first."),
        (
            Volume(np.zeros((1, 9, 9)), Grid.from_spacing((1, 9, 9), (1, 1, 1))),
            tmp_path / "a.nii",
            "a 3D volume is needed.",
        ),
    ):
        assert words in error_of(write_volume, volume, path, overwrite=True)
    assert list(tmp_path.iterdir()) == [folder]


FULL_DISK = """
import resource, sys
from pathlib import Path
from SynthMRILib.errors import ResourceError
from SynthMRILib.volume_io import read_volume, write_volume
volume = read_volume(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
for name in sys.argv[2:]:
    try:
        write_volume(volume, name, overwrite=True)
    except ResourceError as error:
        print(error)
"""


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, a_volume):
    noise = a_volume.with_voxels(np.random.default_rng(0).normal(size=a_volume.shape))
    write_volume(noise, tmp_path / "noise.nrrd")
    folder = tmp_path / "full"
    folder.mkdir()
    for suffix in FORMATS:
        (folder / f"a{suffix}").write_text("old")
    names = sorted(map(str, folder.iterdir()))
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "noise.nrrd"), *names]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ENGINE)})
    assert done.returncode == 0, done.stderr
    messages = done.stdout.splitlines()
    assert len(messages) == len(FORMATS)
    for name, message in zip(names, messages):
        assert message.startswith(("There is no space left to write", f"'{Path(name).name}' could not be written"))
    assert sorted(map(str, folder.iterdir())) == names
    assert {file.read_text() for file in folder.iterdir()} == {"old"}
