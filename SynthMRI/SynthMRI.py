"""SynthMRI: enhance brain MR volumes. The panel shows and asks, the logic moves volumes, a child process computes."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
)
from SynthMRIModuleLib.choices import Device, Method, Precision
from SynthMRIModuleLib.module_logic import TaskLogic
from SynthMRIModuleLib.module_widget import ParameterNodeWidget

TASK = "super-resolution"


class SynthMRI(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SynthMRI")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = []
        self.parent.contributors = ["SynthMRI contributors"]
        self.parent.helpText = _(
            "Enhances brain MR volumes: super-resolution gives a volume twice the voxels along every axis. "
            "Select a volume, read what is said about it, and press Apply; before and after are shown side by side. "
            "Results are synthetic: research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _("The model cards name the methods and the data behind each model.")
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted() -> None:
    """Offer sample data, and mark synthetic volumes of scenes that are opened. Loads no engine."""
    from SynthMRIModuleLib.comparison import register_layout
    from SynthMRIModuleLib.sample_data import register_sample_data
    from SynthMRIModuleLib.synthetic_mark import install_mark

    register_sample_data()
    register_layout()
    install_mark()


@parameterNodeWrapper
class SynthMRIParameterNode:
    """
    All choices of the panel; saved with the scene.

    inputVolume - The acquired volume to enhance.
    outputVolume - The latest result.
    method - How finer voxels are computed.
    bundle - Name of the model; empty for the recommended one.
    device, precision, tile, seed - How the network runs; tile in voxels, 0 for automatic.
    compareWhenDone - Whether before and after are shown when a run has finished.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    method: Method = Method.NETWORK
    bundle: str = ""
    device: Device = Device.AUTOMATIC
    precision: Precision = Precision.AUTOMATIC
    tile: Annotated[int, WithinRange(0, 512)] = 0
    seed: Annotated[int, WithinRange(0, 2147483647)] = 0
    compareWhenDone: bool = True

    def request(self) -> dict[str, Any]:
        """What `SynthMRILogic.start` and `check` are asked for: input node, bundle and parameters."""
        if self.method == Method.BSPLINE:
            return {"inputNode": self.inputVolume, "bundle": None, "parameters": {"method": self.method.value}}
        parameters = {
            "method": self.method.value,
            "device": self.device.value,
            "precision": self.precision.value,
            "tile": self.tile,
            "seed": self.seed,
        }
        return {"inputNode": self.inputVolume, "bundle": self.bundle, "parameters": parameters}


