"""Swiping: a line in one view, dragged with the mouse or moved by the slider, with the acquired volume on its left."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from module_support import head_node
from panel_support import result_of, select

VIEW = "SynthMRISingle"
WIDTH, HEIGHT = 200, 160
LOWER = vtk.vtkCornerAnnotation.LowerEdge


@pytest.fixture
def panel(desktop, slicer_scene):
    """The panel while it swipes between a source and its brighter result."""
    opened = desktop.open_module("SynthMRI")
    source = head_node(shape=(24, 26, 28))
    source.GetDisplayNode().SetAutoWindowLevel(False)
    source.GetDisplayNode().SetWindowLevelMinMax(0, 1000)
    stored = opened.logic.getParameterNode()
    stored.inputVolume, stored.outputVolume = source, result_of(source, change=300.0)
    select(opened.ui.compareModeComboBox, "Swipe")
    opened.ui.compareButton.click()
    desktop.process_events()
    view(slicer_scene).mrmlSliceNode().SetDimensions(WIDTH, HEIGHT, 1)
    view(slicer_scene).fitSliceToBackground()
    return opened


def view(slicer):
    return slicer.app.layoutManager().sliceWidget(VIEW)


def drag(slicer, *columns: int, row: int = 40) -> None:
    """Press the mouse at the first column, move it over the others, and let go."""
    interactor = view(slicer).sliceView().interactor()
    interactor.SetEventInformation(columns[0], row)
    interactor.LeftButtonPressEvent()
    for column in columns[1:]:
        interactor.SetEventInformation(column, row)
        interactor.MouseMoveEvent()
    interactor.LeftButtonReleaseEvent()


def row_of(slicer, desktop, composite_opacity: float | None = None) -> np.ndarray:
    """Gray values of one row of the view, away from marks and the grip."""
    if composite_opacity is not None:
        view(slicer).mrmlSliceCompositeNode().SetForegroundOpacity(composite_opacity)
    return desktop.drawn(VIEW)[HEIGHT // 2 - 25].astype(int).mean(axis=1)


def test_the_acquired_volume_is_drawn_left_of_the_line_and_the_result_right_of_it(desktop, panel, slicer_scene):
    swiped = row_of(slicer_scene, desktop)
    select(panel.ui.compareModeComboBox, "Blend")
    desktop.process_events()
    before, after = (row_of(slicer_scene, desktop, opacity) for opacity in (0.0, 1.0))
    assert np.abs(before - after).max() > 40, "the two can be told apart"
    line = WIDTH // 2
    assert np.array_equal(swiped[: line - 2], before[: line - 2])
    assert np.array_equal(swiped[line + 2 :], after[line + 2 :])
    assert np.abs(swiped[line - 2 : line + 2] - 165).min() < 40, "the line itself"


def test_the_line_is_dragged_and_slider_and_scene_follow(desktop, panel, slicer_scene):
    display = panel.logic.getParameterNode().inputVolume.GetDisplayNode()
    window = display.GetWindow(), display.GetLevel()
    drag(slicer_scene, WIDTH // 2 + 4, 150, 50)
    desktop.process_events()
    assert panel.ui.splitSliderWidget.value == pytest.approx(0.25) and panel.ui.splitSliderWidget.visible
    assert panel.logic.getParameterNode().split == pytest.approx(0.25)
    assert (display.GetWindow(), display.GetLevel()) == window, "dragging the line is not windowing"
    drag(slicer_scene, 50, 900)
    assert panel.logic.getParameterNode().split == 1.0, "it stays inside the view"


def test_the_mouse_away_from_the_line_is_slicers(panel, slicer_scene):
    drag(slicer_scene, WIDTH // 2 + 30, 20)
    assert panel.logic.getParameterNode().split == 0.5


def test_the_slider_moves_the_line(desktop, panel, slicer_scene):
    panel.ui.splitSliderWidget.value = 0.0
    desktop.process_events()
    all_after = row_of(slicer_scene, desktop)
    panel.ui.splitSliderWidget.value = 1.0
    desktop.process_events()
    all_before = row_of(slicer_scene, desktop)
    assert all_after[60:140].mean() > all_before[60:140].mean() + 40


def test_the_acquired_side_keeps_up_with_window_and_slice(desktop, panel, slicer_scene):
    left = slice(20, 90)
    first = row_of(slicer_scene, desktop)[left]
    panel.logic.getParameterNode().inputVolume.GetDisplayNode().SetWindowLevelMinMax(0, 4000)
    darker = row_of(slicer_scene, desktop)[left]
    assert darker.mean() < first.mean() / 2
    view(slicer_scene).mrmlSliceNode().SetSliceOffset(0.5)
    assert not np.array_equal(row_of(slicer_scene, desktop)[left], darker)


def test_the_view_says_what_is_on_which_side_and_that_it_is_synthetic(panel, slicer_scene):
    annotation = view(slicer_scene).sliceView().cornerAnnotation()
    assert annotation.GetText(LOWER) == "acquired | synthetic"
    assert annotation.GetText(vtk.vtkCornerAnnotation.UpperEdge) == "SYNTHETIC - not for diagnosis"
    panel.ui.compareButton.click()
    assert not annotation.GetText(LOWER)


@pytest.mark.parametrize("way", ["another way of comparing", "another layout", "another module", "an empty scene"])
def test_nothing_of_the_line_is_left_behind(desktop, panel, slicer_scene, way):
    slice_view = view(slicer_scene).sliceView()
    renderer = slice_view.renderWindow().GetRenderers().GetFirstRenderer()
    props = renderer.GetViewProps().GetNumberOfItems()
    if way == "another way of comparing":
        select(panel.ui.compareModeComboBox, "Blend")
    elif way == "another layout":
        slicer_scene.app.layoutManager().setLayout(slicer_scene.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    elif way == "another module":
        desktop.leave_module("SynthMRI")
    else:
        slicer_scene.mrmlScene.Clear()
    desktop.process_events()
    assert renderer.GetViewProps().GetNumberOfItems() == props - 2
    assert not slice_view.cornerAnnotation().GetText(LOWER)
    drag(slicer_scene, WIDTH // 2, 20)
    assert panel.logic.getParameterNode().split == 0.5, "the mouse is Slicer's again"
