"""What a user can choose from in the panels. Scenes store the names of these members: never rename one."""

from __future__ import annotations

import enum

from slicer.i18n import tr as _


class Method(enum.Enum):
    """How finer voxels are computed; the value is the task's `method`."""

    NETWORK = "network"
    BSPLINE = "bspline"

    def label(self) -> str:
        return {"network": _("Network"), "bspline": _("B-spline interpolation")}[self.value]


class Device(enum.Enum):
    """Where a network runs; the value is the task's `device`."""

    AUTOMATIC = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        return {
            "auto": _("Automatic"),
            "cpu": _("CPU"),
            "cuda": _("NVIDIA graphics card (CUDA)"),
            "mps": _("Apple graphics (MPS)"),
        }[self.value]


class Precision(enum.Enum):
    """Number format of a network run; the value is the task's `precision`."""

    AUTOMATIC = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    def label(self) -> str:
        return _("Automatic") if self is Precision.AUTOMATIC else self.value
