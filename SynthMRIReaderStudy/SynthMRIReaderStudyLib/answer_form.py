"""All questions about the case on the screen, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .hot_keys import HotKeys
from .lesion_widget import LesionWidget
from .question_widgets import ChoiceWidget, RatingWidget

LESION_PARADIGMS = ("lesions", "new-lesions")
MARK_KEY = "M"
REMOVE_KEY = "Backspace"


class AnswerForm:
    """Makes a widget for each question, and collects the answers.

    Args:
        parent: widget with a layout that the questions are put into.
        propose: region of a place in RAS [mm] among names, or None.
        on_changed: called after every change of an answer.
    """

    def __init__(
        self,
        parent: Any,
        *,
        propose: Callable[[Sequence[float], Sequence[str]], str | None],
        on_changed: Callable[[], None],
    ) -> None:
        self._parent, self._propose, self._on_changed = parent, propose, on_changed
        self.widgets: dict[str, Any] = {}
        self._is_building = False

    def show(self, questions: dict[str, dict[str, Any]], keys: HotKeys) -> None:
        """Put these questions in the place of those that are there, and give lesions their hot keys."""
        self.clear()
        self._is_building = True
        for name, question in questions.items():
            self.widgets[name] = self._make(question)
            self._parent.layout().addWidget(self.widgets[name].widget)
        self._is_building = False
        marking = [widget for widget in self.widgets.values() if isinstance(widget, LesionWidget)]
        if marking:
            self._add_keys(marking, keys)
        self._on_changed()

    def missing(self) -> str:
        """The first thing that is still to be answered; empty when nothing is."""
        return next(filter(None, (widget.missing() for widget in self.widgets.values())), "")

    def answers(self) -> dict[str, Any]:
        """Answers by question."""
        return {name: widget.answer() for name, widget in self.widgets.items()}

    def clear(self) -> None:
        """Take all questions away."""
        widgets, self.widgets = self.widgets, {}
        self._is_building = True
        for widget in widgets.values():
            widget.close()
            self._parent.layout().removeWidget(widget.widget)
            widget.widget.setParent(None)
            widget.widget.deleteLater()
        self._is_building = False

    def _make(self, question: dict[str, Any]) -> Any:
        if question["paradigm"] in LESION_PARADIGMS:
            return LesionWidget(question, propose=self._propose, on_changed=self._changed)
        kind = RatingWidget if question["paradigm"] == "rating" else ChoiceWidget
        return kind(question, on_changed=self._changed)

    def _changed(self) -> None:
        if not self._is_building:
            self._on_changed()

    def _add_keys(self, marking: list[LesionWidget], keys: HotKeys) -> None:
        """Keys act on the question whose marks are being placed, else on the first."""

        def active() -> LesionWidget:
            return next((widget for widget in marking if widget.place_button.checked), marking[0])

        def mark(number: int) -> None:
            regions = active().regions
            if number < len(regions):
                active().mark_at_cursor(regions[number])

        for number in range(min(9, max(len(widget.regions) for widget in marking))):
            keys.add(str(number + 1), lambda number=number: mark(number))
        keys.add(MARK_KEY, lambda: active().mark_at_cursor())
        keys.add(REMOVE_KEY, lambda: active().remove_selected())
