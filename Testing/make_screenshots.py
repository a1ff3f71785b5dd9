#!/usr/bin/env python
"""Draw Resources/Screenshots without Slicer: `make_screenshots.py [NAME...]` draws all, or those named.

The panels are the real ones, run by the stand-in for Slicer's desktop; the slices are drawn by Slicer's own slice logic
and displayable managers.
The volume is a coarse, noisy scan simulated from the ICBM 2009a template. With a model installed the network is shown,
otherwise B-spline interpolation. Captions must say that the pictures were rendered outside the desktop application.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "Resources" / "Screenshots"
SECONDS = 3000
sys.path[:0] = [str(ROOT / "SynthMRI"), str(ROOT / "Testing")]

import screenshot_states  # noqa: E402
from screenshot_pictures import (  # noqa: E402
    GAP,
    captioned,
    panel_picture,
    side_by_side,
    stacked,
    view_picture,
)
from screenshot_states import checked, select  # noqa: E402

STATE_HEIGHT = 780
#: Panels in a row of PanelStates.
COLUMNS = 5
#: Of the scan that networks are shown with.
SLICES = 20
PANEL_HEIGHT = 760
#: Of the scan that thick slices are shown with [mm].
THICK_DISTANCE, THICK_GAP = 5.0, 0.5
THICK_HEIGHT = 900
#: Of the scan that motion is shown with.
MOTION_SEED, MOTION_MM = 3, 1.0


def main() -> None:
    from SlicerDesktop.desktop import install

    desktop = install()
    os.environ["PATH"] = f"{desktop.home.programs}{os.pathsep}{os.environ['PATH']}"
    for name in sys.argv[1:] or list(PICTURES):
        desktop.reset()
        picture = PICTURES[name](desktop)
        if not picture.save(str(SCREENSHOTS / f"{name}.png"), "PNG", 0):  # as small as it gets
            raise OSError(f"Could not write into {SCREENSHOTS}.")
    desktop.reset()


def open_module(desktop: Any, name: str) -> Any:
    desktop.load_module(ROOT / name / f"{name}.py")
    return desktop.open_module(name)


def scan_node(name: str) -> Any:
    """A volume node with the demo's simulated scan."""
    import slicer
    from SynthMRILib.demo.scan import load_template, simulate_scan, trimmed
    from SynthMRIModuleLib.node_volume import write_volume

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    write_volume(simulate_scan(trimmed(load_template()), seed=0), node)
    node.CreateDefaultDisplayNodes()
    return node


def run(desktop: Any, panel: Any) -> None:
    checked(desktop, panel)
    panel.ui.applyButton.click()
    if not desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS):
        raise TimeoutError(panel.ui.statusLabel.text)
    desktop.process_events(100)


def compared(desktop: Any) -> Any:
    """The SynthMRI panel after a run."""
    slab(scan_node("T1w"))
    panel = open_module(desktop, "SynthMRI")
    if not checked(desktop, panel).ui.applyButton.enabled:
        select(panel.ui.methodComboBox, "B-spline interpolation")
    run(desktop, panel)
    return panel


def super_resolution(desktop: Any) -> Any:
    """Before, after and their difference in linked views, as the layout shows them."""
    return with_difference(desktop, compared(desktop))


def with_difference(desktop: Any, panel: Any) -> Any:
    """A panel after its run, beside before, after and their difference."""
    screenshot_states.fold(panel, "compareCollapsibleButton")
    panel.ui.differenceCheckBox.click()
    desktop.process_events(50)
    desktop.wait_until(lambda: not panel.comparePanel.busy, timeout=SECONDS)
    desktop.process_events(50)
    views = {"SynthMRIBefore": "Before", "SynthMRIAfter": "After", "SynthMRIDifference": "Difference"}
    pictures = [view_picture(name, label, size=(320, PANEL_HEIGHT)) for name, label in views.items()]
    return side_by_side([panel_picture(desktop, panel, height=PANEL_HEIGHT), *pictures])


def thick_slices(desktop: Any) -> Any:
    """Slices 5 mm apart and what total variation makes of them, both seen from their edge."""
    thick_node("T1w")
    panel = open_module(desktop, "SynthMRI")
    select(panel.ui.enhancementComboBox, "Thick slices")
    panel.ui.sliceGapSpinBox.value = THICK_GAP
    checked(desktop, panel)
    run(desktop, panel)
    screenshot_states.fold(panel, "modelCollapsibleButton", "compareCollapsibleButton")
    views = {"SynthMRIBefore": "Before", "SynthMRIAfter": "After"}
    pictures = [view_picture(name, label, size=(400, THICK_HEIGHT)) for name, label in views.items()]
    return side_by_side([panel_picture(desktop, panel, height=THICK_HEIGHT), *pictures])


