"""The frame of a sequence that a volume node shows: results are made from one frame and say which.

Slicer shows a sequence (a 4D volume) through a proxy node, whose voxels change with the frame.
"""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _


def browser_of(node: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLSequenceBrowserNode | None:
    """The sequence browser that this node is a proxy of; None for a node that is no frame of a sequence."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode") if node is not None else ():
        if browser.IsProxyNodeID(node.GetID()):
            return browser
    return None


def frame_number(node: slicer.vtkMRMLNode | None) -> int | None:
    """Number of the frame that a proxy of a sequence shows, from 1; None for any other node."""
    browser = browser_of(node)
    return None if browser is None else browser.GetSelectedItemNumber() + 1


def frame_text(node: slicer.vtkMRMLNode) -> str:
    """ "frame 3" for a proxy of a sequence, else empty."""
    number = frame_number(node)
    return "" if number is None else _("frame {number}").format(number=number)


class FrameSelector:
    """Lets the user choose the frame where the input is a sequence; hidden otherwise.

    Args:
        ui: widgets by name: frameLabel, frameSpinBox.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._browser: slicer.vtkMRMLSequenceBrowserNode | None = None
        self._showing = False
        ui.frameSpinBox.connect("valueChanged(int)", self._on_changed)
        self.show(None)

    def show(self, node: slicer.vtkMRMLNode | None) -> None:
        """Offer the frames of the sequence that this node shows."""
        self._browser = browser_of(node)
        for widget in (self._ui.frameLabel, self._ui.frameSpinBox):
            widget.visible = self._browser is not None
        if self._browser is None:
            return
        count = self._browser.GetNumberOfItems()
        self._showing = True
        self._ui.frameSpinBox.maximum = max(count, 1)
        self._ui.frameSpinBox.value = self._browser.GetSelectedItemNumber() + 1
        self._ui.frameSpinBox.suffix = _(" of {count}").format(count=count)
        self._showing = False

    def _on_changed(self, number: int) -> None:
        if self._browser is not None and not self._showing:
            self._browser.SetSelectedItemNumber(number - 1)
