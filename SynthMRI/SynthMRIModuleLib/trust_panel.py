"""What a reader does with a map: look up lesions and points, and blend the result with what was acquired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from .background_call import BackgroundCall
from .content_watch import ContentWatch
from .difference import reason_no_difference
from .made_from import acquired_of
from .node_volume import voxels_on_node
from .overlay import limit_percent, reason_not_shown
from .place_table import PlaceTable
from .regions import lesion_columns, lesion_rows
from .result_nodes import SourceSnapshot, add_result_node, provenance_of, source_of

BLEND_ROLE = "blend"


class TrustPanel:
    """Connects the widgets of the sections "Lesions" and "Blend".

    Args:
        ui: widgets by name: lesionTableWidget, lesionSentenceLabel, lesionButton, lesionHintLabel, blendButton,
            blendHintLabel.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._node: Any = None
        self._asked_of: tuple[Any, ...] = ()
        self._watch = ContentWatch(self._on_content)
        self._table = PlaceTable(ui.lesionTableWidget, ui.lesionSentenceLabel, lesion_columns())
        self._lesions, self._blend = BackgroundCall(), BackgroundCall()
        ui.lesionButton.connect("clicked()", self._on_lesions)
        ui.blendButton.connect("clicked()", self._on_blend)

    @property
    def busy(self) -> bool:
        """True while something is computed."""
        return self._lesions.running or self._blend.running

    def offer(self, node: Any) -> None:
        """Follow the parameter node (imageVolume, uncertaintyVolume, lesionVolume, lesionPoints); None: leave.

        What was looked up, or is being looked up, is forgotten as soon as another one of them is selected or changes:
        rows and sentence would be those of another volume, maybe of another patient.
        """
        self._node = node
        asked_of = (node.imageVolume, node.uncertaintyVolume, node.lesionVolume, node.lesionPoints) if node else ()
        if [id(volume) for volume in asked_of] != [id(volume) for volume in self._asked_of]:
            self._asked_of = asked_of
            self._watch.watch(asked_of)
            self._forget()
        if node is None:
            return
        pair = reason_not_shown(node.imageVolume, node.uncertaintyVolume)
        no_lesions = "" if node.lesionVolume or node.lesionPoints else _("Select a lesion segmentation or points.")
        self._enable(self._ui.lesionButton, self._ui.lesionHintLabel, pair or no_lesions)
        self._enable(self._ui.blendButton, self._ui.blendHintLabel, pair or reason_no_blend(node.imageVolume))

    def _on_content(self) -> None:
        self._forget()
        self.offer(self._node)

    def _forget(self) -> None:
        self._lesions.forget()
        self._blend.forget()
        self._table.show([])

    def _enable(self, button: Any, hint: Any, reason: str) -> None:
        button.enabled = not reason
        hint.text, hint.visible = reason, bool(reason)

    def _on_lesions(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        image = self._node.imageVolume
        try:
            work = self._lesion_work()
        except SynthMRIError as error:
            self._failed(error, "lesion")
            return
        self._lesions.start(
            work, lambda found: self._table.show(lesion_rows(found, image)), lambda error: self._failed(error, "lesion")
        )

    def _lesion_work(self) -> Callable[[], list[Any]]:
        from SynthMRILib.uncertainty.lesions import lesion_uncertainty, point_uncertainty

        node, (total, shown) = self._node, self._voxels()
        if node.lesionVolume:
            lesions = voxels_on_node(node.lesionVolume)
            return lambda: lesion_uncertainty(total.volume(), shown.volume(), lesions.volume())
        points = points_in(node.lesionPoints, node.imageVolume)
        return lambda: point_uncertainty(total.volume(), shown.volume(), points)

    def _on_blend(self) -> None:
        """Fade to what the result was made from, which a thread compares with the provenance first."""
        from SynthMRILib.errors import SynthMRIError
        from SynthMRILib.uncertainty.blending import gated_blend

        image = self._node.imageVolume
        try:
            acquired, (total, shown) = acquired_of(image), self._voxels()
        except SynthMRIError as error:
            self._failed(error, "blend")
            return
        limit = limit_percent(self._node.uncertaintyVolume)
        self._enable(self._ui.blendButton, self._ui.blendHintLabel, _("Blending..."))
        self._blend.start(
            lambda: gated_blend(shown.volume(), acquired.volume(), total.volume(), limit=limit),
            lambda volume: self._blended(volume, image),
            lambda error: self._failed(error, "blend"),
        )

    def _blended(self, volume: Any, image: slicer.vtkMRMLScalarVolumeNode) -> None:
        if source_of(image) is None:  # closed or deleted meanwhile
            return
        provenance = {**provenance_of(image), "blend": "synthetic, fading to acquired where uncertainty is high"}
        node = add_result_node(
            volume,
            source=SourceSnapshot.of(source_of(image)),
            name=_("{name} BLEND").format(name=image.GetName()),
            role=BLEND_ROLE,
            task="uncertainty",
            provenance=provenance,
        )
        slicer.util.setSliceViewerLayers(background=node)
        self.offer(self._node)
        self._ui.blendHintLabel.text = _("'{name}' was added.").format(name=node.GetName())
        self._ui.blendHintLabel.visible = True

    def _failed(self, error: Exception, part: str) -> None:
        self.offer(self._node)
        hint = getattr(self._ui, f"{part}HintLabel")
        hint.text, hint.visible = str(error), True

    def _voxels(self) -> tuple[Any, Any]:
        return voxels_on_node(self._node.uncertaintyVolume), voxels_on_node(self._node.imageVolume)


def reason_no_blend(image: slicer.vtkMRMLNode | None) -> str:
    """Why a result cannot be blended with its source, in one sentence; empty when it can."""
    if source_of(image) is None:
        return _("The acquired volume that this was made from is not in the scene.")
    return "" if not reason_no_difference(image) else _("The result has another contrast than what was acquired.")


def points_in(
    points: slicer.vtkMRMLMarkupsFiducialNode, image: slicer.vtkMRMLScalarVolumeNode
) -> list[tuple[float, float, float]]:
    """Positions of the control points in the own coordinates of a volume (RAS, mm)."""
    import vtk

    to_image = vtk.vtkGeneralTransform()
    if image.GetParentTransformNode() is not None:
        image.GetParentTransformNode().GetTransformFromWorld(to_image)
    found = []
    for number in range(points.GetNumberOfControlPoints()):
        position = [0.0, 0.0, 0.0]
        points.GetNthControlPointPositionWorld(number, position)
        found.append(tuple(to_image.TransformPoint(position)))
    return found
