"""Pictures of panels and slice views without Slicer's main window, for make_screenshots.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter

VIEW_SIZE = (360, 420)
PANEL_WIDTH = 420
GAP = 4


def panel_picture(desktop: Any, panel: Any, *, height: int) -> QImage:
    """The panel of a module, so high that nothing is cut off."""
    panel.parent.setFixedSize(PANEL_WIDTH, height)
    desktop.process_events(30)
    return QImage(str(desktop.grab(panel.parent, desktop.home.temporary / "panel.png")))


def view_picture(view: str, label: str, *, size: tuple[int, int] = VIEW_SIZE, fit: bool = True) -> QImage:
    """What a slice view shows, computed by Slicer's slice logic, with the marks of its corner annotation."""
    import slicer
    import vtk

    widget = slicer.app.layoutManager().sliceWidget(view)
    widget.mrmlSliceNode().SetDimensions(*size, 1)
    if fit:
        widget.fitSliceToBackground()
    picture = _slice_image(widget)
    annotation = widget.sliceView().cornerAnnotation()
    painter = QPainter(picture)
    painter.setFont(QFont("DejaVu Sans", 10))
    inside = picture.rect().adjusted(10, 10, -10, -10)
    middle = Qt.AlignmentFlag.AlignVCenter
    marks = [
        (vtk.vtkCornerAnnotation.UpperEdge, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter),
        (vtk.vtkCornerAnnotation.LeftEdge, middle | Qt.AlignmentFlag.AlignLeft),
        (vtk.vtkCornerAnnotation.RightEdge, middle | Qt.AlignmentFlag.AlignRight),
    ]
    painter.setPen(QColor("white"))
    for place, alignment in marks:
        painter.drawText(inside, alignment, annotation.GetText(place) or "")
    painter.drawText(inside, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, label)
    painter.end()
    return picture


def _slice_image(widget: Any) -> QImage:
    from vtk.util.numpy_support import vtk_to_numpy

    widget.sliceLogic().UpdatePipeline()
    connection = widget.sliceLogic().GetImageDataConnection()
    connection.GetProducer().Update()
    image = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    colors = np.ascontiguousarray(pixels.astype(np.uint8))
    return QImage(colors.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def side_by_side(pictures: list[QImage]) -> QImage:
    """In one row, on black."""
    width = sum(picture.width() + GAP for picture in pictures) - GAP
    whole = QImage(width, max(picture.height() for picture in pictures), QImage.Format.Format_RGB888)
    whole.fill(Qt.GlobalColor.black)
    painter, left = QPainter(whole), 0
    for picture in pictures:
        painter.drawImage(left, 0, picture)
        left += picture.width() + GAP
    painter.end()
    return whole


def stacked(rows: list[QImage]) -> QImage:
    """One row below the other, on black."""
    height = sum(row.height() + GAP for row in rows) - GAP
    whole = QImage(max(row.width() for row in rows), height, QImage.Format.Format_RGB888)
    whole.fill(Qt.GlobalColor.black)
    painter, top = QPainter(whole), 0
    for row in rows:
        painter.drawImage(0, top, row)
        top += row.height() + GAP
    painter.end()
    return whole
