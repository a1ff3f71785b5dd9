"""Marks that a reader sets in the slice views: points of a markups node, each with a region in its description.

The node is the truth; the panel's table shows it. A point set with the mouse gets the region that the label volume of
the case proposes, or none, which the reader has to choose then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

Point = Sequence[float]


class Marks(VTKObservationMixin):
    """The marks of one question.

    Args:
        propose: region of a place in RAS [mm], or None.
        on_changed: called after every change.
        on_placing_ended: called when clicks set marks no longer, by Escape, a right click or another question.
    """

    def __init__(
        self,
        *,
        propose: Callable[[Point], str | None],
        on_changed: Callable[[], None],
        on_placing_ended: Callable[[], None],
    ) -> None:
        VTKObservationMixin.__init__(self)
        self._propose, self._on_changed, self._on_placing_ended = propose, on_changed, on_placing_ended
        self._is_switching = False
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", _("Marks"))
        self.node.SetSaveWithScene(False)
        self.node.CreateDefaultDisplayNodes()
        self._is_ours = False
        self._placed: set[str] = set()
        events = slicer.vtkMRMLMarkupsNode
        for event in (events.PointPositionDefinedEvent, events.PointRemovedEvent, events.PointModifiedEvent):
            self.addObserver(self.node, event, self._on_points)
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._on_mode)

    def add(self, ras: Point, region: str | None = None) -> None:
        """Set a mark; without a region the proposed one is taken."""
        self._is_ours = True
        index = self.node.AddControlPoint(*ras)
        self._set_first_region(index, region)
        self._is_ours = False
        self._on_points()

    def remove(self, number: int) -> None:
        """Take a mark away; `number` counts from 0 in the order of `all`."""
        self.node.RemoveNthControlPoint(self._defined()[number])

    def set_region(self, number: int, region: str) -> None:
        """Overrule the region of a mark."""
        self.node.SetNthControlPointDescription(self._defined()[number], region)
        self._on_changed()

    def all(self) -> list[dict[str, Any]]:
        """Marks as an answer holds them: "ras" [mm] and "region" ("" where the reader has to choose it)."""
        return [
            {
                "ras": [round(float(x), 3) for x in self.node.GetNthControlPointPositionWorld(index)],
                "region": self.node.GetNthControlPointDescription(index),
            }
            for index in self._defined()
        ]

    def jump_to(self, number: int) -> None:
        """Bring all slice views to a mark."""
        place = self.node.GetNthControlPointPositionWorld(self._defined()[number])
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place, slicer.vtkMRMLSliceNode.OffsetJumpSlice)

    def set_placing(self, active: bool) -> None:
        """Let clicks in the slice views set marks, one after the other, or no longer."""
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self._is_switching = True
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # ends the placing of another question
        if active:
            selection = slicer.app.applicationLogic().GetSelectionNode()
            selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
            selection.SetActivePlaceNodeID(self.node.GetID())
            interaction.SetPlaceModePersistence(1)
            interaction.SetCurrentInteractionMode(interaction.Place)
        self._is_switching = False

    def close(self) -> None:
        """Take the marks out of the scene."""
        self.removeObservers()
        if self.node.GetScene() is None:
            return
        for index in range(self.node.GetNumberOfDisplayNodes()):
            slicer.mrmlScene.RemoveNode(self.node.GetNthDisplayNode(index))
        slicer.mrmlScene.RemoveNode(self.node)

    def _on_mode(self, interaction: vtk.vtkObject, _event: str | None = None) -> None:
        """Placing ended by Escape, a right click or another question."""
        if not self._is_switching and interaction.GetCurrentInteractionMode() != interaction.Place:
            self._on_placing_ended()

    def _defined(self) -> list[int]:
        """Control points that lie somewhere: while the mouse places one, the node holds a preview of it as well."""
        defined = slicer.vtkMRMLMarkupsNode.PositionDefined
        count = self.node.GetNumberOfControlPoints()
        return [n for n in range(count) if self.node.GetNthControlPointPositionStatus(n) == defined]

    def _set_first_region(self, index: int, region: str | None = None) -> None:
        """Give a new point its region; later only the reader changes it."""
        place = self.node.GetNthControlPointPositionWorld(index)
        self.node.SetNthControlPointDescription(index, region or self._propose(place) or "")
        self._placed.add(self.node.GetNthControlPointID(index))

    def _on_points(self, _caller: vtk.vtkObject | None = None, _event: str | None = None) -> None:
        if self._is_ours:
            return
        self._is_ours = True
        for number, index in enumerate(self._defined(), start=1):
            if self.node.GetNthControlPointLabel(index) != str(number):
                self.node.SetNthControlPointLabel(index, str(number))
            if self.node.GetNthControlPointID(index) not in self._placed:
                self._set_first_region(index)
        self._is_ours = False
        self._on_changed()


def cursor_position() -> Point | None:
    """Where the mouse stands in a slice view, RAS [mm]; None when it is elsewhere."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    ras = [0.0, 0.0, 0.0]
    return ras if crosshair is not None and crosshair.GetCursorPositionRAS(ras) else None
