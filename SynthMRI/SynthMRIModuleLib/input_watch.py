"""Tells when voxels or place of the chosen inputs change, so that what is said about them stays true.

Changes come in bursts (a sequence that is played, a transform that is dragged), so the news comes once they pause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import qt
import slicer
from slicer.util import VTKObservationMixin

PAUSE_MS = 250


class InputWatch(VTKObservationMixin):
    """Watches some nodes at a time.

    Args:
        on_changed: called after a change, without arguments.
    """

    def __init__(self, on_changed: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._nodes: list[slicer.vtkMRMLVolumeNode] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", on_changed)

    def watch(self, nodes: Iterable[slicer.vtkMRMLNode | None]) -> None:
        """Watch these nodes from now on, and no others."""
        nodes = list(dict.fromkeys(node for node in nodes if node is not None))
        if [id(node) for node in nodes] == [id(node) for node in self._nodes]:
            return
        self.stop()
        self._nodes = nodes
        for node in nodes:
            for event in (node.ImageDataModifiedEvent, node.TransformModifiedEvent):
                self.addObserver(node, event, self._on_modified)

    def stop(self) -> None:
        """Watch nothing."""
        self.removeObservers()
        self._timer.stop()
        self._nodes = []

    def _on_modified(self, _caller: object = None, _event: object = None) -> None:
        self._timer.start()
