"""Conditions that a parameter's value must meet; a value that does not is refused when it is set."""

from __future__ import annotations

import abc
from collections.abc import Container
from typing import Any


class Validator(abc.ABC):
    """Base of all conditions."""

    @abc.abstractmethod
    def validate(self, value: Any) -> None:
        """Raise ValueError (TypeError for a wrong type) when the value does not meet the condition."""


class NotNone(Validator):
    """The value is not None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("The value must not be None.")


class IsNone(Validator):
    """The value is None."""

    def validate(self, value: Any) -> None:
        if value is not None:
            raise ValueError("The value must be None.")


class IsInstance(Validator):
    """The value is None or of the given type or types."""

    def __init__(self, classtype: Any) -> None:
        self.classtype = classtype

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"The value must be of type {self.classtype}, but {value!r} is of type {type(value)}.")


class WithinRange(Validator):
    """The value lies between two numbers, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"The value must lie in [{self.minimum}, {self.maximum}], but is {value}.")


class Minimum(Validator):
    """The value is not below a number."""

    def __init__(self, minimum: float) -> None:
        self.minimum = minimum

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"The value must be at least {self.minimum}, but is {value}.")


class Maximum(Validator):
    """The value is not above a number."""

    def __init__(self, maximum: float) -> None:
        self.maximum = maximum

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"The value must be at most {self.maximum}, but is {value}.")


class Choice(Validator):
    """The value is one of a list."""

    def __init__(self, choices: Container) -> None:
        self.choices = choices

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"The value must be one of {self.choices}, but is {value!r}.")


class Exclude(Validator):
    """The value is none of a list."""

    def __init__(self, excludedValues: Container) -> None:
        self.excludedValues = excludedValues

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"The value must be none of {self.excludedValues}, but is {value!r}.")


class RangeBounds(Validator):
    """Both ends of a range lie between two numbers."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value: Any) -> None:
        if value.minimum < self.minimum or value.maximum > self.maximum:
            bounds, given = f"[{self.minimum}, {self.maximum}]", f"[{value.minimum}, {value.maximum}]"
            raise ValueError(f"The range must lie in {bounds}, but is {given}.")


def _is_condition(annotation: Any) -> bool:
    is_class = isinstance(annotation, type) and issubclass(annotation, Validator)
    return is_class or isinstance(annotation, Validator)


def extractValidators(annotations: list[Any]) -> tuple[list[Validator], list[Any]]:
    """Part the conditions from the other annotations."""
    conditions = [each for each in annotations if _is_condition(each)]
    return conditions, [each for each in annotations if not _is_condition(each)]
