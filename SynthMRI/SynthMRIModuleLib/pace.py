"""How long a run will take, told before it is started, by runs of the same kind that were made before."""

from __future__ import annotations

import json
from typing import Any

from slicer.i18n import tr as _

from .progress_text import duration_text

WITHOUT_EFFECT = ("seed",)
"""Parameters that change what comes out but not how long it takes."""


class Pace:
    """Remembers the time that a voxel took in the latest run with each choice of model and settings."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, request: dict[str, Any], seconds: float) -> None:
        """A run that was asked for by this request (inputNode, bundle, parameters) took so long [s]."""
        voxels = _voxels(request)
        if voxels:
            self._seconds[_kind(request)] = seconds / voxels

    def words(self, request: dict[str, Any] | None) -> str:
        """A sentence about how long this request will take; empty when none like it has been run."""
        per_voxel = self._seconds.get(_kind(request)) if request else None
        if per_voxel is None:
            return ""
        duration = duration_text(per_voxel * _voxels(request))
        return _("Takes about {duration}, going by the last run like it.").format(duration=duration)


def _kind(request: dict[str, Any]) -> str:
    told = {name: value for name, value in request["parameters"].items() if name not in WITHOUT_EFFECT}
    return json.dumps([request.get("task"), request["bundle"], sorted(request["inputNode"]), told], sort_keys=True)


def _voxels(request: dict[str, Any]) -> int:
    """Of the largest input; 0 without voxels."""
    images = (node.GetImageData() for node in request["inputNode"].values() if node is not None)
    return max((image.GetNumberOfPoints() for image in images if image is not None), default=0)
