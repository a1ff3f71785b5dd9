"""SynthMRI: enhance brain MR volumes. The panel shows and asks, the logic moves volumes, a child process computes."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from SynthMRIModuleLib.choices import Device, Method, Precision

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


class SynthMRIWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: widgets to parameter node and back, no arithmetic."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SynthMRI.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SynthMRILogic()
        self._setUpParts()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def _setUpParts(self) -> None:
        from SynthMRIModuleLib.bundle_selector import BundleSelector
        from SynthMRIModuleLib.compare_button import CompareButton
        from SynthMRIModuleLib.run_panel import RunPanel
        from SynthMRIModuleLib.synthetic_mark import install_mark

        install_mark()
        self.bundleSelector = BundleSelector(self.ui, task=TASK, on_selected=self.onBundleSelected)
        self.compareButton = CompareButton(self.ui.compareButton)
        self.runPanel = RunPanel(
            self.ui,
            self.logic,
            choices=[self.ui.superResolutionCollapsibleButton, self.ui.advancedCollapsibleButton],
            on_finished=self.onRunFinished,
        )

    def cleanup(self) -> None:
        """Called when the application closes, or the module is reloaded: ends the child process."""
        self.removeObservers()
        self.runPanel.close()
        self.compareButton.close()
        self.logic.close()

    def onReload(self) -> None:
        """Developer mode: take up changes of the libraries too."""
        from SynthMRIModuleLib.reloading import forget_libraries

        self.setParameterNode(None)
        forget_libraries()
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module: gives the layout back. A run goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller=None, _event=None) -> None:
        """Called just before the scene is closed."""
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller=None, _event=None) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene; the first acquired volume is selected when none is yet."""
        parameterNode = self.logic.getParameterNode()
        if not parameterNode.inputVolume:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            parameterNode.inputVolume = next((v for v in volumes if self.logic.isAcquired(v)), None)
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode: SynthMRIParameterNode | None) -> None:
        """Connect widgets and parameter node, or disconnect them when None."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self.updatePanel()

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


class SynthMRILogic(ScriptedLoadableModuleLogic):
    """Super-resolution of volume nodes, with or without a panel.

    In a script: `output = SynthMRILogic().process(volumeNode, parameters={"method": "bspline"})`.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from SynthMRIModuleLib.request_check import RequestCheck
        from SynthMRIModuleLib.task_runner import TaskRunner

        self._runner = TaskRunner()
        self._check = RequestCheck()

    def getParameterNode(self) -> SynthMRIParameterNode:
        return SynthMRIParameterNode(super().getParameterNode())

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how the run ended."""
        return self._runner.running

    def isAcquired(self, node: vtkMRMLScalarVolumeNode) -> bool:
        """True for a volume that can be enhanced and that is not a result of ours."""
        from SynthMRIModuleLib.node_volume import reason_not_usable
        from SynthMRIModuleLib.result_nodes import is_synthetic

        return not reason_not_usable(node) and not is_synthetic(node)

    def check(self, inputNode, bundle: str | None = None, parameters: dict[str, Any] | None = None) -> list:
        """Findings about a request, each with a severity and a sentence; an "error" means that it cannot run."""
        return self._check(TASK, inputNode, bundle=bundle, parameters=parameters or {})

    def ensureDependencies(self) -> None:
        """Ask for and install the packages a network needs. Raises ResourceError when they are missing afterwards."""
        self._runner.ensure_dependencies()

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
        self._runner.start(**self._request(inputNode, bundle, parameters), callbacks=callbacks)

    def poll(self) -> None:
        """Call the callbacks of the run in progress; never waits."""
        self._runner.poll()

    def cancel(self) -> None:
        """Stop the run in progress; `poll` tells its end."""
        self._runner.cancel()

    def process(
        self,
        inputNode: vtkMRMLScalarVolumeNode,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> vtkMRMLScalarVolumeNode:
        """Run to the end and return the new volume node. Arguments and errors as `start`."""
        return self._runner.wait(**self._request(inputNode, bundle, parameters))["output"]

    def close(self) -> None:
        """End the child process; the next run starts a new one."""
        self._runner.close()

    def _request(self, inputNode, bundle, parameters) -> dict[str, Any]:
        parameters = dict(parameters or {})
        suffix = f"SYNTH {parameters.get('factor', 2)}x"
        if parameters.get("method") == Method.BSPLINE.value:
            suffix += " B-spline"
        return {
            "task": TASK,
            "source": inputNode,
            "bundle": bundle,
            "parameters": parameters,
            "output_names": {"output": suffix},
        }


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
