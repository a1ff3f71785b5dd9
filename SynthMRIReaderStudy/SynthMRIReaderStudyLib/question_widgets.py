"""Questions that are answered by choosing: real or synthetic, two-alternative, presence, preference, ratings.

Nothing is chosen beforehand: what stands there first would be chosen more often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

#: Value of a number field before the reader has entered anything.
NOT_GIVEN = -1


def option_label(option: str) -> str:
    """An option in the reader's words."""
    return {
        "real": _("Real"),
        "synthetic": _("Synthetic"),
        "unsure": _("Unsure"),
        "left": _("Left"),
        "right": _("Right"),
        "none": _("No preference"),
        "present": _("Present"),
        "absent": _("Absent"),
    }[option]


def titled_box(prompt: str) -> tuple[Any, Any]:
    """A group box with the question above, and the layout inside it."""
    box = qt.QGroupBox()
    layout = qt.QVBoxLayout(box)
    label = qt.QLabel(prompt)
    label.wordWrap = True
    layout.addWidget(label)
    return box, layout


def number_field(name: str, tip: str, *, maximum: int, step: int = 1) -> Any:
    """A number field that is empty ("not given") at first."""
    field = qt.QSpinBox()
    field.setRange(NOT_GIVEN, maximum)
    field.setSingleStep(step)
    field.specialValueText = _("not given")
    field.value = NOT_GIVEN
    field.toolTip, field.accessibleName = tip, name
    return field


def labeled(text: str, widget: Any) -> Any:
    """A row: a label that is the buddy of a widget, and the widget."""
    row, label = qt.QHBoxLayout(), qt.QLabel(text)
    label.setBuddy(widget)
    row.addWidget(label)
    row.addWidget(widget)
    row.addStretch(1)
    return row


class ButtonRow:
    """Options of which one can be chosen, none at first.

    Args:
        options: value and label of each.
        name: what is chosen, for screen readers.
        on_changed: called when something is chosen.
    """

    def __init__(self, options: list[tuple[Any, str]], *, name: str, on_changed: Callable[[], None]) -> None:
        self.row = qt.QHBoxLayout()
        self._group = qt.QButtonGroup()
        self.buttons = {}
        for value, label in options:
            button = qt.QRadioButton(label)
            button.toolTip = button.accessibleName = f"{name}: {label}"
            self._group.addButton(button)
            self.row.addWidget(button)
            button.connect("toggled(bool)", lambda _checked: on_changed())
            self.buttons[value] = button
        self.row.addStretch(1)

    @property
    def value(self) -> Any:
        """The value chosen, or None."""
        return next((value for value, button in self.buttons.items() if button.checked), None)


class ChoiceWidget:
    """One choice, with a confidence where the paradigm asks for it.

    Args:
        question: a question of the protocol.
        on_changed: called after every change.
    """

    def __init__(self, question: dict[str, Any], *, on_changed: Callable[[], None]) -> None:
        from SynthMRILib.readers.paradigms import answer_schema

        properties = answer_schema(question)["properties"]
        self.widget, layout = titled_box(question["prompt"])
        options = [(option, option_label(option)) for option in properties["choice"]["enum"]]
        self.choice = ButtonRow(options, name=question["prompt"], on_changed=on_changed)
        layout.addLayout(self.choice.row)
        self.confidence = None
        if "confidence" in properties:
            tip = _("How sure you are, from 0 (a guess) to 100 (certain).")
            self.confidence = number_field(_("Confidence"), tip, maximum=100, step=5)
            self.confidence.connect("valueChanged(int)", lambda _value: on_changed())
            layout.addLayout(labeled(_("Confidence, 0 to 100:"), self.confidence))

    def missing(self) -> str:
        """What is still to be answered; empty when nothing is."""
        if self.choice.value is None:
            return _("Choose an answer.")
        if self.confidence is not None and self.confidence.value == NOT_GIVEN:
            return _("Enter how confident you are.")
        return ""

    def answer(self) -> dict[str, Any]:
        """What was chosen, as the engine records it."""
        confident = {} if self.confidence is None else {"confidence": self.confidence.value}
        return {"choice": self.choice.value, **confident}

    def close(self) -> None:
        """The question is about to go."""


class RatingWidget:
    """Ratings of several items on one scale. Arguments as `ChoiceWidget`."""

    def __init__(self, question: dict[str, Any], *, on_changed: Callable[[], None]) -> None:
        points = question["points"]
        scale = _("1 is the lowest, {points} the highest.").format(points=points)
        self.widget, layout = titled_box(f"{question['prompt']} {scale}")
        form = qt.QFormLayout()
        layout.addLayout(form)
        self.items = {}
        for item in question["items"]:
            options = [(n, str(n)) for n in range(1, points + 1)]
            self.items[item] = ButtonRow(options, name=item, on_changed=on_changed)
            label = qt.QLabel(f"{item}:")
            label.setBuddy(self.items[item].buttons[1])
            form.addRow(label, self.items[item].row)

    def missing(self) -> str:
        """What is still to be answered; empty when nothing is."""
        open_items = [item for item, row in self.items.items() if row.value is None]
        return _("Rate '{item}'.").format(item=open_items[0]) if open_items else ""

    def answer(self) -> dict[str, Any]:
        """The ratings by item."""
        return {item: row.value for item, row in self.items.items()}

    def close(self) -> None:
        """The question is about to go."""
