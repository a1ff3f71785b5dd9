"""The combo box with the methods of the task that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from .bundle_choice import offered_methods

#: Widgets that only methods with a network use.
NETWORK_WIDGETS = (
    *("bundleComboBox", "cardButton", "deviceComboBox"),
    *("precisionComboBox", "tileSpinBox", "seedSpinBox"),
)


def method_words(method: str) -> tuple[str, str]:
    """A method's name for people, and what it does in a sentence; the engine's own word for one not known here."""
    words = {
        "auto": (
            _("Automatic"),
            _(
                "The signal equation, because the network that comes with SynthMRI is experimental and tells lesions "
                "worse than FLAIR. A model that is selected, or one that is not experimental, takes its place."
            ),
        ),
        "network": (_("Network"), _("A trained network computes the result; it needs a model.")),
        "bspline": (_("B-spline interpolation"), _("Finer voxels without any added detail; needs no model.")),
        "total-variation": (
            _("Total variation"),
            _("The volume with the fewest edges that explains the acquired slices; needs no model."),
        ),
        "dictionary": (
            _("Tissue parameters and signal equation"),
            _("Proton density, T1 and T2 are fitted to each voxel, and the signal is computed from them."),
        ),
        "combined": (
            _("Mean of network and signal equation"),
            _(
                "The mean of both results, in which white matter and fluid first become as dark as in the darker of "
                "them; it needs a model."
            ),
        ),
        "arithmetic": (
            _("Formula of FLAIR and T1w or T2w"),
            _("FLAIR minus a part of T1w, or FLAIR times T2w: one formula for all voxels."),
        ),
        "autofocus": (
            _("Autofocus (physics alone)"),
            _("Looks for shifts of the head during the scan and undoes them; needs no model of this task."),
        ),
        "both": (
            _("Autofocus, then network"),
            _(
                "Undoes head motion that autofocus finds, then motion that the network points to, and lets the network "
                "reduce what is left. Small lesions lose a little contrast."
            ),
        ),
        "diffusion": (
            _("Diffusion model (experimental)"),
            _("Draws a sample that fits the corrected volume. It gains next to nothing; its detail may be invented."),
        ),
        "measure": (_("Only measure the motion"), _("Says how severe the motion is and changes nothing.")),
    }
    return words.get(method, (method, ""))


class MethodSelector:
    """Shows what can be chosen and tells the choice.

    Args:
        ui: widgets by name: methodLabel, methodComboBox.
        on_selected: called with the engine's name of the selected method.
    """

    def __init__(self, ui: Any, *, on_selected: Callable[[str], None]) -> None:
        self._ui = ui
        self._on_selected = on_selected
        self._filled: tuple[str, ...] = ()
        self._filling = False
        ui.methodComboBox.connect("currentIndexChanged(int)", self._on_index_changed)

    def show(self, task: str, method: str) -> None:
        """Offer the methods of the task and select one; hidden where there is no choice."""
        methods = offered_methods(task, method)
        for widget in (self._ui.methodLabel, self._ui.methodComboBox):
            widget.visible = bool(methods)
        self._filling = True
        if self._filled != methods:
            self._filled = methods
            self._ui.methodComboBox.clear()
            for name in methods:
                label, sentence = method_words(name)
                self._ui.methodComboBox.addItem(label, name)
                self._ui.methodComboBox.setItemData(self._ui.methodComboBox.count - 1, sentence, qt.Qt.ToolTipRole)
        self._ui.methodComboBox.setCurrentIndex(self._ui.methodComboBox.findData(method))
        self._filling = False

    def enableNetworkChoices(self, enabled: bool) -> None:
        """Turn what only networks use on or off."""
        for name in NETWORK_WIDGETS:
            getattr(self._ui, name).enabled = enabled

    def _on_index_changed(self, index: int) -> None:
        if not self._filling and index >= 0:
            self._on_selected(self._ui.methodComboBox.itemData(index))
