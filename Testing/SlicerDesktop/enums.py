"""Enum values as PythonQt gives them: integers that also know their name and their Qt type.

Qt's numbers come from PySide6, those of a CTK or Slicer class from the class that plays it.
"""

from __future__ import annotations

import enum
from functools import cache

from . import implementations, manifest
from .errors import NotInStandInError


class EnumValue(int):
    """An enum value or a combination of flags: an int that keeps the Qt type, so that it can be handed back to Qt."""

    qt_type: type | None

    def __new__(cls, value: int, qt_type: type | None = None) -> EnumValue:
        made = super().__new__(cls, value)
        made.qt_type = qt_type
        return made

    def __or__(self, other: int) -> EnumValue:
        return EnumValue(int(self) | int(other), self.qt_type)

    __ror__ = __or__

    def __and__(self, other: int) -> EnumValue:
        return EnumValue(int(self) & int(other), self.qt_type)

    __rand__ = __and__

    def __xor__(self, other: int) -> EnumValue:
        return EnumValue(int(self) ^ int(other), self.qt_type)

    def __invert__(self) -> EnumValue:
        return EnumValue(~int(self), self.qt_type)

    def to_qt(self) -> object:
        """The value as PySide6 wants it."""
        return self.qt_type(int(self)) if self.qt_type else int(self)


def from_qt(value: enum.Enum) -> EnumValue:
    """Wrap a PySide6 enum value."""
    return EnumValue(value.value, type(value))


@cache
def _qt_enums(class_name: str) -> tuple[type[enum.Enum], ...]:
    """All enum types that the class playing `class_name` defines or inherits."""
    owner = implementations.player(class_name)
    found = []
    for base in owner.__mro__ if owner else ():
        found += [v for v in vars(base).values() if isinstance(v, type) and issubclass(v, enum.Enum)]
    return tuple(found)


@cache
def find_value(class_name: str, enum_name: str, key: str) -> EnumValue:
    """The value of `Class.Enum.Key`; NotInStandInError when nothing here defines it."""
    known = _qt_enums(class_name)
    named = [e for e in known if e.__name__ == enum_name]
    for candidate in [*named, *known]:
        if key in candidate.__members__:
            return from_qt(candidate.__members__[key])
    raise NotInStandInError(f"The enum value '{class_name}.{key}'")


def declared_keys(class_name: str, enum_name: str) -> tuple[str, tuple[str, ...]]:
    """The class of the lineage that declares the enum and its keys; empty keys when it is no enum."""
    for owner in manifest.lineage(class_name) or (class_name,):
        keys = manifest.classes()[owner].get("enums", {}).get(enum_name) if owner in manifest.classes() else None
        if keys:
            return owner, tuple(keys)
    if class_name == "Qt" and enum_name in manifest.load()["Qt"]["enums"]:
        return "Qt", tuple(manifest.load()["Qt"]["enums"][enum_name])
    return class_name, ()


@cache
def type_of(type_name: str, scope: str = "") -> type | None:
    """PySide6's enum type for 'Qt::Alignment', 'QMessageBox::Icon', or 'Icon' within `scope`; None when not an enum."""
    class_name, _, enum_name = type_name.rpartition("::")
    owner, keys = declared_keys(class_name or scope, enum_name)
    for key in keys:
        try:
            return find_value(owner, enum_name, key).qt_type
        except NotInStandInError:
            continue
    return None


class EnumType:
    """`QMessageBox.StandardButton`: holds the values by name, and turns a number into one of them."""

    def __init__(self, class_name: str, enum_name: str, keys: tuple[str, ...]) -> None:
        self.__dict__.update(_class_name=class_name, _enum_name=enum_name, _keys=keys)

    def __getattr__(self, key: str) -> EnumValue:
        if key not in self._keys:
            raise AttributeError(f"Slicer's enum '{self._class_name}.{self._enum_name}' has no value '{key}'.")
        return find_value(self._class_name, self._enum_name, key)

    def __call__(self, value: int = 0) -> EnumValue:
        return EnumValue(value, type_of(self._enum_name, self._class_name))
