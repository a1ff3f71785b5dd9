"""The uncertainty panel: a real network computes maps; they are laid over a volume on a fixed scale and taken away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bundle_support import make_bundle
from module_support import GRIDS, UNCERTAINTY, head_node, place, scene_facts
from test_panel_super_resolution import SECONDS

SIGNAL = 400.0


@pytest.fixture
def desktop(slicer_desktop, slicer_scene, tmp_path, monkeypatch):
    """The desktop with the module loaded and no model installed."""
    assert slicer_scene.mrmlScene is not None
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    slicer_desktop.load_module(UNCERTAINTY)
    return slicer_desktop


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
    panel.ui.overlayButton.click()
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


def test_regions_least_to_be_trusted_are_listed_and_views_go_there(desktop, pair, slicer_scene):
    panel = open_with(desktop, *pair)
    assert not panel.ui.regionsListWidget.visible
    panel.ui.overlayButton.click()
    sentences = [panel.ui.regionsListWidget.item(n).text() for n in range(panel.ui.regionsListWidget.count)]
    assert len(sentences) == 2 and "8.0 % of the signal" in sentences[0] and "20.0 % of the signal" in sentences[1]
    panel.ui.regionsListWidget.setCurrentRow(1)
    desktop.process_events()
    red = slicer_scene.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert 12 <= red.GetSliceOffset() <= 14


def test_a_map_of_unknown_origin_is_shown_with_a_warning(desktop, pair):
    panel = open_with(desktop, *pair)
    panel.ui.overlayButton.click()
    assert "does not say how it was made" in panel.ui.scaleLabel.text


def test_apply_computes_the_maps_with_a_network_and_shows_the_total_one(desktop, slicer_scene, tmp_path):
    make_bundle(tmp_path / "models" / "test-network")
    head_node(shape=(16, 18, 20))
    panel = desktop.open_module("SynthMRIUncertainty")
    panel.ui.passesSpinBox.setValue(2)
    desktop.process_events()
    assert "not calibrated" in panel.ui.findingsLabel.text and panel.ui.applyButton.enabled
    panel.ui.applyButton.click()
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
