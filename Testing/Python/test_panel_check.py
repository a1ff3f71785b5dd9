"""What is said about an input before Apply: a thread looks at the voxels, and answers that came late are dropped."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from bundle_support import make_bundle
from module_support import head_node
from panel_support import BSPLINE_LABEL, SECONDS, checked, run_to_the_end, select, synthetic_volumes
from SynthMRILib.tasks import super_resolution
from SynthMRILib.volume import Volume

CHECKING = "Checking the input..."


class Gate:
    """Stands before the look at the voxels: it goes on once the gate is open."""

    def __init__(self, look: Any) -> None:
        self._look = look
        self.open = threading.Event()
        self.seen: list[float] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, volume: Volume) -> list[Any]:
        self.threads.add(threading.current_thread())
        self.seen.append(float(volume.voxels.max()))
        assert self.open.wait(SECONDS)
        return self._look(volume)


@pytest.fixture
def gate(monkeypatch):
    closed = Gate(super_resolution.check_volume)
    monkeypatch.setattr(super_resolution, "check_volume", closed)
    yield closed
    closed.open.set()


@pytest.fixture
def panel(desktop):
    """The panel before a volume is selected."""
    opened = desktop.open_module("SynthMRI")
    select(opened.ui.methodComboBox, BSPLINE_LABEL)
    return checked(desktop, opened)


@pytest.fixture
def network_panel(desktop, tmp_path):
    """The panel before a volume is selected, with a model, whose choices are more than those of interpolation."""
    make_bundle(tmp_path / "models" / "test-network")
    return checked(desktop, desktop.open_module("SynthMRI"))


def constant_node(value: float):
    import slicer

    return slicer.util.addVolumeFromArray(np.full((18, 20, 22), value, np.float32), name=f"All {value:g}")


def reached(desktop, gate, count: int = 1) -> None:
    """Wait until so many looks at voxels have begun."""
    assert desktop.wait_until(lambda: len(gate.seen) == count, timeout=SECONDS)


@pytest.mark.parametrize("module", ["SynthMRI", "SynthMRIUncertainty"])
def test_until_an_input_was_checked_apply_is_off_and_the_panel_says_so(desktop, gate, tmp_path, module):
    make_bundle(tmp_path / "models" / "test-network")
    panel = desktop.open_module(module)
    panel.ui.inputSelector.setCurrentNode(head_node())
    reached(desktop, gate)
    assert panel.ui.applyHintLabel.visible and panel.ui.applyHintLabel.text == CHECKING
    assert not panel.ui.applyButton.enabled and panel.ui.applyButton.toolTip == CHECKING
    assert threading.main_thread() not in gate.threads
    gate.open.set()
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled and not panel.ui.applyHintLabel.visible
    assert panel.ui.applyButton.toolTip != CHECKING


def test_an_answer_about_another_choice_is_dropped(desktop, panel, gate):
    panel.ui.inputSelector.setCurrentNode(constant_node(5))
    reached(desktop, gate)
    panel.ui.inputSelector.setCurrentNode(head_node())
    desktop.process_events(100)
    assert panel.ui.applyHintLabel.text == CHECKING
    said = []
    gate.open.set()
    assert desktop.wait_until(
        lambda: said.append(panel.ui.applyHintLabel.text) or not panel.runPanel.checking, timeout=SECONDS
    )
    assert panel.ui.applyButton.enabled and set(said) <= {CHECKING, ""}, "nothing about the first volume"


def test_voxels_that_change_meanwhile_are_looked_at_again(desktop, panel, gate, slicer_scene):
    node = head_node()
    panel.ui.inputSelector.setCurrentNode(node)
    reached(desktop, gate)
    slicer_scene.util.updateVolumeFromArray(node, np.full((18, 20, 22), 7.0, np.float32))
    gate.open.set()
    checked(desktop, panel)
    assert gate.seen[-1] == 7 and "same value (7)" in panel.ui.applyHintLabel.text and not panel.ui.applyButton.enabled


@pytest.mark.parametrize("way", ["the node is deleted", "the scene is closed", "the module is left"])
def test_an_input_that_goes_while_it_is_checked_leaves_no_trace(desktop, panel, gate, slicer_scene, way):
    node = head_node()
    panel.ui.inputSelector.setCurrentNode(node)
    reached(desktop, gate)
    if way == "the node is deleted":
        slicer_scene.mrmlScene.RemoveNode(node)
    elif way == "the scene is closed":
        slicer_scene.mrmlScene.Clear()
    else:
        desktop.leave_module("SynthMRI")
    del node
    desktop.process_events()
    assert not panel.runPanel.checking
    words = panel.ui.applyHintLabel.text
    assert way == "the module is left" or words == "Apply is off: Select an input volume."
    gate.open.set()
    desktop.process_events(200)
    assert panel.ui.applyHintLabel.text == words and not panel.ui.applyButton.enabled
    if way == "the module is left":
        assert checked(desktop, desktop.open_module("SynthMRI")).ui.applyButton.enabled


def test_the_panel_is_closed_while_an_input_is_checked(desktop, panel, gate):
    panel.ui.inputSelector.setCurrentNode(head_node())
    reached(desktop, gate)
    panel.cleanup()
    gate.open.set()
    desktop.process_events(200)
    assert not desktop.callback_errors


def test_apply_stays_on_while_only_parameters_change_and_only_the_latest_are_checked(desktop, network_panel, gate):
    panel = network_panel
    gate.open.set()
    panel.ui.inputSelector.setCurrentNode(head_node())
    assert checked(desktop, panel).ui.applyButton.enabled
    gate.open.clear()
    before = len(gate.seen)
    for _times in range(5):
        panel.ui.residualCheckBox.click()
        panel.logic.getParameterNode().residual = not panel.logic.getParameterNode().residual
        desktop.process_events()
    panel.logic.getParameterNode().residual = True
    desktop.process_events()
    assert panel.runPanel.checking and panel.ui.applyButton.enabled and not panel.ui.applyHintLabel.visible
    gate.open.set()
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled and len(gate.seen) - before <= 2


def test_what_is_wrong_is_said_when_apply_was_pressed_before_the_check_had_ended(
    desktop, network_panel, gate, slicer_scene
):
    """Apply is on while only parameters are checked; the run itself refuses what cannot be run, in the same words."""
    panel = network_panel
    gate.open.set()
    panel.ui.inputSelector.setCurrentNode(head_node())
    checked(desktop, panel)
    gate.open.clear()
    panel.logic.getParameterNode().sharpness = 0.5  # for which no model is installed
    desktop.process_events()
    assert panel.runPanel.checking and panel.ui.applyButton.enabled
    panel.ui.applyButton.click()
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS)
    assert "No perceptual bundle" in panel.ui.statusLabel.text and not synthetic_volumes(slicer_scene)
    gate.open.set()
    assert "No perceptual bundle" in checked(desktop, panel).ui.applyHintLabel.text


def test_a_volume_is_checked_while_another_one_is_computed(desktop, panel, gate, slicer_scene):
    gate.open.set()
    panel.ui.inputSelector.setCurrentNode(head_node("First", shape=(40, 42, 44)))
    checked(desktop, panel)
    panel.ui.applyButton.click()
    gate.open.clear()
    panel.ui.inputSelector.setCurrentNode(head_node("Second"))
    desktop.process_events()
    assert panel.ui.applyHintLabel.text == CHECKING and not panel.ui.queueButton.enabled
    assert panel.ui.applyButton.text == "Cancel" and panel.ui.applyButton.enabled, "the run can be stopped meanwhile"
    gate.open.set()
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS)
    checked(desktop, panel)
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["First SYNTH 2x B-spline", "Second SYNTH 2x B-spline"]


def test_a_check_that_fails_is_told_in_a_sentence(desktop, panel, monkeypatch):
    def fail(_volume: Volume) -> list[Any]:
        raise MemoryError("not enough memory")

    monkeypatch.setattr(super_resolution, "check_volume", fail)
    panel.ui.inputSelector.setCurrentNode(head_node())
    checked(desktop, panel)
    assert panel.ui.applyHintLabel.text == "Apply is off: The input could not be checked: not enough memory"
    assert not panel.ui.applyButton.enabled
