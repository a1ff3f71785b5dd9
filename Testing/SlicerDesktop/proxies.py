"""Qt objects as Slicer's Python sees them through PythonQt.

`class_for("QPushButton")` makes a Python class with one descriptor for each name that the manifest lists, and nothing
else: properties are read and written without a call, methods take positional arguments of the listed signatures,
signals connect, enum values are integers. Each proxy holds the PySide6 object that plays it. A proxy lives as long as
Python refers to it; the Qt object lives on as long as it has a parent.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from . import implementations, manifest
from .connections import Connection
from .descriptors import descriptor_for, refuse_assignment
from .errors import NotInStandInError
from .overriding import overriding_class


@dataclass
class Record:
    """What the stand-in remembers about a living QObject."""

    qt_object: QtCore.QObject
    proxy: weakref.ref
    connections: list[Connection] = field(default_factory=list)
    kept_proxy: Any = None


_records: dict[int, Record] = {}


class ProxyType(type):
    """Class of the proxy classes: says why a name asked of the class itself is absent."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(manifest.why_absent(cls.slicer_class_name, name))


class Proxy(metaclass=ProxyType):
    """Base of all Qt, CTK and Slicer objects as Python sees them."""

    slicer_class_name = "QObject"
    _qt = None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        from .calls import construct

        if keywords:
            raise TypeError(f"{type(self).__name__} takes no keyword arguments, but {', '.join(keywords)} was given.")
        player = implementations.player(self.slicer_class_name)
        if "constructor" not in manifest.classes()[self.slicer_class_name]:
            raise TypeError(f"Slicer's Python cannot make a '{self.slicer_class_name}'.")
        if player is None:
            raise NotInStandInError(f"The class '{self.slicer_class_name}'")
        is_derived = "slicer_class_name" not in vars(type(self))
        is_derived = is_derived and issubclass(player, QtCore.QObject)
        if is_derived:
            player = overriding_class(type(self), player)
        qt_object = construct(player, self.slicer_class_name, arguments)
        _attach(self, qt_object)
        if is_derived:
            qt_object.python_self = weakref.ref(self)
            self.record().kept_proxy = self

    def qt_object(self) -> Any:
        """The PySide6 object behind; ValueError once it was deleted."""
        if self._qt is None or not Shiboken.isValid(self._qt):
            raise ValueError(f"Trying to use a destroyed {self.slicer_class_name} object.")
        return self._qt

    def record(self) -> Record:
        """The stand-in's notes about this QObject."""
        return _records[Shiboken.getCppPointer(self.qt_object())[0]]

    def className(self) -> str:
        """Name of the Qt class."""
        return self.slicer_class_name

    def inherits(self, class_name: str) -> bool:
        """Whether the object is of that class or of one derived from it."""
        return class_name in manifest.lineage(self.slicer_class_name)

    def delete(self) -> None:
        """Delete the Qt object at once."""
        Shiboken.delete(self.qt_object())

    def help(self) -> None:
        """PythonQt prints the members; there is nothing to test in it."""
        raise NotInStandInError("help()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if len(name) > 1 and name.endswith("_"):
            member = manifest.members(self.slicer_class_name).get(name[:-1])
            if member is not None and member.kind in ("method", "static"):
                return descriptor_for(member).__get__(self, type(self))
        found, value = _dynamic_member(self, name)
        if found:
            return value
        raise AttributeError(manifest.why_absent(self.slicer_class_name, name))

    def __setattr__(self, name: str, value: Any) -> None:
        descriptor = getattr(type(self), "__dict__", {}).get(name) or _inherited_descriptor(type(self), name)
        if descriptor is not None and hasattr(descriptor, "__set__"):
            descriptor.__set__(self, value)
        elif name == "_qt" or "slicer_class_name" not in vars(type(self)):
            object.__setattr__(self, name, value)
        elif self._qt is not None and name.encode() in [bytes(n.data()) for n in _dynamic_names(self)]:
            self.qt_object().setProperty(name, value)
        else:
            refuse_assignment(self.slicer_class_name, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Proxy):
            return NotImplemented
        if isinstance(self._qt, QtCore.QObject) or isinstance(other._qt, QtCore.QObject):
            return self._qt is other._qt
        return bool(self._qt == other._qt)

    def __hash__(self) -> int:
        return hash(id(self._qt))

    def __bool__(self) -> bool:
        return self._qt is not None and Shiboken.isValid(self._qt)

    def __repr__(self) -> str:
        return f"{type(self).__name__} ({self.slicer_class_name} at {id(self._qt):#x})"


def _inherited_descriptor(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def _dynamic_names(proxy: Proxy) -> list:
    qt_object = proxy.qt_object()
    return qt_object.dynamicPropertyNames() if isinstance(qt_object, QtCore.QObject) else []


def _dynamic_member(proxy: Proxy, name: str) -> tuple[bool, Any]:
    """A dynamic property or a child object of that name: PythonQt's last resorts."""
    from .conversion import to_python

    if proxy._qt is None or not isinstance(proxy._qt, QtCore.QObject):
        return False, None
    if name.encode() in [bytes(n.data()) for n in _dynamic_names(proxy)]:
        return True, to_python(proxy.qt_object().property(name))
    for child in proxy.qt_object().children():
        if child.objectName() == name:
            return True, proxy_for(child)
    return False, None


def _has_owner(qt_object: Any) -> bool:
    return isinstance(qt_object, QtCore.QObject) and qt_object.parent() is not None


def _forget(pointer: int, qt_object: Any) -> None:
    """A proxy went out of use: let an object without owner go, keep the notes of the others."""
    record = _records.get(pointer)
    if record is None or record.qt_object is not qt_object or record.proxy() is not None:
        return
    if Shiboken.isValid(qt_object) and (_has_owner(qt_object) or not Shiboken.ownedByPython(qt_object)):
        return
    del _records[pointer]


def _drop(pointer: int, *_: Any) -> None:
    """A Qt object was deleted."""
    _records.pop(pointer, None)


def _attach(proxy: Proxy, qt_object: Any) -> None:
    object.__setattr__(proxy, "_qt", qt_object)
    if not isinstance(qt_object, QtCore.QObject):
        return
    pointer = Shiboken.getCppPointer(qt_object)[0]
    record = _records.get(pointer)
    if record is None or record.qt_object is not qt_object or not Shiboken.isValid(record.qt_object):
        record = Record(qt_object, weakref.ref(proxy))
        _records[pointer] = record
        qt_object.destroyed.connect(partial(_drop, pointer))
    record.proxy = weakref.ref(proxy)
    weakref.finalize(proxy, _forget, pointer, qt_object).atexit = False


def proxy_for(qt_object: Any) -> Any:
    """The proxy of a PySide6 object, the same one as long as it is in use."""
    derived = getattr(qt_object, "python_self", None)
    if derived is not None and derived() is not None:
        return derived()
    if isinstance(qt_object, QtCore.QObject):
        record = _records.get(Shiboken.getCppPointer(qt_object)[0])
        known = record.proxy() if record is not None and record.qt_object is qt_object else None
        if known is not None:
            return known
    name = implementations.played_name(type(qt_object))
    while name not in manifest.classes():
        base = implementations.qt_class(name).__base__ if name and implementations.qt_class(name) else None
        if base is None or base is object or not base.__module__.startswith("PySide6."):
            return qt_object
        name = base.__name__
    proxy = object.__new__(class_for(name))
    _attach(proxy, qt_object)
    return proxy


@cache
def class_for(class_name: str) -> type:
    """The Python class of a Qt, CTK or Slicer class."""
    described = manifest.classes()[class_name]
    bases = tuple(class_for(base) for base in described["bases"] if base in manifest.classes())
    bases = tuple(b for b in bases if not any(b is not o and issubclass(o, b) for o in bases)) or (Proxy,)
    namespace: dict[str, Any] = {"slicer_class_name": class_name, "__module__": described["python_module"] or "qt"}
    for name, member in manifest.members(class_name).items():
        if name not in vars(Proxy):
            namespace[name] = descriptor_for(member)
    if "exec" in namespace:
        namespace["exec_"] = namespace["exec"]
    return ProxyType(class_name, bases, namespace)
