"""How one name of a Qt class behaves in Slicer's Python: property, method, signal or enum."""

from __future__ import annotations

import enum
from typing import Any, NoReturn

from . import enums, manifest
from .connections import BoundSignal
from .conversion import Unconvertible, convert, property_to_python
from .errors import NotInStandInError


def refuse_assignment(class_name: str, name: str) -> NoReturn:
    """Raise for an attribute that PythonQt would not create."""
    raise AttributeError(f"Cannot set '{name}': {manifest.why_absent(class_name, name)}")


class PropertyDescriptor:
    """A Q_PROPERTY: read and written without a call."""

    def __init__(self, member: manifest.Member) -> None:
        self.member = member
        self.qt_name = "objectName" if member.name == "objectName" else member.name

    def _qt_object(self, proxy: Any) -> Any:
        qt_object = proxy.qt_object()
        if qt_object.metaObject().indexOfProperty(self.qt_name) < 0:
            raise NotInStandInError(f"The property '{proxy.slicer_class_name}.{self.qt_name}'")
        return qt_object

    def __get__(self, proxy: Any, owner: type) -> Any:
        if proxy is None:
            return self
        value = self._qt_object(proxy).property(self.qt_name)
        return property_to_python(value, self.member.type, self.member.owner)

    def __set__(self, proxy: Any, value: Any) -> None:
        member, name = self.member, f"{proxy.slicer_class_name}.{self.qt_name}"
        if not member.writable:
            raise AttributeError(f"The property '{name}' is read only.")
        qt_object = self._qt_object(proxy)
        try:
            converted = convert(value, member.type, member.owner, strict=False)
        except Unconvertible as error:
            raise TypeError(f"The property '{name}': {error}.") from None
        meta = qt_object.metaObject()
        if isinstance(converted, enum.Enum) and meta.property(meta.indexOfProperty(self.qt_name)).typeName() == "int":
            converted = converted.value
        if not qt_object.setProperty(self.qt_name, converted):
            raise TypeError(f"The property '{name}' of type {member.type} does not accept {value!r}.")


class MethodDescriptor:
    """A slot, an invokable method or a method of Qt's wrappers."""

    def __init__(self, member: manifest.Member) -> None:
        self.member = member

    def __get__(self, proxy: Any, owner: type) -> Any:
        from .calls import BoundMethod, UnboundMethod

        return UnboundMethod(self.member, owner) if proxy is None else BoundMethod(self.member, proxy)

    def __set__(self, proxy: Any, value: Any) -> None:
        raise AttributeError(f"'{proxy.slicer_class_name}.{self.member.name}' is a method and cannot be overwritten.")


class SignalDescriptor:
    """A signal."""

    def __init__(self, member: manifest.Member) -> None:
        self.member = member

    def __get__(self, proxy: Any, owner: type) -> Any:
        return self if proxy is None else BoundSignal(proxy, self.member)

    def __set__(self, proxy: Any, value: Any) -> None:
        raise AttributeError(f"'{proxy.slicer_class_name}.{self.member.name}' is a signal and cannot be overwritten.")


class EnumTypeDescriptor:
    """`QFrame.Shape`."""

    def __init__(self, member: manifest.Member) -> None:
        self.member = member

    def __get__(self, proxy: Any, owner: type) -> enums.EnumType:
        return enums.EnumType(self.member.owner, self.member.name, self.member.keys)


class EnumValueDescriptor:
    """`QFrame.Box`."""

    def __init__(self, member: manifest.Member) -> None:
        self.member = member

    def __get__(self, proxy: Any, owner: type) -> enums.EnumValue:
        return enums.find_value(self.member.owner, self.member.type, self.member.name)


_KINDS = {
    "property": PropertyDescriptor,
    "method": MethodDescriptor,
    "static": MethodDescriptor,
    "signal": SignalDescriptor,
    "enum": EnumTypeDescriptor,
    "enum value": EnumValueDescriptor,
}
_made: dict[int, Any] = {}


def descriptor_for(member: manifest.Member) -> Any:
    """The descriptor that plays `member`."""
    if id(member) not in _made:
        _made[id(member)] = _KINDS[member.kind](member)
    return _made[id(member)]