def thick_node(name: str) -> Any:
    """A volume node with the demo's template as slices THICK_DISTANCE apart show it, with gaps and some noise."""
    import numpy as np
    import slicer
    from SynthMRILib.demo.scan import NOISE, load_template, trimmed
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.simulation.noise import magnitude_noise
    from SynthMRILib.slice_profile import Acquisition
    from SynthMRILib.through_plane.resampling import grid_of_spacing
    from SynthMRILib.volume import Volume
    from SynthMRIModuleLib.node_volume import write_volume

    sharp = trimmed(load_template())
    grid = grid_of_spacing(sharp.grid, (1, 1, THICK_DISTANCE))
    thickness = (1, 1, THICK_DISTANCE - THICK_GAP)
    clean = Acquisition.between(sharp.grid, grid, thickness=thickness, kind="gaussian").apply(sharp.voxels)
    noisy = magnitude_noise(clean, NOISE / 2 * reference_intensity(sharp.voxels), rng=np.random.default_rng(0))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    write_volume(Volume(noisy, grid), node)
    node.CreateDefaultDisplayNodes()
    return node


def motion(desktop: Any) -> Any:
    """A head that moved during the scan, what autofocus makes of it, and what it changed."""
    moving_node("T1w")
    panel = open_module(desktop, "SynthMRI")
    panel.ui.taskTabWidget.setCurrentIndex(2)
    run(desktop, panel)
    return with_difference(desktop, panel)


def moving_node(name: str) -> Any:
    """A volume node with the demo's template as a scan shows it that goes from the center of k-space outward."""
    import numpy as np
    import slicer
    from SynthMRILib.demo.scan import load_template, trimmed
    from SynthMRILib.simulation import motion
    from SynthMRIModuleLib.node_volume import write_volume

    still = trimmed(load_template())
    record = motion.draw(np.random.default_rng(MOTION_SEED), sequence="mprage", severity=1.0)
    order = replace(record.order, order="centric")
    scan = motion.apply(motion.scaled_to(replace(record, order=order), still, severity_mm=MOTION_MM), still)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    write_volume(scan.moved, node)
    node.CreateDefaultDisplayNodes()
    return node


def states(desktop: Any) -> Any:
    """The panel in every state, each reached as its user would."""

    def open_panel() -> Any:
        for name in ("FLAIR", "T1w"):
            slab(scan_node(name))
        return open_module(desktop, "SynthMRI")

    drawn = screenshot_states.draw(desktop, open_panel, lambda p: panel_picture(desktop, p, height=STATE_HEIGHT))
    pictures = [captioned(picture, caption) for caption, picture in drawn.items()]
    return stacked([side_by_side(pictures[n : n + COLUMNS]) for n in range(0, len(pictures), COLUMNS)])


def swipe(desktop: Any) -> Any:
    """Before and after in one view, on both sides of a line."""
    slab(scan_node("T1w"))
    panel = open_module(desktop, "SynthMRI")
    select(panel.ui.methodComboBox, screenshot_states.BSPLINE)
    select(panel.ui.compareModeComboBox, "Swipe")
    run(desktop, panel)
    screenshot_states.fold(panel, "compareCollapsibleButton")
    view = view_picture("SynthMRISingle", size=(520, 680))
    return side_by_side([panel_picture(desktop, panel, height=680), view])


def without_input(desktop: Any) -> Any:
    """An empty scene: why Apply is off."""
    panel = open_module(desktop, "SynthMRI")
    return panel_picture(desktop, panel, height=780)


def uncertainty(desktop: Any) -> Any:
    """The map of total uncertainty over the synthetic volume, and its outlines."""
    import slicer

    slab(scan_node("T1w"))
    panel = open_module(desktop, "SynthMRIUncertainty")
    slicer.app.layoutManager().sliceWidget("Red").sliceView().renderWindow()  # a view sees legends that come after it
    panel.ui.passesSpinBox.setValue(4)
    desktop.process_events(50)
    run(desktop, panel)
    desktop.wait_until(lambda: not panel.overlayPanel.busy, timeout=SECONDS)
    panel.ui.regionsTableWidget.setCurrentCell(0, 0)
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    position = [0.0] * 6
    panel.logic.getParameterNode().imageVolume.GetRASBounds(position)
    crosshair.SetCursorPositionRAS([sum(position[2 * n : 2 * n + 2]) / 2 for n in range(3)])
    panel.ui.aboutCollapsibleButton.collapsed = True
    desktop.process_events(50)
    size = (420, 570)
    colored = view_picture("Red", "Overlay", size=size)
    picture = panel_picture(desktop, panel, height=2 * size[1] + GAP)
    panel.ui.contourCheckBox.click()
    desktop.process_events(50)
    desktop.wait_until(lambda: not panel.overlayPanel.busy, timeout=SECONDS)
    desktop.process_events(50)
    return side_by_side([picture, stacked([colored, view_picture("Red", "Outlines", size=size)])])


def slab(node: Any) -> Any:
    """Keep the middle slices of a volume, so that a network takes minutes where there is no graphics card."""
    import slicer

    voxels = slicer.util.arrayFromVolume(node)
    first = voxels.shape[0] // 2 - SLICES // 2
    slicer.util.updateVolumeFromArray(node, voxels[first : first + SLICES].copy())
    spacing, origin = node.GetSpacing(), node.GetOrigin()
    node.SetOrigin(origin[0], origin[1], origin[2] + first * spacing[2])
    return node


#: Name of the picture -> what draws it.
PICTURES: dict[str, Callable[[Any], Any]] = {
    "SuperResolution": super_resolution,
    "ThickSlices": thick_slices,
    "Motion": motion,
    "Uncertainty": uncertainty,
    "PanelStates": states,
    "Swipe": swipe,
    "PanelWithoutInput": without_input,
}


if __name__ == "__main__":
    main()
