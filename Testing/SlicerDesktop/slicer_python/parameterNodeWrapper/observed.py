"""Lists and dictionaries that a parameter node hands out: changing them changes the node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from typing import Any


class ObservedList(MutableSequence):
    """A list that writes itself to the parameter node with every change; a refused change leaves it as it was."""

    def __init__(self, values: list[Any], save: Callable[[list[Any]], list[Any]]) -> None:
        self._values, self._save = values, save

    def _change(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method of list on a copy, write the copy, and go on with what was written."""
        changed = list(self._values)
        result = getattr(changed, name)(*arguments, **keywords)
        self._values = self._save(changed)
        return result

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._change("__setitem__", index, value)

    def __delitem__(self, index: Any) -> None:
        self._change("__delitem__", index)

    def __iadd__(self, other: Any) -> ObservedList:
        self._change("extend", other)
        return self

    def __imul__(self, count: int) -> ObservedList:
        self._change("__imul__", count)
        return self

    def _refuse(self, _other: Any) -> None:
        raise NotImplementedError("The result would not be written: change an ObservedList in place, with += or *=.")

    __add__ = __radd__ = __mul__ = __rmul__ = _refuse

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedList) else other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"ObservedList({self._values})"


def _list_method(name: str) -> Callable:
    def method(self: ObservedList, *arguments: Any, **keywords: Any) -> Any:
        return self._change(name, *arguments, **keywords)

    method.__name__ = name
    return method


for _name in ("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"):
    setattr(ObservedList, _name, _list_method(_name))
ObservedList.__abstractmethods__ = frozenset()


class ObservedDict(MutableMapping):
    """A dictionary that writes itself to the parameter node with every change; a refused change leaves it as it was."""

    def __init__(self, values: dict[Any, Any], save: Callable[[dict[Any, Any]], dict[Any, Any]]) -> None:
        self._values, self._save = values, save

    def _change(self, name: str, *arguments: Any) -> Any:
        """Call a method of dict on a copy, write the copy, and go on with what was written."""
        changed = dict(self._values)
        result = getattr(changed, name)(*arguments)
        self._values = self._save(changed)
        return result

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator:
        return iter(self._values)

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._change("__setitem__", key, value)

    def __delitem__(self, key: Any) -> None:
        self._change("__delitem__", key)

    def pop(self, key: Any) -> Any:
        """Take a value out and write."""
        return self._change("pop", key)

    def popitem(self) -> tuple[Any, Any]:
        """Take the last pair out and write."""
        return self._change("popitem")

    def clear(self) -> None:
        """Empty it and write."""
        self._change("clear")

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedDict) else other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"ObservedDict({self._values})"
