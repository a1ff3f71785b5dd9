"""Whole visits: from the first choice to the closed scene, with a small real model and a real child process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bundle_support import make_bundle
from module_support import head_node
from panel_support import (
    SECONDS,
    checked,
    press_apply,
    run_to_the_end,
    select,
    settle,
    shown_volumes,
    synthetic_volumes,
    wait_for_end,
)


def test_a_user_chooses_applies_stops_applies_again_compares_saves_and_comes_back(desktop, slicer_scene, tmp_path):
    make_bundle(tmp_path / "models" / "test-network")
    slicer, layout = slicer_scene, slicer_scene.app.layoutManager().layout
    source = head_node(shape=(72, 74, 76))
    panel = desktop.open_module("SynthMRI")
    ui = panel.ui
    assert ui.inputSelector.currentNode() is source and ui.advancedCollapsibleButton.collapsed
    select(ui.bundleComboBox, "Test network")
    ui.tileSpinBox.setValue(16)  # many small blocks, so that there is progress to watch

    press_apply(desktop, panel)
    said, values = watch(desktop, panel, lambda: "left" in ui.statusLabel.text and ui.progressBar.value > 0)
    assert values == sorted(values) and values[-1] > 0, "progress goes forward"
    assert any("left" in words for words in said), "the time left is told"
    ui.applyButton.click()
    wait_for_end(desktop, panel)
    assert "nothing was changed" in ui.statusLabel.text and not synthetic_volumes(slicer)

    run_to_the_end(desktop, panel)
    assert ui.statusLabel.text.startswith("Done in") and synthetic_volumes(slicer) == ["T1w SYNTH 2x"]
    assert shown_volumes(slicer) == {"SynthMRIBefore": "T1w", "SynthMRIAfter": "T1w SYNTH 2x"}
    ui.differenceCheckBox.click()
    settle(desktop, panel)
    assert list(shown_volumes(slicer)) == ["SynthMRIBefore", "SynthMRIAfter", "SynthMRIDifference"]

    path, voxels = str(tmp_path / "scene.mrb"), slicer.util.arrayFromVolume(slicer.util.getNode("T1w SYNTH 2x")).copy()
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear()
    desktop.process_events()
    assert ui.applyHintLabel.text == "Apply is off: Select an input volume." and not ui.compareButton.enabled
    slicer.util.loadScene(path)
    checked(desktop, panel)
    assert ui.bundleComboBox.currentText == "Test network" and ui.tileSpinBox.value == 16
    assert ui.inputSelector.currentNode().GetName() == "T1w" and ui.applyButton.enabled
    result = panel.logic.getParameterNode().outputVolume
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(result), voxels)
    assert result.GetAttribute("SynthMRI.Synthetic") == "1"
    ui.compareButton.checked = True
    desktop.process_events()
    assert shown_volumes(slicer)["SynthMRIAfter"] == "T1w SYNTH 2x"
    desktop.leave_module("SynthMRI")
    assert slicer.app.layoutManager().layout == layout


def watch(desktop: Any, panel: Any, until: Any) -> tuple[list[str], list[int]]:
    """What the panel says, and where its bar stands, until something holds."""
    said, values = [], []

    def look() -> bool:
        said.append(panel.ui.statusLabel.text)
        values.append(panel.ui.progressBar.value)
        return until()

    assert desktop.wait_until(look, timeout=SECONDS), said[-1]
    return said, values


def other_value(value: Any, name: str, nodes: dict[str, Any]) -> Any:
    """A value that differs from the given one, of the same kind."""
    import enum

    if isinstance(value, enum.Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 3
    if isinstance(value, float):
        return value + 0.25 if value < 0.5 else value - 0.25
    if isinstance(value, str):
        return f"some-{name.lower()}"
    kinds = {"mask": "labels", "lesionVolume": "labels", "segmentationVolume": "labels", "lesionPoints": "points"}
    return nodes[next((kind for start, kind in kinds.items() if name.startswith(start)), "volume")]


@pytest.mark.parametrize("module", ["SynthMRI", "SynthMRIUncertainty"])
def test_every_choice_survives_saving_and_loading_the_scene(desktop, slicer_scene, tmp_path, module):
    """All parameters there are, so that a new one is not forgotten."""
    scene = slicer_scene.mrmlScene
    nodes = {
        "volume": head_node(),
        "labels": scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels"),
        "points": scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Points"),
    }
    slicer_scene.util.updateVolumeFromArray(nodes["labels"], np.ones((18, 20, 22), dtype=np.int16))
    panel = desktop.open_module(module)
    desktop.leave_module(module)
    stored = panel.logic.getParameterNode()
    names = list(stored.allParameters)
    for name in names:
        setattr(stored, name, other_value(getattr(stored, name), name, nodes))
    expected = {name: plain(getattr(stored, name)) for name in names}
    assert len(expected) > 15 and None not in expected.values()
    path = str(tmp_path / "scene.mrb")
    assert slicer_scene.util.saveScene(path)
    scene.Clear()
    desktop.process_events()
    assert {name: plain(getattr(panel.logic.getParameterNode(), name)) for name in names} != expected
    slicer_scene.util.loadScene(path)
    loaded = {name: plain(getattr(panel.logic.getParameterNode(), name)) for name in names}
    assert loaded == expected


def plain(value: Any) -> Any:
    """Nodes by their name."""
    return value.GetName() if hasattr(value, "GetName") else value
