"""Fill a played class up with the properties and signals that Slicer's class has and that need no behavior here.

A property filled in this way keeps the value it is given and does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

from .. import enums, manifest
from ..implementations import plays, qt_class

_VALUE_TYPES: dict[str, tuple[Any, Any]] = {
    "bool": (bool, False),
    "int": (int, 0),
    "double": (float, 0.0),
    "QString": (str, ""),
    "QStringList": ("QStringList", []),
}
_SIGNAL_TYPES = {"bool": bool, "int": int, "double": float, "QString": str}


def _value_type(type_name: str, owner: str) -> tuple[Any, Any]:
    """What a property of that C++ type is declared as, and its first value."""
    scope, _, last = type_name.rpartition("::")
    if type_name in _VALUE_TYPES:
        return _VALUE_TYPES[type_name]
    if enums.declared_keys(scope or owner, last)[1]:
        return int, 0
    value_class = qt_class(type_name)
    return (value_class, value_class()) if value_class else (object, None)


def stored_property(name: str, type_name: str, owner: str) -> QtCore.Property:
    """A Qt property that keeps its value."""
    python_type, default = _value_type(type_name, owner)
    attribute = f"_stored_{name}"

    def read(self: Any) -> Any:
        return getattr(self, attribute, default)

    def write(self: Any, value: Any) -> None:
        setattr(self, attribute, value)

    return QtCore.Property(python_type, read, write)


def _signal_type(type_name: str) -> Any:
    if type_name in _SIGNAL_TYPES:
        return _SIGNAL_TYPES[type_name]
    return qt_class(type_name.rstrip("*")) or object


def _declared_signal(signatures: list[manifest.Signature]) -> QtCore.Signal:
    overloads = [[_signal_type(type_name) for type_name in signature.types] for signature in signatures]
    return QtCore.Signal(*overloads) if len(overloads) > 1 else QtCore.Signal(*overloads[0])


def completed(class_name: str) -> Callable[[type], type]:
    """Register the decorated class for `class_name`, with every property and signal that it does not define itself."""

    def complete(implementation: type) -> type:
        meta, namespace = implementation.staticMetaObject, {}
        known_signals = {bytes(meta.method(i).name().data()).decode() for i in range(meta.methodCount())}
        for name, member in manifest.members(class_name).items():
            if member.owner.startswith("Q"):
                continue
            if member.kind == "property" and meta.indexOfProperty(name) < 0:
                namespace[name] = stored_property(name, member.type, member.owner)
            elif member.kind == "signal" and name not in known_signals:
                namespace[name] = _declared_signal(member.signatures)
        namespace["__doc__"] = implementation.__doc__
        whole = type(implementation)(implementation.__name__, (implementation,), namespace)
        return plays(class_name)(whole)

    return complete
