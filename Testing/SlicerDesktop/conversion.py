"""Values on their way between Slicer's Python and PySide6, following PythonQt's rules.

Toward Python: enums become integers, lists become tuples, Qt objects become proxies; MRML and VTK objects pass as they
are. Toward Qt: proxies become Qt objects; numbers are converted to what the signature asks for, first strictly, then
leniently (a float for an int is cut off, a number for a string is written out), as PythonQt does.
"""

from __future__ import annotations

import enum
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from . import enums

_INTEGERS = {"int", "uint", "unsigned int", "long", "ulong", "short", "ushort", "qint64", "quint64", "qlonglong",
             "qulonglong", "WId", "char", "uchar"}  # fmt: skip
_REALS = {"double", "float", "qreal"}
_STRINGS = {"QString", "char*", "QStringRef", "QChar"}


class Unconvertible(TypeError):
    """The value cannot be turned into the type that the signature asks for."""


def to_python(value: Any) -> Any:
    """What Slicer's Python sees for a value that PySide6 returned."""
    from .proxies import proxy_for

    if isinstance(value, enum.Enum):
        return enums.from_qt(value)
    if isinstance(value, (list, tuple)):
        return tuple(to_python(item) for item in value)
    if isinstance(value, dict):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, Shiboken.Object):
        return proxy_for(value)
    return value


def to_qt(value: Any) -> Any:
    """The value as PySide6 wants it, when no particular type is asked for."""
    from .proxies import Proxy

    if isinstance(value, Proxy):
        return value.qt_object()
    if isinstance(value, enums.EnumValue):
        return value.to_qt()
    if isinstance(value, (list, tuple)):
        return [to_qt(item) for item in value]
    if isinstance(value, dict):
        return {key: to_qt(item) for key, item in value.items()}
    return value


def property_to_python(value: Any, type_name: str, owner: str) -> Any:
    """A property's value; Qt gives enum properties as plain numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and (qt_type := enums.type_of(type_name, owner)):
        return enums.EnumValue(value, qt_type)
    return to_python(value)


def convert(value: Any, type_name: str, owner: str, *, strict: bool) -> Any:
    """Turn `value` into the C++ type `type_name` for PySide6; raise Unconvertible when PythonQt would refuse."""
    if type_name in _STRINGS:
        return _to_string(value, strict=strict)
    if type_name in _INTEGERS:
        return _to_integer(value, type_name, strict=strict)
    if type_name in _REALS:
        return _to_real(value, type_name, strict=strict)
    if type_name == "bool":
        return _to_boolean(value, strict=strict)
    if type_name in ("QStringList", "QList<QString>"):
        return _to_strings(value)
    if qt_type := enums.type_of(type_name, owner):
        return _to_enum(value, qt_type, type_name)
    return _to_object(value, type_name)


def _refuse(value: Any, type_name: str) -> Unconvertible:
    return Unconvertible(f"{type_name} does not accept {value!r} of type {type(value).__name__}")


def _to_string(value: Any, *, strict: bool) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    if not strict and isinstance(value, (int, float)):
        return str(value)
    raise _refuse(value, "QString")


def _to_integer(value: Any, type_name: str, *, strict: bool) -> int:
    if isinstance(value, int) and not (strict and isinstance(value, bool)):
        return int(value)
    if not strict and isinstance(value, float):
        return int(value)
    raise _refuse(value, type_name)


def _to_real(value: Any, type_name: str, *, strict: bool) -> float:
    if isinstance(value, float) or (not strict and isinstance(value, int)):
        return float(value)
    raise _refuse(value, type_name)


def _to_boolean(value: Any, *, strict: bool) -> bool:
    if isinstance(value, bool):
        return value
    if not strict and isinstance(value, (int, float)):
        return bool(value)
    raise _refuse(value, "bool")


def _to_strings(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return list(value)
    raise _refuse(value, "QStringList")


def _to_enum(value: Any, qt_type: type, type_name: str) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return qt_type(int(value))
    raise _refuse(value, type_name)


def _to_object(value: Any, type_name: str) -> Any:
    if value is None and not type_name.endswith("*") and type_name not in ("QVariant", "PyObject"):
        raise _refuse(value, type_name)
    converted = to_qt(value)
    if type_name == "QByteArray" and isinstance(converted, (str, bytes)):
        return QtCore.QByteArray(converted.encode() if isinstance(converted, str) else converted)
    wanted = type_name.rstrip("*")
    is_plain = isinstance(converted, (str, int, float, bool, list, dict)) and not isinstance(converted, enum.Enum)
    if type_name.endswith("*") and wanted.startswith(("Q", "vtk", "qMRML", "qSlicer", "ctk")) and is_plain:
        raise _refuse(value, type_name)
    if wanted.startswith("vtk") and converted is not None and not (hasattr(converted, "IsA") and converted.IsA(wanted)):
        raise _refuse(value, type_name)
    return converted
