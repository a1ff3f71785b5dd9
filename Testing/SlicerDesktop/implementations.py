"""Which PySide6 class plays a class of Slicer's Python layer.

Qt's own classes play themselves. A CTK or Slicer class is played by a class of this package that registers with
`@plays("ctkSliderWidget")`; the rest of Slicer's classes have a name (so that `type(x) == slicer.qMRMLSpinBox` works)
but making one raises NotInStandInError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from PySide6 import QtCore, QtGui, QtNetwork, QtTest, QtUiTools, QtWidgets, QtXml

_QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools, QtNetwork, QtXml, QtTest)
_players: dict[str, type] = {}


def plays(class_name: str) -> Callable[[type], type]:
    """Register the decorated class as the one that plays `class_name`."""

    def register(implementation: type) -> type:
        implementation.slicer_class_name = class_name
        _players[class_name] = implementation
        return implementation

    return register


@cache
def qt_class(class_name: str) -> type | None:
    """Qt's own class of that name in PySide6, or None."""
    for module in _QT_MODULES:
        if hasattr(module, class_name):
            return getattr(module, class_name)
    return None


def player(class_name: str) -> type | None:
    """The class that plays `class_name`, or None when nothing does."""
    return _players.get(class_name) or qt_class(class_name)


def played_name(implementation: type) -> str | None:
    """The name of the class that `implementation` plays, itself or through a base; None when it is no such class."""
    for base in implementation.__mro__:
        name = vars(base).get("slicer_class_name")
        if name is None and base.__module__.startswith("PySide6."):
            name = base.__name__
        if name is not None:
            return name
    return None
