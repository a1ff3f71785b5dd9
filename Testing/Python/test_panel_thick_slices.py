"""Thick slices in the SynthMRI panel: what is asked for in mm, what is said of it, and the thin slices it gives."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest
from bundle_support import install_thin_network
from conftest import head_like, placed_grid
from dicom_files import STRAIGHT, stack, write_series
from module_support import head_node, node_matrix, place, scene_facts
from panel_support import (
    SECONDS,
    checked,
    press_apply,
    result_of,
    run_to_the_end,
    select,
    settle,
    shown_volumes,
    synthetic_volumes,
    wait_for_end,
)
from SlicerDesktop.application.dicom_database import DICOMDatabase
from SlicerDesktop.proxies import proxy_for
from SynthMRILib.through_plane import request

TOTAL_VARIATION, BSPLINE, NETWORK = "Total variation", "B-spline interpolation", "Network"
SHAPE = (18, 30, 32)


@pytest.fixture
def panel(desktop):
    """The panel with a head in axial slices 3 mm apart, 0.6 mm in plane, and the enhancement "Thick slices"."""
    head_node("T2w", shape=SHAPE, grid="thick slices")
    opened = desktop.open_module("SynthMRI")
    select(opened.ui.enhancementComboBox, "Thick slices")
    return checked(desktop, opened)


def methods_of(panel) -> list[str]:
    return [panel.ui.methodComboBox.itemText(n) for n in range(panel.ui.methodComboBox.count)]


def set_lengths(desktop, panel, **lengths: float) -> None:
    """Type lengths [mm] into the boxes of these names."""
    for name, value in lengths.items():
        getattr(panel.ui, f"{name}SpinBox").setValue(value)
    checked(desktop, panel)


def spacing_of(node) -> tuple[float, ...]:
    return tuple(round(length, 6) for length in node.GetSpacing())


def test_super_resolution_of_thick_slices_points_to_their_own_enhancement(desktop, panel):
    ui = panel.ui
    select(ui.enhancementComboBox, "Super-resolution")
    select(ui.methodComboBox, BSPLINE)
    checked(desktop, panel)
    assert "Enhancement 'Thick slices'" in ui.findingsLabel.text
    labels = [ui.enhancementComboBox.itemText(n) for n in range(ui.enhancementComboBox.count)]
    assert labels == ["Super-resolution", "Thick slices", "Denoising"], "the name that the sentence uses is there"


def test_without_a_network_total_variation_is_chosen_and_the_network_is_not_offered(panel):
    ui = panel.ui
    assert methods_of(panel) == [TOTAL_VARIATION, BSPLINE] and ui.methodComboBox.currentText == TOTAL_VARIATION
    assert ui.applyButton.enabled and not ui.bundleComboBox.enabled and not ui.deviceComboBox.enabled
    for name in ("voxelSizeSpinBox", "sliceDistanceSpinBox", "sliceGapSpinBox", "sliceProfileComboBox"):
        assert getattr(ui, name).visible, name
    ui.advancedCollapsibleButton.collapsed = False
    assert ui.residualCheckBox.visible and not ui.sharpnessSliderWidget.visible


def test_the_controls_go_with_their_enhancement(desktop, panel):
    ui = panel.ui
    assert ui.thickSlicesHintLabel.visible
    select(ui.enhancementComboBox, "Denoising")
    desktop.process_events()
    for name in ("voxelSize", "sliceDistance", "sliceGap"):
        assert not getattr(ui, f"{name}SpinBox").visible and not getattr(ui, f"{name}Label").visible
    assert not ui.sliceProfileComboBox.visible and not ui.thickSlicesHintLabel.visible


def test_the_size_of_the_result_is_told_before_apply_and_follows_what_is_asked_for(desktop, panel):
    ui = panel.ui
    assert ui.voxelSizeSpinBox.text == "Automatic" and ui.sliceDistanceSpinBox.text == "As the voxel size"
    words = "0.6 x 0.6 x 3 mm become 0.6 x 0.6 x 0.6 mm: 32 x 30 x 90 voxels."
    assert ui.thickSlicesHintLabel.text == words
    set_lengths(desktop, panel, voxelSize=1.2)
    assert ui.thickSlicesHintLabel.text.endswith("1.2 x 1.2 x 1.2 mm: 16 x 15 x 45 voxels.")
    set_lengths(desktop, panel, voxelSize=0, sliceDistance=1.5)
    assert ui.thickSlicesHintLabel.text.endswith("0.6 x 0.6 x 1.5 mm: 32 x 30 x 36 voxels.")
    assert panel.logic.getParameterNode().request()["parameters"]["spacing"] == [0.0, 0.0, 1.5]


def test_the_slice_distance_goes_with_the_slices_wherever_they_lie(desktop, panel, slicer_scene):
    """Coronal slices as a file may hold them: thick along j."""
    node = slicer_scene.util.addVolumeFromArray(head_like((30, 18, 32)), name="Coronal")
    node.SetSpacing(0.9, 4.0, 0.9)
    panel.ui.inputSelector.setCurrentNode(node)
    set_lengths(desktop, panel, sliceDistance=2)
    assert panel.logic.getParameterNode().request()["parameters"]["spacing"] == [0.0, 2.0, 0.0]
    assert panel.ui.thickSlicesHintLabel.text.endswith("0.9 x 2 x 0.9 mm: 32 x 36 x 30 voxels.")


@pytest.mark.parametrize("thickness, gap", [(2.6, "0.4"), (3, None), (3.5, None)])
def test_the_gap_that_the_dicom_header_tells_of_is_said_until_it_is_chosen(
    desktop, panel, slicer_scene, tmp_path, monkeypatch, thickness, gap
):
    """Slices that touch, as 0 mm says, and slices that overlap need no word."""

    def change(_index, dataset):
        dataset.SliceThickness = thickness

    files = write_series(tmp_path / "series", stack(), STRAIGHT, change=change)
    node = slicer_scene.util.getNode("T2w")
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(pydicom.dcmread(f).SOPInstanceUID) for f in files))
    database = DICOMDatabase()
    database.import_folder(tmp_path / "series")
    monkeypatch.setattr(slicer_scene, "dicomDatabase", proxy_for(database), raising=False)
    set_lengths(desktop, panel, voxelSize=1)
    words = f"The DICOM header tells of slices {thickness:g} mm thick, so the gap is {gap} mm."
    assert (words in panel.ui.thickSlicesHintLabel.text) == (gap is not None)
    assert ("DICOM" in panel.ui.thickSlicesHintLabel.text) == (gap is not None)
    set_lengths(desktop, panel, sliceGap=float(gap or 0))
    assert "DICOM" not in panel.ui.thickSlicesHintLabel.text


def test_apply_adds_thin_slices_that_are_seen_from_their_edge_beside_the_thick_ones(desktop, panel, slicer_scene):
    ui, source = panel.ui, slicer_scene.util.getNode("T2w")
    set_lengths(desktop, panel, voxelSize=0.6, sliceGap=0.3)
    ui.residualCheckBox.click()
    run_to_the_end(desktop, panel)
    name = "T2w SYNTH thin slices 0.6 mm total variation"
    assert synthetic_volumes(slicer_scene) == [name, f"{name} RESIDUAL"], ui.statusLabel.text
    assert "Taken in thick slices again, the result differs from the input by" in ui.statusLabel.text
    result, residual = (slicer_scene.util.getNode(n) for n in (name, f"{name} RESIDUAL"))
    assert spacing_of(result) == (0.6, 0.6, 0.6) and spacing_of(residual) == spacing_of(source)
    assert result.GetNodeReference("SynthMRI.Source") is source and result.GetAttribute("SynthMRI.Synthetic") == "1"
    told = json.loads(result.GetAttribute("SynthMRI.Provenance"))
    assert (told["task"], told["method_used"], told["synthetic"]) == ("through-plane", "total-variation", True)
    assert told["parameters"]["gap"] == 0.3 and told["parameters"]["spacing"] == [0.6, 0.6, 0.6]
    assert told["consistency"]["rms_percent"] < 3
    np.testing.assert_allclose(middle_of(source), middle_of(result), atol=1e-6)
    assert shown_volumes(slicer_scene) == {"SynthMRIBefore": "T2w", "SynthMRIAfter": name}
    assert normal_of(slicer_scene, "SynthMRIBefore") == normal_of(slicer_scene, "SynthMRIAfter") == "A"
    assert "No network computed this result" in ui.compareHintLabel.text
    ui.differenceCheckBox.click()
    settle(desktop, panel)
    assert normal_of(slicer_scene, "SynthMRIDifference") == "A"
    difference = slicer_scene.util.getNode(f"{name} DIFFERENCE")
    assert spacing_of(difference) == (0.6, 0.6, 0.6)


def middle_of(node) -> np.ndarray:
    """Middle of a volume in RAS [mm]."""
    return (node_matrix(node) @ [*((np.array(node.GetImageData().GetDimensions()) - 1) / 2), 1])[:3]


def normal_of(slicer, view: str) -> str:
    """Axis of the patient (R, A or S) that is nearest to a view's normal."""
    matrix = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().GetSliceToRAS()
    return "RAS"[int(np.abs([matrix.GetElement(row, 2) for row in range(3)]).argmax())]


