"""A map of uncertainty laid over the volume it belongs to, always in the same colors and on the same scale.

The map holds standard deviations in the units of the volume. Its color scale ends at a part of the signal range (99.5th
percentile of the non-zero voxels of the volume) that is fixed for the model, so that the same color means the same in
every case of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from .contour import Contour
from .node_volume import ijk_to_ras, reason_not_usable, thinned
from .result_nodes import OUTPUT_ATTRIBUTE, provenance_of

COLOR_NODE_ID = "vtkMRMLColorTableNodeIron"
UNCERTAINTY_ROLES = ("epistemic", "aleatoric", "total")
CORNER_TOLERANCE_MM = 1e-3
#: Voxels the scale is told from at most: more would not change it by what can be seen, but block the window.
SCALE_SAMPLES = 1_000_000


def reason_not_shown(image: slicer.vtkMRMLNode | None, uncertainty: slicer.vtkMRMLNode | None) -> str:
    """Why these two cannot be laid over each other, in one sentence; empty when they can."""
    if image is None:
        return _("Select the synthetic volume.")
    if uncertainty is None:
        return _("Select an uncertainty volume. If there is none yet, it has to be computed first.")
    reason = reason_not_usable(image) or reason_not_usable(uncertainty)
    if reason:
        return reason
    if not _same_place(image, uncertainty):
        return _("'{first}' and '{second}' lie on different grids, so they do not belong together.").format(
            first=image.GetName(), second=uncertainty.GetName()
        )
    return ""


def is_uncertainty(node: slicer.vtkMRMLNode | None) -> bool:
    """True for a map that one of our tasks made."""
    return node is not None and node.GetAttribute(OUTPUT_ATTRIBUTE) in UNCERTAINTY_ROLES


def limit_percent(uncertainty: slicer.vtkMRMLScalarVolumeNode | None) -> float:
    """From where on a map counts as high [% of the signal range], as the model that made it says."""
    from SynthMRILib.uncertainty.limits import USUAL_LIMIT, limit_of

    return USUAL_LIMIT if uncertainty is None else limit_of(provenance_of(uncertainty))


def scale_percent(uncertainty: slicer.vtkMRMLScalarVolumeNode) -> float:
    """Upper end of the color scale of a map in percent of the signal range."""
    from SynthMRILib.uncertainty.limits import scale_end

    return scale_end(limit_percent(uncertainty))


def scale_maximum(image: slicer.vtkMRMLScalarVolumeNode, uncertainty: slicer.vtkMRMLScalarVolumeNode) -> float:
    """Standard deviation [units of the volume] at the upper end of the color scale."""
    return scale_percent(uncertainty) / 100 * signal_range(image)


def signal_range(image: slicer.vtkMRMLScalarVolumeNode) -> float:
    """Intensity that counts as 100 % of the signal."""
    from SynthMRILib.intensity import reference_intensity

    return reference_intensity(thinned(slicer.util.arrayFromVolume(image), SCALE_SAMPLES))


def show_as_map(node: slicer.vtkMRMLScalarVolumeNode, maximum: float) -> None:
    """Our colors, from 0 to `maximum` [units of the volume]."""
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(COLOR_NODE_ID)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, maximum)


@dataclass(frozen=True)
class _Layers:
    """What one slice view showed before."""

    composite: slicer.vtkMRMLSliceCompositeNode
    background: str | None
    foreground: str | None
    opacity: float

    @classmethod
    def of(cls, composite: slicer.vtkMRMLSliceCompositeNode) -> _Layers:
        return cls(
            composite,
            composite.GetBackgroundVolumeID(),
            composite.GetForegroundVolumeID(),
            composite.GetForegroundOpacity(),
        )

    def restore(self) -> None:
        self.composite.SetBackgroundVolumeID(self.background)
        self.composite.SetForegroundVolumeID(self.foreground)
        self.composite.SetForegroundOpacity(self.opacity)


class Overlay:
    """Shows one map over one volume in all slice views and puts everything back afterwards."""

    def __init__(self) -> None:
        self._layers: list[_Layers] = []
        self._image: slicer.vtkMRMLScalarVolumeNode | None = None
        self._map: slicer.vtkMRMLScalarVolumeNode | None = None
        self._display_before: slicer.vtkMRMLScalarVolumeDisplayNode | None = None
        self._legend: slicer.vtkMRMLColorLegendDisplayNode | None = None
        self._signal = 0.0
        self._contour = Contour()

    @property
    def busy(self) -> bool:
        """True while outlines are looked for."""
        return self._contour.busy

    def shows(
        self, image: slicer.vtkMRMLScalarVolumeNode | None, uncertainty: slicer.vtkMRMLScalarVolumeNode | None
    ) -> bool:
        """True while exactly this map is shown over exactly this image."""
        return self._map is not None and image is self._image and uncertainty is self._map

    def show(
        self,
        image: slicer.vtkMRMLScalarVolumeNode,
        uncertainty: slicer.vtkMRMLScalarVolumeNode,
        *,
        threshold_percent: float,
        opacity: float,
        contour: bool = False,
    ) -> float:
        """Lay the map over the image and return the upper end of the scale [units of the volume].

        Args:
            image: synthetic volume.
            uncertainty: standard deviations on the same grid.
            threshold_percent: values below this part of the signal range [%] are transparent.
            opacity: of the rest, 0 to 1.
            contour: outline what is above the threshold, with nothing laid over the image.
        """
        self.hide()
        self._image, self._map = image, uncertainty
        self._signal = signal_range(image)
        maximum = scale_percent(uncertainty) / 100 * self._signal
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        self._layers = [_Layers.of(composite) for composite in composites]
        self._prepare_display(uncertainty, maximum)
        slicer.util.setSliceViewerLayers(background=image, foreground=uncertainty, foregroundOpacity=opacity)
        self.adjust(threshold_percent=threshold_percent, opacity=opacity, contour=contour)
        return maximum

    def adjust(self, *, threshold_percent: float, opacity: float, contour: bool = False) -> None:
        """Change what is transparent; nothing happens while no map is shown."""
        if self._map is None:
            return
        display = self._map.GetDisplayNode()
        lower = self._signal * threshold_percent / 100
        display.SetThreshold(lower, max(lower, float(np.finfo(np.float32).max)))
        display.SetApplyThreshold(True)
        for layers in self._layers:
            layers.composite.SetForegroundOpacity(0.0 if contour else opacity)
        self._legend.SetVisibility(not contour)
        if contour:
            self._contour.show(self._map, level=lower)
        else:
            self._contour.hide()

    def hide(self) -> None:
        """Put back the layers of all views and the display of the map; harmless when nothing is shown."""
        if self._map is None:
            return
        self._contour.hide()
        for layers in self._layers:
            if layers.composite.GetScene() is not None and self._still_ours(layers.composite):
                layers.restore()
        if self._map.GetScene() is not None:
            self._map.GetDisplayNode().CopyContent(self._display_before)
            self._map.GetDisplayNode().SetAndObserveColorNodeID(self._display_before.GetColorNodeID())
        if self._legend is not None and self._legend.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._legend)
        self._layers, self._legend, self._display_before = [], None, None
        self._image = self._map = None

    def _still_ours(self, composite: slicer.vtkMRMLSliceCompositeNode) -> bool:
        """False for a view in which the user has chosen another volume meanwhile."""
        return composite.GetForegroundVolumeID() == self._map.GetID()

    def _prepare_display(self, uncertainty: slicer.vtkMRMLScalarVolumeNode, maximum: float) -> None:
        uncertainty.CreateDefaultDisplayNodes()
        display = uncertainty.GetDisplayNode()
        self._display_before = slicer.vtkMRMLScalarVolumeDisplayNode()
        self._display_before.SetAndObserveColorNodeID(display.GetColorNodeID())
        self._display_before.CopyContent(display)
        show_as_map(uncertainty, maximum)
        self._legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display)
        self._legend.SetTitleText(_("SD\n[image units]"))
        self._legend.SetLabelFormat("%.3g")
        self._legend.SetVisibility(True)


def _same_place(one: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode) -> bool:
    from SynthMRILib.volume import Grid

    if one.GetParentTransformNode() is not other.GetParentTransformNode():
        return False
    grids = [Grid(slicer.util.arrayFromVolume(node).shape, ijk_to_ras(node)) for node in (one, other)]
    return grids[0].matches(grids[1], tolerance=CORNER_TOLERANCE_MM)
