"""What a user can choose from in the panels. Scenes store the names of these members: never rename one."""

from __future__ import annotations

import enum

from slicer.i18n import tr as _


class Task(enum.Enum):
    """What the SynthMRI panel does; the value is the engine's name of the task."""

    SUPER_RESOLUTION = "super-resolution"
    THICK_SLICES = "through-plane"
    DENOISING = "denoising"
    SYNTHETIC_DIR = "synthetic-dir"
    MOTION_CORRECTION = "motion-correction"

    def label(self) -> str:
        return {
            "super-resolution": _("Super-resolution"),
            "through-plane": _("Thick slices"),
            "denoising": _("Denoising"),
            "synthetic-dir": _("Synthetic DIR"),
            "motion-correction": _("Motion correction"),
        }[self.value]


class Method(enum.Enum):
    """How finer voxels are computed; the value is the task's `method`."""

    NETWORK = "network"
    BSPLINE = "bspline"

    def label(self) -> str:
        return {"network": _("Network"), "bspline": _("B-spline interpolation")}[self.value]


class Profile(enum.Enum):
    """How acquired slices weigh what lies across them; the value is the task's `profile`."""

    GAUSSIAN = "gaussian"
    BOX = "box"

    def label(self) -> str:
        return {"gaussian": _("Gaussian (bell curve)"), "box": _("Box (all alike)")}[self.value]


class Preset(enum.Enum):
    """Kind of scanner whose noise is taken away; the value is the task's `preset`."""

    STANDARD = "standard"
    LOW_FIELD = "low-field"

    def label(self) -> str:
        return {"standard": _("Standard"), "low-field": _("Low field (below 0.5 T)")}[self.value]


class Formula(enum.Enum):
    """Formula of the arithmetic synthetic DIR; the value is the task's `formula`."""

    AUTOMATIC = "auto"
    FLAIR_MINUS_T1 = "flair-minus-t1"
    FLAIR_TIMES_T2 = "flair-times-t2"

    def label(self) -> str:
        return {
            "auto": _("Automatic"),
            "flair-minus-t1": _("FLAIR - k T1w"),
            "flair-times-t2": _("FLAIR x T2w"),
        }[self.value]


class CompareMode(enum.Enum):
    """How before and after are shown."""

    SIDE_BY_SIDE = "side by side"
    SWIPE = "swipe"
    BLINK = "blink"
    BLEND = "blend"

    def label(self) -> str:
        return {
            "side by side": _("Side by side"),
            "swipe": _("Swipe"),
            "blink": _("Blink"),
            "blend": _("Blend"),
        }[self.value]


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
        return {
            "auto": _("Automatic"),
            "float32": _("32 bit (float32)"),
            "bfloat16": _("16 bit (bfloat16)"),
            "float16": _("16 bit (float16), graphics cards only"),
        }[self.value]
