"""Compare, Difference and Blend use what the result was made from: its frame of a sequence, unchanged since then."""

from __future__ import annotations

import numpy as np
import pytest
from module_support import BSPLINE, GRIDS, head_node, node_matrix
from panel_support import result_of, settle
from test_panel_scene import a_sequence

CHANGED = "'T1w' has changed since the result was made from it, so the two cannot be compared."


def of_role(slicer, role: str) -> list:
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in nodes if node.GetAttribute("SynthMRI.Output") == role]


def largest(slicer, node) -> float:
    return float(np.abs(slicer.util.arrayFromVolume(node)).max())


def compare(desktop, panel) -> list[str]:
    """Press Compare; what is said below the controls then."""
    panel.ui.compareButton.click()
    return said(desktop, panel)


def said(desktop, panel) -> list[str]:
    settle(desktop, panel)
    return panel.ui.compareHintLabel.text.split("\n")


@pytest.fixture
def panel(desktop):
    """The panel with a volume and its result."""
    opened = desktop.open_module("SynthMRI")
    opened.logic.getParameterNode().outputVolume = result_of(head_node())
    desktop.process_events()
    return opened


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_the_provenance_of_a_real_run_is_that_of_its_source_as_it_is_in_the_scene(slicer_scene, grid, kind):
    from SynthMRIModuleLib.made_from import acquired_of

    from SynthMRI import SynthMRILogic

    source = head_node(grid=grid)
    slicer_scene.util.updateVolumeFromArray(source, slicer_scene.util.arrayFromVolume(source).astype(kind))
    result = SynthMRILogic().process(source, parameters=BSPLINE)
    assert acquired_of(result).hashes and acquired_of(result).reason_changed() == ""
    slicer_scene.util.arrayFromVolume(source)[3, 4, 5] += 1
    assert "has changed" in acquired_of(result).reason_changed()
    slicer_scene.util.arrayFromVolume(source)[3, 4, 5] -= 1
    assert acquired_of(result).reason_changed() == ""
    source.SetOrigin(*np.add(source.GetOrigin(), 0.1))
    assert "has changed" in acquired_of(result).reason_changed()


@pytest.mark.parametrize("what", ["differenceCheckBox", "histogramButton", "jointPlotButton"])
def test_of_a_source_that_has_changed_nothing_is_computed_and_it_is_said(desktop, panel, slicer_scene, what):
    source = panel.logic.getParameterNode().outputVolume.GetNodeReference("SynthMRI.Source")
    before = slicer_scene.util.arrayFromVolume(source).copy()
    slicer_scene.util.updateVolumeFromArray(source, 3 * before)
    getattr(panel.ui, what).click()
    if what == "differenceCheckBox":
        panel.ui.compareButton.click()
    assert f"This could not be computed: {CHANGED}" in said(desktop, panel)
    assert not of_role(slicer_scene, "difference")
    assert not slicer_scene.util.getNodesByClass("vtkMRMLPlotChartNode")
    slicer_scene.util.updateVolumeFromArray(source, before)
    assert not [line for line in said(desktop, panel) if "changed" in line]
    made = of_role(slicer_scene, "difference") + slicer_scene.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert len(made) == 1, "and it is computed once the volume is what it was"


def test_a_source_that_changes_while_it_is_compared_is_told_and_the_difference_stays_what_it_was(
    desktop, panel, slicer_scene
):
    source = panel.logic.getParameterNode().outputVolume.GetNodeReference("SynthMRI.Source")
    panel.ui.differenceCheckBox.click()
    assert CHANGED not in compare(desktop, panel)
    (difference,) = of_role(slicer_scene, "difference")
    before = largest(slicer_scene, difference)
    slicer_scene.util.updateVolumeFromArray(source, 3 * slicer_scene.util.arrayFromVolume(source))
    assert CHANGED in said(desktop, panel)
    assert of_role(slicer_scene, "difference") == [difference] and largest(slicer_scene, difference) == before
    panel.ui.compareButton.click()
    assert CHANGED not in said(desktop, panel)


