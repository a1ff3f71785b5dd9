"""From a configuration to a trained bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from ..errors import InputError
from .cache import Cache
from .export import BundleDescription, write_bundle
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
    state = fit(training, loop, output, report=report, fabric=fabric)
    if fabric.is_global_zero:
        export(task, config, output, state)
    return state


def export(task: str, config: dict[str, Any], output: Path, state: State) -> Path:
    """Write the averaged weights as a bundle to `output/bundle`, in place of an earlier one of this run."""
    words = config.get("bundle", {})
    description = BundleDescription(
        title=words.get("title", f"{task}, {state.step} steps"),
        task=task,
        description=words.get("description", "Trained with `synthmri train`."),
        network_name="RRDBNet",
        network_arguments=config.get("training", {}).get("network", {}),
        expects=words.get("expects", {}),
        training=training_facts(config, state),
        validation=last_validation(output),
        limits=words.get("limits", []),
        experimental=words.get("experimental", True),
    )
    shutil.rmtree(output / "bundle", ignore_errors=True)
    return write_bundle(output / "bundle", state.average, description)


def training_facts(config: dict[str, Any], state: State) -> dict[str, Any]:
    """What the card says of the run: length, data and ranges of the simulation."""
    settings = {k: v for k, v in config.get("training", {}).items() if not k.endswith("cache")}
    facts = {"steps": state.step, "hours": round(state.seconds / 3600, 2), "settings": settings}
    caches = {k: Path(v) for k, v in config.get("training", {}).items() if k.endswith("cache")}
    subjects = {k: sorted({entry.subject for entry in Cache(path).entries}) for k, path in caches.items()}
    return {**facts, "loop": config.get("loop", {}), "patches": config.get("patches", {}), "subjects": subjects}


def last_validation(output: Path) -> dict[str, float]:
    """Figures of the last validation in the log, by name."""
    log = output / "training.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    figures = [line for line in lines if line["event"] == "validation"]
    return {name: value for name, value in figures[-1].items() if name.startswith("gain_")} if figures else {}
