"""What a bundle says of the run that made it: data, settings, ranges of the simulation, validation with intervals.

Subjects of the project's own sets are named, so that a run can be repeated; those of a user are only counted, because
a card travels further than the data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from ..bundles import Bundle
from ..evaluation.agreement import Estimate
from ..evaluation.bootstrap import gain_in_decibels
from .attribution import BY_NAME
from .cache import Cache
from .configuration import paths

LOGGED = ("event", "step", "steps", "seconds", "seconds_left", "learning_rate")
PARTS = {"cache": "training", "validation_cache": "validation"}


def caches_of(config: dict[str, Any]) -> dict[str, list[Cache]]:
    """The packed caches of a configuration, by key."""
    named = {k: paths(v) for k, v in config.get("training", {}).items() if k.endswith("cache")}
    return {k: [Cache(path) for path in (v if isinstance(v, tuple) else (v,))] for k, v in named.items()}


def subjects_of(caches: Iterable[Cache]) -> set[str]:
    return {entry.subject for cache in caches for entry in cache.entries}


def training_facts(
    config: dict[str, Any], training: Any, *, steps: int, seconds: float, start: Bundle | None = None
) -> dict[str, Any]:
    """Length of the run, settings, subjects, the ranges from which samples were drawn, and what it went on from.

    Args:
        training: the training of a task.
        start: the bundle whose weights were the first ones.
    """
    settings = {k: v for k, v in config.get("training", {}).items() if not k.endswith("cache")}
    subjects = {name: named(subjects_of(caches)) for name, caches in caches_of(config).items()}
    return {
        "steps": steps,
        "hours": round(seconds / 3600, 2),
        **({"started_from": origin_of(start)} if start else {}),
        "settings": settings,
        "loop": config.get("loop", {}),
        "subjects": subjects,
        "simulation": ranges_of(training),
    }


def origin_of(bundle: Bundle) -> dict[str, Any]:
    """Name and hash of a bundle from whose weights a run started, and how long those had been trained."""
    before = bundle.section.get("training") or {}
    length = {name: before[name] for name in ("steps", "hours") if name in before}
    return {"name": bundle.name, "sha256": bundle.weights_sha256, **length}


def ranges_of(training: Any) -> dict[str, Any]:
    """From which ranges samples are drawn: what a training says itself, or the parts of its `config` that do."""
    if hasattr(training, "ranges"):
        return training.ranges
    settings = getattr(training, "config", None)
    parts = {f.name: getattr(settings, f.name) for f in fields(settings)} if is_dataclass(settings) else {}
    return {name: asdict(part) for name, part in parts.items() if is_dataclass(part)}


def named(subjects: Iterable[str]) -> list[str]:
    """Labels of the subjects of the project's own sets, and how many others there are."""
    known = sorted(name for name in subjects if name.startswith(tuple(BY_NAME)))
    others = len(set(subjects)) - len(known)
    return known + ([f"{others} of whoever trained this network"] if others else [])


def data_statements(config: dict[str, Any], training: Any, start: Bundle | None) -> list[str]:
    """Whose data the weights come from: caches, what else the training names, the bundle that it started from."""
    sources: dict[str, list[str]] = {}
    for name, caches in caches_of(config).items():
        for statement in (statement for cache in caches for statement in cache.data):
            sources.setdefault(statement, []).append(PARTS.get(name, name))
    for statement in getattr(training, "data_statements", ()):
        sources.setdefault(statement, []).append(PARTS["cache"])
    statements = [f"{statement} ({' and '.join(dict.fromkeys(parts))})" for statement, parts in sources.items()]
    return statements + (statements_of_bundle(start) if start else [])


def statements_of_bundle(bundle: Bundle) -> list[str]:
    """What the card of a bundle says of its data, for weights that started from it."""
    stated = bundle.section.get("data")
    if not stated:
        part = bundle.card_path.read_text(encoding="utf-8").partition("## Data and licenses")[2]
        stated = [line.removeprefix("- ") for line in part.splitlines() if line.startswith("- ")]
    through = "Through the bundle '"
    prefix = f"{through}{bundle.title}', from which training started: "
    return [text if text.startswith(through) else prefix + text for text in stated]


def limits_of(config: dict[str, Any], training: Any) -> list[str]:
    """Limits as the configuration words them, or those that follow from the run."""
    stated = config.get("bundle", {}).get("limits")
    if stated:
        return list(stated)
    caches = caches_of(config)
    trained = len(subjects_of(caches.get("cache", ())))
    return [
        f"It learned from {trained} subjects; other diseases, ages, scanners and sequences were not seen.",
        *getattr(training, "limits", ()),
        "It can invent, alter or remove small structures, lesions among them: compare with the acquired volume.",
    ]


def last_validation(output: Path) -> dict[str, float]:
    """Figures of the last validation in the log, by name."""
    log = output / "training.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    figures = [line for line in lines if line["event"] == "validation"]
    return {name: value for name, value in figures[-1].items() if name not in LOGGED} if figures else {}


def interval_rows(blocks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gains by contrast, over all subjects and for each, with 95 % bootstrap intervals over blocks.

    Args:
        blocks: one mapping a block: `source`, `contrast`, `subject`, and `before` and `after`, the summed squared
            errors of the baseline and of the network over the same voxels.
    """
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for block in blocks:
        subjects = groups.setdefault((block["source"], block["contrast"]), {})
        subjects.setdefault(block["subject"], []).append(block)
    rows = []
    for (source, contrast), subjects in sorted(groups.items()):
        labels = shown_labels(subjects)
        everything = [block for listed in subjects.values() for block in listed]
        for label, listed in [("all", everything), *((labels[s], subjects[s]) for s in sorted(subjects))]:
            gain = gain_in_decibels([b["before"] for b in listed], [b["after"] for b in listed])
            rows.append({"source": source, "contrast": contrast, "subject": label, **as_dict(gain)})
    return rows


def shown_labels(subjects: Iterable[str]) -> dict[str, str]:
    """What subjects are called in a card: their label in the project's own sets, otherwise a number."""
    others = sorted(name for name in subjects if not name.startswith(tuple(BY_NAME)))
    return {name: f"own {others.index(name) + 1}" if name in others else name for name in subjects}


def as_dict(gain: Estimate) -> dict[str, Any]:
    limits = [None if math.isnan(x) else round(x, 3) for x in (gain.low, gain.high)]
    return {"gain_db": round(gain.value, 3), "low": limits[0], "high": limits[1], "blocks": gain.count}
