"""Difference and charts of a compared pair: made in a thread when they are first wanted, then found in the scene."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from .background_call import BackgroundCall
from .difference import add_difference, find_difference, subtracted
from .made_from import acquired_of, reason_other_frame
from .node_volume import voxels_on_node
from .plots import MEASURES, add_chart, find_chart


class CompareExtras:
    """Looks after what one panel compares.

    Args:
        on_changed: called when something has been added to the scene, or could not be made.
    """

    def __init__(self, on_changed: Callable[[], None]) -> None:
        self._on_changed = on_changed
        self._calls: dict[str, BackgroundCall] = {}
        self._wanted: dict[str, tuple] = {}
        self._checked: tuple = ()
        self._changed = ""
        self.message = ""

    @property
    def busy(self) -> bool:
        """True while something is computed."""
        return any(call.running for call in self._calls.values())

    def difference(self, result: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The difference of a result and its source; None while it is computed, which begins here."""
        found = find_difference(result)
        if found is None:
            self._make("difference", result, subtracted, lambda made: add_difference(result, *made))
        return found

    def chart(self, result: slicer.vtkMRMLScalarVolumeNode, kind: str) -> slicer.vtkMRMLPlotChartNode | None:
        """The chart of that kind; None while its values are computed, which begins here."""
        found = find_chart(result, kind)
        if found is None:
            self._make("chart", result, MEASURES[kind], lambda made: add_chart(result, kind, made), kind)
        return found

    def reason_not_the_source(self, result: slicer.vtkMRMLScalarVolumeNode) -> str:
        """That the acquired volume in the views is not what a result was made from, in one sentence.

        Empty when it is, and while a thread finds out, which begins here.
        """
        other_frame = reason_other_frame(result)
        if other_frame:
            return other_frame
        from SynthMRILib.errors import SynthMRIError

        try:
            acquired = acquired_of(result)
        except SynthMRIError as error:
            return str(error)
        checked = (result.GetID(), acquired.key)
        if checked != self._checked:
            self._checked, self._changed = checked, ""
            self._call("source").start(acquired.reason_changed, self._source_checked)
        return self._changed

    def _source_checked(self, reason: str) -> None:
        self._changed = reason
        self._on_changed()

    def _call(self, slot: str) -> BackgroundCall:
        return self._calls.setdefault(slot, BackgroundCall())

    def forget(self) -> None:
        """What is being computed is not wanted any more."""
        for call in self._calls.values():
            call.forget()
        self._wanted.clear()
        self._checked, self._changed = (), ""
        self.message = ""

    def _make(self, slot: str, result: Any, work: Any, add: Any, kind: str = "") -> None:
        from SynthMRILib.errors import SynthMRIError

        try:
            pair = acquired_of(result), voxels_on_node(result)
        except SynthMRIError as error:
            self._wanted.pop(slot, None)
            self.message = _could_not(error)
            return
        wanted = (result.GetID(), kind, pair[0].key)
        if self._wanted.get(slot) == wanted:  # in progress, or failed before and would again
            return
        self._wanted[slot] = wanted
        self.message = _("Computing...")
        self._call(slot).start(
            lambda: work(*(one.volume() for one in pair)),
            lambda made: self._made(slot, result, add, made),
            self._failed,
        )

    def _made(self, slot: str, result: Any, add: Any, made: Any) -> None:
        self._wanted.pop(slot, None)
        self.message = ""
        if result.GetScene() is not None:
            add(made)
        self._on_changed()

    def _failed(self, error: Exception) -> None:
        self.message = _could_not(error)
        self._on_changed()


def _could_not(error: Exception) -> str:
    return _("This could not be computed: {reason}").format(reason=error)
