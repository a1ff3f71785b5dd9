"""SynthMRI Uncertainty: how far to trust every voxel of a synthetic volume."""

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

TASK = "uncertainty"
OUTPUT_NAMES = {
    "output": "SYNTH mean",
    "total": "UNCERTAINTY total",
    "epistemic": "UNCERTAINTY epistemic",
    "aleatoric": "UNCERTAINTY aleatoric",
}


class SynthMRIUncertainty(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SynthMRI Uncertainty")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = ["SynthMRI"]
        self.parent.contributors = ["SynthMRI contributors"]
        self.parent.helpText = _(
            "Shows how far to trust a synthetic MR volume: a map of standard deviations is laid over it, "
            "always in the same colors and on the same scale. Research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _("The model cards name the methods and the data behind each model.")


@parameterNodeWrapper
class SynthMRIUncertaintyParameterNode:
    """
    All choices of the panel; saved with the scene.

    inputVolume - The acquired volume to compute an uncertainty for.
    passes - Number of random runs of the network.
    imageVolume - The synthetic volume the map belongs to.
    uncertaintyVolume - The map, standard deviations in the units of the synthetic volume.
    threshold - Values below this part of the signal range, in percent, are transparent.
    opacity - Opacity of the map, 0 to 1.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    passes: Annotated[int, WithinRange(2, 64)] = 20
    imageVolume: vtkMRMLScalarVolumeNode
    uncertaintyVolume: vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0.0, 10.0)] = 1.0
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.6

    def request(self) -> dict[str, Any]:
        """What `SynthMRIUncertaintyLogic.start` and `check` are asked for."""
        return {"inputNode": self.inputVolume, "bundle": "", "parameters": {"samples": self.passes}}


class SynthMRIUncertaintyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
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
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SynthMRIUncertainty.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = SynthMRIUncertaintyLogic()
        self._setUpParts()
        self.ui.overlayButton.connect("toggled(bool)", self.onOverlayToggled)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def _setUpParts(self) -> None:
        from SynthMRIModuleLib.overlay import Overlay
        from SynthMRIModuleLib.run_panel import RunPanel
        from SynthMRIModuleLib.synthetic_mark import install_mark

        install_mark()
        self.overlay = Overlay()
        self.runPanel = RunPanel(
            self.ui, self.logic, choices=[self.ui.computeCollapsibleButton], on_finished=self.onRunFinished
        )

    def cleanup(self) -> None:
        """Called when the application closes, or the module is reloaded: ends the child process."""
        self.removeObservers()
        self.runPanel.close()
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
        """Called each time the user opens a different module: the views show again what they showed before."""
        self.setParameterNode(None)

    def onSceneStartClose(self, _caller=None, _event=None) -> None:
        """Called just before the scene is closed."""
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller=None, _event=None) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene; a result of ours is selected when none is yet."""
        from SynthMRIModuleLib.overlay import is_uncertainty
        from SynthMRIModuleLib.result_nodes import is_synthetic

        parameterNode = self.logic.getParameterNode()
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if not parameterNode.uncertaintyVolume:
            parameterNode.uncertaintyVolume = next(filter(is_uncertainty, volumes), None)
        if not parameterNode.imageVolume:
            images = (volume for volume in volumes if is_synthetic(volume) and not is_uncertainty(volume))
            parameterNode.imageVolume = next(images, None)
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode: SynthMRIUncertaintyParameterNode | None) -> None:
        """Connect widgets and parameter node, or disconnect them when None."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
            self.ui.overlayButton.checked = False
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self.updatePanel()

    def updatePanel(self, _caller=None, _event=None) -> None:
        """Show what can be computed and shown with the choices in the parameter node."""
        node = self._parameterNode
        self.runPanel.show(node.request() if node else None)
        if not node:
            return
        from SynthMRIModuleLib.overlay import reason_not_shown

        reason = reason_not_shown(node.imageVolume, node.uncertaintyVolume)
        self.ui.overlayButton.enabled = not reason
        self.ui.overlayButton.toolTip = reason or _("Lay the map over the synthetic volume in all slice views.")
        self.ui.overlayHintLabel.text = reason
        self.ui.overlayHintLabel.visible = bool(reason)
        if reason or not self.overlay.shows(node.imageVolume, node.uncertaintyVolume):
            self.ui.overlayButton.checked = False
        self.overlay.adjust(threshold_percent=node.threshold, opacity=node.opacity)

    def onOverlayToggled(self, checked: bool) -> None:
        """Show or hide the map."""
        node = self._parameterNode
        if not checked or not node:
            self.overlay.hide()
            self.ui.scaleLabel.text = ""
            return
        maximum = self.overlay.show(
            node.imageVolume, node.uncertaintyVolume, threshold_percent=node.threshold, opacity=node.opacity
        )
        self.ui.scaleLabel.text = self.logic.scaleText(maximum)

    def onRunFinished(self, nodes: dict[str, vtkMRMLScalarVolumeNode]) -> None:
        """The maps are in the scene: select them."""
        parameterNode = self.logic.getParameterNode()
        parameterNode.imageVolume = nodes.get("output", parameterNode.imageVolume)
        parameterNode.uncertaintyVolume = nodes.get("total") or nodes.get("epistemic")


class SynthMRIUncertaintyLogic(ScriptedLoadableModuleLogic):
    """Maps of uncertainty of volume nodes, with or without a panel."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        from SynthMRIModuleLib.request_check import RequestCheck
        from SynthMRIModuleLib.task_runner import TaskRunner

        self._runner = TaskRunner()
        self._check = RequestCheck()

    def getParameterNode(self) -> SynthMRIUncertaintyParameterNode:
        return SynthMRIUncertaintyParameterNode(super().getParameterNode())

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how the run ended."""
        return self._runner.running

    @property
    def available(self) -> bool:
        """Whether this version of the engine can compute uncertainties."""
        from SynthMRILib.tasks import task_names

        return TASK in task_names()

    def check(self, inputNode, bundle: str | None = None, parameters: dict[str, Any] | None = None) -> list:
        """Findings about a request, each with a severity and a sentence; an "error" means that it cannot run."""
        from SynthMRILib.findings import Finding

        if not self.available:
            text = _("This version cannot compute uncertainties. Maps that were computed before can be shown below.")
            return [Finding("error", "task-missing", text)]
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
        onFinished: Callable[[dict[str, vtkMRMLScalarVolumeNode]], None] | None = None,
        onError: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin a run and return at once; `poll` calls back. Arguments as `SynthMRILogic.start`.

        :param onFinished: gets the new nodes by output role: "output", "total", "epistemic", "aleatoric".
        """
        from SynthMRIModuleLib.run import Callbacks

        self._runner.start(
            TASK,
            inputNode,
            bundle=bundle,
            parameters=parameters or {},
            output_names=OUTPUT_NAMES,
            callbacks=Callbacks(onProgress, onLog, onFinished, onError),
        )

    def poll(self) -> None:
        """Call the callbacks of the run in progress; never waits."""
        self._runner.poll()

    def cancel(self) -> None:
        """Stop the run in progress; `poll` tells its end."""
        self._runner.cancel()

    def close(self) -> None:
        """End the child process; the next run starts a new one."""
        self._runner.close()

    def scaleText(self, maximum: float) -> str:
        """The scale of the colors in words; `maximum` in the units of the volume."""
        from SynthMRIModuleLib.overlay import SCALE_PERCENT

        text = _("Colors run from 0 to {maximum:.3g} (standard deviation in image units): {percent:g} % of the signal.")
        return text.format(maximum=maximum, percent=SCALE_PERCENT)


class SynthMRIUncertaintyTest(ScriptedLoadableModuleTest):
    """Self-test that needs neither a network, a graphics card nor a download."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_overlay()

    def test_overlay(self) -> None:
        """The color scale ends at a fixed part of the signal, and everything is put back."""
        self.delayDisplay("Starting the test")
        from SynthMRIModuleLib.overlay import Overlay

        image = slicer.util.addVolumeFromArray(np.full((8, 8, 8), 200.0), name="Synthetic")
        uncertainty = slicer.util.addVolumeFromArray(np.full((8, 8, 8), 5.0), name="Uncertainty")
        colors = uncertainty.GetDisplayNode().GetColorNodeID()
        overlay = Overlay()
        self.assertAlmostEqual(overlay.show(image, uncertainty, threshold_percent=1.0, opacity=0.5), 20.0)
        overlay.hide()
        self.assertEqual(uncertainty.GetDisplayNode().GetColorNodeID(), colors)
        self.delayDisplay("Test passed")