def test_views_are_turned_for_thick_slices_alone_and_stay_as_their_user_turns_them(desktop, panel, slicer_scene):
    thick, other = slicer_scene.util.getNode("T2w"), head_node("T1w")
    results = {n.GetName(): result_of(n, task=t) for n, t in ((thick, "through-plane"), (other, "super-resolution"))}
    stored = panel.logic.getParameterNode()
    stored.outputVolume = results["T2w"]
    desktop.process_events()
    panel.ui.compareButton.click()
    assert normal_of(slicer_scene, "SynthMRIAfter") == "A"
    for view in ("SynthMRIBefore", "SynthMRIAfter"):
        slicer_scene.app.layoutManager().sliceWidget(view).mrmlSliceNode().SetOrientation("Sagittal")
    panel.ui.differenceCheckBox.click()
    settle(desktop, panel)
    assert normal_of(slicer_scene, "SynthMRIDifference") == normal_of(slicer_scene, "SynthMRIAfter") == "R"
    stored.outputVolume = results["T1w"]
    settle(desktop, panel)
    assert normal_of(slicer_scene, "SynthMRIAfter") == "S", "as it is for all other results"


def test_coronal_and_sagittal_slices_are_seen_from_above(desktop, slicer_scene):
    from SynthMRIModuleLib.thick_slices import view_across

    assert desktop is not None
    for spacing, orientation in (((1, 1, 4), "Coronal"), ((1, 4, 1), "Axial"), ((4, 1, 1), "Axial")):
        node = slicer_scene.util.addVolumeFromArray(head_like((16, 16, 16)))
        node.SetSpacing(*spacing)
        assert view_across(node) == orientation


