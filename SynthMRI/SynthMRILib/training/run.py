"""From a configuration to a trained bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from .cache import Cache
from .configuration import from_mapping, training_class
from .export import BundleDescription, write_bundle
from .loop import LoopConfig, State, fit

LOGGED = ("event", "step", "steps", "seconds", "seconds_left", "learning_rate")


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
        config: mapping with "loop" (`LoopConfig`), "bundle" (words of its card) and what the task's training reads,
            for most tasks "patches" and "training".
        launch: accelerator, devices and precision as Lightning Fabric takes them.
        report: told of every log line.
    """
    kind = training_class(task)
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    fabric = Fabric(**launch)
    fabric.launch()
    loop = from_mapping(LoopConfig, config.get("loop", {}), "loop")
    training = kind.from_config(config)
    state = fit(training, loop, output, report=report, fabric=fabric)
    if fabric.is_global_zero:
        export(task, training, config, output, state)
    return state


def export(task: str, training: Any, config: dict[str, Any], output: Path, state: State) -> Path:
    """Write the averaged weights as a bundle to `output/bundle`, in place of an earlier one of this run."""
    words = config.get("bundle", {})
    description = BundleDescription(
        title=words.get("title", f"{task}, {state.step} steps"),
        task=task,
        description=words.get("description", "Trained with `synthmri train`."),
        network_name=training.network_name,
        network_arguments=training.network_arguments,
        expects=words.get("expects", {}),
        training=training_facts(config, state),
        validation=last_validation(output),
        limits=words.get("limits", []),
        experimental=words.get("experimental", True),
        inputs=tuple(training.inputs),
        section=words.get("section", {}),
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
    return {name: value for name, value in figures[-1].items() if name not in LOGGED} if figures else {}
