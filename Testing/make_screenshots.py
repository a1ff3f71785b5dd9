#!/usr/bin/env python
"""Draw Resources/Screenshots: a panel beside the slices it shows, without Slicer.

The panel is the real one, run by the stand-in for Slicer's desktop; the slices come from Slicer's own slice logic. The
volume is a coarse, noisy scan simulated from the ICBM 2009a template. With a model installed the network is shown,
otherwise B-spline interpolation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "Resources" / "Screenshots"
VIEW_SIZE = (420, 520)
PANEL_WIDTH = 400
SECONDS = 1800
sys.path[:0] = [str(ROOT / "SynthMRI"), str(ROOT / "Testing")]


def main() -> None:
    from SlicerDesktop.desktop import install

    desktop = install()
    super_resolution_screenshot(desktop).save(SCREENSHOTS / "SuperResolution.png", optimize=True)
    desktop.reset()


def super_resolution_screenshot(desktop: Any) -> Image.Image:
    """The SynthMRI panel after a run, beside its linked views."""
    desktop.load_module(ROOT / "SynthMRI" / "SynthMRI.py")
    scan_node("T1w")
    panel = desktop.open_module("SynthMRI")
    if not panel.ui.applyButton.enabled:
        panel.ui.methodComboBox.setCurrentIndex(panel.ui.methodComboBox.findText("B-spline interpolation"))
    panel.ui.applyButton.click()
    if not desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS):
        raise TimeoutError(panel.ui.statusLabel.text)
    from SynthMRIModuleLib.comparison import AFTER_VIEW, BEFORE_VIEW

    views = [view_picture(name, name.removeprefix("SynthMRI")) for name in (BEFORE_VIEW, AFTER_VIEW)]
    return side_by_side([panel_picture(desktop, panel), *views])


def scan_node(name: str) -> Any:
    """A volume node with the demo's simulated scan."""
    import slicer
    from SynthMRILib.demo.scan import load_template, simulate_scan, trimmed
    from SynthMRIModuleLib.node_volume import write_volume

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    write_volume(simulate_scan(trimmed(load_template()), seed=0), node)
    node.CreateDefaultDisplayNodes()
    return node


def panel_picture(desktop: Any, panel: Any) -> Image.Image:
    panel.parent.setFixedSize(PANEL_WIDTH, VIEW_SIZE[1])
    path = desktop.grab(panel.parent, desktop.home.temporary / "panel.png")
    return Image.open(path).convert("RGB")


def view_picture(view: str, label: str) -> Image.Image:
    """What a slice view shows, with its mark."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    widget = slicer.app.layoutManager().sliceWidget(view)
    widget.mrmlSliceNode().SetDimensions(*VIEW_SIZE, 1)
    widget.fitSliceToBackground()
    logic = widget.sliceLogic()
    logic.GetImageDataConnection().GetProducer().Update()
    image = logic.GetImageDataConnection().GetProducer().GetOutputDataObject(0)
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    picture = Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8)))
    mark = widget.sliceView().cornerAnnotation().GetText(vtk.vtkCornerAnnotation.UpperEdge) or ""
    draw = ImageDraw.Draw(picture)
    draw.text((width / 2, 12), mark, fill="white", anchor="ma", font_size=16)
    draw.text((12, height - 12), label, fill="white", anchor="ld", font_size=16)
    return picture


def side_by_side(pictures: list[Image.Image], *, gap: int = 4) -> Image.Image:
    width = sum(picture.width + gap for picture in pictures) - gap
    whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), "black")
    left = 0
    for picture in pictures:
        whole.paste(picture, (left, 0))
        left += picture.width + gap
    return whole


if __name__ == "__main__":
    main()
