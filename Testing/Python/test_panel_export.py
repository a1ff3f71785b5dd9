"""Whose patient and study an export copies, which it tells, and that a series is there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from conftest import placed_grid
from dicom_files import OBLIQUE, STRAIGHT, stack, write_enhanced
from module_support import GRIDS, SHAPE, head_node, place
from panel_support import SECONDS, result_of
from SynthMRILib.errors import InputError

ANNA = {"PatientName": "ALPHA^ANNA", "PatientID": "ID-111", "PatientBirthDate": "19700131"}
FACTS = ("ALPHA ANNA", "ID-111", "1970-01-31", "2020-02-03", "Head routine", "T1 sagittal")


def acquired_files(node: Any, folder: Path) -> list[Path]:
    """A DICOM series with the voxels of a node, of a patient called Anna Alpha."""
    from SynthMRILib.dicom_export import write_dicom_series
    from SynthMRIModuleLib.node_volume import volume_from_node

    files = write_dicom_series(volume_from_node(node), folder, description="acquired", provenance={})
    more = {"StudyDate": "20200203", "StudyDescription": "Head routine", "SeriesDescription": "T1 sagittal"}
    for file in files:
        dataset = pydicom.dcmread(file)
        for tag, value in {**ANNA, **more}.items():
            setattr(dataset, tag, value)
        dataset.save_as(file)
    return files


def remember_files(node: Any, files: list[Path]) -> None:
    """As Slicer's DICOM reader does."""
    node.SetAttribute("DICOM.instanceUIDs", " ".join(pydicom.dcmread(file).SOPInstanceUID for file in files))


@pytest.fixture
def panel(desktop):
    opened = desktop.open_module("SynthMRI")
    opened.ui.exportCollapsibleButton.collapsed = False
    return opened


def offer(desktop, panel, source) -> None:
    """Make and select a result of this volume."""
    panel.logic.getParameterNode().outputVolume = result_of(source)
    desktop.process_events()


def choose(desktop, panel, file: Path) -> str:
    """Choose a file of the acquired series; what the panel says of it."""
    panel.ui.referencePathLineEdit.currentPath = str(file)
    assert desktop.wait_until(lambda: not panel.exportPanel.reading, timeout=SECONDS)
    assert panel.ui.referenceFactsLabel.visible
    return panel.ui.referenceFactsLabel.text


def export(desktop, panel, parent: Path) -> list[Any]:
    """Headers of the files that pressing the button writes."""
    desktop.answer(str(parent))
    panel.ui.exportButton.click()
    assert desktop.wait_until(lambda: not panel.exportPanel.busy, timeout=SECONDS)
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in sorted(parent.glob("SYNTHETIC*/*.dcm"))]


@pytest.mark.parametrize("knows_its_files", [True, False])
def test_the_panel_tells_whose_patient_and_study_are_copied_and_no_log_does(
    desktop, panel, tmp_path, caplog, knows_its_files
):
    source = head_node(grid="oblique")
    files = acquired_files(source, tmp_path / "acquired")
    if knows_its_files:
        remember_files(source, files)
    offer(desktop, panel, source)
    said = choose(desktop, panel, files[3])
    assert all(fact in said for fact in FACTS), said
    assert ("make sure that this is the patient" in said) is not knows_its_files
    written = export(desktop, panel, tmp_path)
    assert {str(header.PatientName) for header in written} == {"ALPHA^ANNA"}
    assert "ALPHA" not in caplog.text and "ID-111" not in caplog.text


@pytest.mark.parametrize("way", ["the scene is closed", "a result of another volume is selected", "the source goes"])
def test_the_series_of_one_patient_is_forgotten_for_the_next(desktop, panel, slicer_scene, tmp_path, way):
    first = head_node("A")
    offer(desktop, panel, first)
    (file, *_) = acquired_files(first, tmp_path / "acquired")
    choose(desktop, panel, file)
    desktop.process_events()
    assert panel.ui.referencePathLineEdit.currentPath == str(file)
    if way == "the scene is closed":
        slicer_scene.mrmlScene.Clear(0)
        desktop.process_events()
    elif way == "the source goes":
        slicer_scene.mrmlScene.RemoveNode(first)
        panel.updatePanel()
    if way != "the source goes":
        offer(desktop, panel, head_node("B"))
    assert panel.ui.referencePathLineEdit.currentPath == "" and not panel.ui.referenceFactsLabel.visible
    written = export(desktop, panel, tmp_path)
    assert written and not [header for header in written if "ALPHA" in str(header.PatientName)]


