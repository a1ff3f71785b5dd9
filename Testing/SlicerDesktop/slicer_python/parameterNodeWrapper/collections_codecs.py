"""How lists, tuples, dictionaries and unions are kept in a parameter node, and which codec a type gets."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable
from typing import Any

import qt
import slicer

from .codecs import (
    PATH_TYPES,
    BooleanCodec,
    Codec,
    ColorCodec,
    EnumCodec,
    NodeCodec,
    NoneCodec,
    NumberCodec,
    PathCodec,
    TextCodec,
)
from .observed import ObservedDict, ObservedList
from .util import isNodeType, isUnion, splitAnnotations
from .validators import extractValidators


class TupleCodec(Codec):
    """A tuple, element by element."""

    def __init__(self, parts: list[Codec]) -> None:
        super().__init__([])
        self._parts = parts
        self.cacheable = all(part.cacheable for part in parts)

    def default(self) -> tuple:
        return tuple(part.default() for part in self._parts)

    def matches(self, value: Any) -> bool:
        return type(value) is tuple

    def isIn(self, node: Any, name: str) -> bool:
        return self._parts[0].isIn(node, f"{name}.0")

    def store(self, node: Any, name: str, value: Any) -> None:
        values = tuple(value)
        if len(values) != len(self._parts):
            raise ValueError(f"The tuple must have {len(self._parts)} elements, but has {len(values)}.")
        with slicer.util.NodeModify(node):
            for index, (part, each) in enumerate(zip(self._parts, values)):
                part.write(node, f"{name}.{index}", each)

    def read(self, node: Any, name: str) -> tuple:
        return tuple(part.read(node, f"{name}.{index}") for index, part in enumerate(self._parts))

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self._parts):
            part.remove(node, f"{name}.{index}")


class ListCodec(Codec):
    """A list: its length and its elements."""

    def __init__(self, element: Codec) -> None:
        super().__init__([])
        self._element = element
        self.cacheable = element.cacheable

    def default(self) -> list:
        return []

    def matches(self, value: Any) -> bool:
        return isinstance(value, (list, ObservedList))

    def isIn(self, node: Any, name: str) -> bool:
        return node.HasParameter(f"{name}.len")

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}.len")) if self.isIn(node, name) else 0

    def store(self, node: Any, name: str, value: Any) -> None:
        values = list(value)
        for each in values:
            self._element.validate(each)
        with slicer.util.NodeModify(node):
            for index in range(len(values), self._length(node, name)):
                self._element.remove(node, f"{name}.{index}")
            for index, each in enumerate(values):
                self._element.write(node, f"{name}.{index}", each)
            node.SetParameter(f"{name}.len", str(len(values)))

    def values(self, node: Any, name: str) -> list[Any]:
        """The elements as a plain list."""
        return [self._element.read(node, f"{name}.{index}") for index in range(self._length(node, name))]

    def read(self, node: Any, name: str) -> ObservedList:
        def save(values: list[Any]) -> list[Any]:
            self.write(node, name, values)
            return self.values(node, name)

        return ObservedList(self.values(node, name), save)

    def remove(self, node: Any, name: str) -> None:
        for index in range(self._length(node, name)):
            self._element.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")


class DictionaryCodec(Codec):
    """A dictionary as a list of pairs."""

    def __init__(self, key: Codec, value: Codec) -> None:
        super().__init__([])
        self._pairs = ListCodec(TupleCodec([key, value]))
        self.cacheable = self._pairs.cacheable

    def default(self) -> dict:
        return {}

    def matches(self, value: Any) -> bool:
        return isinstance(value, (dict, ObservedDict))

    def isIn(self, node: Any, name: str) -> bool:
        return self._pairs.isIn(node, name)

    def store(self, node: Any, name: str, value: Any) -> None:
        self._pairs.write(node, name, list(value.items()))

    def read(self, node: Any, name: str) -> ObservedDict:
        def save(values: dict[Any, Any]) -> dict[Any, Any]:
            self.write(node, name, values)
            return dict(self._pairs.values(node, name))

        return ObservedDict(dict(self._pairs.values(node, name)), save)

    def remove(self, node: Any, name: str) -> None:
        self._pairs.remove(node, name)


class UnionCodec(Codec):
    """One of several types; the number of the type is part of the name."""

    def __init__(self, parts: list[Codec]) -> None:
        super().__init__([])
        self._parts = parts
        self.cacheable = all(part.cacheable for part in parts)

    def default(self) -> Any:
        is_optional = len(self._parts) == 2 and isinstance(self._parts[1], NoneCodec)
        return None if is_optional else self._parts[0].default()

    def matches(self, value: Any) -> bool:
        return any(part.matches(value) for part in self._parts)

    def isIn(self, node: Any, name: str) -> bool:
        return any(part.isIn(node, f"{name}.{index}") for index, part in enumerate(self._parts))

    def store(self, node: Any, name: str, value: Any) -> None:
        refusal: Exception | None = None
        for index, part in enumerate(self._parts):
            if part.matches(value):
                try:
                    part.validate(value)
                except (TypeError, ValueError) as error:
                    refusal = error
                    continue
                with slicer.util.NodeModify(node):
                    self.remove(node, name)
                    part.write(node, f"{name}.{index}", value)
                return
        raise refusal or TypeError(f"None of the types takes {value!r} of type {type(value)}.")

    def read(self, node: Any, name: str) -> Any:
        for index, part in enumerate(self._parts):
            if part.isIn(node, f"{name}.{index}"):
                return part.read(node, f"{name}.{index}")
        raise KeyError(f"The parameter node has no value named {name}.")

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self._parts):
            part.remove(node, f"{name}.{index}")


_SIMPLE: dict[Any, Callable[[], Codec]] = {
    int: lambda: NumberCodec(int),
    float: lambda: NumberCodec(float),
    str: TextCodec,
    bool: BooleanCodec,
    type(None): NoneCodec,
}


def _codec_for_plain(datatype: Any) -> Codec:
    arguments = typing.get_args(datatype)
    origin = typing.get_origin(datatype)
    if datatype in _SIMPLE:
        return _SIMPLE[datatype]()
    if datatype in PATH_TYPES:
        return PathCodec(datatype)
    if isNodeType(datatype):
        return NodeCodec(datatype)
    if isUnion(datatype):
        return UnionCodec([codec_for(part)[0] for part in arguments])
    if origin is list and arguments:
        return ListCodec(codec_for(arguments[0])[0])
    if origin is tuple and arguments:
        return TupleCodec([codec_for(part)[0] for part in arguments])
    if origin is dict and len(arguments) == 2:
        return DictionaryCodec(codec_for(arguments[0])[0], codec_for(arguments[1])[0])
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return EnumCodec(datatype)
    if datatype is qt.QColor:
        return ColorCodec()
    if hasattr(datatype, "pack_codec"):
        return datatype.pack_codec()
    raise TypeError(f"A parameter node cannot keep values of type {datatype}.")


def codec_for(annotatedType: Any) -> tuple[Codec, list[Any]]:
    """The codec of a type with its conditions added, and the annotations that are no conditions."""
    datatype, annotations = splitAnnotations(annotatedType)
    conditions, others = extractValidators(annotations)
    codec = _codec_for_plain(datatype)
    codec.conditions = [*codec.conditions, *conditions]
    return codec, others
