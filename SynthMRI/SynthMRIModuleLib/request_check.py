"""What can be said about a request before it runs: findings of the task, the bundle choice and the node itself.

What needs no voxels is found at once. The task looks at all voxels, which takes a second for large volumes, so a panel
has that done in a thread; scripts wait for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .background_call import BackgroundCall
from .bundle_choice import chosen_bundle
from .inputs import Inputs, reason_not_complete, roles_of, voxels_of_inputs
from .result_nodes import is_synthetic

if TYPE_CHECKING:
    from SynthMRILib.findings import Finding


@dataclass(frozen=True)
class Request:
    """What a logic is asked for.

    Args:
        task: name of the task.
        inputs: nodes by role.
        bundle: name of the bundle; None or "" for the recommended one.
        parameters: parameters of the task, JSON types.
    """

    task: str
    inputs: Inputs
    bundle: str | None
    parameters: dict[str, Any]

    def key(self) -> tuple[object, ...]:
        """Changes whenever the answer may."""
        nodes = tuple((role, _node_key(node)) for role, node in self.inputs.items())
        return (self.task, nodes, self.bundle, json.dumps(self.parameters, sort_keys=True))

    def prepare(self) -> tuple[list[Finding], Callable[[], list[Finding]] | None]:
        """What is found at once, and the work, without MRML, that finds the rest; None where an error was found."""
        from SynthMRILib.errors import InputError
        from SynthMRILib.findings import Finding
        from SynthMRILib.tasks import get_task

        engine_task = get_task(self.task)
        try:
            roles = roles_of(self.task, self.parameters)
            reason = _reason_not_in_scene(self.inputs) or reason_not_complete(roles, self.inputs)
            if reason:
                return [Finding("error", "node-not-usable", reason)], None
            typed = engine_task.parameters_class.from_dict(self.parameters)
            chosen = chosen_bundle(self.task, self.bundle, self.parameters)
            given = voxels_of_inputs(roles, self.inputs)
        except InputError as error:
            return [Finding("error", "request", str(error))], None

        def work() -> list[Finding]:
            volumes = {role: voxels.volume() for role, voxels in given.items()}
            return list(engine_task.check(volumes, chosen, typed))

        return _about_synthetic(self.inputs), work


class RequestCheck:
    """Checks requests; the last answer about voxels is kept until the request or the voxels change.

    What is found at once is looked at anew each time: a model that was missing may be there now.

    An "error" among the findings means that the request cannot run.
    """

    def __init__(self) -> None:
        self._call = BackgroundCall()
        self._key: object = None
        self._findings: list[Finding] = []
        self._asked: object = None
        self._on_checked: Callable[[list[Finding]], None] = lambda _findings: None

    @property
    def running(self) -> bool:
        """True until the answer to the latest `later` was given."""
        return self._call.running

    def now(self, request: Request) -> list[Finding]:
        """The findings; takes as long as it takes."""
        key = request.key()
        if key != self._key:
            found, work = request.prepare()
            if work is None:
                return found
            self._key, self._findings = key, found + work()
        return self._findings

    def later(self, request: Request, on_checked: Callable[[list[Finding]], None]) -> None:
        """Have a thread find out and call back with the findings; at once where no voxels need to be looked at.

        An answer to an earlier request is dropped, and so is one about voxels that have changed meanwhile.
        """
        key = request.key()
        self._on_checked = on_checked
        if self.running and key == self._asked:
            return
        self.forget()
        if key == self._key:
            on_checked(self._findings)
            return
        found, work = request.prepare()
        if work is None:
            on_checked(found)
            return
        self._asked = key
        self._call.start(work, lambda more: self._done(request, key, found + more), self._failed)

    def forget(self) -> None:
        """Nobody waits for the latest answer any more."""
        self._call.forget()
        self._asked = None

    def _done(self, request: Request, key: object, findings: list[Finding]) -> None:
        if request.key() == key:
            self._answer(key, findings)
        else:
            self.later(request, self._on_checked)

    def _answer(self, key: object, findings: list[Finding]) -> None:
        self._key, self._findings = key, findings
        self._on_checked(findings)

    def _failed(self, error: Exception) -> None:
        from SynthMRILib.findings import Finding

        logging.error("SynthMRI: unexpected failure", exc_info=error)
        message = _("The input could not be checked: {reason}").format(reason=error)
        self._on_checked([Finding("error", "check", message)])


def _reason_not_in_scene(inputs: Inputs) -> str:
    removed = [node.GetName() for node in inputs.values() if node.GetScene() is None]
    return _("'{name}' is not in the scene any more. Select another volume.").format(name=removed[0]) if removed else ""


def _about_synthetic(inputs: Inputs) -> list[Finding]:
    from SynthMRILib.findings import Finding

    message = _("'{name}' is synthetic itself. Select the acquired volume.")
    names = [node.GetName() for node in inputs.values() if is_synthetic(node)]
    return [Finding("warning", "node-synthetic", message.format(name=name)) for name in names]


def _node_key(node: slicer.vtkMRMLNode) -> tuple[object, ...]:
    """Changes whenever the voxels, the geometry or the place of the node do."""
    image = node.GetImageData() if hasattr(node, "GetImageData") else None
    transform = node.GetParentTransformNode() if hasattr(node, "GetParentTransformNode") else None
    moved = transform and transform.GetTransformToWorldMTime()
    return (node.GetID(), node.GetScene() is None, node.GetMTime(), image and image.GetMTime(), moved)
