"""The input nodes of a run by role, and their volumes in one common space.

A task names its roles ("input", or "flair", "t1" ...). The first role that is given is the leading one: the result
lies on its grid or on one made from it, and is placed beside it. All volumes are handed over in the coordinates of the
leading node (without its parent transform), so that nodes under different linear transforms still meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .node_volume import NodeVoxels, reason_not_usable, voxels_on_node

if TYPE_CHECKING:
    from SynthMRILib.tasks.base import InputRole

#: Nodes by role.
Inputs = dict[str, slicer.vtkMRMLVolumeNode]

#: Roles that a label map can take.
LABEL_ROLES = ("mask",)


def as_inputs(given: slicer.vtkMRMLNode | Mapping[str, slicer.vtkMRMLNode | None] | None) -> Inputs:
    """Nodes by role, without those that are None; a single node takes the role "input"."""
    nodes = given if isinstance(given, Mapping) else {"input": given}
    return {role: node for role, node in nodes.items() if node is not None}


def roles_of(task: str, parameters: Mapping[str, Any]) -> tuple[InputRole, ...]:
    """Roles of a request; a request for the uncertainty of another task has that one's. Raises InputError."""
    from SynthMRILib.tasks import get_task

    judged = parameters.get("task") if task == "uncertainty" else None
    return get_task(judged or task).roles


def leading_role(roles: Sequence[InputRole], inputs: Inputs) -> str | None:
    """The first role that is given; None when none is."""
    return next((role.name for role in roles if role.name in inputs), None)


def reason_not_complete(roles: Sequence[InputRole], inputs: Inputs) -> str:
    """Why these nodes cannot be the inputs of a task with these roles, in one sentence; empty when they can."""
    missing = [role.title for role in roles if role.required and role.name not in inputs]
    if missing and roles[0].name == "input":
        return _("Select an input volume.")
    if missing:
        return _("Select a volume for '{role}'.").format(role=missing[0])
    for role, node in inputs.items():
        reason = reason_not_usable(node, labels_allowed=role in LABEL_ROLES)
        if reason:
            return reason
    return _reason_not_in_one_space(list(inputs.values()))


def voxels_of_inputs(roles: Sequence[InputRole], inputs: Inputs) -> dict[str, NodeVoxels]:
    """All inputs in the coordinates of the leading node, not copied. Raises InputError with a sentence."""
    from SynthMRILib.errors import InputError

    reason = reason_not_complete(roles, inputs)
    if reason:
        raise InputError(reason)
    leading = leading_role(roles, inputs)
    return {role: _voxels_beside(node, inputs[leading]) for role, node in inputs.items()}


def _voxels_beside(node: slicer.vtkMRMLVolumeNode, leading: slicer.vtkMRMLVolumeNode) -> NodeVoxels:
    from SynthMRILib.volume import Grid

    found = voxels_on_node(node)
    if node.GetParentTransformNode() is leading.GetParentTransformNode():
        return found
    to_leading = np.linalg.inv(_to_world(leading)) @ _to_world(node)
    return NodeVoxels(found.voxels, Grid(found.grid.shape, to_leading @ found.grid.ijk_to_ras))


def _to_world(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _reason_not_in_one_space(nodes: list[Any]) -> str:
    """Volumes under different transforms can only be brought together when these are linear."""
    transforms = {node.GetParentTransformNode() for node in nodes}
    if len(transforms) < 2 or all(t is None or t.IsTransformToWorldLinear() for t in transforms):
        return ""
    warped = next(n for n in nodes if n.GetParentTransformNode() and not n.GetParentTransformNode().IsLinear())
    return _("'{name}' is under a warping transform that the other inputs are not under. Harden it first.").format(
        name=warped.GetName()
    )
