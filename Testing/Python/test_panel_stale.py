"""What was read from volumes is shown only as long as these are selected and unchanged: lesions, places, blends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SHAPE, SIGNAL = (20, 22, 24), 400.0
LESION = (slice(2, 6), slice(2, 6), slice(2, 8))


@pytest.fixture
def nodes(slicer_scene) -> dict[str, Any]:
    """Image and map of two patients, lesions and points of the first."""
    util = slicer_scene.util
    spread, mask = np.zeros(SHAPE, dtype=np.float32), np.zeros(SHAPE, dtype=np.uint8)
    spread[LESION], mask[LESION] = 0.2 * SIGNAL, 1
    labels = {"nodeClassName": "vtkMRMLLabelMapVolumeNode"}
    points = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points")
    points.AddControlPoint((4, 4, 4))
    return {
        "image": util.addVolumeFromArray(np.full(SHAPE, SIGNAL, dtype=np.float32), name="Anna"),
        "map": util.addVolumeFromArray(spread, name="Map of Anna"),
        "lesions": util.addVolumeFromArray(mask, name="Lesions of Anna", **labels),
        "points": points,
        "other image": util.addVolumeFromArray(np.full(SHAPE, 2 * SIGNAL, dtype=np.float32), name="Bert"),
        "other map": util.addVolumeFromArray(np.ones(SHAPE, dtype=np.float32), name="Map of Bert"),
        "other lesions": util.addVolumeFromArray(mask, name="Lesions of Bert", **labels),
        "thalamus": util.addVolumeFromArray(np.full(SHAPE, 49, dtype=np.int16), name="aseg", **labels),
    }


@pytest.fixture
def panel(desktop, nodes):
    opened = desktop.open_module("SynthMRIUncertainty")
    opened.ui.lesionCollapsibleButton.collapsed = False
    opened.ui.imageSelector.setCurrentNode(nodes["image"])
    opened.ui.uncertaintySelector.setCurrentNode(nodes["map"])
    desktop.process_events()
    return opened


def look_up(desktop, panel, nodes, kind: str) -> None:
    selector = panel.ui.lesionSelector if kind == "lesions" else panel.ui.pointsSelector
    selector.setCurrentNode(nodes[kind])
    desktop.process_events()
    panel.ui.lesionButton.click()


def change(panel, nodes, what: str) -> None:
    from slicer import util

    ui = panel.ui
    if what == "image":
        ui.imageSelector.setCurrentNode(nodes["other image"])
    elif what == "map":
        ui.uncertaintySelector.setCurrentNode(nodes["other map"])
    elif what == "lesions":
        ui.lesionSelector.setCurrentNode(nodes["other lesions"])
    elif what == "no lesions":
        ui.lesionSelector.setCurrentNode(None)
    elif what == "points":
        ui.pointsSelector.setCurrentNode(nodes["points"])
    elif what == "a voxel of the lesions":
        util.arrayFromVolume(nodes["lesions"])[0, 0, 0] = 1
        util.arrayFromVolumeModified(nodes["lesions"])
    elif what == "a voxel of the map":
        util.arrayFromVolume(nodes["map"])[3, 3, 3] = 0
        util.arrayFromVolumeModified(nodes["map"])
    elif what == "where the lesions lie":
        nodes["lesions"].SetOrigin(1, 0, 0)
    elif what == "one more point":
        nodes["points"].AddControlPoint((9, 9, 9))
    elif what == "one point less":
        nodes["points"].RemoveNthControlPoint(0)
    else:
        nodes["points"].SetNthControlPointPosition(0, 8, 8, 8)


SELECTIONS = ["image", "map", "lesions", "no lesions", "points"]
CONTENTS = ["a voxel of the lesions", "a voxel of the map", "where the lesions lie"]
POINTS = ["a point", "one more point", "one point less"]


@pytest.mark.parametrize("when", ["found", "being looked up"])
@pytest.mark.parametrize("what", [*SELECTIONS, *CONTENTS, *POINTS])
def test_lesions_of_one_patient_are_gone_when_anything_they_were_told_of_changes(desktop, panel, nodes, what, when):
    ui = panel.ui
    look_up(desktop, panel, nodes, "points" if what in POINTS else "lesions")
    if when == "found":
        assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=60)
        ui.lesionTableWidget.setCurrentCell(0, 0)
        assert ui.lesionTableWidget.rowCount == 1 and ui.lesionSentenceLabel.text and ui.lesionTableWidget.visible
    change(panel, nodes, what)
    desktop.process_events(200)
    assert not panel.trustPanel.busy, "the lookup was dropped"
    assert ui.lesionTableWidget.rowCount == 0 and not ui.lesionTableWidget.visible
    assert not ui.lesionSentenceLabel.text and not ui.lesionSentenceLabel.visible


def test_other_choices_leave_the_lesions_that_were_found(desktop, panel, nodes):
    look_up(desktop, panel, nodes, "lesions")
    assert desktop.wait_until(lambda: not panel.trustPanel.busy, timeout=60)
    nodes["lesions"].SetName("Renamed")
    panel.ui.thresholdSliderWidget.value = 7
    panel.ui.overlayButton.click()
    panel.ui.opacitySliderWidget.value = 0.3
    panel.ui.segmentationSelector.setCurrentNode(nodes["thalamus"])
    desktop.process_events(200)
    assert panel.ui.lesionTableWidget.rowCount == 1


def places(desktop, panel) -> list[str]:
    desktop.process_events()
    assert desktop.wait_until(lambda: not panel.overlayPanel.busy, timeout=60)
    table = panel.ui.regionsTableWidget
    return [table.item(row, 3).text() for row in range(table.rowCount)]


def test_places_follow_the_segmentation_that_is_selected_while_the_map_is_shown(desktop, panel, nodes, slicer_scene):
    panel.ui.overlayButton.click()
    (unnamed,) = places(desktop, panel)
    panel.ui.segmentationSelector.setCurrentNode(nodes["thalamus"])
    assert places(desktop, panel) == ["right thalamus (100 %)"]
    slicer_scene.util.updateVolumeFromArray(nodes["thalamus"], np.full(SHAPE, 10, dtype=np.int16))
    assert places(desktop, panel) == ["left thalamus (100 %)"]
    panel.ui.segmentationSelector.setCurrentNode(None)
    assert places(desktop, panel) == [unnamed] and unnamed != "left thalamus (100 %)"
    slicer_scene.util.updateVolumeFromArray(nodes["map"], np.zeros(SHAPE, dtype=np.float32))
    assert places(desktop, panel) == [] and panel.ui.regionsLabel.text == "No place is more uncertain than the limit."
    panel.ui.overlayButton.click()
    panel.ui.segmentationSelector.setCurrentNode(nodes["thalamus"])
    assert places(desktop, panel) == [] and not panel.ui.regionsLabel.visible


def test_a_segmentation_without_voxels_is_told_in_a_sentence(desktop, panel, slicer_scene):
    panel.ui.overlayButton.click()
    assert len(places(desktop, panel)) == 1
    panel.ui.segmentationSelector.setCurrentNode(
        slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Empty")
    )
    assert places(desktop, panel) == []
    assert "could not be found: 'Empty' holds no voxels" in panel.ui.regionsLabel.text
