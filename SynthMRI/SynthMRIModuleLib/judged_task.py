"""The combo box with the tasks whose uncertainty can be computed, and the inputs each of them needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .choices import Task
from .task_forms import FORMS

#: Widgets of each input role.
ROLE_WIDGETS = {
    "input": ("inputLabel", "inputSelector"),
    "flair": ("flairLabel", "flairSelector"),
    "t1": ("t1Label", "t1Selector"),
    "t2": ("t2Label", "t2Selector"),
    "mask": ("maskLabel", "maskSelector"),
}


class JudgedTask:
    """Shows the task and its inputs, and tells the choice.

    Args:
        ui: widgets by name: taskComboBox and those of ROLE_WIDGETS.
        on_selected: called with the task.
    """

    def __init__(self, ui: Any, *, on_selected: Callable[[Task], None]) -> None:
        from SynthMRILib.tasks.uncertainty import network_task_names

        self._ui = ui
        self._on_selected = on_selected
        self._showing = False
        known = network_task_names()
        for task in Task:
            if task.value in known:
                ui.taskComboBox.addItem(task.label(), task.value)
        ui.taskComboBox.connect("currentIndexChanged(int)", self._on_changed)

    def show(self, task: Task) -> None:
        """Select the task and show the inputs it has."""
        self._showing = True
        self._ui.taskComboBox.setCurrentIndex(self._ui.taskComboBox.findData(task.value))
        self._showing = False
        for role, widgets in ROLE_WIDGETS.items():
            for name in widgets:
                getattr(self._ui, name).visible = role in FORMS[task].roles

    def _on_changed(self, index: int) -> None:
        if not self._showing and index >= 0:
            self._on_selected(Task(self._ui.taskComboBox.itemData(index)))
