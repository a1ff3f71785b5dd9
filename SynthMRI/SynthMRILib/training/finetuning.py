"""Adapt a bundle to a user's own volumes: split by subject, train on from its weights, compare on who was held out.

The result is a new bundle beside its run; the one it started from is only read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..bundles import Bundle, load_bundle
from ..cohort.files import write_json
from ..errors import InputError
from ..tasks import get_task
from ..tasks.base import Task
from . import before_after
from .attribution import of_own_data, stated_by_data_set
from .data import Found
from .data_report import DataReport, subjects_of
from .export import write_bundle
from .own_packing import PackingOptions, nothing_found, of_part, pack_own, report_path
from .pair_packing import pack_pairs
from .pairs import find_pairs
from .run import description_of, start_training
from .splits import Split, split_at

FEWEST_SUBJECTS = 4
PARTS = ("train", "validate")
#: Facts of a bundle that belong to its own weights or are written anew.
OF_ITS_WEIGHTS = (
    *("format", "task", "inputs", "network", "sha256", "halo", "scale", "intensity", "expects", "calibration"),
    *("calibration_combined", "training", "data", "validation", "validation_intervals", "experimental", "priority"),
)


@dataclass(frozen=True)
class FinetuneOptions:
    """How to finetune.

    Args:
        steps: optimizer steps.
        learning_rate: peak learning rate.
        batch: patches a step.
        held_out: share of the subjects that the comparison is made on.
        split: JSON file with the split; made when it is not there. None: `split.json` in the output folder.
        seed: seed of everything random.
        license_text, attribution: of the data, for the model card.
    """

    steps: int = 500
    learning_rate: float = 1e-4
    batch: int = 4
    held_out: float = 0.2
    split: Path | None = None
    seed: int = 0
    license_text: str = ""
    attribution: str = ""


def finetune(
    task_name: str,
    bundle: Bundle,
    source: Path,
    output: Path,
    options: FinetuneOptions,
    *,
    launch: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Train on from a bundle and write `output/bundle` with the figures before and after in its card.

    Args:
        task_name: task of the bundle.
        bundle: where training starts.
        source: pairs, or sharp volumes alone for super-resolution (see `pairs.py`).
        output: folder of the run; one that was broken off goes on.
        launch: accelerator, devices and precision as Lightning Fabric takes them; one process.
        report: told of every step of the way as a mapping with "event".

    Returns:
        The comparison: rows by pair, figures and a sentence.

    Raises:
        InputError: the bundle is of another task, there are too few subjects, pairs do not fit.
    """
    task = checked_task(task_name, bundle, output)
    tell = partial(told, report)
    found = find_pairs(source, task.roles, output=output, alone=task_name == "super-resolution")
    check_subjects(subjects_of(found.files), source)
    split = split_at(
        options.split or output / "split.json",
        subjects_of(found.files),
        held_out=options.held_out,
        seed=options.seed,
    )
    paired = bool(found.files[0].others)
    pack = pack_paired if paired else pack_sharp
    logs = pack(found, source, output, task=task, bundle=bundle, split=split, options=options, tell=tell)
    check_subjects({v["subject"] for log in logs for v in log.used}, source, logs)
    config = configuration(task_name, bundle, output, options, paired=paired)
    _, training, state = start_training(task_name, config, output, launch=launch, report=report)
    description = description_of(task_name, training, config, output, state)
    draft = output / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    after = load_bundle(write_bundle(draft, state.average, description))
    held_out = [file for file in found.files if split.part_of(file.subject) == "validate"]
    rows = before_after.compare(held_out, task, {"before": bundle, "after": after}, tell)
    outcome = {**before_after.summary(rows), "rows": before_after.without_labels(rows)}
    write_json(output / "comparison.json", outcome)
    shutil.rmtree(draft)
    write_bundle(output / "bundle", state.average, replace(description, validation=outcome["figures"], intervals=[]))
    return outcome


def told(report: Callable[[dict[str, Any]], None], message: str) -> None:
    report({"event": "note", "message": message})


def checked_task(name: str, bundle: Bundle, output: Path) -> Task:
    """The task. Raises InputError when it, the bundle and the output folder do not allow finetuning."""
    task = get_task(name)
    if bundle.task != name:
        raise InputError(f"Bundle '{bundle.name}' is made for {bundle.task}, not for {name}; choose another bundle.")
    if not hasattr(task, "prepare"):
        raise InputError(f"The task {name} has no network of its own to finetune.")
    if (output / "bundle").exists():
        raise InputError(f"'{output.name}' holds a finished bundle; choose another folder, so that none is replaced.")
    if output.resolve().is_relative_to(bundle.folder.resolve()):
        raise InputError("The output lies inside the bundle that training starts from; choose another folder.")
    return task


