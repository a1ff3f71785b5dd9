"""Pictures of panels and slice views without Slicer's main window, for make_screenshots.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter

VIEW_SIZE = (360, 420)
PANEL_WIDTH = 420
GAP = 4
CAPTION_HEIGHT = 28


def panel_picture(desktop: Any, panel: Any, *, height: int) -> QImage:
    """The panel of a module, so high that nothing is cut off."""
    panel.parent.setFixedSize(PANEL_WIDTH, height)
    desktop.process_events(300)  # text that wraps takes several rounds to find its height
    return QImage(str(desktop.grab(panel.parent, desktop.home.temporary / "panel.png")))


def view_picture(view: str, label: str = "", *, size: tuple[int, int] = VIEW_SIZE) -> QImage:
    """A slice view as Slicer's slice logic and displayable managers draw it, with its label below."""
    import slicer
    from SlicerDesktop.desktop import install

    widget = slicer.app.layoutManager().sliceWidget(view)
    widget.mrmlSliceNode().SetDimensions(*size, 1)
    widget.fitSliceToBackground()
    colors = np.ascontiguousarray(install().drawn(view))
    height, width, _ = colors.shape
    picture = QImage(colors.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    painter = QPainter(picture)
    painter.setFont(QFont("DejaVu Sans", 10))
    painter.setPen(QColor("white"))
    inside = picture.rect().adjusted(10, 10, -10, -10)
    painter.drawText(inside, Qt.AlignmentFlag.AlignBottom | Qt.AlignmentFlag.AlignLeft, label)
    painter.end()
    return picture


def captioned(picture: QImage, caption: str) -> QImage:
    """The picture with its caption above."""
    whole = QImage(picture.width(), picture.height() + CAPTION_HEIGHT, QImage.Format.Format_RGB888)
    whole.fill(Qt.GlobalColor.black)
    painter = QPainter(whole)
    painter.setFont(QFont("DejaVu Sans", 11))
    painter.setPen(QColor("white"))
    painter.drawText(12, CAPTION_HEIGHT - 8, caption)
    painter.drawImage(0, CAPTION_HEIGHT, picture)
    painter.end()
    return whole


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
