"""Python classes that derive from Qt classes: Qt's virtual functions reach their Python overrides."""

from __future__ import annotations

from functools import cache
from typing import Any


def _override(name: str) -> Any:
    def call(qt_object: Any, *arguments: Any) -> Any:
        from .connections import report
        from .conversion import to_python, to_qt

        plain = getattr(type(qt_object).plain_class, name)
        proxy = qt_object.python_self() if getattr(qt_object, "python_self", None) else None
        if proxy is None:
            return plain(qt_object, *arguments)
        try:
            return to_qt(getattr(proxy, name)(*(to_python(argument) for argument in arguments)))
        except Exception as error:  # Qt cannot carry exceptions
            report(error)
            return plain(qt_object, *arguments)

    call.__name__ = name
    return call


@cache
def overriding_class(python_class: type, player: type) -> type:
    """A PySide6 class whose virtual functions call the overrides of `python_class`."""
    names = {
        name
        for base in python_class.__mro__
        if "slicer_class_name" not in vars(base) and base is not object
        for name, value in vars(base).items()
        if callable(value) and not name.startswith("_")
    }
    overrides = {name: _override(name) for name in names if hasattr(player, name)}
    return type(player)(f"{python_class.__name__}Shell", (player,), {**overrides, "plain_class": player})
