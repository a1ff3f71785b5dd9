"""Derived DICOM series: read back by pydicom, ITK and our own reader, in place, marked, and without a person's name."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from conftest import head_like, placed_grid
from dicom_files import OBLIQUE, PATIENT, SECRETS, SHAPE, stack, write_series
from SynthMRILib.dicom_export import json_texts, write_dicom_series
from SynthMRILib.errors import InputError
from SynthMRILib.provenance import make_provenance
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

GRIDS = {
    "axial": placed_grid(SHAPE, spacing=(0.5, 0.5, 0.75), origin=(-20, 10, 5)),
    "oblique": OBLIQUE,
    "left-handed": placed_grid(SHAPE, spacing=(1, 1.2, 2), rotation=(0, 90, 10), left_handed=True),
}


def a_result(grid: Grid, *, offset: float = 0.0) -> Volume:
    return Volume(head_like(grid.shape) + offset, grid)


def export(volume: Volume, folder, **arguments):
    provenance = make_provenance(
        task="super-resolution", inputs={"input": volume}, parameters={}, bundle=None, device="cpu"
    )
    return write_dicom_series(volume, folder, description="super-resolution 2x", provenance=provenance, **arguments)


@pytest.mark.parametrize("offset", [0.0, -350.5])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_series_is_read_back_in_place_and_within_half_a_step(tmp_path, grid, offset):
    volume = a_result(GRIDS[grid], offset=offset)
    export(volume, tmp_path / "out")
    step = np.ptp(volume.voxels) / 65534
    read = read_volume(tmp_path / "out")
    first = np.rint(volume.grid.ras_to_index(np.array(read.grid.origin))).astype(int)
    # A reader may count left-handed slices from the other end.
    backwards = first[2] != 0
    assert tuple(first) == (0, 0, volume.shape[0] - 1 if backwards else 0)
    assert np.abs(volume.grid.index_to_ras(first) - read.grid.origin).max() < 1e-6
    expected = volume.voxels[::-1] if backwards else volume.voxels
    np.testing.assert_allclose(read.voxels, expected, rtol=0, atol=0.51 * step)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "out"))
    image = sitk.ReadImage(names, sitk.sitkFloat32)
    there = [image.TransformPhysicalPointToContinuousIndex(tuple(p * np.array([-1, -1, 1]))) for p in
             volume.grid.index_to_ras(np.array([[0, 0, 0], [3, 5, 2]]))]  # fmt: skip
    values = [image[tuple(round(x) for x in index)] for index in there]
    assert values == pytest.approx([volume.voxels[0, 0, 0], volume.voxels[2, 5, 3]], abs=float(step))
    assert np.abs(np.array(there) - np.rint(there)).max() < 1e-4


def test_every_file_says_what_it_is_and_names_nobody(tmp_path):
    files = export(a_result(OBLIQUE), tmp_path / "out")
    datasets = [pydicom.dcmread(file) for file in files]
    assert len(files) == SHAPE[0] and len({d.SOPInstanceUID for d in datasets}) == SHAPE[0]
    for attribute in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({d[attribute].value for d in datasets}) == 1
    first = datasets[0]
    assert first.SeriesDescription == "SYNTHETIC super-resolution 2x"
    assert list(first.ImageType[:2]) == ["DERIVED", "SECONDARY"] and "SYNTHETIC" in first.ImageType
    assert first.ContentQualification == "RESEARCH" and "not for diagnosis" in first.ImageComments
    assert json.loads(first.ContributingEquipmentSequence[0].ContributionDescription)["task"] == "super-resolution"
    assert str(first.PatientName) == "SYNTHETIC^Research" and first.PatientIdentityRemoved == "YES"
    assert not first.PatientBirthDate and "SourceImageSequence" not in first


def a_long_provenance() -> dict:
    return {
        "inputs": {f"input{n}": {"sha256": 64 * "a", "shape_kji": [256, 256, 256]} for n in range(4)},
        "intensity": {"scale": 412.5, "quoted": 'a "word" \\ and é', "nothing": None, "empty": {}},
        "packages": dict.fromkeys(("torch", "numpy", "scipy", "SimpleITK", "monai"), "1.2.3"),
        "parameters": {"device": "auto", "seed": 3, "options": {f"option{n}": n / 3 for n in range(9)}},
        "bundle": {"name": "super-resolution-x2", "version": "1.0", "sha256": 64 * "b"},
        "task": "super-resolution",
    }


def merged(texts: list[str]) -> dict:
    """The record that was divided into JSON texts."""

    def add(into: dict, part: dict) -> dict:
        for name, value in part.items():
            into[name] = add(into.get(name, {}), value) if isinstance(value, dict) else value
        return into

    whole: dict = {}
    for text in texts:
        add(whole, json.loads(text))
    return whole


def test_task_model_and_parameters_stand_first_and_nothing_is_cut_off(tmp_path):
    volume, provenance = a_result(OBLIQUE), a_long_provenance()
    files = write_dicom_series(volume, tmp_path / "out", description="x", provenance=provenance)
    items = pydicom.dcmread(files[0]).ContributingEquipmentSequence
    texts = [item.ContributionDescription for item in items]
    assert len(texts) > 1 and all(len(text) <= 1024 for text in texts)
    first = json.loads(texts[0])
    assert {name: first[name] for name in ("task", "bundle", "parameters")} == {
        name: provenance[name] for name in ("task", "bundle", "parameters")
    }
    assert merged(texts) == provenance


def test_parameters_that_need_several_texts_are_whole_and_one_value_that_is_too_long_is_told():
    provenance = {"task": "t", "parameters": {f"name{n}": 300 * "x" for n in range(8)}, "table": list(range(900))}
    texts = json_texts(provenance)
    assert all(len(text) <= 1024 for text in texts)
    assert merged(texts) == {**provenance, "table": "left out: too long for a DICOM text"}
    assert json_texts({}) == ["{}"]


def test_with_a_reference_the_series_joins_its_examination(tmp_path):
    acquired = tmp_path / "acquired"
    write_series(acquired, stack(), OBLIQUE)
    reference = sorted(acquired.iterdir())[0]
    source = pydicom.dcmread(reference)
    source.StudyInstanceUID = source.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.1"
    source.save_as(reference)
    written = pydicom.dcmread(export(a_result(OBLIQUE), tmp_path / "out", reference=reference)[0])
    assert (written.StudyInstanceUID, written.FrameOfReferenceUID) == (
        source.StudyInstanceUID,
        source.FrameOfReferenceUID,
    )
    assert written.SeriesInstanceUID != source.SeriesInstanceUID and written.SOPInstanceUID != source.SOPInstanceUID
    assert {str(written[name].value) for name in PATIENT} == set(PATIENT.values())
    assert written.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "Brain routine" not in str(written.SeriesDescription), "descriptions of the source can name a person"


def test_without_a_reference_nothing_of_a_dicom_source_is_written(tmp_path):
    acquired = tmp_path / "acquired"
    write_series(acquired, stack(), OBLIQUE)
    volume = read_volume(acquired)
    files = export(volume, tmp_path / "out")
    content = b"".join(file.read_bytes() for file in files)
    assert not [secret for secret in SECRETS if secret.encode() in content]


@pytest.mark.parametrize("case, words", [("full folder", "not an empty folder"), ("no dicom", "not a DICOM file")])
def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, case, words):
    arguments = {}
    if case == "full folder":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    else:
        arguments["reference"] = tmp_path / "notes.txt"
        arguments["reference"].write_text("no header", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words):
        export(a_result(OBLIQUE), tmp_path / "out", **arguments)
    assert sorted(tmp_path.rglob("*")) == before
