"""The case on the screen: nodes under neutral names, always with the same window and level, gone with the next case.

Nothing of a node tells the arm: no file name, no attribute, no storage node; colors, layout and zoom are reset for
every case. The corner mark of synthetic volumes does not appear, because the copies in a study do not say what they
are; the key and the report do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from SynthMRIModuleLib.node_volume import write_volume
from SynthMRIModuleLib.overlay import COLOR_NODE_ID
from SynthMRIModuleLib.result_nodes import remove_result_node

from .pictures import OVERLAY_ROLE, REGIONS_ROLE, Picture, only_file, pictures_of
from .reading_layout import ReadingLayout, empty_views, reading_widgets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from SynthMRILib.readers.responses import Presentation
    from SynthMRILib.readers.study import Study
    from SynthMRILib.volume import Volume

GRAY = "vtkMRMLColorTableNodeGrey"
OVERLAY_OPACITY = 0.6


class CaseDisplay:
    """Shows one presentation at a time and takes all of it away again."""

    def __init__(self) -> None:
        self._layout = ReadingLayout()
        self._nodes: list[slicer.vtkMRMLScalarVolumeNode] = []
        self._overlay: slicer.vtkMRMLScalarVolumeNode | None = None
        self._legend: slicer.vtkMRMLColorLegendDisplayNode | None = None
        self._regions: Volume | None = None

    @property
    def nodes(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """The volumes on the screen, from left to right."""
        return list(self._nodes)

    @property
    def has_overlay(self) -> bool:
        """Whether the case comes with a map that can be laid over it."""
        return self._overlay is not None

    def show(self, study: Study, presentation: Presentation) -> None:
        """Put a presentation in the place of what is shown.

        Raises InputError, or TamperedError when a file is not the one the study was made with; nothing is shown then.
        """
        self.clear()
        try:
            self._nodes = [self._add(study, picture) for picture in pictures_of(presentation)]
            self._overlay = self._add_overlay(study, presentation)
            regions = only_file(presentation, REGIONS_ROLE)
            self._regions = _read(study, presentation.cases[0], REGIONS_ROLE, regions) if regions else None
            self._layout.show(self._nodes)
        except BaseException:
            self.hide()
            raise

    def set_overlay(self, visible: bool) -> None:
        """Lay the map over the case in all our views, or take it away; its colors never change."""
        node_id = self._overlay.GetID() if visible and self._overlay is not None else None
        for widget in reading_widgets():
            composite = widget.mrmlSliceCompositeNode()
            if composite.GetBackgroundVolumeID() in {node.GetID() for node in self._nodes}:
                composite.SetForegroundVolumeID(node_id)
                composite.SetForegroundOpacity(OVERLAY_OPACITY if node_id else 0.0)
        if self._legend is not None:
            self._legend.SetVisibility(node_id is not None)

    def proposed_region(self, ras: Sequence[float], names: Sequence[str]) -> str | None:
        """The region of a place [mm] from the label volume of the case; None where that says nothing."""
        from SynthMRILib.readers.regions import proposed_region

        return proposed_region(self._regions, ras, names) if self._regions is not None else None

    def clear(self) -> None:
        """Take the case away; the views stay, empty."""
        empty_views()  # a view that loses the display node of its volume makes a new one, which nobody would remove
        if self._legend is not None and self._legend.GetScene() is not None:
            slicer.mrmlScene.RemoveNode(self._legend)
        for node in (*self._nodes, self._overlay):
            if node is not None and node.GetScene() is not None:
                remove_result_node(node)
        self._nodes, self._overlay, self._legend, self._regions = [], None, None, None

    def hide(self) -> None:
        """Take the case away and give the reader's own layout back."""
        self.clear()
        self._layout.leave()

    def _add(self, study: Study, picture: Picture) -> slicer.vtkMRMLScalarVolumeNode:
        volume = _read(study, picture.case, picture.role, picture.file)
        node = _add_node(volume, picture.title)
        low, high = study.protocol["display"]
        if picture.role == "difference":
            low, high = (low - high) / 2, (high - low) / 2
        _fix_levels(node, low=low, high=high, colors=GRAY)
        return node

    def _add_overlay(self, study: Study, presentation: Presentation) -> slicer.vtkMRMLScalarVolumeNode | None:
        file = only_file(presentation, OVERLAY_ROLE)
        if file is None:
            return None
        node = _add_node(_read(study, presentation.cases[0], OVERLAY_ROLE, file), _("Map"))
        low, high = study.protocol["overlay"]["range"]
        _fix_levels(node, low=low, high=high, colors=COLOR_NODE_ID)
        display = node.GetDisplayNode()
        display.SetThreshold(float(np.nextafter(np.float32(low), np.float32(np.inf))), float(np.finfo(np.float32).max))
        display.SetApplyThreshold(True)
        self._legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display)
        self._legend.SetTitleText(study.protocol["overlay"]["unit"])
        self._legend.SetVisibility(False)
        return node


def _read(study: Study, case: str, role: str, file: Path) -> Volume:
    """A volume of a study, after comparing the file with the protocol."""
    from SynthMRILib.readers.chain import TamperedError
    from SynthMRILib.readers.study import file_sha256
    from SynthMRILib.volume_io import read_volume

    recorded = study.protocol["cases"][case][role]["sha256"]
    if not file.is_file() or file_sha256(file) != recorded:
        raise TamperedError(
            _("Case {case} ({role}) is missing or was altered; restore a copy of the study.").format(
                case=case, role=role
            )
        )
    return read_volume(file)


def _add_node(volume: Any, title: str) -> slicer.vtkMRMLScalarVolumeNode:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", title)
    node.SetSaveWithScene(False)
    write_volume(volume, node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node


def _fix_levels(node: slicer.vtkMRMLScalarVolumeNode, *, low: float, high: float, colors: str) -> None:
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors)
    display.SetInterpolate(True)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
