"""The combo box with the bundles of a task, and the button that unfolds the model card of the selected one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from .bundle_choice import AUTOMATIC, bundles_of, card_text, chosen_bundle

if TYPE_CHECKING:
    from SynthMRILib.bundles import Bundle


class BundleSelector:
    """Shows which bundles there are and tells when another one is selected.

    Args:
        ui: widgets by name: bundleComboBox, bundleHintLabel, cardButton, cardBrowser.
        task: name of the task whose bundles are offered.
        on_selected: called with the name of the bundle that the user selected ("" for automatic).
    """

    def __init__(self, ui: object, *, task: str, on_selected: Callable[[str], None]) -> None:
        self._ui = ui
        self._task = task
        self._on_selected = on_selected
        self._titles: dict[str, str] = {}
        self._filling = False
        self._used = True
        self._tool_tip = ui.bundleComboBox.toolTip
        ui.cardBrowser.visible = False
        ui.bundleComboBox.connect("currentIndexChanged(int)", self._on_index_changed)
        ui.cardButton.connect("toggled(bool)", self._on_card_toggled)

    def show_task(self, task: str) -> None:
        """Offer the bundles of another task from now on."""
        if task != self._task:
            self._task = task
            self._titles = {}

    def refresh(self) -> None:
        """Look for bundles again at the next `show`: the user may have installed one meanwhile."""
        self._titles = {}

    def show(self, name: str, *, used: bool = True) -> None:
        """Select `name`, which is kept and said to be missing when it is not installed.

        Args:
            used: whether the chosen method uses a model at all.
        """
        if used != self._used:
            self._used = used
            self._show_words()
        if name not in self._titles:
            self._fill(name)
        if name != self.selected:
            self._filling = True
            self._ui.bundleComboBox.currentIndex = list(self._titles).index(name)
            self._filling = False
            self._show_words()

    def _fill(self, name: str) -> None:
        bundles = bundles_of(self._task)
        self._titles = {AUTOMATIC: _("Automatic") if bundles else _("None is installed")}
        sound = next((bundle.title for bundle in bundles if not bundle.experimental), "")
        words = _("{words} Now that is '{title}'.").format(words=self._tool_tip, title=sound)
        self._ui.bundleComboBox.toolTip = words if sound else self._tool_tip
        self._titles.update({bundle.name: _title(bundle) for bundle in bundles})
        self._titles.setdefault(name, _("{name} (not installed)").format(name=name))
        self._filling = True
        self._ui.bundleComboBox.clear()
        for key, title in self._titles.items():
            self._ui.bundleComboBox.addItem(title, key)
        self._filling = False
        self._show_words()

    @property
    def selected(self) -> str:
        """Name of the selected bundle, "" for automatic."""
        return self._ui.bundleComboBox.itemData(self._ui.bundleComboBox.currentIndex) or AUTOMATIC

    def _on_index_changed(self, _index: int) -> None:
        if not self._filling:
            self._show_words()
            self._on_selected(self.selected)

    def _on_card_toggled(self, checked: bool) -> None:
        self._ui.cardBrowser.visible = checked and self._ui.cardButton.enabled
        self._show_words()

    def _show_words(self) -> None:
        """The card where it is unfolded, and why a model is experimental in any case."""
        reasons = experimental_reasons(self._task, self.selected) if self._used else []
        self._ui.bundleHintLabel.text = "\n".join(reasons)
        self._ui.bundleHintLabel.visible = bool(reasons)
        if self._ui.cardButton.checked:
            self._ui.cardBrowser.setMarkdown(self._card())

    def _card(self) -> str:
        from SynthMRILib.errors import BundleError

        try:
            return card_text(chosen_bundle(self._task, self.selected, {"method": "network"}))
        except BundleError as error:
            return str(error)


def experimental_reasons(task: str, name: str) -> list[str]:
    """What the models say of themselves that would be used under this name, where they are experimental."""
    bundles = bundles_of(task)
    if name == AUTOMATIC and any(not bundle.experimental for bundle in bundles):
        return []
    wanted = [bundle for bundle in bundles if bundle.experimental and name in (AUTOMATIC, bundle.name)]
    return [
        _("{title} is experimental. {description}").format(title=bundle.title, description=_description(bundle))
        for bundle in wanted
    ]


def _description(bundle: Bundle) -> str:
    words = str(bundle.metadata.get("description", "")).removeprefix("Experimental: ")
    return words[:1].upper() + words[1:]


def _title(bundle: Bundle) -> str:
    return _("{title} (experimental)").format(title=bundle.title) if bundle.experimental else bundle.title
