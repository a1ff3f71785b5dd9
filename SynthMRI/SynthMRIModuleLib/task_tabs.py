"""The tabs of the panel, one a task, with what is shown of a task's choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from .choices import Task
from .sharpness_row import WIDGETS as SHARPNESS_WIDGETS
from .task_forms import available_tasks, is_used
from .thick_slices import WIDGETS as THICK_SLICES_WIDGETS

ENHANCEMENTS = (Task.SUPER_RESOLUTION, Task.THICK_SLICES, Task.DENOISING)
PAGES: dict[str, tuple[Task, ...]] = {
    "enhancePage": ENHANCEMENTS,
    "dirPage": (Task.SYNTHETIC_DIR,),
    "motionPage": (Task.MOTION_CORRECTION,),
}
#: Rows that only some parameters need: engine parameter -> widgets.
ROWS = {
    "sharpness": SHARPNESS_WIDGETS,
    "force": ("forceLabel", "forceCheckBox"),
    "residual": ("residualLabel", "residualCheckBox"),
    "keep_acquired": ("keepAcquiredLabel", "keepAcquiredCheckBox"),
    "spacing": THICK_SLICES_WIDGETS,
    "gap": ("sliceGapLabel", "sliceGapSpinBox"),
    "profile": ("sliceProfileLabel", "sliceProfileComboBox"),
    "strength": ("strengthLabel", "strengthSliderWidget"),
    "noise": ("noiseLabel", "noiseSliderWidget"),
    "preset": ("presetLabel", "presetComboBox"),
    "registered": ("registeredLabel", "registeredCheckBox"),
    "bias_correction": ("biasCorrectionLabel", "biasCorrectionCheckBox"),
    "formula": ("formulaLabel", "formulaComboBox"),
    "factor": ("t1FactorLabel", "t1FactorSliderWidget"),
    "smoothing": ("smoothingLabel", "smoothingSliderWidget"),
}


class TaskTabs:
    """Shows the tab of a task and tells when its user selects another task.

    Args:
        ui: widgets by name: taskTabWidget, enhancementComboBox, the pages and the rows of ROWS.
        on_selected: called with the selected task.
    """

    def __init__(self, ui: Any, *, on_selected: Callable[[Task], None]) -> None:
        self._ui = ui
        self._on_selected = on_selected
        self._showing = False
        self._tasks = available_tasks()
        for task in ENHANCEMENTS:
            if task in self._tasks:
                ui.enhancementComboBox.addItem(task.label(), task.value)
        for name, tasks in PAGES.items():
            index = ui.taskTabWidget.indexOf(getattr(ui, name))
            ui.taskTabWidget.setTabEnabled(index, any(task in self._tasks for task in tasks))
        ui.taskTabWidget.setTabToolTip(0, _("Finer voxels, thinner slices, or less noise, from one volume."))
        ui.taskTabWidget.setTabToolTip(1, _("A double inversion recovery volume from FLAIR with T1w, T2w or both."))
        ui.taskTabWidget.setTabToolTip(2, _("Less blurring and ghosting from a volume whose patient moved."))
        ui.taskTabWidget.connect("currentChanged(int)", self._on_changed)
        ui.enhancementComboBox.connect("currentIndexChanged(int)", self._on_changed)

    def show(self, task: Task, *, method: str) -> None:
        """Show the tab of this task and the rows that the task and the method have."""
        ui = self._ui
        self._showing = True
        page = next(name for name, tasks in PAGES.items() if task in tasks)
        ui.taskTabWidget.setCurrentIndex(ui.taskTabWidget.indexOf(getattr(ui, page)))
        if task in ENHANCEMENTS:
            ui.enhancementComboBox.setCurrentIndex(ui.enhancementComboBox.findData(task.value))
        self._showing = False
        self._fit_height(page)
        for parameter, widgets in ROWS.items():
            shown = task in self._tasks and is_used(task, method, parameter)
            for name in widgets:
                getattr(ui, name).visible = shown

    def _fit_height(self, shown: str) -> None:
        """The tabs take the height of the page that is shown, not of the largest one."""
        for name in PAGES:
            vertical = qt.QSizePolicy.Preferred if name == shown else qt.QSizePolicy.Ignored
            getattr(self._ui, name).setSizePolicy(qt.QSizePolicy.Preferred, vertical)

    def _on_changed(self, _index: int) -> None:
        if not self._showing:
            self._on_selected(self._selected())

    def _selected(self) -> Task:
        ui = self._ui
        for name, tasks in PAGES.items():
            if ui.taskTabWidget.currentIndex == ui.taskTabWidget.indexOf(getattr(ui, name)):
                if tasks == ENHANCEMENTS:
                    return Task(ui.enhancementComboBox.itemData(ui.enhancementComboBox.currentIndex))
                return tasks[0]
        return Task.SUPER_RESOLUTION
