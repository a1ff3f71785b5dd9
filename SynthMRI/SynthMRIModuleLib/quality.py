"""The quality flag that an uncertainty run stored with its volumes, and what to acknowledge before an export."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .result_nodes import provenance_of, uncertainty_of

RED = "red"


def quality_of(node: slicer.vtkMRMLNode | None) -> dict[str, Any]:
    """Flag, rule, reasons and sentence of a volume or of the map that belongs to it; empty when none was computed."""
    for candidate in (node, uncertainty_of(node)):
        quality = provenance_of(candidate).get("quality") if candidate is not None else None
        if quality:
            return quality
    return {}


def reason_for_caution(node: slicer.vtkMRMLNode | None) -> str:
    """What the user has to acknowledge before this volume leaves the application; empty when nothing is."""
    quality = quality_of(node)
    if quality.get("flag") != RED:
        return ""
    return _("The quality flag of this volume is red. {reasons}\n\nRule: {rule}").format(
        reasons=" ".join(quality.get("reasons", [])), rule=quality.get("rule", "")
    )
