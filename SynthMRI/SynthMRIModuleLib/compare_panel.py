"""The part of a panel that compares a result with its source, for as long as the module is open."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .choices import CompareMode
from .compare_extras import CompareExtras
from .comparison import Compared, Comparison
from .content_watch import ContentWatch
from .difference import reason_no_difference
from .made_from import show_frame
from .map_match import reason_no_map, uncertainty_of
from .plots import HISTOGRAM, JOINT
from .result_nodes import OUTPUT_ATTRIBUTE, TASK_ATTRIBUTE, source_of
from .thick_slices import TASK as THIN
from .thick_slices import view_across

BLINK_INTERVAL_MS = 700
#: Rows that only one way of comparing needs.
MODE_ROWS = {
    CompareMode.BLEND: ("blendLabel", "blendSliderWidget"),
    CompareMode.SWIPE: ("splitLabel", "splitSliderWidget"),
}


class ComparePanel(VTKObservationMixin):
    """Connects the widgets of the comparison with the views, also when the user changes the layout otherwise.

    Args:
        ui: widgets by name: resultSelector, compareButton, compareModeComboBox, differenceCheckBox,
            uncertaintyCheckBox, histogramButton, jointPlotButton, compareHintLabel and those of MODE_ROWS.
    """

    def __init__(self, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._comparison = Comparison(on_split=self._on_split)
        self._extras = CompareExtras(self._on_extras)
        self._source_watch = ContentWatch(self._on_extras)
        self._node: Any = None
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        self._chart_kind: str | None = None
        self._shown: tuple | None = None
        self._updating = self._before_is_up = False
        self._histogram_words, self._joint_plot_words = ui.histogramButton.toolTip, ui.jointPlotButton.toolTip
        self._timer = qt.QTimer()
        self._timer.setInterval(BLINK_INTERVAL_MS)
        self._timer.connect("timeout()", self._blink)
        # Maps and differences go with a result and are none themselves.
        ui.resultSelector.addAttribute("vtkMRMLScalarVolumeNode", OUTPUT_ATTRIBUTE, "output")
        ui.compareButton.connect("toggled(bool)", self._on_toggled)
        ui.differenceCheckBox.connect("toggled(bool)", lambda wanted: self._on_wanted("showDifference", wanted))
        ui.uncertaintyCheckBox.connect("toggled(bool)", lambda wanted: self._on_wanted("showUncertainty", wanted))
        ui.histogramButton.connect("clicked()", lambda: self._on_chart(HISTOGRAM))
        ui.jointPlotButton.connect("clicked()", lambda: self._on_chart(JOINT))
        self._observe_layout("connect")
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._on_node_removed)

    @property
    def busy(self) -> bool:
        """True while a difference or a chart is computed."""
        return self._extras.busy

    def offer(self, parameter_node: Any) -> None:
        """Follow the parameter node (outputVolume, compareMode, blend, split, showDifference, showUncertainty).

        The comparison ends when there is nothing to compare any more, or with None, when the panel is left.
        """
        self._node = parameter_node
        result = parameter_node.outputVolume if parameter_node else None
        self._result = result if source_of(result) is not None else None
        self._source_watch.watch([source_of(self._result)])
        if self._result is None:
            self._end()
        elif self._comparison.shown and self._shown is not None:
            self._show()
        self._update()

    def compare(self) -> None:
        """Show the result beside its source now."""
        if self._result is not None and self._node:
            self._show()
        self._update()

    def close(self) -> None:
        """The panel is about to go."""
        self._end()
        self._source_watch.watch([])
        self._observe_layout("disconnect")
        self.removeObservers()

    def _show(self) -> None:
        """Bring the views to what is chosen; nothing happens when they show that already."""
        node, result = self._node, self._result
        compared = self._compared()
        if (wanted := (compared, node.compareMode)) != self._shown or not self._comparison.shown:
            self._shown = wanted
            with slicer.util.tryWithErrorDisplay(_("Failed to compare."), waitCursor=True):
                self._comparison.show(compared, same_contrast=not reason_no_difference(result))
        blinking = node.compareMode == CompareMode.BLINK
        if blinking and not self._timer.active:
            self._timer.start()
        elif not blinking:
            self._timer.stop()
            self._comparison.set_opacity(1.0 if node.compareMode == CompareMode.SWIPE else node.blend)
        self._comparison.set_split(node.split if node.compareMode == CompareMode.SWIPE else None)

    def _compared(self) -> Compared:
        """What is to be shown now; the difference and the chart once they have been computed."""
        node, result = self._node, self._result
        wants_difference = node.showDifference and not reason_no_difference(result)
        return Compared(
            source_of(result),
            result,
            self._extras.difference(result) if wants_difference else None,
            uncertainty_of(result) if node.showUncertainty else None,
            orientation=view_across(source_of(result)) if result.GetAttribute(TASK_ATTRIBUTE) == THIN else "",
            single=node.compareMode != CompareMode.SIDE_BY_SIDE,
            chart=self._extras.chart(result, self._chart_kind) if self._chart_kind else None,
        )

    def _on_wanted(self, field: str, wanted: bool) -> None:
        """The user has switched what is shown beside the pair. A box that is off is empty, whatever is stored."""
        if self._node and not self._updating:
            setattr(self._node, field, wanted)

    def _on_chart(self, kind: str) -> None:
        """Show this chart of the pair below the views; again takes it away."""
        is_shown = kind == self._chart_kind and self._comparison.shown
        self._chart_kind = None if is_shown else kind
        self.compare()

    def _on_extras(self) -> None:
        if self._comparison.shown and self._shown is not None and self._result is not None:
            self._show()
        self._update()

    def _on_split(self, position: float) -> None:
        """The user has dragged the line between before and after."""
        if self._node:
            self._node.split = position

    def _blink(self) -> None:
        """Show the other one of the two."""
        self._before_is_up = not self._before_is_up
        self._comparison.set_opacity(0.0 if self._before_is_up else 1.0)

    def _end(self) -> None:
        self._timer.stop()
        self._extras.forget()
        self._shown = self._chart_kind = None
        self._comparison.leave()

    def _update(self, _layout: int = 0) -> None:
        if self._updating:
            return
        self._updating = True
        ui, there = self._ui, self._result is not None
        if not self._comparison.shown:
            self._timer.stop()
            self._comparison.set_split(None)
            self._shown = None
        ui.compareButton.enabled = ui.histogramButton.enabled = there
        ui.compareButton.checked = self._comparison.shown
        for button, kind in ((ui.histogramButton, HISTOGRAM), (ui.jointPlotButton, JOINT)):
            button.checked = self._comparison.shown and self._chart_kind == kind
        hints = self._update_reasons()
        ui.compareHintLabel.text = "\n".join(hints)
        ui.compareHintLabel.visible = bool(hints)
        for mode, widgets in MODE_ROWS.items():
            for name in widgets:
                getattr(ui, name).visible = bool(self._node) and self._node.compareMode == mode
        self._updating = False

    def _update_reasons(self) -> list[str]:
        """Turn on what can be shown of this result; tooltips, and the sentences given back, say why the rest cannot."""
        ui, result, nothing = self._ui, self._result, self._reason_off()
        ui.compareButton.toolTip = nothing or _(
            "Show the acquired volume and the result in linked views. Again brings your layout back."
        )
        no_difference = nothing or reason_no_difference(result)
        ui.differenceCheckBox.enabled = ui.jointPlotButton.enabled = not no_difference
        ui.differenceCheckBox.toolTip = no_difference or _(
            "Show the result minus its source in a view of its own; gray is no change. The difference is a new volume."
        )
        ui.jointPlotButton.toolTip = no_difference or self._joint_plot_words
        ui.histogramButton.toolTip = nothing or self._histogram_words
        no_map = nothing or reason_no_map(result)
        ui.uncertaintyCheckBox.enabled = not no_map
        ui.differenceCheckBox.checked = bool(self._node) and self._node.showDifference and not no_difference
        ui.uncertaintyCheckBox.checked = bool(self._node) and self._node.showUncertainty and not no_map
        ui.uncertaintyCheckBox.toolTip = no_map or _("Show the uncertainty of the result in a view of its own.")
        changed = self._extras.reason_not_the_source(result) if self._comparison.shown and result is not None else ""
        if changed and self._extras.message.endswith(changed):
            changed = ""  # it is told with what could not be computed
        reasons = [changed, self._extras.message, nothing, no_difference, no_map]
        return list(dict.fromkeys(reason for reason in reasons if reason))

    def _reason_off(self) -> str:
        """Why nothing can be compared; empty when it can."""
        if self._result is not None:
            return ""
        if self._node and self._node.outputVolume:
            return _("The acquired volume that this result was made from is not in the scene.")
        return _("There is no result yet.")

    def _on_toggled(self, checked: bool) -> None:
        if self._updating:
            return
        if checked and not self._comparison.shown:
            if self._result is not None:
                show_frame(self._result)
            self.compare()
        elif not checked:
            self._end()
            self._update()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_removed(self, _caller: Any, _event: str, node: slicer.vtkMRMLNode) -> None:
        """Without what it was made from, a result cannot be compared any more."""
        followed = self._node and self._result is not None and node.IsA("vtkMRMLScalarVolumeNode")
        if followed and source_of(self._result) is None:
            self.offer(self._node)

    def _observe_layout(self, connect_or_disconnect: str) -> None:
        manager = slicer.app.layoutManager()
        if manager is not None:
            getattr(manager, connect_or_disconnect)("layoutChanged(int)", self._update)
