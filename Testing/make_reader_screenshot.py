#!/usr/bin/env python
"""Draw Resources/Screenshots/ReaderStudy.png: the reader study panel beside the case it shows, without Slicer.

The case is the ICBM 2009a template, the marks are set with the panel's own keys and show no lesions. As in
`make_screenshots.py` the panel is the real one and the slices come from Slicer's own slice logic; the rings around the
marks are drawn here.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "Python"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "SynthMRI"))

from make_screenshots import SCREENSHOTS, side_by_side, view_picture
from reading_support import PanelReader, move_cursor, open_reading, press
from scipy import ndimage
from SynthMRILib.readers.creation import create_study
from SynthMRILib.readers.study import Study

PANEL_SIZE = (400, 760)
VIEWS = {"SynthMRIReading1": (520, 760), "SynthMRIReading2": (360, 378), "SynthMRIReading3": (360, 378)}
#: Places of the marks: RAS [mm] from the center of the head, and the key that is pressed there.
MARKS = (((-24, 26, 4), "2"), ((34, -30, 4), "1"), ((20, 12, 4), "2"))
QUESTIONS = {
    "lesions": {"paradigm": "lesions", "prompt": "Mark every lesion that you see."},
    "real": {"paradigm": "real-or-synthetic", "prompt": "Was this volume acquired or is it synthetic?"},
}


def main() -> None:
    from SlicerDesktop.desktop import install

    desktop = install()
    with tempfile.TemporaryDirectory() as folder:
        picture = reading_picture(desktop, a_study(Path(folder)))
    if not picture.save(str(SCREENSHOTS / "ReaderStudy.png")):
        raise OSError(f"Could not write into {SCREENSHOTS}.")
    desktop.reset()


def a_study(folder: Path) -> Study:
    """A study of the template, as it is and smoothed, as two arms."""
    from SynthMRILib.demo.scan import load_template, trimmed
    from SynthMRILib.volume_io import write_volume

    template = trimmed(load_template())
    smooth = template.with_voxels(ndimage.gaussian_filter(template.voxels, 0.7))
    write_volume(template, folder / "acquired.nii.gz", synthetic=False)
    write_volume(smooth, folder / "synthetic.nii.gz")
    plan = {
        "id": "picture",
        "title": "Lesions on two contrasts",
        "seed": 1,
        "readers": ["R1"],
        "arms": {"a": "acquired", "s": "synthetic"},
        "questions": QUESTIONS,
        "cases": [
            {"subject": f"p{arm}", "arm": arm, "volumes": {"main": file}}
            for arm, file in (("a", "acquired.nii.gz"), ("s", "synthetic.nii.gz"))
        ],
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return create_study(folder / "plan.json", folder / "study")


def reading_picture(desktop: Any, study: Study) -> QImage:
    """The panel in the middle of the first case, beside its three planes."""
    panel = open_reading(desktop)
    reader = PanelReader(desktop, panel, study)
    reader.start("R1")
    panel.ui.studyCollapsibleButton.collapsed = True
    form = panel.readingPanel.form.widgets
    center = np.array(center_of_case())
    for place, key in MARKS:
        move_cursor((center + place).tolist())
        press(key)
    form["lesions"].table.setCurrentCell(0, 0)
    form["real"].choice.buttons["real"].click()
    form["real"].confidence.setValue(70)
    desktop.process_events()
    panel.parent.setFixedSize(*PANEL_SIZE)
    picture = QImage(str(desktop.grab(panel.parent, desktop.home.temporary / "panel.png")))
    views = [view_with_marks(name, size, form["lesions"].marks.all()) for name, size in VIEWS.items()]
    return side_by_side([picture, views[0], above_each_other(views[1:])])


def center_of_case() -> list[float]:
    import slicer

    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return [(bounds[n] + bounds[n + 1]) / 2 for n in (0, 2, 4)]


def view_with_marks(name: str, size: tuple[int, int], marks: list[dict[str, Any]]) -> QImage:
    """A slice view with a ring around each mark that lies in its plane."""
    import slicer

    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    offset = node.GetSliceOffset()
    picture = view_picture(name, "Case", size=size)
    node.SetSliceOffset(offset)
    picture = view_picture(name, "Case", size=size)
    to_xy = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
    painter = QPainter(picture)
    painter.setPen(QPen(QColor("#f5a623"), 2))
    for number, mark in enumerate(marks, start=1):
        x, y, depth, _ = to_xy @ [*mark["ras"], 1.0]
        if abs(depth) < 4:
            place = QPoint(round(x), round(picture.height() - y))
            painter.drawEllipse(place, 8, 8)
            painter.drawText(place + QPoint(11, -6), str(number))
    painter.end()
    return picture


def above_each_other(pictures: list[QImage], *, gap: int = 4) -> QImage:
    height = sum(picture.height() + gap for picture in pictures) - gap
    whole = QImage(max(picture.width() for picture in pictures), height, QImage.Format.Format_RGB888)
    whole.fill(Qt.GlobalColor.black)
    painter = QPainter(whole)
    top = 0
    for picture in pictures:
        painter.drawImage(0, top, picture)
        top += picture.height() + gap
    painter.end()
    return whole


if __name__ == "__main__":
    main()
