"""Slicer's plain widgets that know the MRML scene."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QWidget

from .completion import completed


class SceneWidget(QWidget):
    """A widget that keeps a scene and says when it is given another one."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@completed("qMRMLWidget")
class MRMLWidget(SceneWidget):
    """Root of most panels."""


@completed("qSlicerWidget")
class SlicerWidget(SceneWidget):
    """Base of Slicer's own panels."""
