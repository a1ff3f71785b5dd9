"""The reader study panel as readers and the leader of a study meet it: real buttons and keys, the real scene."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reader_support import QUESTIONS
from reading_support import (
    ALL_QUESTIONS,
    NEW_LESIONS,
    OVERLAY,
    PanelReader,
    answered,
    begin,
    make_reading_study,
    panel,
    press,
)
from SynthMRILib import cli
from SynthMRILib.readers.study import Study
from SynthMRILib.volume_io import read_volume

FIXTURES = (begin, panel)  # found by pytest under these names
TESTS = Path(__file__).parent
PYTHON = sys.executable  # the stand-in for Slicer puts another name there
LESION_QUESTION = {"lesions": QUESTIONS["lesions"]}
READING = """
import sys, time
from SlicerDesktop.desktop import install
desktop = install()
from reading_support import PanelReader, open_reading
from SynthMRILib.readers.study import Study
reader = PanelReader(desktop, open_reading(desktop), Study(sys.argv[1]))
reader.start("R1")
for _ in range(int(sys.argv[2])):
    reader.read_one()
reader.fill()
sys.stdout.write("reading")
sys.stdout.flush()
time.sleep(600)
"""


def nodes_of_cases() -> int:
    """How many nodes of cases, marks and legends there are in the scene."""
    import slicer

    kinds = ("ScalarVolumeNode", "VolumeDisplayNode", "MarkupsNode", "MarkupsDisplayNode", "ColorLegendDisplayNode")
    return sum(len(slicer.util.getNodesByClass(f"vtkMRML{kind}")) for kind in kinds)


def kill_while_reading(study: Study, *, answers: int) -> None:
    """Let a process of its own read at the panel, and kill it while a filled-in case is on the screen."""
    paths = os.pathsep.join(str(p) for p in (TESTS, TESTS.parent, TESTS.parents[1] / "SynthMRI"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen"}
    command = [PYTHON, "-c", READING, str(study.folder), str(answers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout.read(7) == b"reading"
        child.kill()


def test_three_readers_read_a_whole_study_one_is_killed_and_goes_on_and_it_is_analyzed(
    slicer_desktop, panel, tmp_path, capsys
):
    import qt

    study = make_reading_study(tmp_path, subjects=2, repeat_fraction=0.25)
    kill_while_reading(study, answers=2)
    assert len(answered(study, "R1")) == 2
    typed = {}
    for number, code in enumerate(study.readers):
        reader = PanelReader(slicer_desktop, panel, study, seed=0 if code == "R1" else number)
        reader.start(code)
        assert panel.ui.caseLabel.text == ("Case 3 of 7" if code == "R1" else "Case 1 of 7")
        typed[code] = reader.read_all()
        assert len(typed[code]) == (5 if code == "R1" else 7)
        assert "All cases are read" in panel.ui.readingStatusLabel.text
        assert study.records(code)[-1]["sha256"][:16] in panel.ui.readingStatusLabel.text
        assert not panel.ui.startButton.enabled and "has read all cases" in panel.ui.startHintLabel.text
    assert nodes_of_cases() == 0
    assert study.records("R1")[0]["profile"] == {"role": "neuroradiologist", "years": 7}
    panel.ui.endCollapsibleButton.collapsed = False
    assert not panel.ui.reportButton.enabled and "only after locking" in panel.ui.endHintLabel.text
    slicer_desktop.answer(qt.QMessageBox.Ok)
    panel.ui.lockButton.click()
    assert study.is_locked and "cannot be undone" in slicer_desktop.shown_dialogs[-1].text
    assert not panel.ui.startButton.enabled and not panel.ui.lockButton.enabled
    assert cli.main(["readers", str(study.folder), "--json"]) == 0
    statistics = json.loads(capsys.readouterr().out)["statistics"]
    assert {line["question"] for line in statistics} >= set(ALL_QUESTIONS)
    for code, sent in typed.items():
        recorded = [record["answers"] for record in answered(study, code)]
        assert recorded[-len(sent) :] == sent, "what is on the disk is what was typed"


@pytest.mark.parametrize(
    "folder, words",
    [("", "Select the folder"), ("empty", "is no reader study"), ("study", "Choose your reader's code")],
)
def test_start_is_off_until_there_are_a_study_and_a_reader(slicer_desktop, panel, tmp_path, folder, words):
    make_reading_study(tmp_path, subjects=1, questions={"real": QUESTIONS["real"]})
    (tmp_path / "empty").mkdir()
    panel.ui.studyPathLineEdit.setCurrentPath(str(tmp_path / folder) if folder else "")
    slicer_desktop.process_events()
    assert not panel.ui.startButton.enabled
    assert words in panel.ui.startHintLabel.text and words in panel.ui.startButton.toolTip
    assert not panel.ui.readingCollapsibleButton.visible


def test_cases_are_shown_under_neutral_names_on_the_same_levels(begin, slicer_desktop, slicer_scene):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=3)
    seen, shown = set(), []
    while reader.panel.logic.reading:
        volumes = slicer_scene.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        case = next(volume for volume in volumes if volume.GetName() == "Case")
        display = case.GetDisplayNode()
        assert {v.GetName() for v in volumes} <= {"Case", "Map"}
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1000)
        assert not display.GetAutoWindowLevel() and display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"
        assert list(case.GetAttributeNames()) == [] and case.GetStorageNode() is None
        presentation = reader.panel.logic.presentation
        expected = read_volume(presentation.volumes[0]["main"]).voxels
        np.testing.assert_allclose(slicer_scene.util.arrayFromVolume(case), expected)
        seen.add(facts_of_views(slicer_scene))
        shown.append(slicer_desktop.slice_colors("SynthMRIReading1").max())
        display.SetWindowLevelMinMax(200, 300)
        reader.read_one()
    assert len(seen) == 1, "planes, zoom and layout are the same for every case"
    assert len(shown) == 6 and min(shown) > 0


def test_the_sides_of_the_patient_are_marked_while_a_case_is_read(begin, slicer_scene):
    import vtk

    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=1)
    edges = (vtk.vtkCornerAnnotation.LeftEdge, vtk.vtkCornerAnnotation.RightEdge)
    manager = slicer_scene.app.layoutManager()
    annotations = [manager.sliceWidget(f"SynthMRIReading{n}").sliceView().cornerAnnotation() for n in (1, 2, 3)]
    letters = [tuple(annotation.GetText(edge) for edge in edges) for annotation in annotations]
    assert letters == [("R", "L"), ("A", "P"), ("R", "L")], "axial, sagittal, coronal"
    while reader.panel.logic.reading:
        reader.read_one()
    assert not any(annotation.GetText(edge) for annotation in annotations for edge in edges)


def facts_of_views(slicer) -> tuple:
    manager = slicer.app.layoutManager()
    names = [n for n in manager.sliceViewNames() if n.startswith("SynthMRIReading")]
    views = [manager.sliceWidget(name).mrmlSliceNode() for name in names]
    return (manager.layout, *((v.GetOrientation(), v.GetFieldOfView(), v.GetSliceOffset()) for v in views))


def test_a_reader_changes_levels_and_views_and_the_next_case_is_shown_as_the_first_was(begin, slicer_scene):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    before = facts_of_views(slicer_scene)
    view = slicer_scene.app.layoutManager().sliceWidget("SynthMRIReading1").mrmlSliceNode()
    view.SetSliceOffset(3.0)
    view.SetFieldOfView(5.0, 5.0, 1.0)
    assert facts_of_views(slicer_scene) != before
    reader.read_one()
    assert facts_of_views(slicer_scene) == before


@pytest.mark.parametrize(
    "questions, names",
    [
        ({"which": ALL_QUESTIONS["which"]}, ["Left", "Right"]),
        ({"new": NEW_LESIONS}, ["Baseline", "Follow-up"]),
        ({"real": QUESTIONS["real"], "new": NEW_LESIONS}, ["Case", "Baseline", "Follow-up"]),
    ],
)
def test_volumes_that_are_compared_stand_side_by_side_and_linked(begin, slicer_scene, questions, names):
    begin(questions=questions, subjects=1)
    manager = slicer_scene.app.layoutManager()
    for number, name in enumerate(names, start=1):
        composite = manager.sliceWidget(f"SynthMRIReading{number}").mrmlSliceCompositeNode()
        assert slicer_scene.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName() == name
        assert composite.GetLinkedControl() and not composite.GetDoPropagateVolumeSelection()


def test_nothing_is_chosen_beforehand_and_the_panel_says_what_is_missing(begin, slicer_desktop):
    reader = begin(questions={"real": QUESTIONS["real"], "rating": QUESTIONS["rating"]}, subjects=1)
    ui, widgets = reader.ui, reader.panel.readingPanel.form.widgets
    for words, act in (
        ("Choose an answer", lambda: widgets["real"].choice.buttons["unsure"].click()),
        ("how confident", lambda: widgets["real"].confidence.setValue(0)),
        ("Rate 'quality'", lambda: [row.buttons[3].click() for row in widgets["rating"].items.values()]),
    ):
        assert not ui.nextButton.enabled and words in ui.answerHintLabel.text and words in ui.nextButton.toolTip
        press("Ctrl+Return")
        assert not answered(reader.study, "R1")
        act()
        slicer_desktop.process_events()
    assert ui.nextButton.enabled and not ui.answerHintLabel.visible
    ui.commentLineEdit.setText("Some motion.")
    press("Ctrl+Return")
    (record,) = answered(reader.study, "R1")
    assert record["answers"] == {
        "real": {"choice": "unsure", "confidence": 0},
        "rating": {"quality": 3, "ease": 3, "trust": 3},
    }
    assert record["comment"] == "Some motion." and ui.commentLineEdit.text == ""


def test_the_map_has_one_scale_and_the_time_it_was_on_is_recorded(begin, slicer_desktop, slicer_scene):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    with_map = 0
    while reader.panel.logic.reading:
        ui, has_map = reader.ui, "overlay" in reader.panel.logic.presentation.volumes[0]
        assert ui.overlayButton.visible and ui.overlayButton.enabled is has_map and not ui.overlayButton.checked
        assert "from 10 to 100 SD [a.u.]" in ui.overlayScaleLabel.text
        press("O")
        assert ui.overlayButton.checked is has_map
        composite = slicer_scene.app.layoutManager().sliceWidget("SynthMRIReading1").mrmlSliceCompositeNode()
        if has_map:
            with_map += 1
            display = slicer_scene.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID()).GetDisplayNode()
            assert [display.GetWindowLevelMin(), display.GetWindowLevelMax()] == OVERLAY["range"]
            slicer_desktop.process_events(30)
        else:
            assert composite.GetForegroundVolumeID() is None
        reader.read_one()
        assert (answered(reader.study, "R1")[-1]["overlay_seconds"] > 0.02) is has_map
    assert with_map == 2


@pytest.mark.parametrize("way", ["pause", "leaving", "closing the scene", "the end"])
def test_a_pause_takes_the_case_away_and_keeps_all_answers_before_it(begin, slicer_desktop, slicer_scene, way):
    layout = slicer_scene.app.layoutManager().layout
    reader = begin(questions={"real": QUESTIONS["real"], **LESION_QUESTION}, subjects=2)
    reader.read_one()
    assert slicer_scene.app.layoutManager().layout != layout
    reader.fill()
    if way == "pause":
        reader.ui.pauseButton.click()
    elif way == "leaving":
        slicer_desktop.leave_module()
    elif way == "closing the scene":
        slicer_scene.mrmlScene.Clear()
    else:
        reader.panel.cleanup()
    assert not reader.panel.logic.reading
    assert nodes_of_cases() == 0
    assert slicer_scene.app.layoutManager().layout == layout
    assert len(answered(reader.study, "R1")) == 1
    if way in ("pause", "leaving"):
        slicer_desktop.open_module("SynthMRIReaderStudy")
        assert reader.ui.startButton.enabled
        reader.ui.startButton.click()
        assert reader.ui.caseLabel.text == "Case 2 of 4"


def test_a_case_that_was_altered_is_not_shown(begin, slicer_scene):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    for path in (reader.study.folder / "cases").glob("*/main.nii"):
        path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    reader.read_one()
    assert "altered" in reader.ui.readingStatusLabel.text and not reader.panel.logic.reading
    assert not slicer_scene.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert len(answered(reader.study, "R1")) == 1


def test_a_study_that_is_locked_meanwhile_takes_no_answer(begin):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    reader.fill()
    (reader.study.folder / "locked.json").write_text("{}", encoding="utf-8")
    reader.ui.nextButton.click()
    assert "locked" in reader.ui.readingStatusLabel.text
    assert not answered(reader.study, "R1")


def test_two_windows_cannot_read_as_the_same_reader(begin, slicer_desktop):
    from SynthMRILib.readers.responses import ReaderSession

    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    reader.ui.pauseButton.click()
    with ReaderSession(reader.study, "R1"):
        reader.ui.startButton.click()
        assert "open in another window" in reader.ui.startHintLabel.text and not reader.panel.logic.reading
    reader.ui.startButton.click()
    assert reader.panel.logic.reading and not slicer_desktop.shown_dialogs


def test_a_washout_ends_the_session_and_says_when_the_next_opens(begin):
    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2, washout_days=14)
    assert len(reader.read_all()) == 2
    assert "next session opens on" in reader.ui.readingStatusLabel.text
    assert not reader.ui.readingCollapsibleButton.visible


@pytest.mark.parametrize("agrees", [True, False])
def test_locking_too_early_asks_and_the_report_is_written_beside_the_study(begin, slicer_desktop, agrees):
    import qt

    reader = begin(questions={"real": QUESTIONS["real"]}, subjects=2)
    reader.read_all()
    slicer_desktop.answer(qt.QMessageBox.Ok if agrees else qt.QMessageBox.Cancel)
    reader.ui.lockButton.click()
    assert "R2: 4, R3: 4" in slicer_desktop.shown_dialogs[-1].text
    assert reader.study.is_locked is agrees and reader.ui.reportButton.enabled is agrees
    if agrees:
        reader.ui.reportButton.click()
        assert (reader.study.folder.parent / "study-report" / "report.html").is_file(), reader.ui.endHintLabel.text


@pytest.mark.usefixtures("panel")
def test_the_self_test_of_the_module_passes(slicer_desktop):
    from SynthMRIReaderStudy import SynthMRIReaderStudyTest

    slicer_desktop.set_testing(True)
    SynthMRIReaderStudyTest().runTest()