def test_methods_give_results_of_their_own_names(desktop, panel, slicer_scene):
    select(panel.ui.methodComboBox, BSPLINE)
    set_lengths(desktop, panel, sliceDistance=1.5)
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["T2w SYNTH thin slices 1.5 mm B-spline"]
    result = slicer_scene.util.getNode("T2w SYNTH thin slices 1.5 mm B-spline")
    assert spacing_of(result) == (0.6, 0.6, 1.5)


def test_an_installed_network_is_offered_and_taken(desktop, slicer_scene, tmp_path):
    install_thin_network(tmp_path / "models" / "thin")
    head_node("T2w", shape=SHAPE, grid="thick slices")
    panel = desktop.open_module("SynthMRI")
    select(panel.ui.enhancementComboBox, "Thick slices")
    set_lengths(desktop, panel, voxelSize=1)
    assert methods_of(panel) == [NETWORK, TOTAL_VARIATION, BSPLINE]
    assert panel.ui.methodComboBox.currentText == NETWORK and panel.ui.bundleComboBox.enabled
    assert "Test thin slices" in panel.ui.bundleComboBox.toolTip
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["T2w SYNTH thin slices 1 mm"], panel.ui.statusLabel.text


def test_a_scene_that_wants_a_network_which_is_not_here_says_so(desktop, panel):
    panel.logic.getParameterNode().thickMethod = "network"
    checked(desktop, panel)
    assert panel.ui.methodComboBox.currentText == NETWORK and not panel.ui.applyButton.enabled
    assert "No model for this task is installed" in panel.ui.applyHintLabel.text
    select(panel.ui.methodComboBox, TOTAL_VARIATION)
    assert checked(desktop, panel).ui.applyButton.enabled and methods_of(panel) == [TOTAL_VARIATION, BSPLINE]


