"""slicer.app.layoutManager(): layouts, slice viewers and their logics on the real MRML layout logic."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from ..widgets.completion import completed
from .views import SliceWidget, ThreeDWidget

#: Pixels of a slice view that has never been laid out.
VIEW_SIZE = (256, 256)


@completed("qSlicerLayoutManager")
class LayoutManager(QObject):
    """Makes a slice logic and a viewer for each slice node that a layout brings."""

    layoutChanged = Signal(int)

    def __init__(self, application_logic: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._application_logic = application_logic
        self._layout_logic = slicer.vtkMRMLLayoutLogic()
        self._layout_logic.SetMRMLApplicationLogic(application_logic)
        self._slice_logics = vtk.vtkCollection()
        application_logic.SetSliceLogics(self._slice_logics)
        self._slices: dict[str, SliceWidget] = {}
        self._views: list[ThreeDWidget] = []
        self._scene: Any = None
        self._viewport = QWidget()
        self._paused, self._adding = 0, False

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._add_missing)
        self._layout_logic.SetMRMLScene(scene)
        node = self._layout_logic.GetLayoutNode()
        node.AddObserver("ModifiedEvent", self._on_layout_modified)
        self._arrangement = node.GetViewArrangement()
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def reset_views(self) -> None:
        """Four-up layout, and nothing in the slice views, which are as large as in the beginning."""
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        for widget in self._slices.values():
            widget.mrmlSliceNode().SetDimensions(*VIEW_SIZE, 1)
            node = widget.mrmlSliceCompositeNode()
            for set_layer in (node.SetBackgroundVolumeID, node.SetForegroundVolumeID, node.SetLabelVolumeID):
                set_layer(None)
            node.SetForegroundOpacity(0)
            widget.sliceView().cornerAnnotation().ClearAllTexts()

    def _on_layout_modified(self, node: Any, _event: str) -> None:
        self._add_missing()
        if node.GetViewArrangement() != self._arrangement:
            self._arrangement = node.GetViewArrangement()
            self.layoutChanged.emit(self._arrangement)

    def _of_class(self, name: str) -> list[Any]:
        count = self._scene.GetNumberOfNodesByClass(name)
        return [self._scene.GetNthNodeByClass(index, name) for index in range(count)]

    def _add_missing(self, *_: Any) -> None:
        if self._adding:  # making a slice logic adds nodes itself
            return
        self._adding = True
        for node in self._of_class("vtkMRMLSliceNode"):
            if node.GetLayoutName() not in self._slices:
                self._slices[node.GetLayoutName()] = SliceWidget(self._make_slice_logic(node))
        for node in self._of_class("vtkMRMLViewNode")[len(self._views) :]:
            self._views.append(ThreeDWidget(node))
        self._adding = False

    def _make_slice_logic(self, node: Any) -> Any:
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application_logic)
        logic.SetMRMLScene(self._scene)
        logic.SetSliceNode(node)
        self._slice_logics.AddItem(logic)
        return logic

    @Slot(int)
    def setLayout(self, layout: int) -> None:
        self._layout_logic.GetLayoutNode().SetViewArrangement(layout)
        self._add_missing()

    def windows(self) -> list[QWidget]:
        """The viewers' widgets."""
        return [self._viewport, *self._slices.values(), *self._views]

    def layoutLogic(self) -> Any:
        return self._layout_logic

    def mrmlSliceLogics(self) -> Any:
        return self._slice_logics

    def sliceViewNames(self) -> list[str]:
        return list(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._slices.get(name)

    def threeDWidget(self, which: Any) -> ThreeDWidget | None:
        named = {view.mrmlViewNode().GetLayoutName(): view for view in self._views}
        numbered = dict(enumerate(self._views))
        return named.get(which) or numbered.get(which)

    def viewport(self) -> QWidget:
        return self._viewport

    @Slot()
    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToBackground()

    @Slot()
    def resetThreeDViews(self) -> None:
        """No camera is played."""

    @Slot()
    def pauseRender(self) -> None:
        self._paused += 1

    @Slot()
    def resumeRender(self) -> None:
        self._paused -= 1

    layout = Property(int, lambda self: self._layout_logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._views))
    tableViewCount = Property(int, lambda self: len(self._of_class("vtkMRMLTableViewNode")))
    plotViewCount = Property(int, lambda self: len(self._of_class("vtkMRMLPlotViewNode")))
