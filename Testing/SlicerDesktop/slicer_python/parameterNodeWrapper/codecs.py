"""How single values are kept in a parameter node: as text, or as a reference to another node."""

from __future__ import annotations

import enum
import pathlib
from typing import Any

import qt
import slicer

from .validators import IsInstance, IsNone, NotNone, Validator

PATH_TYPES = (pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePath, pathlib.PurePosixPath,
              pathlib.PureWindowsPath)  # fmt: skip


class Codec:
    """Reads and writes the values of one type; `conditions` are checked before writing."""

    cacheable = True

    def __init__(self, conditions: list[Validator]) -> None:
        self.conditions = conditions

    def validate(self, value: Any) -> None:
        """Raise when a value is not allowed."""
        for condition in self.conditions:
            condition.validate(value)

    def default(self) -> Any:
        """The value of a parameter that has no other default."""
        raise NotImplementedError

    def matches(self, value: Any) -> bool:
        """Whether a union keeps this value with this codec."""
        raise NotImplementedError

    def isIn(self, node: Any, name: str) -> bool:
        """Whether the node has a value of this name."""
        return node.HasParameter(name)

    def write(self, node: Any, name: str, value: Any) -> None:
        """Check the value and keep it in the node."""
        self.validate(value)
        self.store(node, name, value)

    def store(self, node: Any, name: str, value: Any) -> None:
        """Keep a checked value."""
        node.SetParameter(name, str(value))

    def read(self, node: Any, name: str) -> Any:
        """The value in the node."""
        raise NotImplementedError

    def remove(self, node: Any, name: str) -> None:
        """Take the value out of the node."""
        node.UnsetParameter(name)


class NumberCodec(Codec):
    """int and float."""

    def __init__(self, number_type: type) -> None:
        super().__init__([NotNone(), IsInstance((int, float) if number_type is float else int)])
        self._type = number_type

    def default(self) -> Any:
        return 0

    def matches(self, value: Any) -> bool:
        return type(value) in (int, float)

    def read(self, node: Any, name: str) -> Any:
        return self._type(node.GetParameter(name))


class TextCodec(Codec):
    """str."""

    def __init__(self) -> None:
        super().__init__([NotNone(), IsInstance(str)])

    def default(self) -> str:
        return ""

    def matches(self, value: Any) -> bool:
        return type(value) is str

    def read(self, node: Any, name: str) -> str:
        return node.GetParameter(name)


class PathCodec(Codec):
    """pathlib's types."""

    def __init__(self, path_type: type) -> None:
        super().__init__([NotNone(), IsInstance(path_type)])
        self._type = path_type

    def default(self) -> Any:
        return self._type()

    def matches(self, value: Any) -> bool:
        return type(value) in PATH_TYPES

    def read(self, node: Any, name: str) -> Any:
        return self._type(node.GetParameter(name))


class BooleanCodec(Codec):
    """bool, kept as True or False."""

    def __init__(self) -> None:
        super().__init__([NotNone(), IsInstance(bool)])

    def default(self) -> bool:
        return False

    def matches(self, value: Any) -> bool:
        return type(value) is bool

    def read(self, node: Any, name: str) -> bool:
        return node.GetParameter(name) == "True"


class EnumCodec(Codec):
    """An Enum, kept by the name of its member."""

    def __init__(self, enum_type: type[enum.Enum]) -> None:
        super().__init__([IsInstance(enum_type)])
        self._type = enum_type

    def default(self) -> enum.Enum:
        return next(iter(self._type))

    def matches(self, value: Any) -> bool:
        return isinstance(value, enum.Enum)

    def store(self, node: Any, name: str, value: enum.Enum) -> None:
        node.SetParameter(name, value.name)

    def read(self, node: Any, name: str) -> enum.Enum:
        text = node.GetParameter(name)
        if text not in self._type.__members__:
            raise ValueError(f"The parameter node holds {text!r}, which is no member of {self._type!r}.")
        return self._type[text]


class NodeCodec(Codec):
    """A MRML node, kept as a node reference beside an empty text."""

    def __init__(self, node_type: type) -> None:
        super().__init__([IsInstance(node_type)])

    def default(self) -> None:
        return None

    def matches(self, value: Any) -> bool:
        return isinstance(value, slicer.vtkMRMLNode)

    def store(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class NoneCodec(Codec):
    """None, the empty case of Optional."""

    def __init__(self) -> None:
        super().__init__([IsNone()])

    def default(self) -> None:
        return None

    def matches(self, value: Any) -> bool:
        return value is None

    def store(self, node: Any, name: str, value: None) -> None:  # noqa: ARG002
        node.SetParameter(name, "True")

    def read(self, node: Any, name: str) -> None:  # noqa: ARG002
        return None


class ColorCodec(Codec):
    """qt.QColor, kept as #AARRGGBB; the color that is read does not write back when it is changed."""

    cacheable = False

    def __init__(self) -> None:
        super().__init__([NotNone(), IsInstance(qt.QColor)])

    def default(self) -> Any:
        return qt.QColor()

    def matches(self, value: Any) -> bool:
        return isinstance(value, qt.QColor)

    def store(self, node: Any, name: str, value: Any) -> None:
        node.SetParameter(name, value.name(qt.QColor.HexArgb))

    def read(self, node: Any, name: str) -> Any:
        return qt.QColor(node.GetParameter(name))
