"""SynthMRI Uncertainty: how far to trust every voxel of a synthetic volume."""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import slicer
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
)
from SynthMRIModuleLib.choices import Task
from SynthMRIModuleLib.module_logic import TaskLogic
from SynthMRIModuleLib.module_widget import ParameterNodeWidget

TASK = "uncertainty"
OUTPUT_NAMES = {
    "output": "SYNTH mean",
    "total": "UNCERTAINTY total",
    "epistemic": "UNCERTAINTY epistemic",
    "aleatoric": "UNCERTAINTY aleatoric",
    "augmentation-spatial": "UNCERTAINTY augmentation, moved",
    "augmentation-intensity": "UNCERTAINTY augmentation, intensity",
    "consistency": "UNCERTAINTY consistency",
}
#: Field that holds the volume of each input role, for tasks with several.
ROLES = {Task.SYNTHETIC_DIR: {"flair": "flairVolume", "t1": "t1Volume", "t2": "t2Volume", "mask": "maskVolume"}}
#: Passes of test-time augmentation.
AUGMENTATIONS = 8


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

    task - The task whose result is judged.
    inputVolume, flairVolume, t1Volume, t2Volume, maskVolume - The acquired volumes to compute an uncertainty for.
    bundle - Name of the model; empty for the recommended one, and when another task is selected.
    passes - Number of random runs of the network.
    augment, consistency - Whether test-time augmentation and the map of consistency are computed too.
    imageVolume - The synthetic volume the map belongs to.
    uncertaintyVolume - The map, standard deviations in the units of the synthetic volume.
    threshold - Values below this part of the signal range, in percent, are transparent; with another map it becomes
        what counts as high for the model that made it.
    opacity - Opacity of the map, 0 to 1.
    contour - Whether the map is outlined in place of being laid over the image.
    segmentationVolume - Labels that tell what is where.
    lesionVolume, lesionPoints - Lesions, or points, to look up.
    """

    task: Task = Task.SUPER_RESOLUTION
    inputVolume: vtkMRMLScalarVolumeNode
    flairVolume: vtkMRMLScalarVolumeNode
    t1Volume: vtkMRMLScalarVolumeNode
    t2Volume: vtkMRMLScalarVolumeNode
    maskVolume: vtkMRMLLabelMapVolumeNode
    bundle: str = ""
    passes: Annotated[int, WithinRange(2, 200)] = 20
    augment: bool = False
    consistency: bool = False
    imageVolume: vtkMRMLScalarVolumeNode
    uncertaintyVolume: vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0.0, 50.0)] = 5.0
    opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.6
    contour: bool = False
    segmentationVolume: vtkMRMLLabelMapVolumeNode
    lesionVolume: vtkMRMLLabelMapVolumeNode
    lesionPoints: vtkMRMLMarkupsFiducialNode

    def roles(self) -> dict[str, str]:
        """Field that holds the volume of each input role."""
        return ROLES.get(self.task, {"input": "inputVolume"})

    def request(self) -> dict[str, Any]:
        """What `SynthMRIUncertaintyLogic.start` and `check` are asked for."""
        parameters = {
            "task": self.task.value,
            "samples": self.passes,
            "augmentations": AUGMENTATIONS if self.augment else 0,
            "consistency": self.consistency,
        }
        inputs = {role: getattr(self, field) for role, field in self.roles().items()}
        return {"inputNode": inputs, "bundle": self.bundle, "parameters": parameters}


class SynthMRIUncertaintyWidget(ParameterNodeWidget):
    """The panel: widgets to parameter node and back, no arithmetic."""

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        from SynthMRIModuleLib.bundle_selector import BundleSelector
        from SynthMRIModuleLib.judged_task import JudgedTask
        from SynthMRIModuleLib.overlay_panel import OverlayPanel
        from SynthMRIModuleLib.run_panel import RunPanel
        from SynthMRIModuleLib.trust_panel import TrustPanel

        ParameterNodeWidget.setup(self)
        self._mapID = None
        self.showPanel("UI/SynthMRIUncertainty.ui")
        self.logic = SynthMRIUncertaintyLogic()
        self.judgedTask = JudgedTask(self.ui, on_selected=self.onTaskSelected)
        self.bundleSelector = BundleSelector(
            self.ui, task=Task.SUPER_RESOLUTION.value, on_selected=self.onBundleSelected
        )
        self.overlayPanel = OverlayPanel(self.ui)
        self.trustPanel = TrustPanel(self.ui)
        self.runPanel = RunPanel(self.ui, self.logic, on_finished=self.onRunFinished)
        self.initializeParameterNode()

    def closeParts(self) -> None:
        """The panel is about to go."""
        self.overlayPanel.offer(None)
        self.trustPanel.offer(None)
        self.runPanel.close()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene; volumes that fit are selected when none are yet."""
        from SynthMRIModuleLib.input_choice import fill_roles
        from SynthMRIModuleLib.map_match import pair_to_show
        from SynthMRIModuleLib.overlay import limit_percent

        self.bundleSelector.refresh()
        parameterNode = self.logic.getParameterNode()
        fill_roles(parameterNode, parameterNode.roles())
        image, uncertainty = pair_to_show(parameterNode.imageVolume, parameterNode.uncertaintyVolume)
        if not parameterNode.uncertaintyVolume:
            parameterNode.uncertaintyVolume = uncertainty
            parameterNode.threshold = limit_percent(uncertainty)
        self._mapID = uncertainty.GetID() if uncertainty else None
        parameterNode.imageVolume = image
        self.setParameterNode(parameterNode)

    def updatePanel(self, _caller=None, _event=None) -> None:
        """Show what can be computed and shown with the choices in the parameter node."""
        node = self._parameterNode
        if node:
            self.followMap(node)
            self.judgedTask.show(node.task)
            self.bundleSelector.show_task(node.task.value)
            self.bundleSelector.show(node.bundle)
        self.runPanel.show(node.request() if node else None)
        self.overlayPanel.offer(node)
        self.trustPanel.offer(node)

    def followMap(self, node) -> None:
        """With another map the threshold begins anew, at what counts as high for the model that made it."""
        from SynthMRIModuleLib.overlay import limit_percent

        if node.uncertaintyVolume and node.uncertaintyVolume.GetID() != self._mapID:
            self._mapID = node.uncertaintyVolume.GetID()
            node.threshold = limit_percent(node.uncertaintyVolume)

    def onTaskSelected(self, task: Task) -> None:
        """The user has selected another task: its recommended model, and volumes that fit."""
        from SynthMRIModuleLib.input_choice import fill_roles

        if self._parameterNode:
            self._parameterNode.task = task
            self._parameterNode.bundle = ""
            fill_roles(self._parameterNode, self._parameterNode.roles())

    def onBundleSelected(self, name: str) -> None:
        """The user has selected another model."""
        if self._parameterNode:
            self._parameterNode.bundle = name

    def onRunFinished(self, nodes: dict[str, vtkMRMLScalarVolumeNode]) -> None:
        """The maps are in the scene: select the total one and show it unless the user has gone elsewhere."""
        parameterNode = self.logic.getParameterNode()
        parameterNode.imageVolume = nodes["output"]
        parameterNode.uncertaintyVolume = nodes["total"]
        self.followMap(parameterNode)
        if self._parameterNode:
            self.ui.overlayButton.checked = True


