"""What can be said about a request before it runs: findings of the task, the bundle choice and the node itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .bundle_choice import chosen_bundle
from .node_volume import reason_not_usable, volume_from_node
from .result_nodes import is_synthetic

if TYPE_CHECKING:
    from SynthMRILib.findings import Finding


class RequestCheck:
    """Checks requests; the last answer is kept until the request or the voxels change."""

    def __init__(self) -> None:
        self._key: object = None
        self._findings: list[Finding] = []

    def __call__(
        self, task: str, node: slicer.vtkMRMLNode | None, *, bundle: str | None, parameters: dict[str, Any]
    ) -> list[Finding]:
        """Findings; an "error" among them means that the request cannot run."""
        key = (task, _node_key(node), bundle, tuple(sorted(parameters.items())))
        if key != self._key:
            self._findings = check_request(task, node, bundle=bundle, parameters=parameters)
            self._key = key
        return self._findings


def check_request(
    task: str, node: slicer.vtkMRMLNode | None, *, bundle: str | None, parameters: dict[str, Any]
) -> list[Finding]:
    """As `RequestCheck`, without remembering."""
    from SynthMRILib.errors import InputError
    from SynthMRILib.findings import Finding
    from SynthMRILib.tasks import get_task

    reason = reason_not_usable(node)
    if reason:
        return [Finding("error", "node-not-usable", reason)]
    engine_task = get_task(task)
    try:
        typed = engine_task.parameters_class.from_dict(parameters)
        chosen = chosen_bundle(task, bundle, parameters)
    except InputError as error:
        return [Finding("error", "request", str(error))]
    findings = list(engine_task.check({"input": volume_from_node(node)}, chosen, typed))
    if is_synthetic(node):
        message = _("'{name}' is synthetic itself. Select the acquired volume.").format(name=node.GetName())
        findings.append(Finding("warning", "node-synthetic", message))
    return findings


def _node_key(node: slicer.vtkMRMLNode | None) -> tuple[object, ...]:
    """Changes whenever the voxels or the geometry of the node do."""
    image = node.GetImageData() if node is not None and hasattr(node, "GetImageData") else None
    return (node and node.GetID(), node and node.GetMTime(), image and image.GetMTime())
