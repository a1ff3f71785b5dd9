"""SynthMRI: enhance brain MR volumes. The panel shows and asks, the logic moves volumes, a child process computes."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np
import slicer
from slicer import vtkMRMLLabelMapVolumeNode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
)
from SynthMRIModuleLib.choices import CompareMode, Device, Formula, Method, Precision, Preset, Profile, Task
from SynthMRIModuleLib.module_logic import TaskLogic
from SynthMRIModuleLib.module_widget import ParameterNodeWidget
from SynthMRIModuleLib.task_forms import FORMS, chosen_method, request_of, result_suffix


class SynthMRI(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SynthMRI")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = []
        self.parent.contributors = ["SynthMRI contributors"]
        self.parent.helpText = _(
            "Enhances and synthesizes brain MR volumes: super-resolution, thick slices to thin ones, denoising, "
            "synthetic DIR, and motion correction. Select the volumes, read what is said about them, and press Apply; "
            "before and after are shown in linked views. Results are synthetic: research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _("The model cards name the methods and the data behind each model.")
        slicer.app.connect("startupCompleted()", onStartupCompleted)


def onStartupCompleted() -> None:
    """Offer sample data, and mark synthetic volumes of scenes that are opened. Loads no engine."""
    from SynthMRIModuleLib.compare_layouts import register_layouts
    from SynthMRIModuleLib.sample_data import register_sample_data
    from SynthMRIModuleLib.synthetic_mark import install_mark

    register_sample_data()
    register_layouts()
    install_mark()


@parameterNodeWrapper
class SynthMRIParameterNode:
    """
    All choices of the panel; saved with the scene. Paths and addresses are not: they could name a patient.

    task - What is to be done: the tab that is shown.
    inputVolume, motionVolume, flairVolume, t1Volume, t2Volume, maskVolume - Inputs of the tasks.
    outputVolume - The latest result.
    method, thickMethod, denoisingMethod, dirMethod, motionMethod - How each task computes; empty for its default.
    bundle, thickBundle, denoisingBundle, dirBundle, motionBundle - Names of the models; empty for the recommended ones.
    sharpness, residual - How much detail super-resolution adds, 0 to 1; whether the change of the input is a volume.
    keepAcquired - Whether super-resolution puts the acquired frequencies back into its result.
    voxelSize, sliceDistance - Of the result of thick slices [mm]; 0 for automatic, and for slices as far as voxels.
    sliceGap, sliceProfile - Of the acquired thick slices: gap between them [mm], how they weigh what lies across them.
    strength, noise, preset - How much noise is taken away: factor, noise level [%] (0 estimates it), kind of scanner.
    forceCorrection - Whether motion is corrected also where there is little of it or the volume is unusual.
    formula, t1Factor, smoothing - Of the arithmetic DIR: which formula, k of FLAIR - k T1w, blur [mm].
    registered, biasCorrection - Whether DIR inputs are aligned already, and are evened out first.
    device, precision, tile, seed - How a network runs; tile in voxels, 0 for automatic.
    compareWhenDone - Whether before and after are shown when a run has finished.
    compareMode, showDifference, showUncertainty - How they are shown.
    blend, split - Share of the result, 0 (before) to 1 (after); place of the swiping line, 0 (left) to 1 (right).
    """

    task: Task = Task.SUPER_RESOLUTION
    inputVolume: vtkMRMLScalarVolumeNode
    flairVolume: vtkMRMLScalarVolumeNode
    t1Volume: vtkMRMLScalarVolumeNode
    t2Volume: vtkMRMLScalarVolumeNode
    maskVolume: vtkMRMLLabelMapVolumeNode
    motionVolume: vtkMRMLScalarVolumeNode
    outputVolume: vtkMRMLScalarVolumeNode
    method: Method = Method.NETWORK
    thickMethod: str = ""
    denoisingMethod: str = ""
    dirMethod: str = ""
    motionMethod: str = ""
    bundle: str = ""
    thickBundle: str = ""
    denoisingBundle: str = ""
    dirBundle: str = ""
    motionBundle: str = ""
    sharpness: Annotated[float, WithinRange(0.0, 1.0)] = 0.0
    residual: bool = False
    keepAcquired: bool = False
    voxelSize: Annotated[float, WithinRange(0.0, 10.0)] = 0.0
    sliceDistance: Annotated[float, WithinRange(0.0, 10.0)] = 0.0
    sliceGap: Annotated[float, WithinRange(0.0, 20.0)] = 0.0
    sliceProfile: Profile = Profile.GAUSSIAN
    strength: Annotated[float, WithinRange(0.0, 2.0)] = 1.0
    noise: Annotated[float, WithinRange(0.0, 30.0)] = 0.0
    preset: Preset = Preset.STANDARD
    formula: Formula = Formula.AUTOMATIC
    t1Factor: Annotated[float, WithinRange(0.0, 2.0)] = 0.3
    smoothing: Annotated[float, WithinRange(0.0, 5.0)] = 0.0
    forceCorrection: bool = False
    registered: bool = False
    biasCorrection: bool = False
    device: Device = Device.AUTOMATIC
    precision: Precision = Precision.AUTOMATIC
    tile: Annotated[int, WithinRange(0, 512)] = 0
    seed: Annotated[int, WithinRange(0, 2147483647)] = 0
    compareWhenDone: bool = True
    compareMode: CompareMode = CompareMode.SIDE_BY_SIDE
    blend: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    split: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    showDifference: bool = False
    showUncertainty: bool = True

    def request(self) -> dict[str, Any]:
        """What `SynthMRILogic.start` and `check` are asked for: input nodes by role, bundle, parameters and task."""
        return request_of(self.task, self)


class SynthMRIWidget(ParameterNodeWidget):
    """The panel: widgets to parameter node and back, no arithmetic."""

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        from SynthMRIModuleLib.bundle_selector import BundleSelector
        from SynthMRIModuleLib.compare_panel import ComparePanel
        from SynthMRIModuleLib.export_panel import ExportPanel
        from SynthMRIModuleLib.frames import FrameSelector
        from SynthMRIModuleLib.input_watch import InputWatch
        from SynthMRIModuleLib.method_selector import MethodSelector
        from SynthMRIModuleLib.models_panel import ModelsPanel
        from SynthMRIModuleLib.run_panel import RunPanel
        from SynthMRIModuleLib.sharpness_row import SharpnessRow
        from SynthMRIModuleLib.task_tabs import TaskTabs
        from SynthMRIModuleLib.thick_slices import ThickSlicesRow

        ParameterNodeWidget.setup(self)
        self.showPanel("UI/SynthMRI.ui")
        self.logic = SynthMRILogic()
        ui = self.ui
        self.taskTabs = TaskTabs(ui, on_selected=self.onTaskSelected)
        self.methodSelector = MethodSelector(ui, on_selected=self.onMethodSelected)
        self.bundleSelector = BundleSelector(ui, task=Task.SUPER_RESOLUTION.value, on_selected=self.onBundleSelected)
        self.sharpnessRow = SharpnessRow(ui)
        self.thickSlicesRow = ThickSlicesRow(ui)
        self.frameSelector = FrameSelector(ui)
        self.inputWatch = InputWatch(self.updatePanel)
        self.comparePanel = ComparePanel(ui)
        self.exportPanel = ExportPanel(ui)
        self.modelsPanel = ModelsPanel(
            ui, selected=lambda: self.bundleSelector.selected, on_changed=self.onModelsChanged
        )
        self.runPanel = RunPanel(ui, self.logic, on_finished=self.onRunFinished)
        self.initializeParameterNode()

    def closeParts(self) -> None:
        """The panel is about to go."""
        self.inputWatch.stop()
        for part in (self.runPanel, self.comparePanel, self.exportPanel, self.modelsPanel):
            part.close()

    def initializeParameterNode(self) -> None:
        """Show the choices stored in the scene; volumes that fit are selected where none are yet."""
        self.bundleSelector.refresh()
        self.sharpnessRow.refresh()
        parameterNode = self.logic.getParameterNode()
        self.logic.chooseInputs(parameterNode)
        self.setParameterNode(parameterNode)

    def updatePanel(self, _caller=None, _event=None) -> None:
        """Show what the parameter node holds where no widget is bound to it, and what can be done with it."""
        node, request = self._parameterNode, None
        if node:
            request, method = node.request(), chosen_method(node.task, node)
            self.taskTabs.show(node.task, method=method)
            self.methodSelector.show(node.task.value, method)
            self.bundleSelector.show_task(node.task.value)
            self.bundleSelector.show(getattr(node, FORMS[node.task].bundle), used=request["bundle"] is not None)
            self.sharpnessRow.show(request["bundle"], request["parameters"].get("sharpness"))
            self.thickSlicesRow.show(node.inputVolume, request)
            self.methodSelector.enableNetworkChoices(request["bundle"] is not None or method == "auto")
        inputs = [volume for volume in request["inputNode"].values() if volume] if request else []
        self.inputWatch.watch(inputs)
        self.frameSelector.show(inputs[0] if inputs else None)
        self.runPanel.show(request)
        self.comparePanel.offer(node)
        self.exportPanel.offer(node.outputVolume if node else None)
        self.modelsPanel.update()

    def onTaskSelected(self, task: Task) -> None:
        """The user has turned to another tab: volumes that fit are selected where none are yet."""
        if self._parameterNode:
            self._parameterNode.task = task
            self.logic.chooseInputs(self._parameterNode)

    def onMethodSelected(self, method: str) -> None:
        """The user has selected another method."""
        if self._parameterNode:
            isEnum = self._parameterNode.task == Task.SUPER_RESOLUTION
            setattr(self._parameterNode, FORMS[self._parameterNode.task].method, Method(method) if isEnum else method)

    def onBundleSelected(self, name: str) -> None:
        """The user has selected another model."""
        if self._parameterNode:
            setattr(self._parameterNode, FORMS[self._parameterNode.task].bundle, name)

    def onModelsChanged(self) -> None:
        """A model was added or deleted."""
        self.bundleSelector.refresh()
        self.sharpnessRow.refresh()
        self.updatePanel()

    def onRunFinished(self, outputNode: vtkMRMLScalarVolumeNode) -> None:
        """The result is in the scene; it is shown unless the user has gone to another module meanwhile."""
        parameterNode = self.logic.getParameterNode()
        parameterNode.outputVolume = outputNode
        if self._parameterNode and parameterNode.compareWhenDone:
            self.comparePanel.compare()


class SynthMRILogic(TaskLogic):
    """The tasks of SynthMRI on volume nodes, with or without a panel.

    In a script: `output = SynthMRILogic().process(volumeNode, parameters={"method": "bspline"})`, or
    `SynthMRILogic().process({"flair": flairNode, "t1": t1Node}, task="synthetic-dir")`.
    """

    task = Task.SUPER_RESOLUTION.value

    def getParameterNode(self) -> SynthMRIParameterNode:
        return SynthMRIParameterNode(super().getParameterNode())

    def outputNames(self, task: str, parameters: dict[str, Any]) -> dict[str, str]:
        """What is added to the name of the leading input."""
        suffix = result_suffix(Task(task), parameters)
        return {"output": suffix, "residual": f"{suffix} RESIDUAL"}

    def chooseInputs(self, parameterNode: SynthMRIParameterNode) -> None:
        """Select volumes that fit the chosen task by contrast and place, where none are selected yet."""
        from SynthMRIModuleLib.input_choice import fill_roles

        fill_roles(parameterNode, FORMS[parameterNode.task].roles)

    def start(
        self,
        inputNode: vtkMRMLScalarVolumeNode | Mapping[str, vtkMRMLScalarVolumeNode],
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
        *,
        onProgress: Callable[[float, str, float | None], None] | None = None,
        onLog: Callable[[str], None] | None = None,
        onFinished: Callable[[vtkMRMLScalarVolumeNode], None] | None = None,
        onError: Callable[[Exception], None] | None = None,
    ) -> None:
        """Begin a run, or put it behind those in progress, and return at once; `poll` calls back.

        Raises a SynthMRIError when it cannot begin.

        :param inputNode: scalar volume, or volumes by role for a task with several inputs; copied, never changed.
        :param bundle: name of the model; empty or None for the recommended one.
        :param parameters: parameters of the task that differ from their defaults, e.g. {"method": "bspline"}.
        :param task: "super-resolution" (the default), "through-plane" (thick slices), "denoising", "synthetic-dir" or
            "motion-correction".
        :param onProgress: gets the fraction done (0 to 1), what is being done, and the seconds left or None.
        :param onFinished: gets the new volume node; onError: the error, the scene is as it was.
        """
        from SynthMRIModuleLib.run import Callbacks

        callbacks = Callbacks(onProgress, onLog, lambda nodes: onFinished and onFinished(nodes["output"]), onError)
        self.startRun(inputNode, bundle, parameters, callbacks, task)

    def process(
        self,
        inputNode: vtkMRMLScalarVolumeNode | Mapping[str, vtkMRMLScalarVolumeNode],
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
    ) -> vtkMRMLScalarVolumeNode:
        """Run to the end and return the new volume node. Arguments and errors as `start`."""
        return self.waitForRun(inputNode, bundle, parameters, task)["output"]


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