#: What a user may ask for by mistake: lengths typed in, whether it can be run all the same, and what is said of it.
BAD_WISHES = {
    "a tiny spacing": (
        {"voxelSize": 0.05},
        False,
        "or 0 for automatic, not 0.05 x 0.05 x 0.05.",
    ),
    "a tiny slice distance": ({"sliceDistance": 0.02}, False, "not 0 x 0 x 0.02."),
    "a gap as wide as the distance": (
        {"sliceGap": 3},
        False,
        "The gap (3 mm) must be smaller than the distance of slices (3 mm).",
    ),
    "coarser voxels in plane": ({"voxelSize": 1}, True, "Voxels get coarser (0.6 mm become 1 mm)"),
    "a coarser result": ({"voxelSize": 5}, True, "no axis gets much finer (3 mm become 5 mm)"),
    "slices as they are": ({"sliceDistance": 3}, True, "there is hardly anything to restore"),
}


@pytest.mark.parametrize("case", BAD_WISHES)
def test_a_bad_wish_is_told_in_a_sentence_before_apply(desktop, panel, case):
    lengths, can_run, words = BAD_WISHES[case]
    ui = panel.ui
    set_lengths(desktop, panel, **lengths)
    assert ui.applyButton.enabled == can_run
    label = ui.findingsLabel if can_run else ui.applyHintLabel
    assert label.visible and words in label.text, label.text


def test_isotropic_voxels_are_told_to_hold_no_thick_slices(desktop, panel):
    panel.ui.inputSelector.setCurrentNode(head_node("T1w"))
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled and "hardly anything to restore" in panel.ui.findingsLabel.text
    assert "Super-resolution" in panel.ui.findingsLabel.text
    assert panel.ui.thickSlicesHintLabel.text.startswith("1 x 1 x 1 mm become 1 x 1 x 1 mm")


def test_a_result_that_no_computer_holds_is_refused_with_its_size(desktop, panel, slicer_scene, monkeypatch):
    """More voxels than allowed, and as many as are allowed but more memory than there is."""
    place(slicer_scene.util.getNode("T2w"), placed_grid(SHAPE, spacing=(6, 6, 10)))
    set_lengths(desktop, panel, voxelSize=0.1)
    assert not panel.ui.applyButton.enabled and "1920 x 1800 x 1800 voxels" in panel.ui.applyHintLabel.text
    assert not panel.ui.thickSlicesHintLabel.visible
    monkeypatch.setattr(request, "total_memory", lambda: 2 * 10**9)
    set_lengths(desktop, panel, voxelSize=0.4)
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyHintLabel.text == (
        "Apply is off: The result would have 480 x 450 x 450 voxels and need about 3.5 GB of memory; this computer has "
        "2.0 GB. Choose a larger spacing."
    )


