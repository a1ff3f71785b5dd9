"""A synthetic volume stays known as one between command line, Slicer and DICOM; an acquired one is never taken so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import pytest
from dicom_files import stack, write_series
from module_support import head_node, read_series
from SynthMRILib import synthetic_marks, volume_io
from SynthMRILib.cohort.discovery import discover
from SynthMRILib.dicom_export import write_dicom_series
from SynthMRILib.input_checks import check_header
from SynthMRILib.tasks.super_resolution import TASK
from SynthMRILib.volume import Grid
from SynthMRILib.volume_io import read_volume, write_volume
from test_module_nodes import result_beside

SUFFIXES = tuple(volume_io.READERS)


def is_known(path: Path) -> bool:
    """Whether the command line warns; header and voxels must agree on it."""
    warned = "volume-synthetic" in [finding.code for finding in check_header(read_volume(path).header)]
    if path.is_file():
        assert synthetic_marks.in_file(path) is warned
    return warned


def test_the_suffixes_are_those_of_the_formats():
    assert set(synthetic_marks.SUFFIXES) == set(SUFFIXES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_volume_of_the_command_line_is_known_again_and_an_acquired_one_is_not(tmp_path, suffix, a_volume):
    write_volume(a_volume, tmp_path / f"made{suffix}")
    write_volume(a_volume, tmp_path / f"acquired{suffix}", synthetic=False)
    assert is_known(tmp_path / f"made{suffix}") and not is_known(tmp_path / f"acquired{suffix}")


def test_the_extension_of_a_nifti_file_tells_where_another_program_changed_its_description(tmp_path, a_volume):
    write_volume(a_volume, tmp_path / "made.nii")
    content = bytearray((tmp_path / "made.nii").read_bytes())
    content[148:228] = b"FSL".ljust(80, b"\0")
    (tmp_path / "made.nii").write_bytes(content)
    assert is_known(tmp_path / "made.nii")


def test_the_json_file_tells_where_another_program_rewrote_the_volume(tmp_path, a_volume):
    path = tmp_path / "made.nii.gz"
    write_volume(a_volume, path, provenance={"synthetic": True, "software": "SynthMRI 1"})
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine), path)
    assert is_known(path)
    (tmp_path / "made.json").write_text(json.dumps({"Manufacturer": "X", "synthetic": True}))
    assert not is_known(path)


def test_our_dicom_series_is_known_again_and_one_of_a_scanner_is_not(tmp_path, a_volume):
    files = write_dicom_series(a_volume, tmp_path / "made", description="x", provenance={})
    write_series(tmp_path / "acquired", stack(), Grid.from_spacing((18, 18, 20), (1, 1, 1)))
    assert is_known(tmp_path / "made") and is_known(files[3]) and not is_known(tmp_path / "acquired")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.dcm", "a"])
@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08 cut", b"NRRD0004\n", b"\0" * 128 + b"DICM\xff\xff"])
def test_a_file_that_cannot_be_read_is_not_taken_for_synthetic(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "a.json").write_text("[" * 100_000)
    assert not synthetic_marks.in_file(tmp_path / name) and not synthetic_marks.in_file(tmp_path / "none.nii")


def test_a_batch_leaves_out_what_is_marked_in_whatever_way(tmp_path, a_volume):
    write_volume(a_volume, tmp_path / "acquired.nii.gz", synthetic=False)
    write_volume(a_volume, tmp_path / "made.nii.gz")
    write_dicom_series(a_volume, tmp_path / "series", description="x", provenance={})
    written_by_slicer(tmp_path / "slicer.nrrd", a_volume)
    found = discover(tmp_path, TASK.roles, output=tmp_path / "out")
    assert [case.name for case in found.cases] == ["acquired"]
    names = ("made.nii.gz", "series", "slicer.nrrd")
    assert {item.name: item.reason for item in found.skipped} == dict.fromkeys(names, "marked as synthetic")
    for anat in (tmp_path / "sub-1" / "anat",):
        anat.mkdir(parents=True)
        write_volume(a_volume, anat / "sub-1_T1w.nii.gz")
        write_volume(a_volume, anat / "sub-1_T2w.nii.gz", synthetic=False)
    found = discover(tmp_path, TASK.roles, output=tmp_path / "out", layout="bids")
    assert [case.name for case in found.cases] == ["sub-1_T2w"]


def written_by_slicer(path: Path, volume: Any) -> None:
    """An NRRD file with the keys that Slicer writes for the attributes of a result."""
    write_volume(volume, path, synthetic=False)
    magic, rest = path.read_bytes().split(b"\n", 1)
    header, voxels = rest.split(b"\n\n", 1)
    path.write_bytes(b"\n".join([magic, header, b"SynthMRI.Synthetic:=1", b"SynthMRI.Task:=denoising", b"", voxels]))


@pytest.mark.usefixtures("slicer_scene")
def test_a_result_that_slicer_saved_is_known_to_the_command_line(tmp_path):
    result = result_beside(head_node())
    result.GetStorageNode().SetFileName(str(tmp_path / "result.nrrd"))
    assert result.GetStorageNode().WriteData(result)
    assert is_known(tmp_path / "result.nrrd")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_volume_of_the_command_line_is_synthetic_in_slicer(slicer_scene, tmp_path, suffix, a_volume):
    from SynthMRIModuleLib.input_choice import choose_input, is_acquired
    from SynthMRIModuleLib.request_check import Request
    from SynthMRIModuleLib.result_nodes import is_result, is_synthetic

    write_volume(a_volume, tmp_path / f"T1w{suffix}", provenance={"task": "denoising"})
    write_volume(a_volume, tmp_path / f"other{suffix}", synthetic=False)
    made = slicer_scene.util.loadVolume(str(tmp_path / f"T1w{suffix}"))
    assert is_synthetic(made) and not is_acquired(made) and not is_result(made)
    assert choose_input() is None
    acquired = slicer_scene.util.loadVolume(str(tmp_path / f"other{suffix}"))
    assert is_acquired(acquired) and choose_input() is acquired
    findings, _ = Request("super-resolution", {"input": made}, None, {"method": "bspline"}).prepare()
    assert [finding.code for finding in findings] == ["node-synthetic"]


@pytest.mark.parametrize("reader", [".nrrd", "NRRD"])
def test_the_provenance_in_an_nrrd_file_is_that_of_its_node(slicer_scene, tmp_path, reader, a_volume):
    from SynthMRIModuleLib.result_nodes import is_synthetic, provenance_of

    write_volume(a_volume, tmp_path / "T1w.nrrd", provenance={"task": "denoising", "text": 'é "quoted"; 100 %'})
    node = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    kind = "vtkMRMLNRRDStorageNode" if reader == "NRRD" else "vtkMRMLVolumeArchetypeStorageNode"
    storage = slicer_scene.mrmlScene.AddNewNodeByClass(kind)
    storage.SetFileName(str(tmp_path / "T1w.nrrd"))
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert is_synthetic(node)
    if node.GetAttribute(synthetic_marks.PROVENANCE_FIELD):
        assert provenance_of(node)["text"] == 'é "quoted"; 100 %'
    (tmp_path / "T1w.nrrd").unlink()
    (tmp_path / "T1w.json").unlink()
    assert is_synthetic(node) is bool(node.GetAttribute(synthetic_marks.NOTICE_FIELD)), "no error without the file"


@pytest.mark.usefixtures("slicer_scene")
def test_our_dicom_series_is_synthetic_in_slicer(tmp_path, a_volume):
    from SynthMRIModuleLib.result_nodes import is_synthetic

    files = write_dicom_series(a_volume, tmp_path / "made", description="x", provenance={})
    assert is_synthetic(read_series(files))


def test_the_image_type_in_slicers_dicom_database_tells_where_no_file_does(slicer_scene, monkeypatch):
    from SynthMRIModuleLib.result_nodes import is_synthetic

    class Database:
        def instanceValue(self, instance: str, tag: str) -> str:
            return f"DERIVED\\SECONDARY\\OTHER\\{instance}" if tag == "0008,0008" else ""

    monkeypatch.setattr(slicer_scene, "dicomDatabase", Database(), raising=False)
    nodes = [head_node(name) for name in ("SYNTHETIC", "MPR")]
    for node in nodes:
        node.SetAttribute("DICOM.instanceUIDs", node.GetName())
    assert [is_synthetic(node) for node in nodes] == [True, False]
