"""The value of a map under the mouse pointer, in its units and in percent of the signal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .node_volume import ijk_to_ras


class CursorReadout(VTKObservationMixin):
    """Follows Slicer's crosshair, which knows the place of the pointer in every view.

    Args:
        say: gets the text, empty where there is nothing to say.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._say = say
        self._map: slicer.vtkMRMLScalarVolumeNode | None = None
        self._unit = 0.0

    def follow(self, uncertainty: slicer.vtkMRMLScalarVolumeNode, *, unit: float) -> None:
        """Tell the values of this map from now on; `unit` is the intensity that counts as 100 % of the signal."""
        self.stop()
        self._map, self._unit = uncertainty, unit
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is not None:
            self.addObserver(crosshair, slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent, self._on_moved)

    def stop(self) -> None:
        """Tell nothing any more."""
        self.removeObservers()
        self._map = None
        self._say("")

    def _on_moved(self, crosshair: slicer.vtkMRMLCrosshairNode, _event: str | None = None) -> None:
        position = [0.0, 0.0, 0.0]
        inside = crosshair.GetCursorPositionRAS(position)
        value = value_at(self._map, position) if inside else None
        if value is None:
            self._say("")
            return
        self._say(
            _("Under the pointer: {value} ({percent} % of the signal)").format(
                value=f"{value:.3g}", percent=f"{100 * value / self._unit:.1f}" if self._unit else "?"
            )
        )


def value_at(node: slicer.vtkMRMLScalarVolumeNode | None, position: list[float]) -> float | None:
    """Value of the nearest voxel at a place in the world (RAS, mm); None outside."""
    if node is None or node.GetImageData() is None or node.GetScene() is None:
        return None
    if node.GetParentTransformNode() is not None:
        from_world = vtk.vtkGeneralTransform()
        node.GetParentTransformNode().GetTransformFromWorld(from_world)
        position = from_world.TransformPoint(position)
    ijk = np.linalg.inv(ijk_to_ras(node)) @ [*position, 1.0]
    i, j, k = (round(x) for x in ijk[:3])
    voxels = slicer.util.arrayFromVolume(node)
    if not (0 <= k < voxels.shape[0] and 0 <= j < voxels.shape[1] and 0 <= i < voxels.shape[2]):
        return None
    return float(voxels[k, j, i])
