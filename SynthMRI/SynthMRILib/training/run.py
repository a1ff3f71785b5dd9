"""From a configuration to a trained bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from ..errors import InputError
from .loop import LoopConfig, State, fit
from .patches import PatchConfig
from .super_resolution import SuperResolutionConfig, SuperResolutionTraining

#: The training of each task: class and its configuration.
TRAININGS = {"super-resolution": (SuperResolutionTraining, SuperResolutionConfig)}


def from_mapping(kind: type, values: dict[str, Any], where: str) -> Any:
    """A dataclass from a mapping. Raises InputError for a key it does not have."""
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"The configuration's '{where}' has no '{unknown[0]}'; it knows: {', '.join(sorted(known))}.")
    return kind(**values)


def train(
    task: str,
    config: dict[str, Any],
    output: Path,
    *,
    launch: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
) -> State:
    """Train `task` into the folder `output`, resuming what is there.

    Args:
        config: mapping with "loop", "patches" and "training" (see the dataclasses of those names).
        launch: accelerator, devices and precision as Lightning Fabric takes them.
        report: told of every log line.
    """
    if task not in TRAININGS:
        raise InputError(f"There is no training for '{task}'. Choose one of: {', '.join(TRAININGS)}.")
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    fabric = Fabric(**launch)
    fabric.launch()
    loop = from_mapping(LoopConfig, config.get("loop", {}), "loop")
    patches = from_mapping(PatchConfig, config.get("patches", {}), "patches")
    values = {**config.get("training", {}), "patches": patches}
    values |= {name: Path(values[name]) for name in ("cache", "validation_cache") if name in values}
    training_class, config_class = TRAININGS[task]
    training = training_class(from_mapping(config_class, values, "training"))
    return fit(training, loop, output, report=report, fabric=fabric)
