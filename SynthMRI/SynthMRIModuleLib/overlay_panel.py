"""The part of the uncertainty panel that shows a map: overlay or outlines, scale, value, quality and places."""

from __future__ import annotations

import logging
from typing import Any

import slicer
from slicer.i18n import tr as _

from .background_call import BackgroundCall
from .content_watch import ContentWatch
from .cursor_readout import CursorReadout
from .map_match import reason_not_its_map
from .node_volume import voxels_on_node
from .overlay import Overlay, limit_percent, reason_not_shown, scale_percent
from .place_table import PlaceTable
from .quality import quality_of
from .regions import find_regions, region_columns, region_rows
from .result_nodes import provenance_of


class OverlayPanel:
    """Connects the widgets of the display section with an `Overlay`.

    Args:
        ui: widgets by name: overlayButton, overlayHintLabel, scaleLabel, cursorLabel, qualityLabel, regionsLabel,
            regionsTableWidget, regionSentenceLabel.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._overlay = Overlay()
        self._node: Any = None
        self._regions = PlaceTable(ui.regionsTableWidget, ui.regionSentenceLabel, region_columns())
        self._cursor = CursorReadout(self._say_value)
        self._search = BackgroundCall()
        self._searched: tuple[Any, ...] = ()
        self._watch = ContentWatch(self._look_again)
        ui.overlayButton.connect("toggled(bool)", self._on_toggled)
        self._clear()

    @property
    def busy(self) -> bool:
        """True while regions or outlines are looked for."""
        return self._search.running or self._overlay.busy

    def offer(self, parameter_node: Any) -> None:
        """Follow the choices in the parameter node (imageVolume, uncertaintyVolume, threshold, opacity, contour,
        segmentationVolume), or hide everything for None."""
        self._node = parameter_node
        if parameter_node is None:
            self._ui.overlayButton.checked = False
            return
        reason = reason_not_shown(parameter_node.imageVolume, parameter_node.uncertaintyVolume)
        self._ui.overlayButton.enabled = not reason
        self._ui.overlayButton.toolTip = reason or _("Lay the map over the synthetic volume in all slice views.")
        hint = reason or reason_not_its_map(parameter_node.imageVolume, parameter_node.uncertaintyVolume)
        self._ui.overlayHintLabel.text, self._ui.overlayHintLabel.visible = hint, bool(hint)
        self._show_quality(None if reason else parameter_node.uncertaintyVolume)
        if not self._overlay.shows(parameter_node.imageVolume, parameter_node.uncertaintyVolume):
            self._ui.overlayButton.checked = False
        elif self._searched and self._searched[-1] is not parameter_node.segmentationVolume:
            self._look_again()
        self._overlay.adjust(**self._look())

    def _look(self) -> dict[str, Any]:
        node = self._node
        return {"threshold_percent": node.threshold, "opacity": node.opacity, "contour": node.contour}

    def _on_toggled(self, checked: bool) -> None:
        if not checked or self._node is None:
            self._overlay.hide()
            self._clear()
            return
        with slicer.util.tryWithErrorDisplay(_("Failed to show the map."), waitCursor=True):
            image, uncertainty = self._node.imageVolume, self._node.uncertaintyVolume
            maximum = self._overlay.show(image, uncertainty, **self._look())
            percent = scale_percent(uncertainty)
            texts = (scale_text(maximum, percent), threshold_text(uncertainty), calibration_text(uncertainty))
            self._say_scale(" ".join(filter(None, texts)))
            self._cursor.follow(uncertainty, unit=100 * maximum / percent)
            self._look_for_regions(image, uncertainty)

    def _look_again(self) -> None:
        """Another segmentation gives the places other names, other voxels other places; those there are wrong now."""
        if self._node is not None and self._searched:
            self._look_for_regions(*self._searched[:2])

    def _look_for_regions(self, image: Any, uncertainty: Any) -> None:
        from SynthMRILib.errors import SynthMRIError

        self._searched = (image, uncertainty, self._node.segmentationVolume)
        self._watch.watch(self._searched)
        self._regions.show([])
        nodes = {"total": uncertainty, "image": image, "segmentation": self._node.segmentationVolume}
        self._say_regions(_("Looking for the least trusted places..."))
        try:
            given = {name: voxels_on_node(node) for name, node in nodes.items() if node is not None}
        except SynthMRIError as error:
            self._not_found(error)
            return
        limit = limit_percent(uncertainty)
        self._search.start(
            lambda: find_regions(**{name: voxels.volume() for name, voxels in given.items()}, limit=limit),
            lambda found: self._show_regions(found, image),
            self._not_found,
        )

    def _not_found(self, error: Exception) -> None:
        from SynthMRILib.errors import SynthMRIError

        self._search.forget()
        self._say_regions(_("The least trusted places could not be found: {reason}").format(reason=error))
        if not isinstance(error, SynthMRIError):
            logging.error("SynthMRI: unexpected failure", exc_info=error)

    def _show_regions(self, clusters: list[Any], image: Any) -> None:
        if image.GetScene() is None:
            return
        self._regions.show(region_rows(clusters, image))
        places = _("Least trusted places, largest first. Select one to go there:")
        self._say_regions(places if clusters else _("No place is more uncertain than the limit."))

    def _show_quality(self, uncertainty: Any) -> None:
        """The traffic light in words: color alone would not do."""
        quality = quality_of(uncertainty) if uncertainty is not None else {}
        self._ui.qualityLabel.text = quality.get("sentence", "")
        self._ui.qualityLabel.toolTip = _("Rule: {rule}").format(rule=quality.get("rule", ""))
        self._ui.qualityLabel.visible = bool(quality)

    def _clear(self) -> None:
        self._search.forget()
        self._searched = ()
        self._watch.watch([])
        self._cursor.stop()
        self._regions.show([])
        self._say_regions("")
        self._say_scale("")

    def _say_regions(self, text: str) -> None:
        self._ui.regionsLabel.text = text
        self._ui.regionsLabel.visible = bool(text)

    def _say_scale(self, text: str) -> None:
        self._ui.scaleLabel.text = text
        self._ui.scaleLabel.visible = bool(text)

    def _say_value(self, text: str) -> None:
        self._ui.cursorLabel.text = text
        self._ui.cursorLabel.visible = bool(text)


def scale_text(maximum: float, percent: float) -> str:
    """The scale of the colors in words; `maximum` in the units of the volume, `percent` of the signal."""
    text = _("Colors run from 0 to {maximum} (standard deviation in image units), which is {percent} % of the signal.")
    return text.format(maximum=f"{maximum:.3g}", percent=f"{percent:g}")


def threshold_text(uncertainty: slicer.vtkMRMLScalarVolumeNode) -> str:
    """What the threshold is at first; empty for a map whose model gives no limit."""
    if "high_limit_percent" not in (provenance_of(uncertainty).get("calibration") or {}):
        return ""
    text = _("In a usual volume 5 % of the voxels are above {limit} %, where the threshold begins.")
    return text.format(limit=f"{limit_percent(uncertainty):g}")


def calibration_text(uncertainty: slicer.vtkMRMLScalarVolumeNode) -> str:
    """What the numbers of a map are worth; empty when it was calibrated."""
    provenance = provenance_of(uncertainty)
    if provenance.get("calibration"):
        return ""
    if "calibration" in provenance:
        return _("The model is not calibrated: the map shows where to trust more or less, not how much.")
    return _("The volume does not say how it was made: it may not be calibrated, or not be a map of uncertainty.")
