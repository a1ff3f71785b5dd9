"""The uncertainty panel: a real network computes maps; they are laid over a volume on a fixed scale and taken away."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from bundle_support import make_bundle
from module_support import GRIDS, head_node, place, scene_facts
from panel_support import SECONDS, checked, press_apply, result_of

SIGNAL = 400.0


@pytest.fixture
def pair(slicer_scene):
    """A volume whose signal range is SIGNAL, and a map with two regions of high and one of low uncertainty."""
    voxels = np.full((20, 22, 24), SIGNAL, dtype=np.float32)
    spread = np.zeros_like(voxels)
    spread[2:6, 2:6, 2:8] = 0.08 * SIGNAL
    spread[12:15, 12:15, 12:15] = 0.2 * SIGNAL
    spread[18, 18, 18] = 0.01 * SIGNAL
    return [slicer_scene.util.addVolumeFromArray(v, name=n) for v, n in ((voxels, "Image"), (spread, "Map"))]


def open_with(desktop, image: Any = None, uncertainty: Any = None):
    panel = desktop.open_module("SynthMRIUncertainty")
    panel.ui.imageSelector.setCurrentNode(image)
    panel.ui.uncertaintySelector.setCurrentNode(uncertainty)
    desktop.process_events()
    return panel


def layers(slicer) -> list[tuple]:
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(c.GetBackgroundVolumeID(), c.GetForegroundVolumeID(), c.GetForegroundOpacity()) for c in composites]


@pytest.mark.parametrize("missing, words", [("image", "Select the synthetic volume"), ("map", "has to be computed")])
def test_without_a_pair_the_button_is_off_and_says_why(desktop, pair, missing, words):
    panel = open_with(desktop, *((None, pair[1]) if missing == "image" else (pair[0], None)))
    assert not panel.ui.overlayButton.enabled and words in panel.ui.overlayButton.toolTip
    assert panel.ui.overlayHintLabel.visible and words in panel.ui.overlayHintLabel.text


def test_volumes_on_different_grids_are_not_laid_over_each_other(desktop, pair):
    from conftest import placed_grid

    place(pair[1], placed_grid((20, 22, 24), **GRIDS["oblique"]))
    panel = open_with(desktop, *pair)
    assert not panel.ui.overlayButton.enabled and "different grids" in panel.ui.overlayHintLabel.text


def test_without_a_model_nothing_can_be_computed_and_the_panel_says_why(desktop):
    head_node()
    panel = desktop.open_module("SynthMRIUncertainty")
    assert not panel.ui.applyButton.enabled and "No model" in panel.ui.applyHintLabel.text


@pytest.mark.parametrize("factor", [1, 3])
def test_the_scale_is_the_same_whatever_the_highest_value_of_the_map(desktop, pair, slicer_scene, factor):
    slicer_scene.util.updateVolumeFromArray(pair[1], factor * slicer_scene.util.arrayFromVolume(pair[1]))
    panel = open_with(desktop, *pair)
    panel.ui.overlayButton.click()
    display = pair[1].GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0, 0.1 * SIGNAL))
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeIron"
    assert "0 to 40" in panel.ui.scaleLabel.text and "10 % of the signal" in panel.ui.scaleLabel.text
    legend = slicer_scene.vtkSlicerColorLogic.GetColorLegendDisplayNode(display)
    assert legend.GetVisibility() and "SD" in legend.GetTitleText()


def test_threshold_and_scale_begin_as_the_model_says_and_the_user_may_change_the_threshold(desktop, pair, slicer_scene):
    image, spread = pair
    spread.SetAttribute("SynthMRI.Provenance", json.dumps({"calibration": {"high_limit_percent": 7.1}}))
    other = slicer_scene.util.addVolumeFromArray(
        slicer_scene.util.arrayFromVolume(spread), name="Map of unknown origin"
    )
    panel = open_with(desktop, image, spread)
    ui = panel.ui
    assert ui.thresholdSliderWidget.value == 7.1
    show_map(desktop, panel)
    display = spread.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx(0.071 * SIGNAL)
    assert display.GetWindowLevelMax() == pytest.approx(0.2 * SIGNAL), "the next step above twice the limit"
    assert "20 % of the signal" in ui.scaleLabel.text and "5 % of the voxels are above 7.1 %" in ui.scaleLabel.text
    assert ui.regionsTableWidget.rowCount == 2, "8 and 20 %"
    ui.thresholdSliderWidget.value = 3
    desktop.leave_module("SynthMRIUncertainty")
    desktop.open_module("SynthMRIUncertainty")
    assert ui.thresholdSliderWidget.value == 3
    ui.uncertaintySelector.setCurrentNode(other)
    desktop.process_events()
    assert ui.thresholdSliderWidget.value == 5


def test_the_legend_is_drawn_over_the_map_and_goes_with_it(desktop, pair, slicer_scene):
    """In views that show the map, at their right edge; not while only outlines are shown."""
    view = slicer_scene.app.layoutManager().sliceWidget("Red")
    view.mrmlSliceNode().SetDimensions(240, 200, 1)
    view.sliceView().renderWindow()  # as in Slicer, the view is there before the map
    panel = open_with(desktop, *pair)
    show_map(desktop, panel)
    view.fitSliceToBackground()
    (legend,) = slicer_scene.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert legend.GetPrimaryDisplayNode() is pair[1].GetDisplayNode() and legend.GetLabelFormat() == "%.3g"
    assert legend.GetTitleText() == "SD\n[image units]"
    shown = desktop.drawn("Red").astype(int)
    legend.SetVisibility(False)
    changed = np.abs(shown - desktop.drawn("Red")).max(axis=2) > 20
    assert changed[:, 120:].sum() > 300 and not changed[:, :60].any(), "a bar with numbers, on the right alone"
    bar = shown[changed]
    assert (bar[:, 0] > bar[:, 2] + 60).sum() > 100, "it runs through the colors of the map: red to yellow"
    legend.SetVisibility(True)
    panel.ui.contourCheckBox.click()
    outlined(desktop, panel)
    assert not legend.GetVisibility()
    panel.ui.overlayButton.click()
    assert not slicer_scene.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")


def test_threshold_and_opacity_act_at_once(desktop, pair, slicer_scene):
    panel = open_with(desktop, *pair)
    panel.ui.overlayButton.click()
    assert {opacity for _, _, opacity in layers(slicer_scene)} == {0.6}
    panel.ui.thresholdSliderWidget.value = 2.5
    panel.ui.opacitySliderWidget.value = 0.25
    desktop.process_events()
    display = pair[1].GetDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == pytest.approx(0.025 * SIGNAL)
    assert display.GetUpperThreshold() > 1e30, "the highest values are never hidden"
    assert {opacity for _, _, opacity in layers(slicer_scene)} == {0.25}


@pytest.mark.parametrize("way", ["button", "leaving", "another volume", "closing the scene"])
def test_taking_the_map_away_puts_everything_back(desktop, pair, slicer_scene, way):
    other = head_node("Other")
    for composite in slicer_scene.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(other.GetID())
    panel = open_with(desktop, *pair)
    display = pair[1].GetDisplayNode()
    before = layers(slicer_scene), display.GetColorNodeID(), display.GetWindow(), display.GetApplyThreshold()
    nodes = scene_facts()
    show_map(desktop, panel)
    assert layers(slicer_scene) != before[0]
    if way == "button":
        panel.ui.overlayButton.click()
    elif way == "leaving":
        desktop.leave_module("SynthMRIUncertainty")
    elif way == "another volume":
        panel.ui.imageSelector.setCurrentNode(other)
        desktop.process_events()
    else:
        slicer_scene.mrmlScene.Clear()
        assert not panel.ui.overlayButton.enabled and not panel.ui.overlayButton.checked
        return
    assert (layers(slicer_scene), display.GetColorNodeID(), display.GetWindow(), display.GetApplyThreshold()) == before
    assert scene_facts() == nodes and not panel.ui.overlayButton.checked


def test_a_view_in_which_the_user_chose_another_volume_is_left_alone(desktop, pair, slicer_scene):
    other = head_node("Other")
    panel = open_with(desktop, *pair)
    panel.ui.overlayButton.click()
    red = slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    red.SetForegroundVolumeID(other.GetID())
    panel.ui.overlayButton.click()
    assert red.GetForegroundVolumeID() == other.GetID()


def show_map(desktop, panel) -> None:
    """Press the button and wait until the places were looked for."""
    panel.ui.overlayButton.click()
    outlined(desktop, panel)


def outlined(desktop, panel) -> None:
    """Wait until threads have found what is to be shown."""
    desktop.process_events()
    assert desktop.wait_until(lambda: not panel.overlayPanel.busy, timeout=30)


def test_least_trusted_places_are_listed_and_views_go_there(desktop, pair, slicer_scene):
    panel = open_with(desktop, *pair)
    table = panel.ui.regionsTableWidget
    assert not table.visible
    show_map(desktop, panel)
    cells = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
    assert cells == [["96", "8.0", "right"], ["27", "20.0", "right"]]
    table.setCurrentCell(1, 0)
    desktop.process_events()
    red = slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert 12 <= red.GetSliceOffset() <= 14
    assert "20.0 % of the signal" in panel.ui.regionSentenceLabel.text


def test_places_are_named_after_a_segmentation(desktop, pair, slicer_scene):
    labels = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "aseg")
    slicer_scene.util.updateVolumeFromArray(labels, np.full((20, 22, 24), 49, dtype=np.int16))
    panel = open_with(desktop, *pair)
    panel.ui.segmentationSelector.setCurrentNode(labels)
    show_map(desktop, panel)
    assert panel.ui.regionsTableWidget.item(0, 3).text() == "right thalamus (100 %)"


def test_outlines_leave_the_image_free_and_everything_is_put_back(desktop, pair, slicer_scene):
    panel = open_with(desktop, *pair)
    nodes = scene_facts()
    show_map(desktop, panel)
    panel.ui.contourCheckBox.click()
    outlined(desktop, panel)
    composite = slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    view = slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    labels = slicer_scene.mrmlScene.GetNodeByID(composite.GetLabelVolumeID())
    assert composite.GetForegroundOpacity() == 0 and view.GetUseLabelOutline()
    spread = slicer_scene.util.arrayFromVolume(pair[1])
    np.testing.assert_array_equal(slicer_scene.util.arrayFromVolume(labels) > 0, spread > 0.05 * SIGNAL)
    panel.ui.thresholdSliderWidget.value = 10
    outlined(desktop, panel)
    np.testing.assert_array_equal(slicer_scene.util.arrayFromVolume(labels) > 0, spread > 0.1 * SIGNAL)
    panel.ui.contourCheckBox.click()
    desktop.process_events()
    assert composite.GetLabelVolumeID() is None and not view.GetUseLabelOutline()
    panel.ui.contourCheckBox.click()
    outlined(desktop, panel)
    panel.ui.overlayButton.click()
    assert composite.GetLabelVolumeID() is None and not view.GetUseLabelOutline() and scene_facts() == nodes


def test_the_value_under_the_pointer_is_told_in_units_and_percent(desktop, pair, slicer_scene):
    panel = open_with(desktop, *pair)
    show_map(desktop, panel)
    crosshair = slicer_scene.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS([13.2, 12.9, 13.4])
    assert panel.ui.cursorLabel.text == "Under the pointer: 80 (20.0 % of the signal)"
    crosshair.SetCursorPositionRAS([500, 0, 0])
    assert not panel.ui.cursorLabel.visible
    panel.ui.overlayButton.click()
    crosshair.SetCursorPositionRAS([13, 13, 13])
    assert not panel.ui.cursorLabel.visible


@pytest.mark.parametrize("flag", ["green", "red"])
def test_the_quality_flag_is_told_in_words_with_its_rule(desktop, pair, flag):
    quality = {"flag": flag, "sentence": f"Confidence: ({flag}).", "rule": "red: above 1.5", "reasons": []}
    pair[1].SetAttribute("SynthMRI.Provenance", json.dumps({"quality": quality, "calibration": {}}))
    panel = open_with(desktop, *pair)
    assert panel.ui.qualityLabel.text == f"Confidence: ({flag})." and "red: above 1.5" in panel.ui.qualityLabel.toolTip


@pytest.mark.parametrize("kind", ["segmentation", "points"])
def test_lesions_are_looked_up_and_views_go_there(desktop, pair, slicer_scene, kind):
    panel = open_with(desktop, *pair)
    ui = panel.ui
    assert not ui.lesionButton.enabled and "Select a lesion" in ui.lesionHintLabel.text
    if kind == "segmentation":
        labels = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Lesions")
        mask = np.zeros((20, 22, 24), dtype=np.uint8)
        mask[2:5, 2:5, 2:5] = mask[12:15, 12:15, 12:15] = 1
        slicer_scene.util.updateVolumeFromArray(labels, mask)
        ui.lesionSelector.setCurrentNode(labels)
    else:
        points = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points")
        for position in ((3, 3, 3), (13, 13, 13)):
            points.AddControlPoint(position)
        ui.pointsSelector.setCurrentNode(points)
    desktop.process_events()
    ui.lesionButton.click()
    assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=30)
    assert ui.lesionTableWidget.rowCount == 2
    assert ui.lesionTableWidget.item(1, 3).text() == ("high" if kind == "segmentation" else "low"), "the ball is larger"
    ui.lesionTableWidget.setCurrentCell(1, 0)
    desktop.process_events()
    assert "Not a diagnosis" in ui.lesionSentenceLabel.text
    assert 12 <= slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceOffset() <= 14


def test_lesions_outside_of_the_volume_are_told_in_a_sentence(desktop, pair, slicer_scene):
    points = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points")
    points.AddControlPoint((300, 0, 0))
    panel = open_with(desktop, *pair)
    panel.ui.pointsSelector.setCurrentNode(points)
    desktop.process_events()
    panel.ui.lesionButton.click()
    assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=30)
    assert "Point 1 lies outside of the volume" in panel.ui.lesionHintLabel.text


def test_the_blend_is_synthetic_where_it_can_be_trusted_and_acquired_elsewhere(desktop, slicer_scene):
    source = head_node()
    image, spread = result_of(source, change=20), result_of(source, role="total", change=0)
    voxels = np.zeros(slicer_scene.util.arrayFromVolume(image).shape, dtype=np.float32)
    voxels[:, :, 22:] = 100
    slicer_scene.util.updateVolumeFromArray(spread, voxels)
    panel = open_with(desktop, image, spread)
    assert panel.ui.blendButton.enabled, panel.ui.blendHintLabel.text
    panel.ui.blendButton.click()
    assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=30)
    blend = slicer_scene.util.getNode(f"{image.GetName()} BLEND")
    assert blend.GetAttribute("SynthMRI.Synthetic") == "1" and "fading" in blend.GetAttribute("SynthMRI.Provenance")
    mixed, synthetic = slicer_scene.util.arrayFromVolume(blend), slicer_scene.util.arrayFromVolume(image)
    np.testing.assert_allclose(mixed[:, :, :22], synthetic[:, :, :22], atol=1e-3)
    middle = (slice(16, 20), slice(18, 22), slice(23, 30))
    acquired = slicer_scene.util.arrayFromVolume(source)[8:10, 9:11, 11:15]
    assert abs(mixed[middle].mean() - acquired.mean()) < 6, "20 brighter where it was not faded"


def test_without_its_source_a_result_cannot_be_blended(desktop, pair):
    panel = open_with(desktop, *pair)
    assert not panel.ui.blendButton.enabled and "not in the scene" in panel.ui.blendHintLabel.text


def test_a_map_of_unknown_origin_is_shown_with_a_warning(desktop, pair):
    panel = open_with(desktop, *pair)
    panel.ui.overlayButton.click()
    assert "does not say how it was made" in panel.ui.scaleLabel.text


def test_apply_computes_the_maps_with_a_network_and_shows_the_total_one(desktop, slicer_scene, tmp_path):
    make_bundle(tmp_path / "models" / "test-network")
    head_node(shape=(16, 18, 20))
    panel = desktop.open_module("SynthMRIUncertainty")
    panel.ui.passesSpinBox.setValue(2)
    checked(desktop, panel)
    assert "not calibrated" in panel.ui.findingsLabel.text
    press_apply(desktop, panel)
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS)
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    names = {"SYNTH mean", "UNCERTAINTY total", "UNCERTAINTY epistemic", "UNCERTAINTY aleatoric"}
    nodes = {name: slicer_scene.util.getNode(f"T1w {name}") for name in names}
    assert {node.GetAttribute("SynthMRI.Synthetic") for node in nodes.values()} == {"1"}
    assert panel.ui.overlayButton.checked
    assert panel.ui.uncertaintySelector.currentNode() is nodes["UNCERTAINTY total"]
    total, epistemic, aleatoric = (
        slicer_scene.util.arrayFromVolume(nodes[f"UNCERTAINTY {kind}"]) for kind in ("total", "epistemic", "aleatoric")
    )
    np.testing.assert_allclose(total, np.hypot(epistemic, aleatoric), rtol=1e-4, atol=1e-4)
    assert "not calibrated" in panel.ui.scaleLabel.text


@pytest.mark.usefixtures("desktop")
def test_the_self_test_of_the_module_passes(slicer_desktop):
    from SynthMRIUncertainty import SynthMRIUncertaintyTest

    slicer_desktop.set_testing(True)
    SynthMRIUncertaintyTest().runTest()