def test_a_volume_that_cannot_be_read_leaves_the_hint_away(desktop, panel, slicer_scene):
    panel.ui.inputSelector.setCurrentNode(slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"))
    set_lengths(desktop, panel, sliceDistance=1)
    assert "holds no voxels" in panel.ui.applyHintLabel.text and not panel.ui.thickSlicesHintLabel.visible
    panel.ui.inputSelector.setCurrentNode(None)
    checked(desktop, panel)
    assert panel.ui.applyHintLabel.text == "Apply is off: Select an input volume."


def test_cancel_leaves_the_scene_as_it_was(desktop, slicer_scene):
    head_node("T2w", shape=(40, 160, 160), grid="thick slices")
    panel = desktop.open_module("SynthMRI")
    select(panel.ui.enhancementComboBox, "Thick slices")
    press_apply(desktop, panel)
    before = scene_facts()
    assert desktop.wait_until(lambda: "left" in panel.ui.statusLabel.text, timeout=SECONDS), panel.ui.statusLabel.text
    panel.ui.applyButton.click()
    wait_for_end(desktop, panel)
    assert scene_facts() == before and not synthetic_volumes(slicer_scene)
    assert "nothing was changed" in panel.ui.statusLabel.text and panel.ui.applyButton.enabled


def test_undo_takes_thin_slices_back(desktop, panel, slicer_scene):
    scene = slicer_scene.mrmlScene
    scene.SetUndoOn()
    try:
        select(panel.ui.methodComboBox, BSPLINE)
        run_to_the_end(desktop, panel)
        assert len(synthetic_volumes(slicer_scene)) == 1
        scene.Undo()
        desktop.process_events()
        assert not synthetic_volumes(slicer_scene) and not panel.ui.compareButton.enabled
    finally:
        scene.SetUndoOff()
        scene.ClearUndoStack()


def test_choices_and_result_come_back_with_the_scene(desktop, panel, slicer_scene, tmp_path):
    ui = panel.ui
    select(ui.methodComboBox, BSPLINE)
    select(ui.sliceProfileComboBox, "Box (all alike)")
    set_lengths(desktop, panel, voxelSize=0.8, sliceDistance=1.6, sliceGap=0.45)
    run_to_the_end(desktop, panel)
    path, name = str(tmp_path / "scene.mrb"), "T2w SYNTH thin slices 0.8 x 1.6 mm B-spline"
    voxels = slicer_scene.util.arrayFromVolume(slicer_scene.util.getNode(name)).copy()
    assert slicer_scene.util.saveScene(path)
    slicer_scene.mrmlScene.Clear()
    desktop.process_events()
    assert ui.enhancementComboBox.currentText == "Super-resolution" and ui.voxelSizeSpinBox.value == 0
    slicer_scene.util.loadScene(path)
    checked(desktop, panel)
    assert ui.enhancementComboBox.currentText == "Thick slices" and ui.methodComboBox.currentText == BSPLINE
    assert (ui.voxelSizeSpinBox.value, ui.sliceDistanceSpinBox.value, ui.sliceGapSpinBox.value) == (0.8, 1.6, 0.45)
    assert ui.sliceProfileComboBox.currentText == "Box (all alike)" and ui.applyButton.enabled
    result = panel.logic.getParameterNode().outputVolume
    assert result.GetName() == name and result.GetAttribute("SynthMRI.Task") == "through-plane"
    np.testing.assert_array_equal(slicer_scene.util.arrayFromVolume(result), voxels)
    ui.compareButton.checked = True
    desktop.process_events()
    assert shown_volumes(slicer_scene)["SynthMRIAfter"] == name and normal_of(slicer_scene, "SynthMRIAfter") == "A"


def test_thin_slices_are_exported_as_a_derived_series(desktop, panel, tmp_path):
    select(panel.ui.methodComboBox, BSPLINE)
    set_lengths(desktop, panel, voxelSize=1)
    run_to_the_end(desktop, panel)
    desktop.answer(str(tmp_path))
    panel.ui.exportButton.click()
    assert desktop.wait_until(lambda: not panel.exportPanel.busy, timeout=SECONDS)
    assert "54 files were written to the folder 'SYNTHETIC through-plane'" in panel.ui.exportStatusLabel.text
    header = pydicom.dcmread(next((tmp_path / "SYNTHETIC through-plane").iterdir()))
    assert list(header.ImageType)[:2] == ["DERIVED", "SECONDARY"] and "SYNTHETIC" in header.SeriesDescription
    assert (list(header.PixelSpacing), header.SliceThickness) == ([1, 1], 1)


@pytest.mark.usefixtures("desktop")
def test_a_script_gets_total_variation_where_no_network_is_installed(slicer_scene):
    from SynthMRI import SynthMRILogic

    source = head_node("FLAIR", shape=SHAPE, grid="thick slices")
    logic = SynthMRILogic()
    try:
        result = logic.process(source, parameters={"spacing": [1.0, 1.0, 1.0]}, task="through-plane")
        assert any("No network for thick slices is installed" in sentence for sentence in logic.findings)
    finally:
        logic.close()
    assert spacing_of(result) == (1, 1, 1) and synthetic_volumes(slicer_scene) == ["FLAIR SYNTH thin slices 1 mm"]
