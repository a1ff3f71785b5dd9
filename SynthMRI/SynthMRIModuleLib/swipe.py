"""A line in a slice view that can be dragged: what was acquired on its left, the result on its right.

Slicer shows the result in the view's foreground as always; the acquired volume lies over it as far as the line. Its
pixels are those that Slicer's slice logic has computed for the background layer of the same view, so window, colors,
zoom and place are the view's own. Before every drawing VTK asks for them again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

#: How near to the line the pointer has to be to take it [pixels].
REACH = 10
#: Before Slicer's own use of the mouse (window and level, crosshair), which has priority 0.
PRIORITY = 100.0
#: Half the width and height of the grip in the middle of the line [pixels].
GRIP = 7
#: Yellow: neither in the gray of an MR volume nor among the colors of the views.
COLOR = (0.93, 0.84, 0.30)
#: The middle of the lower edge: Slicer's annotations write the corners, our marks the other edges.
POSITION = vtk.vtkCornerAnnotation.LowerEdge


class Swipe(VTKObservationMixin):
    """Shows the line in one view at a time.

    Args:
        on_moved: called with the place of the line, 0 (left) to 1 (right), when the user drags it.
    """

    def __init__(self, on_moved: Callable[[float], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._on_moved = on_moved
        self._widget: slicer.qMRMLSliceWidget | None = None
        self._split = 0.5
        self._dragging = False
        self._tags: list[int] = []
        self._cut = vtk.vtkExtractVOI()
        self._image = _image_actor(self._cut)
        self._points, self._line = vtk.vtkPoints(), vtk.vtkActor2D()
        self._line.SetMapper(_line_mapper(self._points))
        self._line.GetProperty().SetColor(*COLOR)
        self._line.GetProperty().SetLineWidth(2)

    @property
    def shown(self) -> bool:
        """True from `show` until `hide`."""
        return self._widget is not None

    def show(self, widget: slicer.qMRMLSliceWidget) -> None:
        """Show the line in this view, whose background is the acquired volume and whose foreground the result."""
        if self._widget is widget:
            self._update()
            return
        self.hide()
        self._widget = widget
        for actor in (self._image, self._line):
            self._renderer().AddViewProp(actor)
        for node in (widget.mrmlSliceNode(), widget.mrmlSliceCompositeNode()):
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._update)
        interactor = widget.sliceView().interactor()
        for event, react in (
            ("LeftButtonPressEvent", self._on_press),
            ("MouseMoveEvent", self._on_move),
            ("LeftButtonReleaseEvent", self._on_release),
        ):
            self._tags.append(interactor.AddObserver(event, react, PRIORITY))
        self._update()

    def set_split(self, split: float) -> None:
        """Put the line at a place, 0 (left) to 1 (right)."""
        self._split = min(max(split, 0.0), 1.0)
        self._update()

    def hide(self) -> None:
        """Take the line away; harmless when it is not shown."""
        widget, self._widget = self._widget, None
        self.removeObservers()
        if widget is None:
            return
        view = widget.sliceView()
        for tag in self._tags:
            view.interactor().RemoveObserver(tag)
        self._tags, self._dragging = [], False
        for actor in (self._image, self._line):
            view.renderWindow().GetRenderers().GetFirstRenderer().RemoveViewProp(actor)
        self._cut.SetInputConnection(None)
        view.cornerAnnotation().SetText(POSITION, "")
        view.scheduleRender()

    def _renderer(self) -> vtk.vtkRenderer:
        return self._widget.sliceView().renderWindow().GetRenderers().GetFirstRenderer()

    def _column(self) -> int:
        """Pixel column of the line."""
        return round(self._split * self._widget.mrmlSliceNode().GetDimensions()[0])

    def _update(self, _caller: vtk.vtkObject | None = None, _event: str | None = None) -> None:
        if self._widget is None:
            return
        width, height, _depth = self._widget.mrmlSliceNode().GetDimensions()
        column = self._column()
        pixels = self._widget.sliceLogic().GetBackgroundLayer().GetImageDataConnection()
        self._image.SetVisibility(pixels is not None and column > 0)
        if pixels is not None and column > 0:
            self._cut.SetInputConnection(pixels)
            self._cut.SetVOI(0, min(column, width) - 1, 0, height - 1, 0, 0)
        _place_line(self._points, column, height)
        view = self._widget.sliceView()
        view.cornerAnnotation().SetText(POSITION, _("acquired | synthetic"))
        view.scheduleRender()

    def _on_press(self, interactor: vtk.vtkRenderWindowInteractor, event: str) -> None:
        if abs(interactor.GetEventPosition()[0] - self._column()) <= REACH:
            self._dragging = True
            self._keep_from_slicer(interactor, event)

    def _on_move(self, interactor: vtk.vtkRenderWindowInteractor, event: str) -> None:
        if self._dragging:
            width = max(self._widget.mrmlSliceNode().GetDimensions()[0], 1)
            self.set_split(interactor.GetEventPosition()[0] / width)
            self._keep_from_slicer(interactor, event)
            self._on_moved(self._split)

    def _on_release(self, interactor: vtk.vtkRenderWindowInteractor, event: str) -> None:
        if self._dragging:
            self._dragging = False
            self._keep_from_slicer(interactor, event)

    def _keep_from_slicer(self, interactor: vtk.vtkRenderWindowInteractor, event: str) -> None:
        """Dragging the line must not change window and level as well."""
        number = ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent").index(event)
        interactor.GetCommand(self._tags[number]).SetAbortFlag(1)


def _image_actor(cut: vtk.vtkExtractVOI) -> Any:
    """What draws the pixels as they are; without their opacity, so that nothing of the result shines through."""
    opaque = vtk.vtkImageExtractComponents()
    opaque.SetInputConnection(cut.GetOutputPort())
    opaque.SetComponents(0, 1, 2)
    mapper = vtk.vtkImageMapper()
    mapper.SetInputConnection(opaque.GetOutputPort())
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    return actor


def _line_mapper(points: vtk.vtkPoints) -> vtk.vtkPolyDataMapper2D:
    """A vertical line (points 0 and 1) with a grip in its middle (points 2 to 5)."""
    points.SetNumberOfPoints(6)
    line, grip, shape = vtk.vtkCellArray(), vtk.vtkCellArray(), vtk.vtkPolyData()
    line.InsertNextCell(2, [0, 1])
    grip.InsertNextCell(4, [2, 3, 4, 5])
    shape.SetPoints(points)
    shape.SetLines(line)
    shape.SetPolys(grip)
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(shape)
    return mapper


def _place_line(points: vtk.vtkPoints, column: int, height: int) -> None:
    middle = height / 2
    places = [(column, 0), (column, height)]
    places += [(column - GRIP, middle), (column, middle - GRIP), (column + GRIP, middle), (column, middle + GRIP)]
    for number, (x, y) in enumerate(places):
        points.SetPoint(number, x, y, 0)
    points.Modified()