def check_subjects(subjects: list[str] | set[str], source: Path, logs: list[DataReport] = ()) -> None:
    """Raises InputError when there are too few subjects to train on some and to compare on others."""
    if len(subjects) >= FEWEST_SUBJECTS:
        return
    left_out = {(item.subject, item.place): item for log in logs for item in log.left_out}
    reasons = [f"{item.kind}: {item.reason}" for item in left_out.values() if not item.kind.startswith("of the part")]
    why = f" First reason: {reasons[0]}" if reasons else ""
    raise InputError(
        f"'{source.name}' has {len(subjects)} subjects that can be used; finetuning needs at least "
        f"{FEWEST_SUBJECTS}, better 10 to 50, to hold some out.{why}"
    )


def pack_paired(
    found: Found,
    source: Path,
    output: Path,
    *,
    task: Task,
    bundle: Bundle,
    split: Split,
    options: FinetuneOptions,
    tell: Callable[[str], None],
) -> list[DataReport]:
    """Pack the pairs of both parts."""
    stated = {"license_text": options.license_text, "attribution": options.attribution}
    stated = {name: text or stated_by_data_set(source)[name] for name, text in stated.items()}
    logs = []
    for part in PARTS:
        path = output / f"{part}.safetensors"
        log = pack_pairs(
            found,
            path,
            task=task,
            bundle=bundle,
            chosen=partial(of_part, split=split, part=part),
            data=partial(of_own_data, **stated),
            report=tell,
        )
        log.write(report_path(path), part=part)
        logs.append(log)
    check_parts(logs, source)
    return logs


def pack_sharp(
    found: Found,  # noqa: ARG001
    source: Path,
    output: Path,
    *,
    task: Task,  # noqa: ARG001
    bundle: Bundle,  # noqa: ARG001
    split: Split,  # noqa: ARG001
    options: FinetuneOptions,
    tell: Callable[[str], None],
) -> list[DataReport]:
    """Pack sharp volumes of both parts, for inputs that are simulated while training."""
    packing = PackingOptions(
        split=options.split or output / "split.json",
        seed=options.seed,
        license_text=options.license_text,
        attribution=options.attribution,
    )
    return [
        pack_own(source, output / f"{part}.safetensors", replace(packing, part=part), report=tell) for part in PARTS
    ]


def check_parts(logs: list[DataReport], source: Path) -> None:
    """Raises InputError when one side of the split has nothing that can be used."""
    if all(log.used for log in logs):
        return
    everything = DataReport(logs[0].found, left_out=[item for log in logs for item in log.left_out])
    check_subjects({v["subject"] for log in logs for v in log.used}, source, [everything])
    part = PARTS[[bool(log.used) for log in logs].index(False)]
    raise InputError(nothing_found(everything, part))


def configuration(task: str, bundle: Bundle, output: Path, options: FinetuneOptions, *, paired: bool) -> dict[str, Any]:
    """The configuration of the run: `synthmri train` takes it too."""
    network = bundle.section["network"]
    training: dict[str, Any] = {
        "cache": str(output / "train.safetensors"),
        "validation_cache": str(output / "validate.safetensors"),
        "network": network["arguments"],
        "batch": options.batch,
        "seed": options.seed,
    }
    finer = bundle.section.get("scale", 1) > 1
    if paired:
        training |= {"network_name": network["name"], "inputs": bundle.section.get("inputs", ["input"])}
        training |= {"validation_size": 32 if finer else 48}
        patches = {"pairs": {"size": 24 if finer else 40}}
    else:
        training |= {"validation_size": 64}
        patches = {"patches": {"weights": [["real", 1.0]]}}
    return {
        "start": str(bundle.folder.resolve()),
        "loop": {
            "steps": options.steps,
            "learning_rate": options.learning_rate,
            "warmup": min(20, options.steps),
            "decay": 0.5,
            "ema": 0.99,
            "validate_every": max(1, options.steps // 5),
            "checkpoint_every": max(1, min(100, options.steps // 5)),
            "log_every": max(1, min(20, options.steps // 10)),
            "seed": options.seed,
        },
        **patches,
        "training": training,
        "bundle": {
            "title": f"{bundle.title}, finetuned",
            "description": f"Finetuned for {task} on a user's own volumes, from '{bundle.title}', of which was said: "
            f"{bundle.metadata.get('description', '')}",
            "expects": bundle.section.get("expects", {}),
            "section": carried_over(bundle.section),
            "experimental": True,
        },
    }


def carried_over(section: dict[str, Any]) -> dict[str, Any]:
    """What a bundle says of itself that holds for other weights of its network, too; measured figures do not."""
    kept = {name: value for name, value in section.items() if name not in OF_ITS_WEIGHTS}
    if "strength" in kept:
        kept["strength"] = {name: value for name, value in kept["strength"].items() if name != "left_share"}
    return kept
