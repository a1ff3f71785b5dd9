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
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPainter

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "Resources" / "Screenshots"
VIEW_SIZE = (420, 520)
PANEL_WIDTH = 400
SECONDS = 1800
sys.path[:0] = [str(ROOT / "SynthMRI"), str(ROOT / "Testing")]


def main() -> None:
    from SlicerDesktop.desktop import install

    desktop = install()
    picture = super_resolution_screenshot(desktop)
    if not picture.save(str(SCREENSHOTS / "SuperResolution.png")):
        raise OSError(f"Could not write into {SCREENSHOTS}.")
    desktop.reset()


def super_resolution_screenshot(desktop: Any) -> QImage:
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


def panel_picture(desktop: Any, panel: Any) -> QImage:
    panel.parent.setFixedSize(PANEL_WIDTH, VIEW_SIZE[1])
    return QImage(str(desktop.grab(panel.parent, desktop.home.temporary / "panel.png")))


def view_picture(view: str, label: str) -> QImage:
    """What a slice view shows, with its mark."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    widget = slicer.app.layoutManager().sliceWidget(view)
    widget.mrmlSliceNode().SetDimensions(*VIEW_SIZE, 1)
    widget.fitSliceToBackground()
    producer = widget.sliceLogic().GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    colors = np.ascontiguousarray(pixels.astype(np.uint8))
    picture = QImage(colors.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    mark = widget.sliceView().cornerAnnotation().GetText(vtk.vtkCornerAnnotation.UpperEdge) or ""
    painter = QPainter(picture)
    painter.setPen(Qt.GlobalColor.white)
    inside = picture.rect().adjusted(12, 12, -12, -12)
    painter.drawText(inside, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter, mark)
    painter.drawText(inside, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, label)
    painter.end()
    return picture


def side_by_side(pictures: list[QImage], *, gap: int = 4) -> QImage:
    width = sum(picture.width() + gap for picture in pictures) - gap
    whole = QImage(width, max(picture.height() for picture in pictures), QImage.Format.Format_RGB888)
    whole.fill(Qt.GlobalColor.black)
    painter = QPainter(whole)
    left = 0
    for picture in pictures:
        painter.drawImage(left, 0, picture)
        left += picture.width() + gap
    painter.end()
    return whole


if __name__ == "__main__":
    main()
