"""Classes that group several parameters under one name."""

from __future__ import annotations

from typing import Any

import slicer

from .codecs import Codec
from .parameters import ParameterInfo, read_parameters
from .util import splitPossiblyDottedName, unannotatedType
from .validators import IsInstance, NotNone


class PackCodec(Codec):
    """Keeps each member of a pack as `name.member`."""

    def __init__(self, pack_type: type) -> None:
        super().__init__([NotNone(), IsInstance(pack_type)])
        self._type = pack_type
        self.cacheable = all(info.codec.cacheable for info in pack_type.allParameters.values())

    def default(self) -> Any:
        return self._type()

    def matches(self, value: Any) -> bool:
        return isinstance(value, self._type)

    def _members(self) -> list[ParameterInfo]:
        return list(self._type.allParameters.values())

    def isIn(self, node: Any, name: str) -> bool:
        first = self._members()[0]
        return first.codec.isIn(node, f"{name}.{first.basename}")

    def store(self, node: Any, name: str, value: Any) -> None:
        with slicer.util.NodeModify(node):
            for info in self._members():
                info.codec.write(node, f"{name}.{info.basename}", value._values[info.basename])

    def read(self, node: Any, name: str) -> Any:
        made = self._type.__new__(_observing(self._type))
        values = {info.basename: info.codec.read(node, f"{name}.{info.basename}") for info in self._members()}
        made.__dict__.update(_values=values, _save=lambda: self.write(node, name, made))
        return made

    def remove(self, node: Any, name: str) -> None:
        for info in self._members():
            info.codec.remove(node, f"{name}.{info.basename}")


_observing_types: dict[type, type] = {}


def _observing(pack_type: type) -> type:
    """A class derived from the pack whose objects write themselves back and take no new attributes."""

    def refuse_new(self: Any, name: str, value: Any) -> None:
        if not hasattr(self, name):
            raise AttributeError(f"The parameter pack {pack_type.__name__} has no '{name}'.")
        object.__setattr__(self, name, value)

    if pack_type not in _observing_types:
        members = {"__setattr__": refuse_new, "__hash__": None}
        _observing_types[pack_type] = type(f"Observed{pack_type.__name__}", (pack_type,), members)
    return _observing_types[pack_type]


def _member_property(info: ParameterInfo) -> property:
    def write(self: Any, value: Any) -> None:
        info.codec.validate(value)
        self._values[info.basename] = value
        self._save()

    return property(lambda self: self._values[info.basename], write)


def _check_member(pack: Any, name: str) -> tuple[str, str | None]:
    top, rest = splitPossiblyDottedName(name)
    if not hasattr(pack, top):
        raise ValueError(f"{pack} has no member '{top}'.")
    return top, rest


def _initialize(self: Any, *args: Any, **kwargs: Any) -> None:
    self.__dict__.update(_values={}, _save=lambda: None)
    names = list(self.allParameters)
    given = dict(zip(names, args))
    for name, value in kwargs.items():
        if name not in names or name in given:
            raise TypeError(f"{type(self).__name__} takes the argument '{name}' not at all, or only once.")
        given[name] = value
    for name, info in self.allParameters.items():
        value = given.get(name, info.default.value) if name not in given else given[name]
        info.codec.validate(value)
        self._values[name] = value


def _get_value(self: Any, name: str) -> Any:
    top, rest = _check_member(self, name)
    value = getattr(self, top)
    if rest is None:
        return value
    if not isParameterPack(value):
        raise ValueError(f"'{top}' is no parameter pack and has no '{rest}'.")
    return value.getValue(rest)


def _set_value(self: Any, name: str, value: Any) -> None:
    top, rest = _check_member(self, name)
    if rest is None:
        setattr(self, top, value)
    elif not isParameterPack(getattr(self, top)):
        raise ValueError(f"'{top}' is no parameter pack and has no '{rest}'.")
    else:
        getattr(self, top).setValue(rest, value)
        self._save()


def _data_type_of(pack_type: type) -> staticmethod:
    def dataType(membername: str) -> Any:
        top, rest = _check_member(pack_type, membername)
        datatype = pack_type.allParameters[top].unalteredType
        return datatype if rest is None else unannotatedType(datatype).dataType(rest)

    return staticmethod(dataType)


def _equal(self: Any, other: object) -> bool:
    same = isinstance(other, type(self)) or isinstance(self, type(other))
    return same and self._values == getattr(other, "_values", None)


def _describe(self: Any) -> str:
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


def _make_pack(pack_type: type) -> type:
    infos = read_parameters(pack_type)
    if not infos:
        raise ValueError("A parameter pack must have members.")
    own_init = vars(pack_type).get("__init__")
    for info in infos.values():
        info.codec.validate(info.default.value)
        setattr(pack_type, info.basename, _member_property(info))

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        _initialize(self)
        own_init(self, *args, **kwargs)

    pack_type.__init__ = start if own_init else _initialize
    for name, function in (("__eq__", _equal), ("__str__", _describe), ("__repr__", _describe)):
        if name not in vars(pack_type):
            setattr(pack_type, name, function)
    additions = {
        "allParameters": infos,
        "_is_parameterPack": True,
        "getValue": _get_value,
        "setValue": _set_value,
        "dataType": _data_type_of(pack_type),
        "pack_codec": classmethod(lambda cls: PackCodec(cls)),
    }
    for name, value in additions.items():
        if hasattr(pack_type, name):
            raise ValueError(f"A parameter pack must not use the reserved name '{name}'.")
        setattr(pack_type, name, value)
    return pack_type


def parameterPack(classtype: type | None = None) -> Any:
    """Class decorator: the annotated names become checked members that a parameter node can keep."""
    return _make_pack if classtype is None else _make_pack(classtype)


def isParameterPack(obj: Any) -> bool:
    """Whether it is a parameter pack, class or object."""
    return getattr(obj, "_is_parameterPack", False)


def nestedParameterNames(parameterPackClassOrInstance: Any) -> list[str]:
    """The dotted names of all members, packs in packs resolved."""
    names = []
    for name, info in unannotatedType(parameterPackClassOrInstance).allParameters.items():
        datatype = unannotatedType(info.unalteredType)
        inner = nestedParameterNames(datatype) if isParameterPack(datatype) else None
        names += [name] if inner is None else [f"{name}.{each}" for each in inner]
    return names
