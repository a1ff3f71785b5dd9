"""Before and after in linked views: same place and window, sides marked, difference, plots, blinking, blending."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from module_support import head_node, node_matrix
from panel_support import result_of, select, settle, shown_volumes

LEFT, RIGHT = vtk.vtkCornerAnnotation.LeftEdge, vtk.vtkCornerAnnotation.RightEdge


@pytest.fixture
def panel(desktop):
    """The panel with a source and its result, not yet compared."""
    opened = desktop.open_module("SynthMRI")
    source = head_node(grid="oblique")
    stored = opened.logic.getParameterNode()
    stored.inputVolume, stored.outputVolume = source, result_of(source)
    desktop.process_events()
    return opened


NO_MAP = (
    "There is no uncertainty of this result. The module SynthMRI Uncertainty computes that of results with usual "
    "settings."
)


def hints(panel) -> list[str]:
    """What is said below the controls, a line each; empty when that is hidden."""
    label = panel.ui.compareHintLabel
    return label.text.split("\n") if label.visible else []


@pytest.mark.parametrize("mode", ["Side by side", "Swipe", "Blink", "Blend"])
def test_difference_and_uncertainty_are_shown_in_every_way_of_comparing(desktop, panel, slicer_scene, mode):
    """Beside what is compared, linked and at the same place, and taken away again."""
    result_of(panel.logic.getParameterNode().inputVolume, role="total")
    select(panel.ui.compareModeComboBox, mode)
    panel.ui.differenceCheckBox.click()
    panel.ui.compareButton.click()
    settle(desktop, panel)
    compared = ["SynthMRIBefore", "SynthMRIAfter"] if mode == "Side by side" else ["SynthMRISingle"]
    shown = shown_volumes(slicer_scene)
    assert list(shown) == [*compared, "SynthMRIDifference", "SynthMRIMap"]
    assert (shown["SynthMRIDifference"], shown["SynthMRIMap"]) == ("T1w SYNTH output DIFFERENCE", "T1w SYNTH total")
    nodes = [widget(slicer_scene, view).mrmlSliceNode() for view in shown]
    places = [slicer_scene.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in nodes]
    np.testing.assert_allclose(places, [places[0]] * len(places), rtol=0, atol=1e-9)
    assert all(widget(slicer_scene, view).mrmlSliceCompositeNode().GetLinkedControl() for view in shown)
    assert widget(slicer_scene, "SynthMRIDifference").mrmlSliceCompositeNode().GetForegroundVolumeID() is None
    for box, left in (
        (panel.ui.differenceCheckBox, [*compared, "SynthMRIMap"]),
        (panel.ui.uncertaintyCheckBox, compared),
    ):
        box.click()
        desktop.process_events()
        assert list(shown_volumes(slicer_scene)) == left


def test_a_result_of_another_contrast_has_no_difference_and_it_is_said_why(desktop, panel):
    stored = panel.logic.getParameterNode()
    stored.outputVolume = result_of(stored.inputVolume, task="synthetic-dir")
    desktop.process_events()
    words = "The result has another contrast than its source, so their difference says nothing."
    assert words in hints(panel) and not panel.ui.differenceCheckBox.enabled
    assert panel.ui.differenceCheckBox.toolTip == panel.ui.jointPlotButton.toolTip == words


def widget(slicer, view: str):
    return slicer.app.layoutManager().sliceWidget(view)


def test_one_click_shows_both_and_another_brings_the_layout_back(panel, slicer_scene):
    layout = slicer_scene.app.layoutManager().layout
    panel.ui.compareButton.click()
    assert shown_volumes(slicer_scene) == {"SynthMRIBefore": "T1w", "SynthMRIAfter": "T1w SYNTH output"}
    panel.ui.compareButton.click()
    assert slicer_scene.app.layoutManager().layout == layout and not panel.ui.compareButton.checked


def test_an_earlier_result_is_selected_and_compared(desktop, panel, slicer_scene):
    first = panel.logic.getParameterNode().outputVolume
    other = head_node("T2w")
    second = result_of(other)
    result_of(other, role="total")
    selector = panel.ui.resultSelector
    assert {selector.nodeFromIndex(n).GetName() for n in range(selector.nodeCount())} == {
        "T1w SYNTH output",
        "T2w SYNTH output",
    }, "neither acquired volumes nor maps"
    panel.ui.compareButton.click()
    selector.setCurrentNode(second)
    desktop.process_events()
    shown = {"SynthMRIBefore": "T2w", "SynthMRIAfter": "T2w SYNTH output", "SynthMRIMap": "T2w SYNTH total"}
    assert shown_volumes(slicer_scene) == shown
    slicer_scene.mrmlScene.RemoveNode(other)
    desktop.process_events()
    assert not panel.ui.compareButton.enabled and "is not in the scene" in panel.ui.compareButton.toolTip
    selector.setCurrentNode(first)
    desktop.process_events()
    assert panel.ui.compareButton.enabled
    selector.setCurrentNode(None)
    desktop.process_events()
    assert panel.ui.compareButton.toolTip == "There is no result yet." and hints(panel) == ["There is no result yet."]
    buttons = (panel.ui.histogramButton, panel.ui.jointPlotButton, panel.ui.differenceCheckBox)
    assert not any(button.enabled for button in buttons)
    assert {button.toolTip for button in buttons} == {"There is no result yet."}


@pytest.mark.parametrize("changed", ["before", "after"])
def test_both_keep_one_window_whichever_the_user_changes(panel, changed):
    stored = panel.logic.getParameterNode()
    panel.ui.compareButton.click()
    displays = [stored.inputVolume.GetDisplayNode(), stored.outputVolume.GetDisplayNode()]
    first, second = displays if changed == "before" else displays[::-1]
    first.SetAutoWindowLevel(False)
    first.SetWindowLevel(321, 123)
    assert (second.GetWindow(), second.GetLevel()) == (321, 123)
    panel.ui.compareButton.click()
    first.SetWindowLevel(50, 25)
    assert (second.GetWindow(), second.GetLevel()) == (321, 123), "afterwards each has its own"


def test_the_sides_of_the_patient_are_marked_and_follow_the_orientation(panel, slicer_scene):
    panel.ui.compareButton.click()
    view = widget(slicer_scene, "SynthMRIAfter")
    for orientation, letters in (("Axial", ("R", "L")), ("Coronal", ("R", "L")), ("Sagittal", ("A", "P"))):
        view.mrmlSliceNode().SetOrientation(orientation)
        annotation = view.sliceView().cornerAnnotation()
        assert (annotation.GetText(LEFT), annotation.GetText(RIGHT)) == letters
    panel.ui.compareButton.click()
    assert not annotation.GetText(LEFT) and not annotation.GetText(RIGHT)


def test_a_difference_is_a_volume_of_its_own_in_a_third_view(desktop, panel, slicer_scene):
    panel.ui.differenceCheckBox.click()
    panel.ui.compareButton.click()
    assert hints(panel)[0] == "Computing..."
    settle(desktop, panel)
    assert hints(panel) == [NO_MAP]
    assert list(shown_volumes(slicer_scene)) == ["SynthMRIBefore", "SynthMRIAfter", "SynthMRIDifference"]
    result = panel.logic.getParameterNode().outputVolume
    difference = slicer_scene.util.getNode("T1w SYNTH output DIFFERENCE")
    np.testing.assert_allclose(node_matrix(difference), node_matrix(result), rtol=0, atol=1e-9)
    voxels = slicer_scene.util.arrayFromVolume(difference)
    source = slicer_scene.util.arrayFromVolume(panel.logic.getParameterNode().inputVolume)
    flat = np.abs(np.gradient(source)[0]) < 3
    inner = np.kron(flat, np.ones((2, 2, 2), dtype=bool))
    assert abs(np.median(voxels[inner]) - 5) < 0.5, "what was added"
    display = difference.GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(-display.GetWindowLevelMax()), "gray is no change"
    assert difference.GetAttribute("SynthMRI.Synthetic") == "1"
    panel.ui.compareButton.click()
    panel.ui.compareButton.click()
    settle(desktop, panel)
    assert len(slicer_scene.util.getNodes("*DIFFERENCE*")) == 1, "it is made once"


def test_a_difference_that_is_not_wanted_any_more_is_not_added(desktop, panel, slicer_scene):
    panel.ui.differenceCheckBox.click()
    panel.ui.compareButton.click()
    panel.ui.compareButton.click()
    desktop.process_events(300)
    assert not slicer_scene.util.getNodes("*DIFFERENCE*") and hints(panel) == [NO_MAP]
    panel.ui.compareButton.click()
    slicer_scene.mrmlScene.Clear()
    desktop.process_events(300)
    assert not slicer_scene.util.getNodes("*DIFFERENCE*")


def test_what_cannot_be_computed_is_said(desktop, panel, slicer_scene):
    for node in (panel.logic.getParameterNode().inputVolume, panel.logic.getParameterNode().outputVolume):
        slicer_scene.util.updateVolumeFromArray(node, np.zeros((4, 4, 4), np.float32))
    panel.ui.histogramButton.click()
    settle(desktop, panel)
    assert hints(panel)[0].startswith("This could not be computed: ")
    assert not slicer_scene.util.getNodesByClass("vtkMRMLPlotChartNode")


def test_a_view_that_is_added_shows_the_place_the_user_had_gone_to(desktop, panel, slicer_scene):
    panel.ui.compareButton.click()
    before = widget(slicer_scene, "SynthMRIBefore").mrmlSliceNode()
    before.SetSliceOffset(before.GetSliceOffset() + 3)
    panel.ui.differenceCheckBox.click()
    desktop.process_events()
    settle(desktop, panel)
    places = [
        slicer_scene.util.arrayFromVTKMatrix(widget(slicer_scene, view).mrmlSliceNode().GetXYToRAS())
        for view in ("SynthMRIBefore", "SynthMRIAfter", "SynthMRIDifference")
    ]
    np.testing.assert_allclose(places[1], places[0], atol=1e-9)
    np.testing.assert_allclose(places[2], places[0], atol=1e-9)
    assert before.GetSliceOffset() == pytest.approx(
        widget(slicer_scene, "SynthMRIDifference").mrmlSliceNode().GetSliceOffset()
    )


def test_a_view_of_another_shape_shows_all_of_the_place_undistorted(desktop, panel, slicer_scene):
    panel.ui.compareButton.click()
    before, after = (widget(slicer_scene, f"SynthMRI{name}").mrmlSliceNode() for name in ("Before", "After"))
    after.SetDimensions(300, 100, 1)
    panel.ui.differenceCheckBox.click()
    desktop.process_events()
    settle(desktop, panel)
    width, height, _depth = after.GetFieldOfView()
    assert width / 300 == pytest.approx(height / 100)
    assert width >= before.GetFieldOfView()[0] - 1e-6 and height >= before.GetFieldOfView()[1] - 1e-6


def test_the_map_of_a_result_is_shown_beside_it(panel, slicer_scene):
    assert not panel.ui.uncertaintyCheckBox.enabled
    assert hints(panel) == [panel.ui.uncertaintyCheckBox.toolTip] == [NO_MAP]
    result_of(panel.logic.getParameterNode().inputVolume, role="total")
    panel.updatePanel()
    assert panel.ui.uncertaintyCheckBox.enabled and not hints(panel)
    panel.ui.compareButton.click()
    assert shown_volumes(slicer_scene)["SynthMRIMap"] == "T1w SYNTH total"


def test_what_is_captured_of_a_view_carries_the_mark(desktop, panel, slicer_scene):
    """The words are among the pixels of the render window, which Slicer's Screen Capture takes."""
    panel.ui.compareButton.click()
    desktop.process_events()
    drawn = {}
    for view in ("SynthMRIBefore", "SynthMRIAfter"):
        widget(slicer_scene, view).mrmlSliceNode().SetDimensions(300, 240, 1)
        annotation = widget(slicer_scene, view).sliceView().cornerAnnotation()
        with_mark = desktop.drawn(view).astype(int)
        annotation.SetText(vtk.vtkCornerAnnotation.UpperEdge, "")
        drawn[view] = np.abs(with_mark - desktop.drawn(view)).max(axis=2) > 30
    assert not drawn["SynthMRIBefore"].any(), "the acquired volume carries none"
    rows = np.flatnonzero(drawn["SynthMRIAfter"].any(axis=1))
    assert drawn["SynthMRIAfter"].sum() > 300 and rows.max() < 40, "words along the upper edge"


