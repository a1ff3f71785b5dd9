"""The combo box with the methods of the task that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from .task_forms import task_methods

#: Widgets that only methods with a network use.
NETWORK_WIDGETS = (
    *("bundleComboBox", "cardButton", "deviceComboBox"),
    *("precisionComboBox", "tileSpinBox", "seedSpinBox"),
)


def method_label(method: str) -> str:
    """A method's name for people; the engine's own word for one that is not known here."""
    labels = {
        "auto": _("Automatic"),
        "network": _("Network"),
        "bspline": _("B-spline interpolation"),
        "dictionary": _("Tissue parameters and signal equation"),
        "arithmetic": _("Formula of FLAIR and T1w or T2w"),
        "autofocus": _("Autofocus (physics alone)"),
        "both": _("Autofocus, then network"),
        "measure": _("Only measure the motion"),
    }
    return labels.get(method, method)


class MethodSelector:
    """Shows what can be chosen and tells the choice.

    Args:
        ui: widgets by name: methodLabel, methodComboBox.
        on_selected: called with the engine's name of the selected method.
    """

    def __init__(self, ui: Any, *, on_selected: Callable[[str], None]) -> None:
        self._ui = ui
        self._on_selected = on_selected
        self._filled: str | None = None
        self._filling = False
        ui.methodComboBox.connect("currentIndexChanged(int)", self._on_index_changed)

    def show(self, task: str, method: str) -> None:
        """Offer the methods of the task and select one; hidden where there is no choice."""
        methods = task_methods(task)
        for widget in (self._ui.methodLabel, self._ui.methodComboBox):
            widget.visible = bool(methods)
        self._filling = True
        if self._filled != task:
            self._filled = task
            self._ui.methodComboBox.clear()
            for name in methods:
                self._ui.methodComboBox.addItem(method_label(name), name)
        self._ui.methodComboBox.setCurrentIndex(self._ui.methodComboBox.findData(method))
        self._filling = False

    def enableNetworkChoices(self, enabled: bool) -> None:
        """Turn what only networks use on or off."""
        for name in NETWORK_WIDGETS:
            getattr(self._ui, name).enabled = enabled

    def _on_index_changed(self, index: int) -> None:
        if not self._filling and index >= 0:
            self._on_selected(self._ui.methodComboBox.itemData(index))
