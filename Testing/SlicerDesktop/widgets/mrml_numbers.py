"""Slicer's number widgets: CTK's, able to follow the units of the scene (the units are not played)."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Slot

from .completion import completed
from .ctk_numbers import DoubleSpinBox, RangeWidget, SliderWidget


class _SceneQuantity:
    """Keeps the scene and the name of the quantity."""

    def mrmlScene(self) -> Any:
        return getattr(self, "_scene", None)

    def _keep_scene(self, scene: Any) -> None:
        self._scene = scene


@completed("qMRMLSliderWidget")
class MRMLSliderWidget(_SceneQuantity, SliderWidget):
    """A slider with a spin box for a quantity with a unit."""

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._keep_scene(scene)

    @Slot(str)
    def setQuantity(self, quantity: str) -> None:
        self._quantity = quantity

    quantity = Property(str, lambda self: getattr(self, "_quantity", ""), setQuantity)


@completed("qMRMLSpinBox")
class MRMLSpinBox(_SceneQuantity, DoubleSpinBox):
    """A spin box for a quantity with a unit."""

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._keep_scene(scene)

    @Slot(str)
    def setQuantity(self, quantity: str) -> None:
        self._quantity = quantity

    quantity = Property(str, lambda self: getattr(self, "_quantity", ""), setQuantity)


@completed("qMRMLRangeWidget")
class MRMLRangeWidget(_SceneQuantity, RangeWidget):
    """A range of a quantity with a unit."""

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._keep_scene(scene)
