"""What the logics of our modules have in common: runs one after the other, polled by panels, awaited by scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from .bundle_choice import needs_packages
from .input_choice import is_acquired
from .inputs import as_inputs
from .request_check import Request, RequestCheck
from .run import Callbacks, OutputNames, OutputNodes
from .task_runner import TaskRunner


class TaskLogic(ScriptedLoadableModuleLogic):
    """Base of a module's logic; the module sets `task`.

    Attributes:
        task: name of the task as the engine knows it, when a request names none.
    """

    task = ""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._runner = TaskRunner()
        self._check = RequestCheck()

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how the run, and all that were started after it, ended."""
        return self._runner.running

    @property
    def waiting(self) -> list[str]:
        """Names of the volumes that runs wait for: those that were started while another one was in progress."""
        return self._runner.waiting_titles

    @property
    def latest(self) -> tuple[str, float]:
        """Of the run that ended last: name of the volume that it was for, and how long it took [s]."""
        return self._runner.latest_title, self._runner.latest_seconds

    @property
    def findings(self) -> list[str]:
        """Sentences about the latest result, e.g. where it departs from its input; empty when there are none."""
        return self._runner.findings

    def isAcquired(self, node: slicer.vtkMRMLNode) -> bool:
        """True for a volume that can be enhanced and that is not a result of ours."""
        return is_acquired(node)

    def outputNames(self, _task: str, _parameters: dict[str, Any]) -> OutputNames:
        """What is added to the name of the leading input for each output role that becomes a node."""
        return {"output": "SYNTH"}

    def check(
        self,
        inputNode: Any,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
    ) -> list:
        """Findings about a request, each with a severity and a sentence; an "error" means that it cannot run."""
        return self._check.now(Request(task or self.task, as_inputs(inputNode), bundle, parameters or {}))

    @property
    def checking(self) -> bool:
        """True from `checkLater` until its findings were told."""
        return self._check.running

    def checkLater(
        self,
        inputNode: Any,
        bundle: str | None = None,
        parameters: dict[str, Any] | None = None,
        task: str | None = None,
        *,
        onChecked: Callable[[list], None],
    ) -> None:
        """As `check`, but a thread looks at the voxels, so that the window stays alive; `onChecked` gets the findings.

        It is called before this returns where no voxels need to be looked at. The answer to an earlier request is
        dropped; voxels that change meanwhile are looked at again.
        """
        self._check.later(Request(task or self.task, as_inputs(inputNode), bundle, parameters or {}), onChecked)

    def forgetCheck(self) -> None:
        """Nobody waits for the findings any more."""
        self._check.forget()

    def ensureDependencies(
        self, bundle: str | None = None, parameters: dict[str, Any] | None = None, task: str | None = None, **_: Any
    ) -> None:
        """Ask for and install the packages a request needs. Raises ResourceError when they are missing afterwards."""
        if needs_packages(task or self.task, parameters or {}, bundle):
            self._runner.ensure_dependencies()

    def startRun(
        self,
        inputNode: Any,
        bundle: str | None,
        parameters: dict[str, Any] | None,
        callbacks: Callbacks,
        task: str | None = None,
    ) -> None:
        """Begin a run, or put it behind those in progress, and return at once. Raises a SynthMRIError if it cannot.

        :param inputNode: volume node, or nodes by role for a task with several inputs.
        """
        self._runner.start(**self._request(inputNode, bundle, parameters, task), callbacks=callbacks)

    def waitForRun(
        self, inputNode: Any, bundle: str | None, parameters: dict[str, Any] | None, task: str | None = None
    ) -> OutputNodes:
        """Run to the end and return the new nodes by output role."""
        return self._runner.wait(**self._request(inputNode, bundle, parameters, task))

    def poll(self) -> None:
        """Call the callbacks of the runs in progress; never waits."""
        self._runner.poll()

    def cancel(self) -> None:
        """Stop the run in progress; `poll` tells its end, and the next one that waits goes on."""
        self._runner.cancel()

    def removeWaiting(self, number: int) -> None:
        """Take a run out of `waiting`, counted from 0; nothing is told of it any more."""
        self._runner.take_out(number)

    def close(self) -> None:
        """End the child process; the next run starts a new one."""
        self._check.forget()
        self._runner.close()

    def _request(
        self, inputNode: Any, bundle: str | None, parameters: dict[str, Any] | None, task: str | None
    ) -> dict[str, Any]:
        task, parameters = task or self.task, dict(parameters or {})
        return {
            "task": task,
            "inputs": as_inputs(inputNode),
            "bundle": bundle,
            "parameters": parameters,
            "output_names": self.outputNames(task, parameters),
        }
