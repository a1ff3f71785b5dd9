"""The quality flag that an uncertainty run stored with its volumes, and what to acknowledge before an export."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .map_match import maps_of
from .result_nodes import provenance_of

RED = "red"


def quality_of(node: slicer.vtkMRMLNode | None) -> dict[str, Any]:
    """Flag, rule, reasons and sentence of a volume, or of the latest map that belongs to it; empty without any."""
    return next(iter(_qualities(node)), {})


def reason_for_caution(node: slicer.vtkMRMLNode | None) -> str:
    """What the user has to acknowledge before this volume leaves the application; empty when nothing is.

    One red flag suffices: its own, or that of any map that belongs to it, whatever later ones say.
    """
    quality = next((quality for quality in _qualities(node) if quality.get("flag") == RED), None)
    if quality is None:
        return ""
    return _("The quality flag of this volume is red. {reasons}\n\nRule: {rule}").format(
        reasons=" ".join(quality.get("reasons", [])), rule=quality.get("rule", "")
    )


def _qualities(node: slicer.vtkMRMLNode | None) -> list[dict[str, Any]]:
    """Its own first, then those of the maps that belong to it, the latest first."""
    volumes = [] if node is None else [node, *maps_of(node)]
    return [quality for volume in volumes if (quality := provenance_of(volume).get("quality"))]
