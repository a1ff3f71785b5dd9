"""What can be said about a request before it runs: findings of the task, the bundle choice and the node itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .bundle_choice import chosen_bundle
from .inputs import Inputs, reason_not_complete, roles_of, volumes_from_inputs
from .result_nodes import is_synthetic

if TYPE_CHECKING:
    from SynthMRILib.findings import Finding


class RequestCheck:
    """Checks requests; the last answer is kept until the request or the voxels change."""

    def __init__(self) -> None:
        self._key: object = None
        self._findings: list[Finding] = []

    def __call__(self, task: str, inputs: Inputs, *, bundle: str | None, parameters: dict[str, Any]) -> list[Finding]:
        """Findings; an "error" among them means that the request cannot run."""
        nodes = tuple((role, _node_key(node)) for role, node in inputs.items())
        key = (task, nodes, bundle, json.dumps(parameters, sort_keys=True))
        if key != self._key:
            self._findings = check_request(task, inputs, bundle=bundle, parameters=parameters)
            self._key = key
        return self._findings


def check_request(task: str, inputs: Inputs, *, bundle: str | None, parameters: dict[str, Any]) -> list[Finding]:
    """As `RequestCheck`, without remembering."""
    from SynthMRILib.errors import InputError
    from SynthMRILib.findings import Finding
    from SynthMRILib.tasks import get_task

    engine_task = get_task(task)
    try:
        roles = roles_of(task, parameters)
        reason = reason_not_complete(roles, inputs)
        if reason:
            return [Finding("error", "node-not-usable", reason)]
        typed = engine_task.parameters_class.from_dict(parameters)
        chosen = chosen_bundle(task, bundle, parameters)
        volumes = volumes_from_inputs(roles, inputs)
    except InputError as error:
        return [Finding("error", "request", str(error))]
    findings = list(engine_task.check(volumes, chosen, typed))
    for node in inputs.values():
        if is_synthetic(node):
            message = _("'{name}' is synthetic itself. Select the acquired volume.").format(name=node.GetName())
            findings.append(Finding("warning", "node-synthetic", message))
    return findings


def _node_key(node: slicer.vtkMRMLNode) -> tuple[object, ...]:
    """Changes whenever the voxels, the geometry or the place of the node do."""
    image = node.GetImageData() if hasattr(node, "GetImageData") else None
    transform = node.GetParentTransformNode() if hasattr(node, "GetParentTransformNode") else None
    moved = transform and transform.GetTransformToWorldMTime()
    return (node.GetID(), node.GetMTime(), image and image.GetMTime(), moved)
