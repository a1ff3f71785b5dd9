"""What can be trained, and how a configuration becomes a dataclass, with a clear word for what it does not know."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InputError

#: The training of each task: name -> (module in `training`, class). The class is built by `from_config(mapping)` and
#: has, besides the methods of `TrainingTask`, `network_name`, `network_arguments` and `inputs` (roles of its volumes).
TRAININGS = {
    "super-resolution": ("super_resolution", "SuperResolutionTraining"),
    "super-resolution-perceptual": ("perceptual", "PerceptualTraining"),
    "denoising": ("denoising", "DenoisingTraining"),
    "through-plane": ("through_plane", "ThroughPlaneTraining"),
    "motion-correction": ("motion_correction", "MotionCorrectionTraining"),
    "motion-correction-gan": ("motion_adversarial", "MotionAdversarialTraining"),
    "motion-severity": ("motion_severity", "MotionSeverityTraining"),
    "motion-diffusion": ("motion_diffusion", "MotionDiffusionTraining"),
    "synthetic-dir": ("synthetic_dir", "SyntheticDirTraining"),
    "slice-features": ("slice_features", "SliceFeaturesTraining"),
}
#: The training from pairs of volumes of a user, which are input and target of any task.
PAIRED = ("paired", "PairedTraining")


def from_mapping(kind: type, values: dict[str, Any], where: str) -> Any:
    """A dataclass from a mapping; fields that end in "cache" become paths, or a tuple of them where a list is given.

    Raises InputError for an unknown key, and for a list where one file is read.
    """
    known = {f.name: str(f.type) for f in fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"The configuration's '{where}' has no '{unknown[0]}'; it knows: {', '.join(sorted(known))}.")
    for name, value in values.items():
        if name.endswith("cache") and isinstance(value, list) and "tuple" not in known[name]:
            raise InputError(f"The configuration's '{name}' is one file, not a list.")
    return kind(**{name: paths(v) if name.endswith("cache") else v for name, v in values.items()})


def paths(value: str | list[str]) -> Path | tuple[Path, ...]:
    """The path of a packed cache, or those of several."""
    return tuple(Path(v) for v in value) if isinstance(value, list) else Path(value)


def training_class(task: str, config: dict[str, Any]) -> type:
    """What trains a task: a configuration with "pairs" learns from pairs of volumes, whatever the task.

    Raises InputError for a task that cannot be trained.
    """
    if "pairs" in config:
        module, name = PAIRED
    elif task in TRAININGS:
        module, name = TRAININGS[task]
    else:
        raise InputError(f"There is no training for '{task}'. Choose one of: {', '.join(TRAININGS)}.")
    return getattr(import_module(f".{module}", __package__), name)
