"""CTK's widgets for numbers: spin box, slider, slider with spin box, range sliders."""

from __future__ import annotations

import enum
import math

from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

from .completion import completed


def _row(widget: QWidget, *parts: QWidget) -> None:
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        row.addWidget(part)


def _of(part: str, getter: str, setter: str, python_type: type) -> Property:
    """A property that an inner Qt widget keeps."""
    return Property(
        python_type,
        lambda self: getattr(getattr(self, part), getter)(),
        lambda self, value: getattr(getattr(self, part), setter)(value),
    )


@completed("ctkDoubleSpinBox")
class DoubleSpinBox(QWidget):
    """A spin box for decimal numbers."""

    valueChanged = Signal((float,), (str,))
    editingFinished = Signal()
    decimalsChanged = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QDoubleSpinBox()
        _row(self, self._box)
        self._box.valueChanged.connect(self._announce)
        self._box.editingFinished.connect(self.editingFinished)

    def _announce(self, value: float) -> None:
        self.valueChanged[float].emit(value)
        self.valueChanged[str].emit(self._box.text())

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        if decimals != self._box.decimals():
            self._box.setDecimals(decimals)
            self.decimalsChanged.emit(decimals)

    @Slot()
    def stepUp(self) -> None:
        self._box.stepUp()

    @Slot()
    def stepDown(self) -> None:
        self._box.stepDown()

    @Slot(bool)
    def setReadOnly(self, read_only: bool) -> None:
        self._box.setReadOnly(read_only)

    value = Property(float, lambda self: self._box.value(), setValue)
    decimals = Property(int, lambda self: self._box.decimals(), setDecimals)
    minimum = _of("_box", "minimum", "setMinimum", float)
    maximum = _of("_box", "maximum", "setMaximum", float)
    singleStep = _of("_box", "singleStep", "setSingleStep", float)
    prefix = _of("_box", "prefix", "setPrefix", str)
    suffix = _of("_box", "suffix", "setSuffix", str)
    readOnly = _of("_box", "isReadOnly", "setReadOnly", bool)
    cleanText = Property(str, lambda self: self._box.cleanText())


@completed("ctkSliderWidget")
class SliderWidget(QWidget):
    """A slider and a spin box that show the same number."""

    class SynchronizeSibling(enum.IntFlag):
        """What sliders side by side share."""

        NoSynchronize = 0
        SynchronizeWidth = 1
        SynchronizeDecimals = 2

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self._box.setRange(0.0, 99.0)
        self._box.setSingleStep(1.0)
        self._page_step = 10.0
        _row(self, self._slider, self._box)
        self._scale()
        self._slider.valueChanged.connect(self._from_slider)
        self._box.valueChanged.connect(self._from_box)

    def _unit(self) -> float:
        return max(self._box.singleStep(), 10.0 ** -self._box.decimals())

    def _scale(self) -> None:
        span = (self._box.maximum() - self._box.minimum()) / self._unit()
        self._slider.blockSignals(True)
        self._slider.setRange(0, int(min(round(span), 2**30)) if math.isfinite(span) else 2**30)
        self._slider.setValue(round((self._box.value() - self._box.minimum()) / self._unit()))
        self._slider.blockSignals(False)

    def _from_slider(self, position: int) -> None:
        self._box.setValue(self._box.minimum() + position * self._unit())

    def _from_box(self, value: float) -> None:
        self._scale()
        self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        if decimals != self._box.decimals():
            self._box.setDecimals(decimals)
            self._scale()
            self.decimalsChanged.emit(decimals)

    @Slot(bool)
    def setSpinBoxVisible(self, visible: bool) -> None:
        self._box.setVisible(visible)

    @Slot()
    def reset(self) -> None:
        self.setValue(0.0)

    def _set_minimum(self, value: float) -> None:
        self._box.setMinimum(value)
        self._scale()

    def _set_maximum(self, value: float) -> None:
        self._box.setMaximum(value)
        self._scale()

    def _set_step(self, value: float) -> None:
        self._box.setSingleStep(value)
        self._scale()

    value = Property(float, lambda self: self._box.value(), setValue)
    decimals = Property(int, lambda self: self._box.decimals(), setDecimals)
    minimum = Property(float, lambda self: self._box.minimum(), _set_minimum)
    maximum = Property(float, lambda self: self._box.maximum(), _set_maximum)
    singleStep = Property(float, lambda self: self._box.singleStep(), _set_step)
    prefix = _of("_box", "prefix", "setPrefix", str)
    suffix = _of("_box", "suffix", "setSuffix", str)
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), setSpinBoxVisible)


@completed("ctkDoubleSlider")
class DoubleSlider(SliderWidget):
    """A slider for decimal numbers, without a spin box."""

    sliderMoved = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box.setDecimals(9)
        self._box.hide()
        self._scale()

    @Slot(float)
    def setMinimum(self, value: float) -> None:
        self._set_minimum(value)

    @Slot(float)
    def setMaximum(self, value: float) -> None:
        self._set_maximum(value)

    @Slot(float, float)
    def setRange(self, minimum: float, maximum: float) -> None:
        self._set_minimum(minimum)
        self._set_maximum(maximum)

    def isSliderDown(self) -> bool:
        return self._slider.isSliderDown()


@completed("ctkRangeWidget")
class RangeWidget(QWidget):
    """Two spin boxes for the lower and the upper end of a range."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = QDoubleSpinBox(), QDoubleSpinBox()
        _row(self, self._low, self._high)
        self._quiet = False
        self._low.valueChanged.connect(lambda value: self.setValues(value, max(value, self._high.value())))
        self._high.valueChanged.connect(lambda value: self.setValues(min(value, self._low.value()), value))

    @Slot(float, float)
    def setRange(self, minimum: float, maximum: float) -> None:
        self._low.setRange(minimum, maximum)
        self._high.setRange(minimum, maximum)
        self.rangeChanged.emit(minimum, maximum)

    @Slot(float, float)
    def setValues(self, minimum: float, maximum: float) -> None:
        if self._quiet:
            return
        self._quiet = True
        self._low.setValue(minimum)
        self._high.setValue(maximum)
        self._quiet = False
        self.minimumValueChanged.emit(self._low.value())
        self.maximumValueChanged.emit(self._high.value())
        self.valuesChanged.emit(self._low.value(), self._high.value())

    def _get(self, end: str) -> float:
        return (self._low if end == "low" else self._high).value()

    @Slot(float)
    def setMinimumValue(self, value: float) -> None:
        self.setValues(value, max(value, self._high.value()))

    @Slot(float)
    def setMaximumValue(self, value: float) -> None:
        self.setValues(min(value, self._low.value()), value)

    @Slot(int)
    def setDecimals(self, decimals: int) -> None:
        self._low.setDecimals(decimals)
        self._high.setDecimals(decimals)

    minimumValue = Property(float, lambda self: self._low.value(), setMinimumValue)
    maximumValue = Property(float, lambda self: self._high.value(), setMaximumValue)
    minimum = Property(float, lambda self: self._low.minimum(), lambda s, v: s.setRange(v, s._low.maximum()))
    maximum = Property(float, lambda self: self._low.maximum(), lambda s, v: s.setRange(s._low.minimum(), v))
    decimals = Property(int, lambda self: self._low.decimals(), setDecimals)
    singleStep = _of("_low", "singleStep", "setSingleStep", float)


@completed("ctkDoubleRangeSlider")
class DoubleRangeSlider(RangeWidget):
    """A slider with two handles, played by two spin boxes."""

    sliderPressed = Signal()
    sliderReleased = Signal()
