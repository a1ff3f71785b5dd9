"""Modal dialogs in tests: recorded, and answered from a list that the test prepared.

A message box with one button needs no answer. Any other dialog without a prepared answer raises, so that no test
ever waits for a click and no question goes by unnoticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from .errors import UnexpectedDialogError


@dataclass(frozen=True)
class ShownDialog:
    """A dialog that was opened: kind is message, dialog, file or input."""

    kind: str
    title: str
    text: str
    detail: str = ""


shown: list[ShownDialog] = []
_answers: deque[Any] = deque()


def prepare(*answers: Any) -> None:
    """Answers for the next dialogs in order: a button for a message box, a path for a file dialog, a callable for any.

    A callable gets the PySide6 dialog, may press what it likes in it, and returns the result.
    """
    _answers.extend(answers)


def unused_answers() -> list[Any]:
    """Answers that no dialog has taken yet."""
    return list(_answers)


def reset() -> None:
    """Forget all dialogs and answers."""
    shown.clear()
    _answers.clear()


def answer(kind: str, text: str) -> Any:
    """Record a dialog that only returns a value and give the prepared answer."""
    shown.append(ShownDialog(kind, "", text))
    if not _answers:
        raise UnexpectedDialogError(f"A {kind} dialog opened without a prepared answer: {text}")
    return _answers.popleft()


def _record(dialog: QtWidgets.QDialog) -> ShownDialog:
    if isinstance(dialog, QtWidgets.QMessageBox):
        detail = dialog.detailedText() or dialog.informativeText()
        return ShownDialog("message", dialog.windowTitle().strip(), dialog.text(), detail)
    labels = [label.text() for label in dialog.findChildren(QtWidgets.QLabel) if label.text()]
    return ShownDialog("dialog", dialog.windowTitle(), "\n".join(labels))


def _choices(box: QtWidgets.QMessageBox) -> int:
    """How many ways there are to close a message box; its "Show Details" button closes nothing."""
    details = QtWidgets.QMessageBox.ButtonRole.ActionRole
    return sum(box.buttonRole(button) != details for button in box.buttons())


def execute(dialog: QtWidgets.QDialog) -> int:
    """Play `dialog.exec()`."""
    record = _record(dialog)
    shown.append(record)
    if _answers:
        prepared = _answers.popleft()
        result = prepared(dialog) if isinstance(prepared, Callable) else prepared
    elif isinstance(dialog, QtWidgets.QMessageBox) and _choices(dialog) <= 1:
        result = int(dialog.standardButtons().value) or int(QtWidgets.QMessageBox.StandardButton.Ok.value)
    elif not dialog.findChildren(QtWidgets.QAbstractButton):
        result = 0  # nothing to answer: such a dialog closes by itself
    else:
        raise UnexpectedDialogError(f"A dialog opened without a prepared answer: {record.title}: {record.text}")
    if isinstance(dialog, QtWidgets.QMessageBox):
        dialog.buttonClicked.emit(dialog.button(QtWidgets.QMessageBox.StandardButton(int(result))))
    dialog.setResult(int(result))
    dialog.finished.emit(int(result))
    return int(result)
