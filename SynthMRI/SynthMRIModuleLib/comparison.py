"""Before, after, their difference and their uncertainty, in linked views of our own; the user's layout comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import slicer

from .compare_layouts import (
    AFTER_VIEW,
    BEFORE_VIEW,
    DIFFERENCE_VIEW,
    LAYOUT_ID,
    PLOT_VIEW,
    SINGLE_VIEW,
    UNCERTAINTY_VIEW,
    layout_id,
    layout_ids,
    layout_node,
    register_layouts,
    slice_views,
)
from .side_marks import SideMarks
from .swipe import Swipe
from .window_link import WindowLink

#: How the views are turned unless a pair asks for something else.
USUAL = "Axial"


@dataclass(frozen=True)
class Compared:
    """What is shown.

    Args:
        before: acquired volume.
        after: result.
        difference: after - before, or None.
        uncertainty: map of the result, or None.
        single: one view with both on top of each other in place of one for each.
        chart: plot chart below, or None.
        orientation: how the views are turned for this pair at first, e.g. "Coronal"; "" leaves them as they are.
    """

    before: slicer.vtkMRMLScalarVolumeNode
    after: slicer.vtkMRMLScalarVolumeNode
    difference: slicer.vtkMRMLScalarVolumeNode | None = None
    uncertainty: slicer.vtkMRMLScalarVolumeNode | None = None
    single: bool = False
    chart: slicer.vtkMRMLPlotChartNode | None = None
    orientation: str = ""

    def layout(self) -> int:
        wanted = {
            SINGLE_VIEW: self.single,
            DIFFERENCE_VIEW: self.difference is not None,
            UNCERTAINTY_VIEW: self.uncertainty is not None,
            PLOT_VIEW: self.chart is not None,
        }
        return layout_id([view for view, is_wanted in wanted.items() if is_wanted])

    def volume_of(self, view: str) -> slicer.vtkMRMLScalarVolumeNode:
        return {
            AFTER_VIEW: self.after,
            DIFFERENCE_VIEW: self.difference,
            UNCERTAINTY_VIEW: self.uncertainty,
        }.get(view, self.before)


class Comparison:
    """Shows a source and its result, and puts the user's layout back afterwards.

    Args:
        on_split: called with the place of the line between the two, 0 to 1, when the user drags it.
    """

    def __init__(self, on_split: Callable[[float], None] = lambda _position: None) -> None:
        self._previous_layout: int | None = None
        self._pair: tuple[str, str] | None = None
        self._turned = False
        self._marks = SideMarks()
        self._window_link = WindowLink()
        self._swipe = Swipe(on_split)

    @property
    def shown(self) -> bool:
        """False also when the user has chosen another layout meanwhile."""
        node = layout_node()
        return node is not None and node.GetViewArrangement() in layout_ids()

    def show(self, compared: Compared, *, same_contrast: bool = True) -> None:
        """Switch to the views, all in the plane of `before`'s voxels that is nearest, and at the same place."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        register_layouts()
        if not self.shown:
            self._previous_layout = layout_node().GetViewArrangement()
        pair = (compared.before.GetID(), compared.after.GetID())
        place = self._place() if self.shown and pair == self._pair else None
        self._pair = pair
        manager.setLayout(compared.layout())
        views = slice_views(compared.layout())
        if place is None:
            self._turn(views, compared.orientation)
        for view in views:
            _fill_view(manager.sliceWidget(view), compared.volume_of(view), plane_of=compared.before)
        if compared.single:
            composite = manager.sliceWidget(SINGLE_VIEW).mrmlSliceCompositeNode()
            composite.SetForegroundVolumeID(compared.after.GetID())
        self._same_place(views, place)
        self._show_chart(compared)
        self._marks.follow(views)
        self._window_link.link(compared.before, compared.after if same_contrast else None)

    def set_opacity(self, opacity: float) -> None:
        """How much of the result is seen over its source in the single view, 0 to 1."""
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(SINGLE_VIEW) if manager is not None else None
        if widget is not None:
            widget.mrmlSliceCompositeNode().SetForegroundOpacity(opacity)

    def set_split(self, position: float | None) -> None:
        """Show the source left of this place of the single view (0 to 1) and the result right of it; None: no line."""
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(SINGLE_VIEW) if manager is not None and self.shown else None
        if position is None or widget is None:
            self._swipe.hide()
        else:
            self._swipe.set_split(position)
            self._swipe.show(widget)

    def leave(self) -> None:
        """Put back the layout from before, unless the user has chosen another one meanwhile."""
        self._swipe.hide()
        manager = slicer.app.layoutManager()
        if manager is not None and self.shown:
            manager.setLayout(self._previous_layout or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._previous_layout = self._pair = None
        self._marks.stop()
        self._window_link.stop()

    def _turn(self, views: list[str], orientation: str) -> None:
        """Turn the views as a new pair asks for; they are turned back for the next one that asks for nothing."""
        for view in views if orientation or self._turned else ():
            slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode().SetOrientation(orientation or USUAL)
        self._turned = bool(orientation)

    def _place(self) -> slicer.vtkMRMLSliceNode | None:
        """The slice node of a view that is shown now: its place is kept when views are added or taken away."""
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(slice_views(layout_node().GetViewArrangement())[0])
        return widget.mrmlSliceNode() if widget is not None else None

    def _same_place(self, views: list[str], place: slicer.vtkMRMLSliceNode | None) -> None:
        """Fitting rounds to the voxels of each volume; afterwards all views must show exactly the same region."""
        nodes = [slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode() for view in views]
        source = place if place is not None and place.GetScene() is not None else nodes[0]
        for target in nodes:
            if target is not source:
                target.GetSliceToRAS().DeepCopy(source.GetSliceToRAS())
                target.SetFieldOfView(*_field_of_view(source, target.GetDimensions()))
                target.SetXYZOrigin(*source.GetXYZOrigin())
                target.UpdateMatrices()

    def _show_chart(self, compared: Compared) -> None:
        view = slicer.mrmlScene.GetSingletonNode(PLOT_VIEW, "vtkMRMLPlotViewNode")
        if compared.chart is not None and view is not None:
            view.SetPlotChartNodeID(compared.chart.GetID())


def _field_of_view(source: slicer.vtkMRMLSliceNode, pixels: tuple[int, int, int]) -> tuple[float, float, float]:
    """Region [mm] of a view with so many pixels that holds all `source` shows, undistorted whatever its shape."""
    width, height, depth = source.GetFieldOfView()
    pixel = max(width / max(pixels[0], 1), height / max(pixels[1], 1))
    return pixel * pixels[0], pixel * pixels[1], depth


def _fill_view(
    widget: slicer.qMRMLSliceWidget,
    volume: slicer.vtkMRMLScalarVolumeNode,
    *,
    plane_of: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    composite = widget.mrmlSliceCompositeNode()
    # Volumes that are loaded later must not replace those that are being compared.
    composite.SetDoPropagateVolumeSelection(False)
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetBackgroundVolumeID(volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    widget.mrmlSliceNode().SetViewGroup(LAYOUT_ID)
    widget.mrmlSliceNode().RotateToVolumePlane(plane_of)
    widget.fitSliceToBackground()


__all__ = ["AFTER_VIEW", "BEFORE_VIEW", "Compared", "Comparison"]
