"""Which maps of uncertainty in the scene belong to which result: those of the same task, model, settings and voxels."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .result_nodes import OUTPUT_ATTRIBUTE, is_result, provenance_of, source_of

#: Output role of the map that a result is judged by.
TOTAL = "total"


def maps_of(result: slicer.vtkMRMLNode | None) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The maps of total uncertainty that belong to a result, the latest first."""
    candidates = _maps_of_source(result)
    made_as = provenance_of(result) if candidates else {}
    return [node for node in candidates if _judges(provenance_of(node), made_as)]


def uncertainty_of(result: slicer.vtkMRMLNode | None) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The latest map of total uncertainty that belongs to a result."""
    return next(iter(maps_of(result)), None)


def reason_no_map(result: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Why no uncertainty of a result can be shown, in one sentence; empty when it can."""
    if uncertainty_of(result) is not None:
        return ""
    if provenance_of(result).get("bundle", {}) is None:
        return _("No network computed this result, so there is no uncertainty of it.")
    if _maps_of_source(result):
        return _(
            "There is no uncertainty of this result: the maps in the scene were computed for another task, model or "
            "setting, or before the volume changed."
        )
    return _(
        "There is no uncertainty of this result. The module SynthMRI Uncertainty computes that of results with usual "
        "settings."
    )


def reason_not_its_map(image: slicer.vtkMRMLNode | None, uncertainty: slicer.vtkMRMLNode | None) -> str:
    """That a map was computed for something else than an image, in one sentence; empty when it was not, or when one
    of them does not say how it was made."""
    if image is None or uncertainty is None:
        return ""
    of_map, of_image = provenance_of(uncertainty), provenance_of(image)
    if of_map.get("task") != "uncertainty" or not of_image or _judges(of_map, of_image):
        return ""
    return _(
        "'{map}' was computed for another volume than '{image}', or with another model or other settings: it does not "
        "tell how far to trust '{image}'."
    ).format(map=uncertainty.GetName(), image=image.GetName())


def pair_to_show(
    image: slicer.vtkMRMLNode | None, uncertainty: slicer.vtkMRMLNode | None
) -> tuple[slicer.vtkMRMLNode | None, slicer.vtkMRMLNode | None]:
    """The image and its map to be selected at first: what is selected stays, what is missing belongs to it.

    Where nothing is selected it is the mean and the map of the latest run that has both.
    """
    if image is not None:
        return image, uncertainty or uncertainty_of(image)
    if uncertainty is not None:
        return _mean_of(uncertainty), uncertainty
    for node in _latest_first(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")):
        if node.GetAttribute(OUTPUT_ATTRIBUTE) == TOTAL and (mean := _mean_of(node)) is not None:
            return mean, node
    return None, None


def _mean_of(uncertainty: slicer.vtkMRMLNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The mean that the run which made a map gave with it."""
    made_as = provenance_of(uncertainty)
    for node in _latest_first(filter(is_result, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))):
        of_node = provenance_of(node)
        if of_node.get("task") == "uncertainty" and _judges(made_as, of_node):
            return node
    return None


def _judges(of_map: dict[str, Any], of_image: dict[str, Any]) -> bool:
    from SynthMRILib.uncertainty.belonging import judges

    return judges(of_map, of_image)


def _maps_of_source(result: slicer.vtkMRMLNode | None) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """All maps of total uncertainty with as many voxels from the same source, the latest first."""
    source = source_of(result)
    if source is None:
        return []
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    totals = (node for node in nodes if node.GetAttribute(OUTPUT_ATTRIBUTE) == TOTAL)
    return _latest_first(node for node in totals if source_of(node) is source and _same_size(node, result))


def _latest_first(nodes: Any) -> list[Any]:
    """By the time they were made; of those that do not say, or of the same second, by their order in the scene."""
    made = [(provenance_of(node).get("created") or "", number, node) for number, node in enumerate(nodes)]
    return [node for *_order, node in sorted(made, key=lambda entry: entry[:2], reverse=True)]


def _same_size(one: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode) -> bool:
    images = [node.GetImageData() for node in (one, other)]
    return all(image is not None for image in images) and images[0].GetDimensions() == images[1].GetDimensions()