def test_a_result_that_does_not_say_what_it_was_made_from_is_compared_as_it_is(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    panel.logic.getParameterNode().outputVolume = result_of(head_node(), inputs={})
    panel.logic.getParameterNode().showDifference = True
    desktop.process_events()
    assert not [line for line in compare(desktop, panel) if "changed" in line]
    assert len(of_role(slicer_scene, "difference")) == 1


@pytest.fixture
def frames(desktop, slicer_scene):
    """The panel, the browser of a sequence whose frames are 100 brighter each, and a real result of its first frame."""
    browser, proxy = a_sequence(slicer_scene)
    panel = desktop.open_module("SynthMRI")
    browser.SetSelectedItemNumber(0)
    stored = panel.logic.getParameterNode()
    stored.inputVolume = proxy
    desktop.process_events()
    stored.outputVolume = panel.logic.process(proxy, parameters=BSPLINE)
    desktop.process_events()
    return panel, browser, proxy


def test_the_difference_is_that_of_the_frame_the_result_was_made_from(desktop, frames, slicer_scene):
    panel, browser, proxy = frames
    panel.ui.differenceCheckBox.click()
    panel.comparePanel.compare()
    browser.SetSelectedItemNumber(2)  # before the difference is there
    words = said(desktop, panel)
    assert any(f"made from frame 1, but '{proxy.GetName()}' shows frame 3" in line for line in words), words
    (difference,) = of_role(slicer_scene, "difference")
    assert abs(slicer_scene.util.arrayFromVolume(difference).mean()) < 5, "not 200 darker"
    panel.ui.compareButton.click()
    compare(desktop, panel)
    assert browser.GetSelectedItemNumber() == 0
    assert not [line for line in said(desktop, panel) if "frame" in line or "changed" in line]


def test_a_frame_that_was_taken_out_of_its_sequence_is_not_compared(desktop, frames, slicer_scene):
    panel, browser, proxy = frames
    sequence = browser.GetSequenceNode(proxy)
    sequence.RemoveDataNodeAtValue("0")
    desktop.process_events()
    panel.logic.getParameterNode().showDifference = True
    words = compare(desktop, panel)
    assert any("has changed since the result was made" in line for line in words), words
    assert not of_role(slicer_scene, "difference")


def blend(desktop, image, spread) -> str:
    """Press Blend; what is said below it."""
    panel = desktop.open_module("SynthMRIUncertainty")
    panel.ui.imageSelector.setCurrentNode(image)
    panel.ui.uncertaintySelector.setCurrentNode(spread)
    desktop.process_events()
    panel.ui.blendButton.click()
    assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=60)
    return panel.ui.blendHintLabel.text


def test_a_result_is_not_blended_with_a_source_that_has_changed(desktop, slicer_scene):
    source = head_node()
    image, spread = result_of(source), result_of(source, role="total")
    before = slicer_scene.util.arrayFromVolume(source).copy()
    slicer_scene.util.updateVolumeFromArray(source, 3 * before)
    assert blend(desktop, image, spread) == CHANGED and not of_role(slicer_scene, "blend")
    slicer_scene.util.updateVolumeFromArray(source, before)
    assert "was added" in blend(desktop, image, spread)


def test_a_result_is_blended_with_the_frame_that_it_was_made_from(desktop, frames, slicer_scene):
    panel, browser, _proxy = frames
    image = panel.logic.getParameterNode().outputVolume
    voxels = slicer_scene.util.arrayFromVolume(image)
    spread = slicer_scene.util.addVolumeFromArray(np.full_like(voxels, 1e6), name="All uncertain")
    spread.SetIJKToRASMatrix(slicer_scene.util.vtkMatrixFromArray(node_matrix(image)))
    browser.SetSelectedItemNumber(2)
    assert "was added" in blend(desktop, image, spread)
    (mixed,) = of_role(slicer_scene, "blend")
    assert abs(slicer_scene.util.arrayFromVolume(mixed).mean() - voxels.mean()) < 10, "not 200 brighter"
