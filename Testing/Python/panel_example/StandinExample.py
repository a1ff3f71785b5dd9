"""A small scripted module for the tests of the stand-in: one of each kind of parameter, an Apply button, a log."""

import enum
import pathlib
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper, parameterPack
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class StandinExample(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Stand-in example")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Examples")]
        self.parent.contributors = ["SynthMRI"]
        self.parent.helpText = _("Adds a number to every voxel.")


class Mode(enum.Enum):
    """What to do."""

    ADD = 1
    SUBTRACT = 2

    def label(self):
        """Text in the combo box."""
        return self.name.lower()


@parameterPack
class Corner:
    """A position."""

    x: Annotated[float, WithinRange(0, 10)]
    y: Annotated[float, WithinRange(0, 10)] = 2.0


@parameterNodeWrapper
class StandinExampleParameterNode:
    """The parameters."""

    inputVolume: vtkMRMLScalarVolumeNode
    amount: Annotated[float, WithinRange(-10, 10)] = 1.0
    passes: Annotated[int, WithinRange(1, 8)] = 2
    mode: Mode = Mode.ADD
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    keepName: bool = True
    note: str = "a note"
    folder: pathlib.Path = pathlib.Path("here")
    seeds: list[int]
    corner: Corner
    limit: Annotated[float | None, Default(None)]


class StandinExampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameters = None
        self.guiTag = None
        self.events = []

    def setup(self):
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/StandinExample.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = StandinExampleLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.timer = qt.QTimer()
        self.timer.setInterval(1)
        self.timer.timeout.connect(self.onTimeout)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the module goes."""
        self.events.append("cleanup")
        self.timer.stop()
        self.removeObservers()

    def enter(self):
        """Called when the panel is shown."""
        self.events.append("enter")
        self.initializeParameterNode()

    def exit(self):
        """Called when the panel is left."""
        self.events.append("exit")
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller, _event):
        """Let go of the nodes."""
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller, _event):
        """Take up the new scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Bind to the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameters):
        """Bind to a parameter node, or to none."""
        if self.parameters:
            self.parameters.disconnectGui(self.guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
        self.parameters = parameters
        if self.parameters:
            self.guiTag = self.parameters.connectGui(self.ui)
            self.addObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.checkCanApply)
            self.checkCanApply()

    def checkCanApply(self, _caller=None, _event=None):
        """Apply needs an input."""
        ready = self.parameters.inputVolume is not None
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Add the amount") if ready else _("Select an input volume")

    def onApply(self):
        """Add the amount; Apply comes with a progress bar that a timer fills."""
        with slicer.util.tryWithErrorDisplay(_("Failed to add."), waitCursor=True):
            self.logic.process(self.parameters.inputVolume, self.parameters.amount)
        self.ui.progressBar.value = 0
        self.timer.start()

    def onTimeout(self):
        """One step of the bar."""
        self.ui.progressBar.value += 25
        if self.ui.progressBar.value >= self.ui.progressBar.maximum:
            self.timer.stop()


class StandinExampleLogic(ScriptedLoadableModuleLogic):
    """The computation."""

    def getParameterNode(self):
        """The typed parameter node."""
        return StandinExampleParameterNode(super().getParameterNode())

    def process(self, inputVolume, amount):
        """Add `amount` to the voxels."""
        if amount == 0:
            raise ValueError("The amount must not be 0.")
        voxels = slicer.util.arrayFromVolume(inputVolume)
        slicer.util.updateVolumeFromArray(inputVolume, voxels + amount)


class StandinExampleTest(ScriptedLoadableModuleTest):
    """The module's own test."""

    def runTest(self):
        """Run it."""
        self.assertIsNotNone(StandinExampleLogic().getParameterNode())
