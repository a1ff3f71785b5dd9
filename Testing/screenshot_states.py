"""The states of the SynthMRI panel that make_screenshots.py draws side by side, each reached as its user would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SECONDS = 3000
BSPLINE = "B-spline interpolation"


def fold(panel: Any, *opened: str) -> None:
    """Fold all sections of the panel but these."""
    for name, widget in vars(panel.ui).items():
        if name.endswith("CollapsibleButton"):
            widget.collapsed = name not in opened


def select(combo_box: Any, text: str) -> None:
    combo_box.setCurrentIndex(combo_box.findText(text))


def checked(desktop: Any, panel: Any) -> Any:
    """The panel, once it is known whether what is chosen can be run."""
    desktop.process_events(50)
    if not desktop.wait_until(lambda: not panel.runPanel.checking, timeout=SECONDS):
        raise TimeoutError(panel.ui.applyHintLabel.text)
    return panel


def press_apply(desktop: Any, panel: Any) -> None:
    checked(desktop, panel).ui.applyButton.click()


def end(desktop: Any, panel: Any) -> None:
    """Wait for all runs and what is shown of them."""
    if not desktop.wait_until(lambda: not (panel.logic.running or panel.comparePanel.busy), timeout=SECONDS):
        raise TimeoutError(panel.ui.statusLabel.text)
    desktop.process_events(100)


def without_input(_desktop: Any, panel: Any) -> None:
    """An empty scene: why Apply is off."""
    import slicer

    slicer.mrmlScene.Clear()
    fold(panel, "modelCollapsibleButton")


def bad_input(_desktop: Any, panel: Any) -> None:
    """A volume that holds nothing."""
    import numpy as np
    import slicer

    node = slicer.util.addVolumeFromArray(np.zeros((40, 40, 40), np.float32), name="Empty")
    panel.ui.inputSelector.setCurrentNode(node)
    fold(panel, "modelCollapsibleButton")


def chosen(_desktop: Any, panel: Any) -> None:
    """Ready to run, with what was found out about the input."""
    fold(panel, "modelCollapsibleButton")


def running(desktop: Any, panel: Any) -> None:
    """A network at work, with the time left."""
    fold(panel, "modelCollapsibleButton")
    press_apply(desktop, panel)
    if not desktop.wait_until(lambda: "left" in panel.ui.statusLabel.text, timeout=SECONDS):
        raise TimeoutError(panel.ui.statusLabel.text)


def queued(desktop: Any, panel: Any) -> None:
    """Two more runs that wait."""
    fold(panel, "modelCollapsibleButton")
    press_apply(desktop, panel)
    select(panel.ui.enhancementComboBox, "Denoising")
    checked(desktop, panel).ui.queueButton.click()
    select(panel.ui.enhancementComboBox, "Super-resolution")
    select(panel.ui.methodComboBox, BSPLINE)
    checked(desktop, panel).ui.queueButton.click()
    desktop.wait_until(lambda: panel.ui.progressBar.value > 0, timeout=SECONDS)


def cancelled(desktop: Any, panel: Any) -> None:
    """A run that its user stopped."""
    fold(panel, "modelCollapsibleButton")
    press_apply(desktop, panel)
    desktop.process_events(300)
    panel.ui.applyButton.click()
    end(desktop, panel)


def done(desktop: Any, panel: Any) -> None:
    """After a run, while before and after are compared."""
    select(panel.ui.methodComboBox, BSPLINE)
    press_apply(desktop, panel)
    end(desktop, panel)
    panel.ui.histogramButton.click()
    end(desktop, panel)
    fold(panel, "compareCollapsibleButton", "exportCollapsibleButton")


def experimental(_desktop: Any, panel: Any) -> None:
    """A method whose models are all experimental: off until its user selects one."""
    panel.ui.taskTabWidget.setCurrentIndex(2)
    select(panel.ui.methodComboBox, "Network")
    fold(panel, "modelCollapsibleButton")


def synthetic_dir(_desktop: Any, panel: Any) -> None:
    """Several inputs, selected by their contrast, and what is said before Apply."""
    panel.ui.taskTabWidget.setCurrentIndex(1)
    fold(panel, "modelCollapsibleButton")


def declined(desktop: Any, panel: Any) -> None:
    """The user did not want the packages to be installed."""
    import qt
    from SynthMRIModuleLib import dependencies

    wanted = dependencies.is_installed
    checked(desktop, panel)
    dependencies.is_installed = lambda requirement: "safetensors" not in requirement and wanted(requirement)
    desktop.answer(qt.QMessageBox.Cancel)
    try:
        panel.ui.applyButton.click()
    finally:
        dependencies.is_installed = wanted
    fold(panel, "modelCollapsibleButton")


#: What brings the panel there, by the caption of the picture; two rows.
STATES: dict[str, Callable[[Any, Any], None]] = {
    "Ready": chosen,
    "A network at work": running,
    "Two more in the queue": queued,
    "Done and compared": done,
    "Stopped by its user": cancelled,
    "An empty scene": without_input,
    "Input that cannot be used": bad_input,
    "Installation declined": declined,
    "Synthetic DIR": synthetic_dir,
    "Experimental models": experimental,
}


def draw(desktop: Any, open_panel: Callable[[], Any], picture: Callable[[Any], Any]) -> dict[str, Any]:
    """A picture of the panel in each state by its caption, each in a scene of its own."""
    pictures = {}
    for caption, reach in STATES.items():
        desktop.reset()
        panel = open_panel()
        desktop.process_events(50)
        reach(desktop, panel)
        checked(desktop, panel)
        desktop.process_events(100)
        pictures[caption] = picture(panel)
        if panel.logic.running:
            panel.logic.close()
            desktop.process_events(50)
    return pictures
