"""The SynthMRI panel as its user meets it: real buttons, the real scene, a real child process."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from module_support import SHAPE, head_node, scene_facts
from panel_support import (
    checked,
    install_model,
    press_apply,
    run_to_the_end,
    select,
    shown_volumes,
    synthetic_volumes,
    wait_for_end,
)


@pytest.fixture
def panel(desktop):
    """The opened panel with a head and B-spline interpolation selected."""
    head_node()
    opened = desktop.open_module("SynthMRI")
    select(opened.ui.methodComboBox, "B-spline interpolation")
    return checked(desktop, opened)


def test_without_a_volume_apply_is_off_and_the_panel_says_why(desktop):
    panel = desktop.open_module("SynthMRI")
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Select an input volume."
    assert panel.ui.applyHintLabel.visible
    assert panel.ui.applyHintLabel.text == "Apply is off: Select an input volume."


def test_the_first_acquired_volume_is_selected_and_label_maps_are_not_offered(desktop, slicer_scene):
    slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Lesions")
    result = head_node("T1w SYNTH 2x")
    result.SetAttribute("SynthMRI.Synthetic", "1")
    acquired = head_node("FLAIR")
    panel = desktop.open_module("SynthMRI")
    assert panel.ui.inputSelector.currentNode() is acquired
    assert panel.ui.inputSelector.nodeCount() == 2


def test_without_a_model_only_methods_that_need_none_can_be_applied(desktop):
    head_node()
    panel = desktop.open_module("SynthMRI")
    assert "No model" in panel.ui.applyHintLabel.text and panel.ui.bundleComboBox.currentText == "None is installed"
    select(panel.ui.methodComboBox, "B-spline interpolation")
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled and not panel.ui.applyHintLabel.visible
    assert not panel.ui.bundleComboBox.enabled and not panel.ui.deviceComboBox.enabled


def test_findings_about_the_input_are_shown_before_apply(desktop, panel):
    assert not panel.ui.findingsLabel.visible
    panel.ui.inputSelector.setCurrentNode(head_node("T2w", grid="thick slices"))
    checked(desktop, panel)
    assert panel.ui.findingsLabel.visible and "slices are thick" in panel.ui.findingsLabel.text
    assert panel.ui.applyButton.enabled, "a warning does not stop anybody"


def test_the_time_is_told_before_apply_once_a_run_with_the_same_settings_has_been_timed(desktop, panel, monkeypatch):
    monkeypatch.setattr("SynthMRIModuleLib.run.Run.seconds", 40.0)
    assert not panel.ui.applyHintLabel.visible
    run_to_the_end(desktop, panel)
    told = "Takes about {}, going by the last run like it."
    assert panel.ui.applyHintLabel.visible and panel.ui.applyHintLabel.text == told.format("40 s")
    panel.ui.inputSelector.setCurrentNode(head_node("FLAIR", shape=tuple(2 * n for n in SHAPE)))
    assert checked(desktop, panel).ui.applyHintLabel.text == told.format("5 min"), "eight times the voxels"
    select(panel.ui.enhancementComboBox, "Denoising")
    assert told.partition(" {")[0] not in checked(desktop, panel).ui.applyHintLabel.text, "none like it was run"


def test_apply_adds_a_finer_volume_and_shows_it_beside_its_source(desktop, panel, slicer_scene):
    panel.ui.applyButton.click()
    assert panel.ui.applyButton.text == "Cancel" and panel.ui.progressBar.visible
    assert panel.ui.taskTabWidget.enabled, "the next run can be chosen meanwhile"
    wait_for_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["T1w SYNTH 2x B-spline"]
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled
    assert panel.ui.taskTabWidget.enabled and not panel.ui.progressBar.visible
    assert panel.ui.statusLabel.text.startswith("Done in")
    assert shown_volumes(slicer_scene) == {
        "SynthMRIBefore": "T1w",
        "SynthMRIAfter": "T1w SYNTH 2x B-spline",
    }
    assert panel.ui.compareButton.checked


def test_cancel_leaves_the_scene_as_it_was_and_the_panel_ready(desktop, panel, slicer_scene):
    before = scene_facts()
    panel.ui.applyButton.click()
    panel.ui.applyButton.click()
    assert not panel.ui.applyButton.enabled and panel.ui.statusLabel.text == "Stopping..."
    wait_for_end(desktop, panel)
    assert scene_facts() == before
    assert "nothing was changed" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled
    run_to_the_end(desktop, panel)
    assert len(synthetic_volumes(slicer_scene)) == 1, "the next run works"


def test_a_second_result_takes_the_place_of_the_first_in_the_comparison(desktop, panel, slicer_scene):
    run_to_the_end(desktop, panel)
    run_to_the_end(desktop, panel)
    names = synthetic_volumes(slicer_scene)
    assert len(names) == 2
    assert shown_volumes(slicer_scene)["SynthMRIAfter"] == names[1]


def test_comparing_shows_the_same_place_in_linked_views_and_leaves_the_users_views_alone(desktop, panel, slicer_scene):
    manager = slicer_scene.app.layoutManager()
    source = slicer_scene.util.getNode("T1w")
    red = manager.sliceWidget("Red")
    red.mrmlSliceCompositeNode().SetBackgroundVolumeID(source.GetID())
    red.mrmlSliceNode().SetSliceOffset(3.5)
    layout = manager.layout
    run_to_the_end(desktop, panel)
    before, after = (manager.sliceWidget(name) for name in ("SynthMRIBefore", "SynthMRIAfter"))
    matrices = [slicer_scene.util.arrayFromVTKMatrix(w.mrmlSliceNode().GetXYToRAS()) for w in (before, after)]
    np.testing.assert_allclose(*matrices, rtol=0, atol=1e-9)
    for widget in (before, after):
        assert widget.mrmlSliceCompositeNode().GetLinkedControl()
        assert widget.mrmlSliceNode().GetViewGroup() != red.mrmlSliceNode().GetViewGroup()
    assert red.mrmlSliceCompositeNode().GetBackgroundVolumeID() == source.GetID()
    desktop.leave_module("SynthMRI")
    assert manager.layout == layout
    assert red.mrmlSliceNode().GetSliceOffset() == 3.5


def test_the_compare_button_follows_a_layout_that_the_user_chooses(desktop, panel, slicer_scene):
    manager = slicer_scene.app.layoutManager()
    layout = manager.layout
    assert not panel.ui.compareButton.enabled
    run_to_the_end(desktop, panel)
    panel.ui.compareButton.click()
    assert manager.layout == layout and not panel.ui.compareButton.checked
    panel.ui.compareButton.click()
    assert manager.layout != layout and panel.ui.compareButton.checked
    manager.setLayout(slicer_scene.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not panel.ui.compareButton.checked
    desktop.leave_module("SynthMRI")
    assert manager.layout == slicer_scene.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_the_views_stay_as_they_are_when_comparing_is_not_wanted(desktop, panel, slicer_scene):
    layout = slicer_scene.app.layoutManager().layout
    panel.ui.compareWhenDoneCheckBox.click()
    run_to_the_end(desktop, panel)
    assert slicer_scene.app.layoutManager().layout == layout and panel.ui.compareButton.enabled


def test_a_run_goes_on_when_the_user_leaves_the_module(desktop, panel, slicer_scene):
    layout = slicer_scene.app.layoutManager().layout
    panel.ui.applyButton.click()
    desktop.leave_module("SynthMRI")
    wait_for_end(desktop, panel)
    assert len(synthetic_volumes(slicer_scene)) == 1
    assert slicer_scene.app.layoutManager().layout == layout
    desktop.open_module("SynthMRI")
    assert panel.ui.compareButton.enabled and panel.ui.applyButton.text == "Apply"


def test_closing_the_scene_stops_the_run_and_leaves_a_panel_that_works(desktop, panel, slicer_scene):
    panel.ui.applyButton.click()
    slicer_scene.mrmlScene.Clear()
    wait_for_end(desktop, panel)
    assert "was removed" in panel.ui.statusLabel.text
    assert panel.ui.applyHintLabel.text == "Apply is off: Select an input volume."
    panel.ui.inputSelector.setCurrentNode(head_node("Another"))
    select(panel.ui.methodComboBox, "B-spline interpolation")
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["Another SYNTH 2x B-spline"]


def test_removing_the_acquired_volume_turns_the_comparison_off(desktop, panel, slicer_scene):
    run_to_the_end(desktop, panel)
    slicer_scene.mrmlScene.RemoveNode(slicer_scene.util.getNode("T1w"))
    desktop.process_events()
    assert not panel.ui.compareButton.enabled and not panel.ui.compareButton.checked


def test_a_child_that_cannot_start_is_told_in_a_sentence(desktop, panel, slicer_scene, tmp_path, monkeypatch):
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text("#!/bin/sh\necho 'no module named numpy' >&2\nexit 3\n", encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    run_to_the_end(desktop, panel)
    assert "could not start (exit code 3: no module named numpy)" in panel.ui.statusLabel.text
    assert "no module named numpy" in panel.ui.logTextEdit.plainText
    assert panel.ui.applyButton.text == "Apply" and not synthetic_volumes(slicer_scene)


def test_without_python_slicer_nothing_starts_and_the_panel_says_so(desktop, panel, monkeypatch):
    monkeypatch.setenv("PATH", "")
    panel.ui.applyButton.click()
    assert "PythonSlicer was not found" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled and not desktop.shown_dialogs


def test_models_are_offered_with_their_cards(desktop, tmp_path):
    install_model(tmp_path / "models" / "a_model")
    head_node()
    panel = desktop.open_module("SynthMRI")
    combo_box = panel.ui.bundleComboBox
    assert [combo_box.itemText(n) for n in range(combo_box.count)] == ["Automatic", "A Model"]
    assert "Now that is 'A Model'." in combo_box.toolTip
    assert checked(desktop, panel).ui.applyButton.enabled and not panel.ui.cardBrowser.visible
    panel.ui.cardButton.click()
    assert panel.ui.cardBrowser.visible and "For tests." in panel.ui.cardBrowser.plainText
    select(combo_box, "A Model")
    assert panel.logic.getParameterNode().bundle == "a_model"


def test_a_model_installed_meanwhile_is_offered_when_the_module_is_opened_again(desktop, panel, tmp_path):
    assert panel.ui.bundleComboBox.count == 1
    install_model(tmp_path / "models" / "a_model")
    desktop.leave_module("SynthMRI")
    desktop.open_module("SynthMRI")
    assert panel.ui.bundleComboBox.itemText(1) == "A Model"


def test_a_model_that_is_not_installed_any_more_is_named(desktop, panel):
    stored = panel.logic.getParameterNode()
    stored.bundle = "old_model"
    select(panel.ui.methodComboBox, "Network")
    desktop.process_events()
    assert panel.ui.bundleComboBox.currentText == "old_model (not installed)"
    assert "old_model" in panel.ui.applyHintLabel.text and not panel.ui.applyButton.enabled


def test_a_network_without_pytorch_tells_the_way_to_it(desktop, tmp_path, monkeypatch):
    from SynthMRIModuleLib import dependencies

    monkeypatch.setattr(dependencies, "TORCH_VERSIONS", ">=1000")
    install_model(tmp_path / "models" / "a_model")
    head_node()
    panel = desktop.open_module("SynthMRI")
    press_apply(desktop, panel)
    assert "Install the extension PyTorch" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Apply" and not panel.logic.running


def test_every_choice_of_the_panel_goes_into_the_scene_and_comes_back(desktop, panel):
    ui = panel.ui
    select(ui.methodComboBox, "Network")
    select(ui.deviceComboBox, "CPU")
    select(ui.precisionComboBox, "16 bit (bfloat16)")
    ui.tileSpinBox.setValue(96)
    ui.seedSpinBox.setValue(7)
    ui.compareWhenDoneCheckBox.click()
    request = panel.logic.getParameterNode().request()
    expected = {"method": "network", "device": "cpu", "precision": "bfloat16", "tile": 96, "seed": 7}
    expected |= {"sharpness": 0.0, "residual": False, "keep_acquired": False}
    assert request["parameters"] == expected and not panel.logic.getParameterNode().compareWhenDone
    desktop.leave_module("SynthMRI")
    panel.logic.getParameterNode().tile = 32
    desktop.open_module("SynthMRI")
    assert ui.tileSpinBox.value == 32 and ui.deviceComboBox.currentText == "CPU"


def test_views_that_show_a_synthetic_volume_say_so_and_others_do_not(desktop, panel, slicer_scene):
    import vtk

    run_to_the_end(desktop, panel)
    manager = slicer_scene.app.layoutManager()
    edge = vtk.vtkCornerAnnotation.UpperEdge

    def mark(view: str) -> str:
        return manager.sliceWidget(view).sliceView().cornerAnnotation().GetText(edge) or ""

    assert mark("SynthMRIAfter") == "SYNTHETIC - not for diagnosis"
    assert mark("SynthMRIBefore") == "" and mark("Red") == ""
    result = slicer_scene.util.getNode("T1w SYNTH 2x B-spline")
    red = manager.sliceWidget("Red").mrmlSliceCompositeNode()
    red.SetForegroundVolumeID(result.GetID())
    red.SetForegroundOpacity(0)
    assert mark("Red") == ""
    red.SetForegroundOpacity(0.3)
    assert mark("Red") == "SYNTHETIC - not for diagnosis"
    desktop.leave_module("SynthMRI")
    assert mark("Red") == "SYNTHETIC - not for diagnosis", "whichever module is open"


@pytest.fixture
def same_libraries_afterwards():
    """Later tests must not meet two versions of one class."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("SynthMRI")}
    yield
    sys.modules.update(ours)


@pytest.mark.usefixtures("same_libraries_afterwards")
def test_reloading_the_module_takes_up_its_libraries_anew(desktop, panel, slicer_scene):
    old = sys.modules["SynthMRIModuleLib.run_panel"]
    panel.onReload()
    reopened = slicer_scene.modules.SynthMRIWidget
    assert sys.modules["SynthMRIModuleLib.run_panel"] is not old
    assert reopened is not panel and reopened.ui.applyButton is not None
    desktop.process_events()


def test_sample_data_are_offered_after_startup(desktop, slicer_scene):
    assert desktop is not None
    slicer_scene.app.startupCompleted.emit()
    sources = slicer_scene.modules.sampleDataSources["SynthMRI"]
    assert [source.nodeNames for source in sources] == [["MRHead"]]
    assert sources[0].checksums[0].startswith("SHA256:") and sources[0].uris[0].endswith(sources[0].checksums[0][7:])