def test_the_series_stays_chosen_for_another_result_of_the_same_volume_and_after_a_visit_elsewhere(
    desktop, panel, tmp_path
):
    source = head_node()
    offer(desktop, panel, source)
    (file, *_) = acquired_files(source, tmp_path / "acquired")
    choose(desktop, panel, file)
    desktop.leave_module("SynthMRI")
    desktop.open_module("SynthMRI")
    offer(desktop, panel, source)
    assert panel.ui.referencePathLineEdit.currentPath == str(file)
    assert "ALPHA ANNA" in choose(desktop, panel, file)


@pytest.mark.parametrize(
    "case, words",
    [
        ("another place", "does not lie where 'B' has its voxels"),
        ("other files", "is none of the DICOM files that 'B' was read from"),
        ("moved since it was read", "does not lie where 'B' has its voxels"),
        ("no source", "is not in the scene"),
    ],
)
def test_the_series_of_another_patient_is_refused_and_nothing_is_written(
    desktop, panel, slicer_scene, tmp_path, caplog, case, words
):
    anna, other = head_node("A"), head_node("B")
    files = acquired_files(anna, tmp_path / "acquired")
    if case == "other files":
        remember_files(other, acquired_files(other, tmp_path / "other"))
    elif case == "moved since it was read":
        remember_files(other, files)
    if case in ("another place", "moved since it was read"):
        other.SetOrigin(3.4, 0, 0)
    offer(desktop, panel, other)
    if case == "no source":
        slicer_scene.mrmlScene.RemoveNode(other)
        panel.updatePanel()
    said = choose(desktop, panel, files[0])
    assert words in said and "ALPHA" not in said
    assert not export(desktop, panel, tmp_path)
    assert panel.ui.exportStatusLabel.text == said
    assert "ALPHA" not in caplog.text and "ID-111" not in caplog.text


def test_without_a_result_no_series_can_be_chosen(desktop, panel):
    assert not panel.ui.referencePathLineEdit.enabled
    offer(desktop, panel, head_node())
    assert panel.ui.referencePathLineEdit.enabled


def test_what_fails_unexpectedly_is_logged_without_its_words(desktop, panel, tmp_path, caplog, monkeypatch):
    import SynthMRILib.dicom_export as dicom_export

    def fail(*_arguments: Any, **_more: Any) -> None:
        raise ValueError(f"bad value in {ANNA}")

    monkeypatch.setattr(dicom_export, "write_dicom_series", fail)
    offer(desktop, panel, head_node())
    export(desktop, panel, tmp_path)
    assert "could not be written" in panel.ui.exportStatusLabel.text
    assert "ValueError" in caplog.text and "export_panel.py" in caplog.text and "ALPHA" not in caplog.text


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize(
    "change, fits",
    [
        ("none", True),
        ("stored with few digits", True),
        ("cropped", True),
        ("half a voxel beside", False),
        ("turned", False),
        ("other voxels", False),
        ("another slab", False),
    ],
)
def test_a_slice_fits_a_volume_whose_voxels_its_pixels_are(slicer_scene, tmp_path, grid, change, fits):
    from SynthMRIModuleLib.export_reference import SourceFacts, checked_reference

    files = acquired_files(head_node(grid=grid), tmp_path / "acquired")
    where = placed_grid(SHAPE, **GRIDS[grid])
    shape, matrix = SHAPE, where.ijk_to_ras.copy()
    if change == "stored with few digits":
        matrix = matrix.astype(np.float32).astype(float)
    elif change == "cropped":
        shape = (10, 11, 12)
        matrix[:3, 3] = where.index_to_ras(np.array([5, 4, 3]))
    elif change == "half a voxel beside":
        matrix[:3, 3] = where.index_to_ras(np.array([0.5, 0, 0]))
    elif change == "turned":
        turn = placed_grid(SHAPE, spacing=(1, 1, 1), rotation=(0, 4, 0)).ijk_to_ras
        matrix = turn @ matrix
    elif change == "other voxels":
        matrix[:3, :3] *= 1.1
    elif change == "another slab":
        matrix[:3, 3] = where.index_to_ras(np.array([0, 0, 40]))
    source = head_node("Source", shape=shape)
    place(source, placed_grid(shape, spacing=(1, 1, 1)))
    source.SetIJKToRASMatrix(slicer_scene.util.vtkMatrixFromArray(matrix))
    facts = SourceFacts.of(result_of(source))
    if fits:
        assert "ALPHA ANNA" in checked_reference(files[8], facts)
    else:
        with pytest.raises(InputError, match="does not lie where"):
            checked_reference(files[8], facts)