def test_blending_and_blinking_use_one_view(desktop, panel, slicer_scene):
    panel.ui.compareButton.click()
    select(panel.ui.compareModeComboBox, "Blend")
    desktop.process_events()
    assert list(shown_volumes(slicer_scene)) == ["SynthMRISingle"] and panel.ui.blendSliderWidget.visible
    composite = widget(slicer_scene, "SynthMRISingle").mrmlSliceCompositeNode()
    assert composite.GetForegroundOpacity() == 0.5
    panel.ui.blendSliderWidget.value = 0.25
    desktop.process_events()
    assert composite.GetForegroundOpacity() == 0.25
    select(panel.ui.compareModeComboBox, "Blink")
    desktop.process_events()
    seen = set()
    assert desktop.wait_until(lambda: seen.add(composite.GetForegroundOpacity()) or {0.0, 1.0} <= seen, timeout=10)
    annotation = widget(slicer_scene, "SynthMRISingle").sliceView().cornerAnnotation()
    composite.SetForegroundOpacity(1.0)
    assert annotation.GetText(vtk.vtkCornerAnnotation.UpperEdge) == "SYNTHETIC - not for diagnosis"
    select(panel.ui.compareModeComboBox, "Side by side")
    desktop.process_events()
    opacity = composite.GetForegroundOpacity()
    desktop.process_events(1000)
    assert composite.GetForegroundOpacity() == opacity, "nothing blinks any more"


