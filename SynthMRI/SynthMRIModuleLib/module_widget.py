"""What the widgets of our modules have in common: the life of a panel whose choices are kept in a parameter node."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


class ParameterNodeWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Base of a module's widget.

    A module calls `showPanel` first in its `setup` and `initializeParameterNode` last, sets `logic`, and overrides
    `initializeParameterNode`, `updatePanel` and `closeParts`.
    """

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Any = None
        self._parameterNode: Any = None
        self._parameterNodeGuiTag: Any = None
        self._imported = qt.QTimer()
        self._imported.setSingleShot(True)
        self._imported.setInterval(0)
        self._imported.connect("timeout()", self.onSceneEndClose)

    def showPanel(self, uiFile: str) -> None:
        """Load the panel, connect it to the scene, and mark synthetic volumes from now on."""
        from .synthetic_mark import install_mark

        uiWidget = slicer.util.loadUI(self.resourcePath(uiFile))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        install_mark()

    def cleanup(self) -> None:
        """Called when the application closes, or the module is reloaded: ends the child process."""
        self.removeObservers()
        self._imported.stop()
        self.closeParts()
        self.logic.close()

    def onReload(self) -> None:
        """Developer mode: take up changes of the libraries too."""
        from .reloading import forget_libraries

        self.setParameterNode(None)
        forget_libraries()
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module: gives the views back. A run goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Called just before the scene is closed, or another one is read into it.

        While it is read the parameter node already names volumes that are not there yet: selectors that followed it
        would find none and forget them.
        """
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller: Any = None, _event: Any = None) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, _caller: Any = None, _event: Any = None) -> None:
        """Called just after a scene was read; selectors know its nodes once all of its changes have been told."""
        self._imported.start()

    def setParameterNode(self, parameterNode: Any) -> None:
        """Connect widgets and parameter node, or disconnect them when None; then `updatePanel` is called."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self.updatePanel()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene, with sensible ones where there are none yet."""
        self.setParameterNode(self.logic.getParameterNode())

    def updatePanel(self, _caller: Any = None, _event: Any = None) -> None:
        """Show what the parameter node holds where no widget is bound to it; it is None when the panel is left."""

    def closeParts(self) -> None:
        """The panel is about to go."""
