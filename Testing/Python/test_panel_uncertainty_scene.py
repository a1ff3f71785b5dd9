"""The uncertainty panel as a good citizen of the scene: runs that lose their input, closing, reloading, two scenes."""

from __future__ import annotations

import sys

import pytest
from bundle_support import install_thin_network, make_bundle
from module_support import head_node, scene_facts
from panel_support import checked, press_apply, result_of, run_to_the_end, select, wait_for_end

MODULE = "SynthMRIUncertainty"


@pytest.fixture
def panel(desktop, tmp_path):
    """The panel with a small real network and a volume."""
    make_bundle(tmp_path / "models" / "test-network")
    head_node(shape=(16, 18, 20))
    opened = desktop.open_module(MODULE)
    opened.ui.passesSpinBox.setValue(2)
    return checked(desktop, opened)


def maps(slicer) -> list[str]:
    """Kinds of the maps in the scene."""
    names = [volume.GetName() for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    return [name.rpartition(" ")[2] for name in names if "UNCERTAINTY" in name]


@pytest.mark.parametrize("way", ["cancel", "the input is deleted", "the scene is closed"])
def test_a_run_that_is_stopped_adds_nothing_and_the_panel_goes_on(desktop, panel, slicer_scene, way):
    before = scene_facts()
    press_apply(desktop, panel)
    if way == "cancel":
        panel.ui.applyButton.click()
    elif way == "the input is deleted":
        slicer_scene.mrmlScene.RemoveNode(slicer_scene.util.getNode("T1w"))
        before = scene_facts()
    else:
        slicer_scene.mrmlScene.Clear()
    wait_for_end(desktop, panel)
    if way != "the scene is closed":
        assert scene_facts() == before
    words = "nothing was changed" if way == "cancel" else "was removed from the scene"
    assert words in panel.ui.statusLabel.text and panel.ui.applyButton.text == "Apply"
    assert not maps(slicer_scene)
    if way != "cancel":
        assert panel.ui.applyHintLabel.text == "Apply is off: Select an input volume."
        panel.ui.inputSelector.setCurrentNode(head_node("Next", shape=(16, 18, 20)))
    panel.ui.passesSpinBox.setValue(2)
    run_to_the_end(desktop, panel)
    assert maps(slicer_scene) == ["total", "epistemic", "aleatoric"]


def test_two_scenes_in_a_row_know_nothing_of_each_other(desktop, panel, slicer_scene):
    run_to_the_end(desktop, panel)
    assert panel.ui.overlayButton.checked
    slicer_scene.mrmlScene.Clear()
    desktop.process_events()
    stored = panel.logic.getParameterNode()
    assert stored.imageVolume is None and stored.uncertaintyVolume is None and stored.inputVolume is None
    assert not panel.ui.overlayButton.checked and not panel.ui.regionsTableWidget.visible
    assert not slicer_scene.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")


@pytest.fixture
def same_libraries_afterwards():
    """Later tests must not meet two versions of one class."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("SynthMRI")}
    yield
    sys.modules.update(ours)


@pytest.mark.usefixtures("same_libraries_afterwards")
def test_reloading_while_a_map_is_shown_leaves_nothing_behind(desktop, slicer_scene):
    source = head_node()
    image, spread = result_of(source), result_of(source, role="total")
    panel = desktop.open_module(MODULE)
    panel.ui.imageSelector.setCurrentNode(image)
    panel.ui.uncertaintySelector.setCurrentNode(spread)
    checked(desktop, panel)
    nodes, colors = scene_facts(), spread.GetDisplayNode().GetColorNodeID()
    panel.ui.overlayButton.click()
    panel.ui.contourCheckBox.click()
    assert desktop.wait_until(lambda: not panel.overlayPanel.busy, timeout=60)
    assert scene_facts() != nodes
    panel.onReload()
    desktop.process_events(100)
    assert scene_facts() == nodes and spread.GetDisplayNode().GetColorNodeID() == colors
    again = slicer_scene.modules.SynthMRIUncertaintyWidget
    assert again is not panel and again.ui.overlayButton.enabled and not again.ui.overlayButton.checked


def test_a_map_that_is_deleted_while_it_is_shown_takes_its_legend_and_outlines_along(desktop, slicer_scene):
    source = head_node()
    image, spread = result_of(source), result_of(source, role="total")
    panel = desktop.open_module(MODULE)
    panel.ui.imageSelector.setCurrentNode(image)
    panel.ui.uncertaintySelector.setCurrentNode(spread)
    desktop.process_events()
    panel.ui.overlayButton.click()
    panel.ui.contourCheckBox.click()  # its thread is at work when the map goes
    slicer_scene.mrmlScene.RemoveNode(spread)
    desktop.process_events(300)
    assert not panel.ui.overlayButton.checked
    assert not slicer_scene.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
    assert not slicer_scene.util.getNodes("SynthMRI contour")


def test_uncertainty_of_thick_slices_is_refused_while_no_network_computes_them(desktop, slicer_scene, tmp_path):
    head_node("T2w", shape=(18, 30, 32), grid="thick slices")
    panel = desktop.open_module("SynthMRIUncertainty")
    select(panel.ui.taskComboBox, "Thick slices")
    checked(desktop, panel)
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyHintLabel.text == (
        "Apply is off: No model for this task is installed, and only what a network computes has an uncertainty. "
        "Install a model, or select another task."
    )
    install_thin_network(tmp_path / "models" / "thin")
    desktop.leave_module("SynthMRIUncertainty")
    desktop.open_module("SynthMRIUncertainty")
    assert checked(desktop, panel).ui.applyButton.enabled, panel.ui.applyHintLabel.text
    panel.ui.passesSpinBox.setValue(2)
    run_to_the_end(desktop, panel)
    total = slicer_scene.util.getNode("T2w UNCERTAINTY total")
    assert total.GetSpacing() == pytest.approx((0.6, 0.6, 0.6))
