"""From a configuration to a trained bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric

from ..bundles import Bundle, load_bundle
from ..cohort.files import write_json
from ..errors import InputError
from . import facts
from .configuration import from_mapping, training_class
from .export import BundleDescription, write_bundle
from .growing import grown
from .loop import LoopConfig, State, fit


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
        config: mapping with "loop" (`LoopConfig`), "bundle" (words of its card), "start" (name or folder of a bundle
            whose weights are the first ones), "grow" (whether its network may be smaller; see `growing.py`) and what
            the task's training reads, for most tasks "patches" and "training".
        launch: accelerator, devices and precision as Lightning Fabric takes them.
        report: told of every log line.
    """
    fabric, training, state = start_training(task, config, output, launch=launch, report=report)
    if fabric.is_global_zero:
        export(task, training, config, output, state)
    return state


def start_training(
    task: str,
    config: dict[str, Any],
    output: Path,
    *,
    launch: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
) -> tuple[Fabric, Any, State]:
    """Train as `train` does, without a bundle at the end; returns also the task's training and the final state."""
    kind = training_class(task, config)
    fabric = Fabric(**launch)
    fabric.launch()
    if fabric.is_global_zero:
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "config.json", config)
    fabric.barrier()
    loop = from_mapping(LoopConfig, config.get("loop", {}), "loop")
    training = kind.from_config(config)
    check_batch(config, fabric.world_size)
    start = starting_bundle(config, training)
    if start is not None:
        first = start.build_network()
        if hasattr(training, "adapt_start"):
            training.adapt_start(first)
        training.start_weights = grown(first, training.build_network()) if config.get("grow") else first.state_dict()
    return fabric, training, fit(training, loop, output, report=report, fabric=fabric)


def check_batch(config: dict[str, Any], processes: int) -> None:
    """Raises InputError when a batch cannot be shared out evenly: the run would not follow that of one process."""
    batch = config.get("training", {}).get("batch")
    if isinstance(batch, int) and batch % processes:
        raise InputError(f"A batch of {batch} cannot be shared by {processes} processes; set 'batch' to a multiple.")


def starting_bundle(config: dict[str, Any], training: Any) -> Bundle | None:
    """The bundle under "start", whose weights are the first ones. Raises InputError when its network is another."""
    if "start" not in config:
        return None
    bundle = load_bundle(config["start"])
    network = bundle.section["network"]
    wanted = training.build_network().state_dict()
    given = bundle.build_network().state_dict()
    same = {name: tensor.shape for name, tensor in wanted.items()} == {n: t.shape for n, t in given.items()}
    if network["name"] != training.network_name or not (same or config.get("grow")):
        raise InputError(f"Bundle '{bundle.name}' has another network; set the configuration's 'network' to its own.")
    return bundle


def export(task: str, training: Any, config: dict[str, Any], output: Path, state: State) -> Path:
    """Write the averaged weights as a bundle to `output/bundle`, in place of an earlier one of this run."""
    shutil.rmtree(output / "bundle", ignore_errors=True)
    return write_bundle(output / "bundle", state.average, description_of(task, training, config, output, state))


def description_of(task: str, training: Any, config: dict[str, Any], output: Path, state: State) -> BundleDescription:
    """What the bundle of a run says of itself."""
    words = config.get("bundle", {})
    blocks = training.validation_blocks(state.average.eval()) if hasattr(training, "validation_blocks") else ()
    start = load_bundle(config["start"]) if "start" in config else None
    return BundleDescription(
        title=words.get("title", f"{task}, {state.step} steps"),
        task=getattr(training, "bundle_task", task),
        description=words.get("description", "Trained with `synthmri train`."),
        network_name=training.network_name,
        network_arguments=training.network_arguments,
        expects=words.get("expects", {}),
        training=facts.training_facts(config, training, steps=state.step, seconds=state.seconds, start=start),
        validation=facts.last_validation(output),
        limits=facts.limits_of(config, training),
        experimental=words.get("experimental", True),
        inputs=tuple(training.inputs),
        section={**words.get("section", {}), **getattr(training, "section", {})},
        data=facts.data_statements(config, training, start),
        intervals=facts.interval_rows(blocks),
    )