class SynthMRIUncertaintyLogic(TaskLogic):
    """Maps of uncertainty of volume nodes, with or without a panel.

    In a script: `nodes = SynthMRIUncertaintyLogic().process(volumeNode, parameters={"samples": 20})`.
    """

    task = TASK

    def getParameterNode(self) -> SynthMRIUncertaintyParameterNode:
        return SynthMRIUncertaintyParameterNode(super().getParameterNode())

    def outputNames(self, _task: str, _parameters: dict[str, Any]) -> dict[str, str]:
        """What is added to the name of the input for each output role."""
        return OUTPUT_NAMES

    def start(
        self,
        inputNode: vtkMRMLScalarVolumeNode,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
        *,
        onProgress: Callable[[float, str, float | None], None] | None = None,
        onLog: Callable[[str], None] | None = None,
        onFinished: Callable[[dict[str, vtkMRMLScalarVolumeNode]], None] | None = None,
        onError: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin a run and return at once; `poll` calls back. Arguments as `SynthMRILogic.start`.

        :param parameters: parameters of the task that differ from their defaults, e.g. {"samples": 20}.
        :param onFinished: gets the new nodes by output role: "output", "total", "epistemic", "aleatoric".
        """
        from SynthMRIModuleLib.run import Callbacks

        self.startRun(inputNode, bundle, parameters, Callbacks(onProgress, onLog, onFinished, onError), task)

    def process(
        self,
        inputNode: vtkMRMLScalarVolumeNode,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
    ) -> dict[str, vtkMRMLScalarVolumeNode]:
        """Run to the end and return the new nodes by output role. Arguments and errors as `start`."""
        return self.waitForRun(inputNode, bundle, parameters, task)


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
