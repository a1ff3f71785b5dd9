"""Views, nodes and node selectors of the stand-in behave as in Slicer, on the real MRML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def add_volume(name: str = "T1w", value: float = 3.0) -> Any:
    """A small volume node in the scene."""
    import slicer

    return slicer.util.addVolumeFromArray(np.full((4, 5, 6), value, np.float32), name=name)


@pytest.fixture
def selector(slicer_desktop: Any) -> Any:  # noqa: ARG001
    """A selector of scalar volumes that offers None."""
    import slicer

    made = slicer.qMRMLNodeComboBox()
    made.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    made.noneEnabled = True
    made.setMRMLScene(slicer.mrmlScene)
    return made


def names(selector: Any) -> list[str]:
    """The nodes that a selector offers."""
    return [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())]


def test_a_selector_offers_the_fitting_nodes_as_they_come_and_go(selector: Any) -> None:
    import slicer

    heard: list[Any] = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", heard.append)
    first, second = add_volume("A"), add_volume("B")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "model")
    assert names(selector) == ["A", "B", "label"]
    selector.showChildNodeTypes = False
    assert names(selector) == ["A", "B"]
    assert selector.currentNode() is None
    selector.setCurrentNode(second)
    assert (heard, selector.currentNodeID) == ([second], second.GetID())
    slicer.mrmlScene.RemoveNode(first)
    assert (names(selector), selector.currentNode()) == (["B"], second)


def test_a_selector_without_none_takes_the_first_node(slicer_desktop: Any) -> None:  # noqa: ARG001
    import slicer

    node = add_volume("A")
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert not selector.enabled
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.enabled
    assert selector.currentNode() is node


def test_a_selector_filters_by_attribute_and_hides_what_editors_hide(selector: Any) -> None:
    marked, hidden = add_volume("marked"), add_volume("hidden")
    add_volume("plain")
    hidden.SetHideFromEditors(True)
    selector.showHidden = True
    assert "hidden" in names(selector)
    selector.showHidden = False
    assert names(selector) == ["marked", "plain"]
    marked.SetAttribute("kind", "mask")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "kind", "mask")
    assert names(selector) == ["marked"]


def test_the_user_can_create_rename_and_delete_nodes_in_a_selector(slicer_desktop: Any, selector: Any) -> None:
    import qt

    selector.renameEnabled = True
    combo = selector.findChild(qt.QComboBox)
    rows = {combo.itemText(index).rsplit(" ", 1)[0]: index for index in range(combo.count)}
    combo.currentIndex = rows["Create new"]
    assert selector.currentNode() is None
    selector.baseName = "Output"
    node = selector.addNode()
    assert (selector.currentNode(), node.GetName()) == (node, "Output")
    slicer_desktop.answer("Result")
    selector.renameCurrentNode()
    assert node.GetName() == "Result"
    slicer_desktop.process_events()
    assert combo.currentText == "Result"
    selector.removeCurrentNode()
    assert names(selector) == []


def test_layouts_bring_their_views(slicer_desktop: Any) -> None:  # noqa: ARG001
    import slicer

    manager = slicer.app.layoutManager()
    heard: list[int] = []
    manager.connect("layoutChanged(int)", heard.append)
    assert manager.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert manager.sliceViewNames()[:3] == ("Red", "Green", "Yellow")
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    assert heard == [slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView]
    red = manager.sliceWidget("Red")
    assert red.mrmlSliceNode().GetOrientation() == "Axial"
    assert red.sliceLogic().GetSliceCompositeNode() is red.mrmlSliceCompositeNode()
    assert manager.sliceWidget("Rad") is None
    assert manager.threeDWidget(0).mrmlViewNode().IsA("vtkMRMLViewNode")


def test_layers_reach_the_slice_that_would_be_drawn(slicer_desktop: Any) -> None:
    import slicer

    node, over = add_volume("under", 0.0), add_volume("over", 0.0)
    slicer.util.arrayFromVolume(node)[:] = 100
    slicer.util.arrayFromVolumeModified(node)
    for each in (node, over):
        each.GetDisplayNode().SetAutoWindowLevel(False)
        each.GetDisplayNode().SetWindowLevelMinMax(0, 100)
    slicer.util.setSliceViewerLayers(background=node, foreground=over, foregroundOpacity=0.5, fit=True)
    assert int(slicer_desktop.slice_colors("Red").max()) == pytest.approx(127, abs=2)


def test_a_volume_is_saved_and_loaded_again_and_shown(slicer_desktop: Any, tmp_path: Path) -> None:  # noqa: ARG001
    import slicer

    node = add_volume("T1w", 7)
    file = str(tmp_path / "T1w.nii.gz")
    assert slicer.util.saveNode(node, file)
    loaded = slicer.util.loadVolume(file)
    assert loaded.GetName() == "T1w_1"
    assert np.all(slicer.util.arrayFromVolume(loaded) == 7)
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == loaded.GetID()
    composite = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == loaded.GetID()
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RuntimeError):
        slicer.util.loadVolume(str(tmp_path / "missing.nii.gz"))
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_the_logic_of_a_core_module_is_the_real_one(slicer_desktop: Any) -> None:  # noqa: ARG001
    import slicer

    node = add_volume()
    label = slicer.modules.volumes.logic().CreateAndAddLabelVolume(slicer.mrmlScene, node, "mask")
    assert label.IsA("vtkMRMLLabelMapVolumeNode")


def test_settings_last_as_long_as_the_test(slicer_desktop: Any) -> None:
    import qt
    import slicer

    assert slicer.util.settingsValue("SynthMRI/device", "auto") == "auto"
    qt.QSettings().setValue("SynthMRI/device", "cpu")
    assert slicer.app.userSettings().value("SynthMRI/device") == "cpu"
    assert Path(slicer.util.tempDirectory()).is_relative_to(slicer.app.temporaryPath)
    slicer_desktop.reset()
    assert not qt.QSettings().contains("SynthMRI/device")
