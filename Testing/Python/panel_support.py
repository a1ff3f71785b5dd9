"""What the tests of the panels share: choosing, pressing, waiting for what threads and child processes do, results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

#: Longest time that a run in a test takes, on a busy machine [s].
SECONDS = 90
BSPLINE_LABEL = "B-spline interpolation"


def select(combo_box: Any, text: str) -> None:
    """Choose the entry with this text, as a user would."""
    combo_box.setCurrentIndex(combo_box.findText(text))
    assert combo_box.currentText == text


def checked(desktop: Any, panel: Any) -> Any:
    """The panel, once it is known whether what is chosen can be run."""
    desktop.process_events()
    assert desktop.wait_until(lambda: not panel.runPanel.checking, timeout=SECONDS), panel.ui.applyHintLabel.text
    return panel


def press_apply(desktop: Any, panel: Any) -> None:
    """Press Apply once it is on."""
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled, panel.ui.applyHintLabel.text
    panel.ui.applyButton.click()


def wait_for_end(desktop: Any, panel: Any) -> None:
    """Wait until all runs of the panel have ended."""
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS), panel.ui.statusLabel.text
    checked(desktop, panel)


def run_to_the_end(desktop: Any, panel: Any) -> None:
    press_apply(desktop, panel)
    wait_for_end(desktop, panel)


def settle(desktop: Any, panel: Any) -> None:
    """Wait until what a thread computes for the comparison is shown."""
    assert desktop.wait_until(lambda: not panel.comparePanel.busy, timeout=SECONDS)
    desktop.process_events()


def install_model(folder: Path, *, name: str = "A Model", card: str = "# A Model\nFor **tests**.\n") -> None:
    """A bundle whose weights nobody reads."""
    section = {"format": 1, "task": "super-resolution", "sha256": "0" * 64}
    section["network"] = {"name": "RRDBNet", "arguments": {}}
    files = {
        "configs/metadata.json": json.dumps({"name": name, "synthmri": section}),
        "docs/README.md": card,
        "models/model.safetensors": "none",
        "LICENSE": "none",
    }
    for relative, text in files.items():
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        (folder / relative).write_text(text, encoding="utf-8")


def synthetic_volumes(slicer: Any) -> list[str]:
    """Names of the volumes in the scene that say they are synthetic."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [volume.GetName() for volume in volumes if volume.GetAttribute("SynthMRI.Synthetic")]


def shown_volumes(slicer: Any) -> dict[str, str]:
    """Volume in the background of each of our views that is shown."""
    from SynthMRIModuleLib.compare_layouts import slice_views

    manager = slicer.app.layoutManager()
    ids = {
        name: manager.sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID()
        for name in slice_views(manager.layout)
    }
    return {name: slicer.mrmlScene.GetNodeByID(node_id).GetName() for name, node_id in ids.items()}


def result_of(
    source: Any, *, task: str = "super-resolution", change: float = 5.0, role: str = "output", **made_as: Any
) -> Any:
    """A result node as a run makes it, twice as fine, brighter by `change`, or a map of uncertainty of one.

    Args:
        made_as: provenance that differs from `made_from`.
    """
    from SynthMRILib.volume import Volume
    from SynthMRIModuleLib.node_volume import volume_from_node
    from SynthMRIModuleLib.result_nodes import SourceSnapshot, add_result_node

    volume = volume_from_node(source)
    voxels = np.kron(volume.voxels + change, np.ones((2, 2, 2)))
    name, provenance = f"{source.GetName()} SYNTH {role}", {**made_from(volume, task=task, role=role), **made_as}
    return add_result_node(
        Volume(voxels, volume.grid.upsampled(2)),
        source=SourceSnapshot.of(source),
        name=name,
        role=role,
        task=provenance["task"],
        provenance=provenance,
    )


def made_from(volume: Any, *, task: str, role: str) -> dict[str, Any]:
    """Provenance of the result of a task with usual settings, or of a map of its uncertainty."""
    from SynthMRILib.provenance import volume_facts

    is_map = role not in ("output", "residual")
    return {
        "task": "uncertainty" if is_map else task,
        "bundle": {"name": "test-network", "version": "1", "sha256": "0" * 64},
        "inputs": {"input": volume_facts(volume)},
        "parameters": {"task": task} if is_map else {},
        "created": "2026-01-01T00:00:00+00:00",
    }
