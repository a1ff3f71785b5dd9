"""Which of the volumes in the scene a task is most likely meant for: by contrast, then by geometry."""

from __future__ import annotations

from typing import Any

import slicer

from .contrasts import contrast_of, is_brain_mask
from .node_volume import reason_not_usable
from .result_nodes import is_synthetic

#: Contrasts that fit a role, the best first.
WANTED = {"flair": ("flair",), "t1": ("t1", "t1-contrast"), "t2": ("t2",)}
#: Contrasts that the tasks with one input are made for.
ENHANCEABLE = ("t1", "t2", "flair", "t1-contrast", "pd")
#: Least part of the smaller volume's box that two volumes of one examination share.
SHARED_PART = 0.5


def is_acquired(node: slicer.vtkMRMLNode) -> bool:
    """True for a volume that can be enhanced and that is not a result of ours."""
    return not reason_not_usable(node) and not is_synthetic(node)


def choose_input() -> slicer.vtkMRMLScalarVolumeNode | None:
    """The acquired volume that the views show, else the first of a known contrast, else the first."""
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_acquired(node)]
    shown = [node for node in volumes if node.GetID() == _active_volume_id()]
    known = [node for node in volumes if contrast_of(node) in ENHANCEABLE]
    return next(iter([*shown, *known, *volumes]), None)


def fill_roles(parameter_node: Any, fields: dict[str, str]) -> None:
    """Select volumes that fit the roles of a task where none are selected yet.

    Args:
        fields: field of the parameter node for each role.
    """
    if list(fields) == ["input"]:
        if not getattr(parameter_node, fields["input"]):
            setattr(parameter_node, fields["input"], choose_input())
        return
    given = {role: getattr(parameter_node, field) for role, field in fields.items()}
    for role, node in choose_for_roles(list(fields), given).items():
        setattr(parameter_node, fields[role], node)


def choose_for_roles(roles: list[str], given: dict[str, Any]) -> dict[str, Any]:
    """Nodes for the roles that are still empty; only volumes that lie where the leading one lies.

    Args:
        roles: names of the roles in their order, e.g. ["flair", "t1", "t2", "mask"].
        given: nodes by role that the user has chosen already; None for an empty role.
    """
    chosen: dict[str, Any] = {}
    for role in roles:
        if given.get(role) is not None:
            continue
        leading = next((n for n in [*given.values(), *chosen.values()] if n is not None), None)
        node = _best(_candidates(role), leading)
        if node is not None:
            chosen[role] = node
    return chosen


def share_space(one: slicer.vtkMRMLVolumeNode, other: slicer.vtkMRMLVolumeNode) -> bool:
    """True when the boxes of two volumes overlap enough to come from one examination."""
    boxes = []
    for node in (one, other):
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        boxes.append([(bounds[2 * n], bounds[2 * n + 1]) for n in range(3)])
    shared = 1.0
    for (low, high), (low2, high2) in zip(*boxes):
        shortest = max(min(high - low, high2 - low2), 1e-6)
        shared *= max(0.0, min(high, high2) - max(low, low2)) / shortest
    return shared >= SHARED_PART


def _candidates(role: str) -> list[Any]:
    if role == "mask":
        return [node for node in slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode") if is_brain_mask(node)]
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_acquired(node)]
    contrasts = [(node, contrast_of(node)) for node in volumes]
    wanted = WANTED.get(role, ENHANCEABLE)
    # The sort keeps the order of the scene among equals.
    fitting = [(wanted.index(contrast), _voxel_size(node), node) for node, contrast in contrasts if contrast in wanted]
    return [node for _, _, node in sorted(fitting, key=lambda entry: entry[:2])]


def _best(candidates: list[Any], leading: Any) -> Any:
    return next((node for node in candidates if leading is None or share_space(node, leading)), None)


def _voxel_size(node: slicer.vtkMRMLVolumeNode) -> float:
    x, y, z = node.GetSpacing()
    return round(x * y * z, 4)


def _active_volume_id() -> str:
    selection = slicer.app.applicationLogic().GetSelectionNode()
    return (selection.GetActiveVolumeID() or "") if selection is not None else ""
