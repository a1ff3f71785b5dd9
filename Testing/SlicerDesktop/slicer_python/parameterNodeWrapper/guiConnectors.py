"""How the value of a widget becomes the value of a parameter and back.

A widget is accepted by its exact class, as in Slicer.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
from collections.abc import Callable
from typing import Any

import ctk
import qt
import slicer

from .util import findFirstAnnotation, splitAnnotations, unannotatedType
from .validators import Choice, Maximum, Minimum, WithinRange

_NUMBER_WIDGETS = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget, ctk.ctkDoubleSlider,
                   ctk.ctkDoubleSpinBox, slicer.qMRMLSpinBox)  # fmt: skip
_connectors: list[type[GuiConnector]] = []


@dataclasses.dataclass
class Decimals:
    """Annotation: how many decimals a spin box or slider shows."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """Annotation: the step of a spin box or slider."""

    value: float


class GuiConnector(abc.ABC):
    """Base of all connectors."""

    signal = ""

    def __init__(self, widget: Any = None, datatype: Any = None) -> None:
        super().__init__()
        self._widget, self._datatype, self._callback = widget, datatype, None

    @staticmethod
    @abc.abstractmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        """Whether the widget can hold values of the type."""

    @classmethod
    def create(cls, widget: Any, datatype: Any) -> GuiConnector | None:
        """A connector for the widget, or None when it cannot hold the type."""
        return cls(widget, datatype) if cls.canRepresent(widget, datatype) else None

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when the user changes the widget; None stops it."""
        self._callback = callback
        (self._disconnect if callback is None else self._connect)()

    def changed(self) -> None:
        """Called by the widget's signal."""
        if self._callback:
            self._callback()

    def _connect(self) -> None:
        if self.signal:
            getattr(self._widget, self.signal).connect(self.changed)

    def _disconnect(self) -> None:
        if self.signal:
            getattr(self._widget, self.signal).disconnect(self.changed)

    def widget(self) -> Any:
        """The widget."""
        return self._widget

    @abc.abstractmethod
    def read(self) -> Any:
        """The widget's value."""

    @abc.abstractmethod
    def write(self, value: Any) -> None:
        """Show a value in the widget."""


def parameterNodeGuiConnector(classtype: type | None = None) -> Any:
    """Class decorator: register a connector."""

    def register(connector: type) -> type:
        if not issubclass(connector, GuiConnector):
            raise TypeError("A connector must derive from GuiConnector.")
        _connectors.append(connector)
        return connector

    return register if classtype is None else register(classtype)


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """The connector between a widget and a type; RuntimeError when there is none."""
    for connector in _connectors:
        if connector.canRepresent(widget, datatype):
            return connector.create(widget, datatype)
    raise RuntimeError(f"A widget of type {type(widget)} cannot hold values of type {datatype}.")


def _bounds(datatype: Any) -> tuple[float | None, float | None]:
    annotations = splitAnnotations(datatype)[1]
    within = findFirstAnnotation(annotations, WithinRange)
    if within is not None:
        return within.minimum, within.maximum
    low, high = findFirstAnnotation(annotations, Minimum), findFirstAnnotation(annotations, Maximum)
    return (None if low is None else low.minimum), (None if high is None else high.maximum)


def _annotation_value(datatype: Any, kind: type) -> Any:
    found = findFirstAnnotation(splitAnnotations(datatype)[1], kind)
    return None if found is None else found.value


@parameterNodeGuiConnector
class CheckedConnector(GuiConnector):
    """bool: check boxes and checkable buttons."""

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        kinds = (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton, ctk.ctkCheckablePushButton)
        return unannotatedType(datatype) is bool and type(widget) in kinds

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        is_box = type(widget) in (qt.QCheckBox, ctk.ctkCheckBox)
        self.signal = "stateChanged" if is_box else "toggled"
        if not is_box:
            widget.checkable = True

    def read(self) -> bool:
        return self._widget.checked

    def write(self, value: bool) -> None:
        self._widget.checked = value


@parameterNodeGuiConnector
class IntegerConnector(GuiConnector):
    """int: QSpinBox and QSlider."""

    signal = "valueChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return unannotatedType(datatype) is int and type(widget) in (qt.QSlider, qt.QSpinBox)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        low, high = _bounds(datatype)
        if type(widget) is qt.QSlider and None in (low, high):
            raise RuntimeError("A QSlider can only hold an int with bounds.")
        step = _annotation_value(datatype, SingleStep)
        if step is not None:
            widget.singleStep = step
        widget.setMinimum(-(2**31) if low is None else low)
        widget.setMaximum(2**31 - 1 if high is None else high)

    def read(self) -> int:
        return self._widget.value

    def write(self, value: int) -> None:
        self._widget.value = value


@parameterNodeGuiConnector
class NumberConnector(GuiConnector):
    """float and int: double spin boxes and CTK's and Slicer's sliders."""

    signal = "valueChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return unannotatedType(datatype) in (float, int) and type(widget) in _NUMBER_WIDGETS

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        self._type = unannotatedType(datatype)
        low, high = _bounds(datatype)
        if type(widget) in (ctk.ctkSliderWidget, slicer.qMRMLSliderWidget) and None in (low, high):
            raise RuntimeError("A slider can only hold a number with bounds.")
        decimals = 0 if self._type is int else _annotation_value(datatype, Decimals)
        if decimals is not None and type(widget) is not ctk.ctkDoubleSlider:
            widget.decimals = decimals
        step = _annotation_value(datatype, SingleStep)
        if step is not None:
            widget.singleStep = step
        widget.minimum = float("-inf") if low is None else low
        widget.maximum = float("inf") if high is None else high

    def read(self) -> float:
        return self._type(self._widget.value)

    def write(self, value: float) -> None:
        self._widget.value = self._type(value)


@parameterNodeGuiConnector
class ChoiceConnector(GuiConnector):
    """Combo boxes: an Enum, or a plain type with the annotation Choice."""

    signal = "currentIndexChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        plain = unannotatedType(datatype)
        is_enum = isinstance(plain, type) and issubclass(plain, enum.Enum)
        return type(widget) in (qt.QComboBox, ctk.ctkComboBox) and (is_enum or plain in (int, float, str, bool))

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        plain = unannotatedType(datatype)
        if isinstance(plain, type) and issubclass(plain, enum.Enum):
            label = getattr(plain, "label", lambda member: member.name)
            self._choices = list(plain)
            texts = [label(member) for member in self._choices]
        else:
            choice = findFirstAnnotation(splitAnnotations(datatype)[1], Choice)
            if choice is None:
                raise RuntimeError("A combo box can only hold a plain type with the annotation Choice.")
            self._choices = list(choice.choices)
            texts = [str(each) for each in self._choices]
        widget.clear()
        for text in texts:
            widget.addItem(text)

    def read(self) -> Any:
        return self._choices[self._widget.currentIndex]

    def write(self, value: Any) -> None:
        if value not in self._choices:
            raise ValueError(f"{value!r} is none of the choices {self._choices}.")
        self._widget.currentIndex = self._choices.index(value)
