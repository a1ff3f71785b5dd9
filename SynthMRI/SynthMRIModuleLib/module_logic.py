"""What the logics of our modules have in common: one run of a task at a time, polled by panels, awaited by scripts."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .node_volume import reason_not_usable
from .request_check import RequestCheck
from .result_nodes import is_synthetic
from .run import Callbacks, OutputNames, OutputNodes
from .task_runner import TaskRunner


class TaskLogic(ScriptedLoadableModuleLogic):
    """Base of a module's logic; the module sets `task`.

    Attributes:
        task: name of the task as the engine knows it.
    """

    task = ""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._runner = TaskRunner()
        self._check = RequestCheck()

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how the run ended."""
        return self._runner.running

    def isAcquired(self, node: slicer.vtkMRMLNode) -> bool:
        """True for a volume that can be enhanced and that is not a result of ours."""
        return not reason_not_usable(node) and not is_synthetic(node)

    def outputNames(self, _parameters: dict[str, Any]) -> OutputNames:
        """What is added to the name of the input for each output role that becomes a node."""
        return {"output": "SYNTH"}

    def check(
        self, inputNode: slicer.vtkMRMLNode | None, bundle: str | None = None, parameters: dict[str, Any] | None = None
    ) -> list:
        """Findings about a request, each with a severity and a sentence; an "error" means that it cannot run."""
        return self._check(self.task, inputNode, bundle=bundle, parameters=parameters or {})

    def ensureDependencies(self) -> None:
        """Ask for and install the packages a network needs. Raises ResourceError when they are missing afterwards."""
        self._runner.ensure_dependencies()

    def startRun(
        self, inputNode: Any, bundle: str | None, parameters: dict[str, Any] | None, callbacks: Callbacks
    ) -> None:
        """Begin a run and return at once. Raises a SynthMRIError when it cannot begin."""
        self._runner.start(**self._request(inputNode, bundle, parameters), callbacks=callbacks)

    def waitForRun(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any] | None) -> OutputNodes:
        """Run to the end and return the new nodes by output role."""
        return self._runner.wait(**self._request(inputNode, bundle, parameters))

    def poll(self) -> None:
        """Call the callbacks of the run in progress; never waits."""
        self._runner.poll()

    def cancel(self) -> None:
        """Stop the run in progress; `poll` tells its end."""
        self._runner.cancel()

    def close(self) -> None:
        """End the child process; the next run starts a new one."""
        self._runner.close()

    def _request(self, inputNode: Any, bundle: str | None, parameters: dict[str, Any] | None) -> dict[str, Any]:
        parameters = dict(parameters or {})
        return {
            "task": self.task,
            "source": inputNode,
            "bundle": bundle,
            "parameters": parameters,
            "output_names": self.outputNames(parameters),
        }