class SynthMRIWidget(ParameterNodeWidget):
    """The panel: widgets to parameter node and back, no arithmetic."""

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        from SynthMRIModuleLib.bundle_selector import BundleSelector
        from SynthMRIModuleLib.compare_button import CompareButton
        from SynthMRIModuleLib.run_panel import RunPanel

        ParameterNodeWidget.setup(self)
        self.showPanel("UI/SynthMRI.ui")
        self.logic = SynthMRILogic()
        self.bundleSelector = BundleSelector(self.ui, task=TASK, on_selected=self.onBundleSelected)
        self.compareButton = CompareButton(self.ui.compareButton)
        self.runPanel = RunPanel(
            self.ui,
            self.logic,
            choices=[self.ui.superResolutionCollapsibleButton, self.ui.advancedCollapsibleButton],
            on_finished=self.onRunFinished,
        )
        self.initializeParameterNode()

    def closeParts(self) -> None:
        """The panel is about to go."""
        self.runPanel.close()
        self.compareButton.close()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene; the first acquired volume is selected when none is yet."""
        self.bundleSelector.refresh()
        parameterNode = self.logic.getParameterNode()
        if not parameterNode.inputVolume:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            parameterNode.inputVolume = next((v for v in volumes if self.logic.isAcquired(v)), None)
        self.setParameterNode(parameterNode)

    def updatePanel(self, _caller=None, _event=None) -> None:
        """Show what the parameter node holds where no widget is bound to it, and what can be done with it."""
        if self._parameterNode:
            self.bundleSelector.show(self._parameterNode.bundle)
            usesNetwork = self._parameterNode.method == Method.NETWORK
            ui = self.ui
            onlyForNetworks = (ui.bundleComboBox, ui.cardButton, ui.deviceComboBox, ui.precisionComboBox)
            for widget in (*onlyForNetworks, ui.tileSpinBox, ui.seedSpinBox):
                widget.enabled = usesNetwork
        self.runPanel.show(self._parameterNode.request() if self._parameterNode else None)
        self.compareButton.offer(self._parameterNode.outputVolume if self._parameterNode else None)

    def onRunFinished(self, outputNode: vtkMRMLScalarVolumeNode) -> None:
        """The result is in the scene; it is shown unless the user has gone to another module meanwhile."""
        parameterNode = self.logic.getParameterNode()
        parameterNode.outputVolume = outputNode
        if self._parameterNode and parameterNode.compareWhenDone:
            self.compareButton.compare(outputNode)

    def onBundleSelected(self, name: str) -> None:
        """The user has selected another model."""
        if self._parameterNode:
            self._parameterNode.bundle = name


class SynthMRILogic(TaskLogic):
    """Super-resolution of volume nodes, with or without a panel.

    In a script: `output = SynthMRILogic().process(volumeNode, parameters={"method": "bspline"})`.
    """

    task = TASK

    def getParameterNode(self) -> SynthMRIParameterNode:
        return SynthMRIParameterNode(super().getParameterNode())

    def outputNames(self, parameters: dict[str, Any]) -> dict[str, str]:
        """What is added to the name of the input."""
        suffix = f"SYNTH {parameters.get('factor', 2)}x"
        return {"output": f"{suffix} B-spline" if parameters.get("method") == Method.BSPLINE.value else suffix}

    def start(
        self,
        inputNode: vtkMRMLScalarVolumeNode,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        *,
        onProgress: Callable[[float, str, float | None], None] | None = None,
        onLog: Callable[[str], None] | None = None,
        onFinished: Callable[[vtkMRMLScalarVolumeNode], None] | None = None,
        onError: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin a run and return at once; `poll` calls back. Raises a SynthMRIError when it cannot begin.

        :param inputNode: scalar volume; copied, never changed.
        :param bundle: name of the model; empty or None for the recommended one.
        :param parameters: parameters of the task that differ from their defaults, e.g. {"method": "bspline"}.
        :param onProgress: gets the fraction done (0 to 1), what is being done, and the seconds left or None.
        :param onFinished: gets the new volume node.
        :param onError: gets the error; the scene is as it was.
        """
        from SynthMRIModuleLib.run import Callbacks

        callbacks = Callbacks(onProgress, onLog, lambda nodes: onFinished and onFinished(nodes["output"]), onError)
        self.startRun(inputNode, bundle, parameters, callbacks)

    def process(
        self,
        inputNode: vtkMRMLScalarVolumeNode,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> vtkMRMLScalarVolumeNode:
        """Run to the end and return the new volume node. Arguments and errors as `start`."""
        return self.waitForRun(inputNode, bundle, parameters)["output"]


class SynthMRITest(ScriptedLoadableModuleTest):
    """Self-test that needs neither a network, a graphics card nor a download."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_bspline()

    def test_bspline(self) -> None:
        """A small volume gets twice the voxels, stays where it is, and says that it is synthetic."""
        self.delayDisplay("Starting the test")
        k, j, i = np.indices((16, 18, 20), dtype=np.float32)
        source = slicer.util.addVolumeFromArray(100 + 3 * i + 2 * j + k, name="Source")
        source.SetSpacing(1.0, 1.0, 1.5)
        logic = SynthMRILogic()
        try:
            output = logic.process(source, parameters={"method": "bspline"})
        finally:
            logic.close()
        self.assertEqual(slicer.util.arrayFromVolume(output).shape, (32, 36, 40))
        self.assertEqual(output.GetSpacing(), (0.5, 0.5, 0.75))
        self.assertEqual(output.GetAttribute("SynthMRI.Synthetic"), "1")
        self.delayDisplay("Test passed")
