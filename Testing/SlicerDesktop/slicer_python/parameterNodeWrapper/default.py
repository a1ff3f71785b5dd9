"""The annotation that gives a parameter its default value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Default:
    """A default value, or a function that makes a new one each time."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        """The default value."""
        return self._generator() if self._generator else self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Default) and (self._value, self._generator) == (other._value, other._generator)

    def __hash__(self) -> int:
        return hash(self._generator)

    def __repr__(self) -> str:
        return f"Default(value={self._value}, generator={self._generator})"