@pytest.mark.parametrize("button, series", [("histogramButton", 2), ("jointPlotButton", 1)])
def test_plots_are_shown_below_the_views_and_taken_away(desktop, panel, slicer_scene, button, series):
    def press() -> None:
        getattr(panel.ui, button).click()
        settle(desktop, panel)

    press()
    assert getattr(panel.ui, button).checked
    view = slicer_scene.mrmlScene.GetSingletonNode("SynthMRIPlot", "vtkMRMLPlotViewNode")
    chart = view.GetPlotChartNode()
    assert chart.GetNumberOfPlotSeriesNodes() == series
    table = chart.GetNthPlotSeriesNode(0).GetTableNode()
    assert table.GetNumberOfRows() > 100
    if series == 1:
        rows = slicer_scene.util.arrayFromTableColumn(table, "After") - slicer_scene.util.arrayFromTableColumn(
            table, "Before"
        )
        assert abs(np.median(rows) - 5) < 2
    layout = slicer_scene.app.layoutManager().layout
    press()
    assert slicer_scene.app.layoutManager().layout != layout and panel.ui.compareButton.checked
    assert not getattr(panel.ui, button).checked
    press()
    assert slicer_scene.app.layoutManager().layout == layout
    assert len(slicer_scene.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1, "it is drawn once"


@pytest.mark.usefixtures("desktop")
def test_every_layout_is_one_that_slicer_reads(slicer_scene):
    from xml.etree import ElementTree as ET

    from SynthMRIModuleLib.compare_layouts import layout_description, layout_ids, register_layouts, slice_views

    register_layouts()
    node = slicer_scene.app.layoutManager().layoutLogic().GetLayoutNode()
    for identifier in layout_ids():
        views = [view.get("singletontag") for view in ET.fromstring(layout_description(identifier)).iter("view")]
        assert views[: len(slice_views(identifier))] == slice_views(identifier)
        assert node.IsLayoutDescription(identifier)


def test_leaving_the_module_leaves_nothing_of_the_comparison(desktop, panel, slicer_scene):
    layout = slicer_scene.app.layoutManager().layout
    select(panel.ui.compareModeComboBox, "Blink")
    panel.ui.compareButton.click()
    desktop.leave_module("SynthMRI")
    assert slicer_scene.app.layoutManager().layout == layout
    composite = widget(slicer_scene, "SynthMRISingle").mrmlSliceCompositeNode()
    opacity = composite.GetForegroundOpacity()
    desktop.process_events(900)
    assert composite.GetForegroundOpacity() == opacity
