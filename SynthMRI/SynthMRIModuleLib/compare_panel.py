"""The part of a panel that compares a result with its source, for as long as the module is open."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .choices import CompareMode
from .comparison import Compared, Comparison
from .difference import difference_volume, reason_no_difference
from .plots import histogram_chart, joint_chart
from .result_nodes import source_of, uncertainty_of

BLINK_INTERVAL_MS = 700


class ComparePanel:
    """Connects the widgets of the comparison with the views, also when the user changes the layout otherwise.

    Args:
        ui: widgets by name: compareButton, compareModeComboBox, blendLabel, blendSliderWidget, differenceCheckBox,
            uncertaintyCheckBox, histogramButton, jointPlotButton.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._comparison = Comparison()
        self._node: Any = None
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        self._chart: slicer.vtkMRMLPlotChartNode | None = None
        self._shown: tuple | None = None
        self._updating = self._before_is_up = False
        self._timer = qt.QTimer()
        self._timer.setInterval(BLINK_INTERVAL_MS)
        self._timer.connect("timeout()", self._blink)
        ui.compareButton.connect("toggled(bool)", self._on_toggled)
        ui.histogramButton.connect("clicked()", lambda: self._show_chart(histogram_chart))
        ui.jointPlotButton.connect("clicked()", lambda: self._show_chart(joint_chart))
        self._observe_layout("connect")

    def offer(self, parameter_node: Any) -> None:
        """Follow the choices in the parameter node (outputVolume, compareMode, blend, showDifference, showUncertainty).

        The comparison ends when there is nothing to compare any more, or with None, when the panel is left.
        """
        self._node = parameter_node
        result = parameter_node.outputVolume if parameter_node else None
        self._result = result if source_of(result) is not None else None
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
        self._observe_layout("disconnect")

    def _show(self) -> None:
        """Bring the views to what is chosen; nothing happens when they show that already."""
        node, result = self._node, self._result
        wanted = (result.GetID(), node.compareMode, node.showDifference, node.showUncertainty, self._chart)
        wanted = (*wanted, uncertainty_of(result))
        if wanted != self._shown or not self._comparison.shown:
            self._shown = wanted
            with slicer.util.tryWithErrorDisplay(_("Failed to compare."), waitCursor=True):
                self._comparison.show(self._compared(), same_contrast=not reason_no_difference(result))
        blinking = node.compareMode == CompareMode.BLINK
        if blinking and not self._timer.active:
            self._timer.start()
        elif not blinking:
            self._timer.stop()
            self._comparison.set_opacity(node.blend)

    def _compared(self) -> Compared:
        node, result = self._node, self._result
        before = source_of(result)
        single = node.compareMode != CompareMode.SIDE_BY_SIDE
        difference = None
        if node.showDifference and not single and not reason_no_difference(result):
            difference = difference_volume(before, result)
        uncertainty = uncertainty_of(result) if node.showUncertainty and not single else None
        chart = self._chart if self._chart is not None and self._chart.GetScene() is not None else None
        return Compared(before, result, difference, uncertainty, single=single, chart=chart)

    def _show_chart(self, make: Any) -> None:
        """Make the chart of this pair if it is not there yet, and show it below the views; again takes it away."""
        with slicer.util.tryWithErrorDisplay(_("Failed to draw the plot."), waitCursor=True):
            chart = make(source_of(self._result), self._result)
        is_shown = chart is self._chart and self._comparison.shown
        self._chart = None if is_shown else chart
        self.compare()

    def _blink(self) -> None:
        """Show the other one of the two."""
        self._before_is_up = not self._before_is_up
        self._comparison.set_opacity(0.0 if self._before_is_up else 1.0)

    def _end(self) -> None:
        self._timer.stop()
        self._shown = self._chart = None
        self._comparison.leave()

    def _update(self, _layout: int = 0) -> None:
        if self._updating:
            return
        self._updating = True
        ui, result = self._ui, self._result
        if not self._comparison.shown:
            self._timer.stop()
            self._shown = None
        there = result is not None
        ui.compareButton.enabled = there
        ui.compareButton.checked = self._comparison.shown
        no_difference = reason_no_difference(result)
        ui.differenceCheckBox.enabled = ui.jointPlotButton.enabled = there and not no_difference
        ui.histogramButton.enabled = there
        ui.differenceCheckBox.toolTip = no_difference or _(
            "Show the result minus its source in a view of its own; gray is no change. The difference is a new volume."
        )
        has_map = there and uncertainty_of(result) is not None
        ui.uncertaintyCheckBox.enabled = has_map
        ui.uncertaintyCheckBox.toolTip = (
            _("Show the uncertainty of the result in a view of its own.")
            if has_map
            else _("There is no uncertainty of this result; the module SynthMRI Uncertainty computes it.")
        )
        blends = bool(self._node) and self._node.compareMode == CompareMode.BLEND
        for widget in (ui.blendLabel, ui.blendSliderWidget):
            widget.visible = blends
        self._updating = False

    def _on_toggled(self, checked: bool) -> None:
        if self._updating:
            return
        if checked and not self._comparison.shown:
            self.compare()
        elif not checked:
            self._end()
            self._update()

    def _observe_layout(self, connect_or_disconnect: str) -> None:
        manager = slicer.app.layoutManager()
        if manager is not None:
            getattr(manager, connect_or_disconnect)("layoutChanged(int)", self._update)
