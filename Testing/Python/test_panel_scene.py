"""The panel as a good citizen of the scene: sequences, undo, deleting, closing, reloading, saving, queued runs."""

from __future__ import annotations

import sys

import pytest
from conftest import head_like
from module_support import BSPLINE, head_node, scene_facts, wait_for
from panel_support import SECONDS, press_apply, result_of, run_to_the_end, select, synthetic_volumes


def open_for_bspline(desktop):
    panel = desktop.open_module("SynthMRI")
    select(panel.ui.methodComboBox, "B-spline interpolation")
    desktop.process_events()
    return panel


def a_sequence(slicer, frames: int = 3):
    """A 4D volume: a sequence with its browser, and the proxy node that the views show."""
    scene, logic = slicer.mrmlScene, slicer.modules.sequences.logic()
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Series")
    for number in range(frames):
        node = slicer.vtkMRMLScalarVolumeNode()
        image = slicer.util.addVolumeFromArray(head_like((18, 20, 22)) + 100 * number)
        node.SetAndObserveImageData(image.GetImageData())
        scene.RemoveNode(image)
        sequence.SetDataNodeAtValue(node, str(number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic.UpdateProxyNodesFromSequences(browser)
    return browser, browser.GetProxyNode(sequence)


def test_a_frame_of_a_sequence_is_chosen_and_the_result_says_which(desktop, slicer_scene):
    browser, proxy = a_sequence(slicer_scene)
    panel = open_for_bspline(desktop)
    panel.ui.inputSelector.setCurrentNode(proxy)
    desktop.process_events()
    spin_box = panel.ui.frameSpinBox
    assert spin_box.visible and (spin_box.minimum, spin_box.maximum) == (1, 3)
    spin_box.value = 3
    desktop.process_events()
    assert browser.GetSelectedItemNumber() == 2
    run_to_the_end(desktop, panel)
    (name,) = synthetic_volumes(slicer_scene)
    assert name == f"{proxy.GetName()} frame 3 SYNTH 2x B-spline"
    result = slicer_scene.util.arrayFromVolume(slicer_scene.util.getNode(name))
    assert result.mean() > 250, "made from the third frame, 200 brighter than the first"
    panel.ui.inputSelector.setCurrentNode(head_node())
    desktop.process_events()
    assert not spin_box.visible


def test_undo_takes_a_result_back_and_the_panel_follows(desktop, slicer_scene):
    scene = slicer_scene.mrmlScene
    scene.SetUndoOn()
    try:
        head_node()
        panel = open_for_bspline(desktop)
        run_to_the_end(desktop, panel)
        assert panel.ui.compareButton.enabled and len(synthetic_volumes(slicer_scene)) == 1
        scene.Undo()
        desktop.process_events()
        assert not synthetic_volumes(slicer_scene) and slicer_scene.util.getNode("T1w") is not None
        assert not panel.ui.compareButton.enabled and not panel.ui.compareButton.checked
        run_to_the_end(desktop, panel)
        assert len(synthetic_volumes(slicer_scene)) == 1
    finally:
        scene.SetUndoOff()
        scene.ClearUndoStack()


def test_a_result_that_is_deleted_takes_its_comparison_away(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    source = head_node()
    layout = slicer_scene.app.layoutManager().layout
    panel.logic.getParameterNode().outputVolume = result_of(source)
    desktop.process_events()
    panel.ui.compareButton.click()
    slicer_scene.mrmlScene.RemoveNode(panel.logic.getParameterNode().outputVolume)
    desktop.process_events()
    assert slicer_scene.app.layoutManager().layout == layout and not panel.ui.compareButton.checked


def test_two_scenes_in_a_row_know_nothing_of_each_other(desktop, slicer_scene):
    head_node("First")
    panel = open_for_bspline(desktop)
    run_to_the_end(desktop, panel)
    slicer_scene.mrmlScene.Clear()
    desktop.process_events()
    stored = panel.logic.getParameterNode()
    assert stored.inputVolume is None and stored.outputVolume is None and stored.method.value == "network"
    assert not panel.ui.compareButton.enabled and not panel.ui.exportButton.enabled
    panel.ui.inputSelector.setCurrentNode(head_node("Second"))
    select(panel.ui.methodComboBox, "B-spline interpolation")
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["Second SYNTH 2x B-spline"]


def test_closing_a_scene_while_comparing_leaves_a_panel_that_works(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    panel.logic.getParameterNode().outputVolume = result_of(head_node())
    desktop.process_events()
    panel.ui.compareButton.click()
    slicer_scene.mrmlScene.Clear()
    desktop.process_events()
    assert not panel.ui.compareButton.enabled and not panel.ui.compareButton.checked
    assert not [name for name in slicer_scene.app.layoutManager().sliceViewNames() if mark_of(slicer_scene, name)]


def mark_of(slicer, view: str) -> str:
    import vtk

    annotation = slicer.app.layoutManager().sliceWidget(view).sliceView().cornerAnnotation()
    places = (vtk.vtkCornerAnnotation.UpperEdge, vtk.vtkCornerAnnotation.LeftEdge, vtk.vtkCornerAnnotation.RightEdge)
    return "".join(annotation.GetText(place) or "" for place in places)


@pytest.mark.usefixtures("desktop")
def test_runs_of_several_modules_wait_for_each_other(slicer_scene):
    from SynthMRI import SynthMRILogic

    logics = [SynthMRILogic() for _ in range(3)]
    sources = [head_node(name) for name in ("A", "B", "C")]
    told: list[str] = []
    for logic, source in zip(logics, sources):
        logic.start(source, parameters=BSPLINE, onFinished=lambda node: told.append(node.GetName()))
    logics[1].cancel()

    def poll() -> None:
        for logic in logics:
            logic.poll()

    wait_for(lambda: not any(logic.running for logic in logics), poll, seconds=SECONDS)
    assert told == ["A SYNTH 2x B-spline", "C SYNTH 2x B-spline"], "in order, and without the one that was cancelled"
    assert synthetic_volumes(slicer_scene) == told


def test_a_run_that_waits_says_so(desktop, slicer_scene):
    from SynthMRI import SynthMRILogic

    other = SynthMRILogic()
    head_node()
    panel = open_for_bspline(desktop)
    other.start(head_node("Other", shape=(48, 50, 52)), parameters=BSPLINE)
    press_apply(desktop, panel)
    desktop.process_events(150)
    if other.running:
        assert "Waiting for another run" in panel.ui.statusLabel.text
    assert desktop.wait_until(lambda: other.poll() or not panel.logic.running, timeout=SECONDS)
    wait_for(lambda: not other.running, other.poll)
    assert len(synthetic_volumes(slicer_scene)) == 2


@pytest.fixture
def same_libraries_afterwards():
    """Later tests must not meet two versions of one class."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("SynthMRI")}
    yield
    sys.modules.update(ours)


@pytest.mark.usefixtures("same_libraries_afterwards")
def test_reloading_while_comparing_leaves_nothing_behind(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    source = head_node()
    panel.logic.getParameterNode().outputVolume = result_of(source)
    desktop.process_events()
    layout = slicer_scene.app.layoutManager().layout
    panel.ui.compareButton.click()
    panel.onReload()
    desktop.process_events()
    assert slicer_scene.app.layoutManager().layout == layout
    assert slicer_scene.modules.SynthMRIWidget.ui.compareButton.enabled


def test_the_panel_leaves_no_node_behind_when_it_is_closed(desktop, slicer_scene):
    source = head_node()
    result_of(source)
    before = scene_facts()
    panel = desktop.open_module("SynthMRI")
    panel.ui.taskTabWidget.setCurrentIndex(1)
    panel.ui.taskTabWidget.setCurrentIndex(0)
    desktop.leave_module("SynthMRI")
    slicer_scene.mrmlScene.RemoveNode(panel.logic.getParameterNode().parameterNode)
    assert scene_facts() == before


def test_choices_of_all_tasks_survive_saving_and_loading_the_scene(desktop, slicer_scene, tmp_path):
    from SynthMRIModuleLib.choices import CompareMode, Formula, Preset, Task

    head_node("FLAIR")
    panel = desktop.open_module("SynthMRI")
    stored = panel.logic.getParameterNode()
    stored.task, stored.dirMethod, stored.formula = Task.SYNTHETIC_DIR, "arithmetic", Formula.FLAIR_TIMES_T2
    stored.t1Factor, stored.preset, stored.compareMode = 0.7, Preset.LOW_FIELD, CompareMode.BLEND
    stored.flairVolume, stored.denoisingBundle, stored.strength = slicer_scene.util.getNode("FLAIR"), "some-model", 1.5
    desktop.leave_module("SynthMRI")
    path = str(tmp_path / "scene.mrml")
    assert slicer_scene.mrmlScene.Commit(path)
    slicer_scene.mrmlScene.Clear()
    slicer_scene.mrmlScene.SetURL(path)
    slicer_scene.mrmlScene.Connect()
    desktop.open_module("SynthMRI")
    ui = panel.ui
    assert ui.taskTabWidget.currentIndex == 1 and ui.flairSelector.currentNode().GetName() == "FLAIR"
    assert ui.methodComboBox.currentText == "Formula of FLAIR and T1w or T2w"
    assert ui.formulaComboBox.currentText == "FLAIR x T2w" and ui.t1FactorSliderWidget.value == pytest.approx(0.7)
    assert ui.compareModeComboBox.currentText == "Blend"
    ui.taskTabWidget.setCurrentIndex(0)
    select(ui.enhancementComboBox, "Denoising")
    desktop.process_events()
    assert ui.strengthSliderWidget.value == pytest.approx(1.5) and ui.presetComboBox.currentText.startswith("Low field")
    assert ui.bundleComboBox.currentText == "some-model (not installed)"
