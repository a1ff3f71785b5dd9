"""Slice and 3D views: real MRML view nodes and slice logics behind empty widgets; slices are drawn when asked for."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ..widgets.completion import completed
from .drawing import Drawing

#: Size of the words in a view; what Slicer's module DataProbe sets where its user has not chosen otherwise.
FONT_SIZE = 14


def _annotation() -> vtk.vtkCornerAnnotation:
    """The words at corners and edges, as CTK and DataProbe set them up."""
    annotation = vtk.vtkCornerAnnotation()
    annotation.SetMaximumLineHeight(0.07)
    annotation.SetMinimumFontSize(FONT_SIZE)
    annotation.SetMaximumFontSize(FONT_SIZE)
    annotation.SetNonlinearFontScaleFactor(1)
    annotation.GetTextProperty().SetFontFamilyToTimes()
    annotation.GetTextProperty().ShadowOn()
    return annotation


@completed("qMRMLSliceView")
class SliceView(QWidget):
    """Where a slice is drawn, in a window without a screen."""

    def __init__(self, logic: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = logic
        self._annotation = _annotation()
        self._drawing: Drawing | None = None
        self.render_count = 0

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def cornerAnnotation(self) -> Any:
        return self._annotation

    def drawing(self) -> Drawing:
        """What draws this view, made when it is first asked for."""
        if self._drawing is None:
            self._drawing = Drawing(self._logic, self._annotation)
        return self._drawing

    def renderWindow(self) -> Any:
        return self.drawing().window

    def interactor(self) -> Any:
        return self.drawing().interactor

    def sliceViewInteractorStyle(self) -> Any:
        return self.drawing().style

    @Slot()
    def forceRender(self) -> None:
        self.render_count += 1

    @Slot()
    def scheduleRender(self) -> None:
        self.render_count += 1


@completed("qMRMLSliceControllerWidget")
class SliceController(QWidget):
    """The bar above a slice view."""

    def __init__(self, logic: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def sliceLogic(self) -> Any:
        return self._logic

    @Slot(bool)
    def setSliceLink(self, linked: bool) -> None:
        self.mrmlSliceCompositeNode().SetLinkedControl(linked)

    @Slot()
    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    @Slot(float)
    def setSliceOffsetValue(self, offset: float) -> None:
        self._logic.SetSliceOffset(offset)


@completed("qMRMLSliceWidget")
class SliceWidget(QWidget):
    """One slice viewer."""

    def __init__(self, logic: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = logic
        self._view, self._controller = SliceView(logic), SliceController(logic)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(logic.GetSliceNode().GetName()))
        column.addWidget(self._controller)
        column.addWidget(self._view)

    def sliceLogic(self) -> Any:
        return self._logic

    logic = sliceLogic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    mrmlAbstractViewNode = mrmlSliceNode

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def sliceView(self) -> SliceView:
        return self._view

    def sliceController(self) -> SliceController:
        return self._controller

    @Slot()
    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()

    @Slot(str)
    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)


@completed("qMRMLThreeDView")
class ThreeDView(QWidget):
    """Where a scene would be drawn in 3D."""

    def __init__(self, node: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = node

    def mrmlViewNode(self) -> Any:
        return self._node

    @Slot()
    def resetFocalPoint(self) -> None:
        """No camera is played."""

    @Slot()
    def forceRender(self) -> None:
        """Nothing is drawn."""


@completed("qMRMLThreeDWidget")
class ThreeDWidget(QWidget):
    """One 3D viewer."""

    def __init__(self, node: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node, self._view = node, ThreeDView(node, self)

    def mrmlViewNode(self) -> Any:
        return self._node

    def threeDView(self) -> ThreeDView:
        return self._view