@pytest.mark.usefixtures("desktop")
def test_slices_that_are_unevenly_spaced_belong_to_the_volume_that_names_their_files(tmp_path):
    from SynthMRIModuleLib.export_reference import SourceFacts, checked_reference

    source = head_node()
    files = acquired_files(source, tmp_path / "acquired")
    dataset = pydicom.dcmread(files[8])
    dataset.ImagePositionPatient = [*dataset.ImagePositionPatient[:2], float(dataset.ImagePositionPatient[2]) + 0.4]
    dataset.save_as(files[8])
    with pytest.raises(InputError, match="does not lie where"):
        checked_reference(files[8], SourceFacts.of(result_of(source)))
    remember_files(source, files)
    assert "ALPHA ANNA" in checked_reference(files[8], SourceFacts.of(result_of(source)))


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("grid, fits", [(OBLIQUE, True), (STRAIGHT, False)])
def test_an_enhanced_file_fits_by_any_of_its_frames(tmp_path, grid, fits):
    from SynthMRIModuleLib.export_reference import SourceFacts, checked_reference

    source, file = head_node(shape=OBLIQUE.shape), tmp_path / "all.dcm"
    place(source, OBLIQUE)
    write_enhanced(file, stack(), grid, order=range(18), slopes=[1.0] * 18)
    dataset = pydicom.dcmread(file)
    dataset.StudyInstanceUID = "1.2.3"
    dataset.save_as(file)
    facts = SourceFacts.of(result_of(source))
    if fits:
        assert "Doe Jane" in checked_reference(file, facts)
    else:
        with pytest.raises(InputError, match="does not lie where"):
            checked_reference(file, facts)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.fixture
def slow_writer(monkeypatch) -> None:
    """Every slice takes a while, as on a disk in the network."""
    import time

    import SynthMRILib.dicom_export as dicom_export

    write = dicom_export._write_slice

    def slowly(*arguments: Any) -> str:
        time.sleep(0.05)
        return write(*arguments)

    monkeypatch.setattr(dicom_export, "_write_slice", slowly)


@pytest.mark.usefixtures("slow_writer")
def test_a_series_is_complete_when_the_application_closes_while_it_is_written(desktop, panel, tmp_path):
    source = head_node()
    offer(desktop, panel, source)
    desktop.answer(str(tmp_path))
    panel.ui.exportButton.click()
    assert panel.exportPanel.busy
    panel.cleanup()
    assert len(list(tmp_path.glob("SYNTHETIC super-resolution/*.dcm"))) == 36 and not hidden(tmp_path)


@pytest.mark.usefixtures("slow_writer")
def test_a_series_is_there_as_a_whole_or_not_at_all(desktop, panel, tmp_path):
    offer(desktop, panel, head_node())
    desktop.answer(str(tmp_path))
    panel.ui.exportButton.click()
    seen = set()
    while panel.exportPanel.busy:
        desktop.process_events(20)
        seen.add((len(list(tmp_path.glob("SYNTHETIC*"))), len(list(tmp_path.glob("SYNTHETIC*/*")))))
    assert seen <= {(0, 0), (1, 36)} and (0, 0) in seen
    assert not hidden(tmp_path)


def test_what_an_application_left_that_died_while_writing_is_removed_by_the_next_export(desktop, panel, tmp_path):
    """Its files may name a patient; those of an export that is still going on are left alone."""
    import os
    import shutil
    import subprocess

    from SynthMRILib.jobs.folders import JobFolder
    from SynthMRIModuleLib.export_panel import STAGING

    dies = (
        "import os, sys; from pathlib import Path; from SynthMRILib.jobs.folders import JobFolder; "
        f"folder = JobFolder(Path(sys.argv[1]), prefix={STAGING!r}); "
        "(folder.path / 'IM00001.dcm').write_text('ALPHA^ANNA'); os._exit(1)"
    )
    library = str(Path(__file__).parents[2] / "SynthMRI")
    python = shutil.which("PythonSlicer")
    subprocess.run([python, "-c", dies, str(tmp_path)], check=False, env={**os.environ, "PYTHONPATH": library})
    (left,) = hidden(tmp_path)
    going_on = JobFolder(tmp_path, prefix=STAGING)
    try:
        offer(desktop, panel, head_node())
        assert len(export(desktop, panel, tmp_path)) == 36
        assert hidden(tmp_path) == [going_on.path.name] != [left]
    finally:
        going_on.remove()


@pytest.mark.parametrize("case", ["no such folder", "it fails half-way"])
def test_an_export_that_fails_is_told_and_leaves_nothing(desktop, panel, tmp_path, monkeypatch, case):
    import SynthMRILib.dicom_export as dicom_export

    write = dicom_export._write_slice

    def fail(series: Any, volume: Any, index: int, folder: Path) -> str:
        if index == 20:
            raise OSError(28, "No space left on device")
        return write(series, volume, index, folder)

    parent = tmp_path / "missing" if case == "no such folder" else tmp_path
    if case == "it fails half-way":
        monkeypatch.setattr(dicom_export, "_write_slice", fail)
    offer(desktop, panel, head_node())
    assert not export(desktop, panel, parent)
    assert "'SYNTHETIC super-resolution' could not be written: No s" in panel.ui.exportStatusLabel.text
    assert not list(tmp_path.iterdir())
