"""The part of the uncertainty panel that shows a map: the button, the scale in words, and the regions to look at."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .overlay import SCALE_PERCENT, Overlay, reason_not_shown
from .regions import Region, least_trusted_regions
from .result_nodes import provenance_of


class OverlayPanel:
    """Connects the widgets of the display section with an `Overlay`.

    Args:
        ui: widgets by name: overlayButton, overlayHintLabel, scaleLabel, regionsListWidget.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._overlay = Overlay()
        self._node: Any = None
        self._regions: list[Region] = []
        ui.overlayButton.connect("toggled(bool)", self._on_toggled)
        ui.regionsListWidget.connect("currentRowChanged(int)", self._on_region)
        self._describe([], "")

    def offer(self, parameter_node: Any) -> None:
        """Follow the choices in the parameter node (imageVolume, uncertaintyVolume, threshold, opacity), or hide."""
        self._node = parameter_node
        if parameter_node is None:
            self._ui.overlayButton.checked = False
            return
        reason = reason_not_shown(parameter_node.imageVolume, parameter_node.uncertaintyVolume)
        self._ui.overlayButton.enabled = not reason
        self._ui.overlayButton.toolTip = reason or _("Lay the map over the synthetic volume in all slice views.")
        self._ui.overlayHintLabel.text = reason
        self._ui.overlayHintLabel.visible = bool(reason)
        if not self._overlay.shows(parameter_node.imageVolume, parameter_node.uncertaintyVolume):
            self._ui.overlayButton.checked = False
        self._overlay.adjust(threshold_percent=parameter_node.threshold, opacity=parameter_node.opacity)

    def _on_toggled(self, checked: bool) -> None:
        if not checked or self._node is None:
            self._overlay.hide()
            self._describe([], "")
            return
        with slicer.util.tryWithErrorDisplay(_("Failed to show the map."), waitCursor=True):
            image, uncertainty = self._node.imageVolume, self._node.uncertaintyVolume
            maximum = self._overlay.show(
                image, uncertainty, threshold_percent=self._node.threshold, opacity=self._node.opacity
            )
            self._describe(
                least_trusted_regions(image, uncertainty),
                f"{scale_text(maximum)} {calibration_text(uncertainty)}".strip(),
            )

    def _describe(self, regions: list[Region], scale: str) -> None:
        self._regions = regions
        self._ui.regionsListWidget.clear()
        for region in regions:
            self._ui.regionsListWidget.addItem(region.sentence)
        for widget in (self._ui.regionsLabel, self._ui.regionsListWidget):
            widget.visible = bool(regions)
        self._ui.scaleLabel.text = scale
        self._ui.scaleLabel.visible = bool(scale)

    def _on_region(self, row: int) -> None:
        """Go to the region in all slice views."""
        if 0 <= row < len(self._regions):
            slicer.vtkMRMLSliceNode.JumpAllSlices(
                slicer.mrmlScene, *self._regions[row].position, slicer.vtkMRMLSliceNode.CenteredJumpSlice
            )


def scale_text(maximum: float) -> str:
    """The scale of the colors in words; `maximum` in the units of the volume."""
    text = _("Colors run from 0 to {maximum} (standard deviation in image units), which is {percent} % of the signal.")
    return text.format(maximum=f"{maximum:.3g}", percent=f"{SCALE_PERCENT:g}")


def calibration_text(uncertainty: slicer.vtkMRMLScalarVolumeNode) -> str:
    """What the numbers of a map are worth; empty when it was calibrated."""
    provenance = provenance_of(uncertainty)
    if provenance.get("calibration"):
        return ""
    if "calibration" in provenance:
        return _("The model is not calibrated: the map shows where to trust more or less, not how much.")
    return _("The volume does not say how it was made: it may not be calibrated, or not be a map of uncertainty.")
