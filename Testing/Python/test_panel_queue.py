"""Several runs queued in one panel: in order, each with its own choices, shown, removable, ended with their nodes."""

from __future__ import annotations

import pytest
from module_support import head_node
from panel_support import SECONDS, checked, install_model, press_apply, select, synthetic_volumes

SUFFIX = "SYNTH 2x B-spline"


@pytest.fixture
def panel(desktop):
    """The panel with the volumes A, B and C, where A is being computed and B and C wait."""
    nodes = [head_node(name, shape=(40, 42, 44)) for name in "ABC"]
    opened = desktop.open_module("SynthMRI")
    select(opened.ui.methodComboBox, "B-spline interpolation")
    opened.ui.inputSelector.setCurrentNode(nodes[0])
    press_apply(desktop, opened)
    for node in nodes[1:]:
        opened.ui.inputSelector.setCurrentNode(node)
        checked(desktop, opened)
        opened.ui.queueButton.click()
    return opened


def queued(panel) -> list[str]:
    """What the list shows; empty when it is hidden."""
    items = panel.ui.queueListWidget
    return [items.item(row).text() for row in range(items.count)] if items.visible else []


def end(desktop, panel) -> None:
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS)
    desktop.process_events()


def test_runs_are_done_in_the_order_in_which_they_were_queued(desktop, panel, slicer_scene):
    assert panel.ui.applyButton.text == "Cancel" and panel.ui.queueButton.visible
    assert queued(panel) == [f"B {SUFFIX}", f"C {SUFFIX}"]
    end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == [f"{name} {SUFFIX}" for name in "ABC"]
    assert not queued(panel) and not panel.ui.queueButton.visible and panel.ui.applyButton.text == "Apply"
    assert panel.logic.getParameterNode().outputVolume.GetName() == f"C {SUFFIX}"
    assert f"A {SUFFIX}: Done in" in panel.ui.logTextEdit.plainText
    assert panel.ui.statusLabel.text.startswith("Done in") and f"B {SUFFIX}: Done in" in panel.ui.statusLabel.text


def test_a_queued_run_keeps_the_voxels_and_choices_it_was_queued_with(desktop, panel, slicer_scene):
    late = slicer_scene.util.getNode("C")
    expected = slicer_scene.util.arrayFromVolume(late).max()
    slicer_scene.util.arrayFromVolume(late)[:] = 7
    late.Modified()
    panel.ui.inputSelector.setCurrentNode(slicer_scene.util.getNode("A"))
    end(desktop, panel)
    result = slicer_scene.util.arrayFromVolume(slicer_scene.util.getNode(f"C {SUFFIX}"))
    assert result.max() > 0.9 * expected


def test_a_run_is_removed_from_the_queue(desktop, panel, slicer_scene):
    panel.ui.queueListWidget.setCurrentRow(0)
    panel.ui.removeQueuedButton.click()
    assert queued(panel) == [f"C {SUFFIX}"]
    end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == [f"A {SUFFIX}", f"C {SUFFIX}"]


def test_cancel_stops_the_run_in_progress_and_the_queue_goes_on(desktop, panel, slicer_scene):
    panel.ui.applyButton.click()
    assert desktop.wait_until(lambda: panel.ui.applyButton.enabled, timeout=SECONDS)
    assert panel.ui.applyButton.text == "Cancel" and "A SYNTH 2x B-spline: Cancelled" in panel.ui.statusLabel.text
    end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == [f"B {SUFFIX}", f"C {SUFFIX}"]


def test_a_queued_run_whose_volume_is_deleted_is_dropped_and_said(desktop, panel, slicer_scene):
    slicer_scene.mrmlScene.RemoveNode(slicer_scene.util.getNode("B"))
    end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == [f"A {SUFFIX}", f"C {SUFFIX}"]
    assert f"B {SUFFIX}: An input volume was removed" in panel.ui.logTextEdit.plainText


def test_closing_the_scene_ends_all_runs(desktop, panel, slicer_scene):
    slicer_scene.mrmlScene.Clear()
    end(desktop, panel)
    assert not slicer_scene.util.getNodesByClass("vtkMRMLScalarVolumeNode") and not queued(panel)
    assert panel.ui.applyButton.text == "Apply" and not panel.ui.queueButton.visible
    panel.ui.inputSelector.setCurrentNode(head_node("Another"))
    select(panel.ui.methodComboBox, "B-spline interpolation")
    press_apply(desktop, panel)
    end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == [f"Another {SUFFIX}"]


def test_what_cannot_be_run_cannot_be_queued_and_it_is_said_why(desktop, panel):
    panel.ui.inputSelector.setCurrentNode(None)
    desktop.process_events()
    assert not panel.ui.queueButton.enabled
    assert panel.ui.applyHintLabel.text == "Add to queue is off: Select an input volume."
    assert panel.ui.applyButton.enabled, "Cancel is still there"
    end(desktop, panel)
    assert panel.ui.applyHintLabel.text == "Apply is off: Select an input volume."


def test_leaving_the_module_leaves_the_queue_alone(desktop, panel, slicer_scene):
    desktop.leave_module("SynthMRI")
    end(desktop, panel)
    assert len(synthetic_volumes(slicer_scene)) == 3


def test_nothing_is_installed_while_a_run_goes_on(desktop, panel, tmp_path, monkeypatch):
    from SynthMRIModuleLib import dependencies

    monkeypatch.setattr(dependencies, "TORCH_VERSIONS", ">=1000")
    install_model(tmp_path / "models" / "a_model")
    panel.onModelsChanged()
    select(panel.ui.methodComboBox, "Network")
    desktop.process_events()
    panel.ui.queueButton.click()
    assert "Press Apply when no run is in progress" in panel.ui.statusLabel.text
    assert len(queued(panel)) == 2 and not desktop.home.pip_calls()
    end(desktop, panel)
