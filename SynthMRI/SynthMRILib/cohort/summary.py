"""The summary of a batch: a table with one line a case, and counts, failures, flags and what was left out as JSON."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import INTENDED_USE
from .cases import Case, Discovery
from .files import write_json, write_text
from .quality import outliers
from .records import DONE, FAILED, Record
from .settings import Settings

WAITING = "waiting"
MEASURES = ("consistency", "mean_ratio", "head_share", "finite_share")
STEPS = ("read", "run", "write")
COLUMNS = ("case", "state", "flags", "output", "error", "shape_kji", "spacing_mm", *MEASURES, *STEPS, "finished")


def summarize(
    discovery: Discovery, records: Mapping[str, Record], settings: Settings, *, done_before: int, seconds: float
) -> dict[str, Any]:
    """The summary, JSON types only.

    Args:
        discovery: cases and what was left out.
        records: by case name; cases without one are waiting.
        settings: of the batch.
        done_before: how many cases were done when this run began.
        seconds: duration of this run [s].
    """
    rows = [row(case, records.get(case.name)) for case in discovery.cases]
    add_outliers(rows, records)
    counts = Counter(item["state"] for item in rows)
    done_now = counts[DONE] - done_before
    return {
        "notice": INTENDED_USE,
        **settings.identity(),
        "layout": discovery.layout,
        "cases": len(rows),
        "done": counts[DONE],
        "done_before": done_before,
        "failed": counts[FAILED],
        "waiting": counts[WAITING],
        "flagged": sum(bool(item["flags"]) for item in rows),
        "flags": dict(Counter(flag for item in rows for flag in item["flags"])),
        "failures": [{"case": item["case"], "error": item["error"]} for item in rows if item["state"] == FAILED],
        "skipped": [{"name": item.name, "reason": item.reason} for item in discovery.skipped],
        "seconds": round(seconds, 2),
        "cases_per_hour": round(3600 * done_now / seconds, 1) if done_now and seconds > 0 else None,
        "rows": rows,
    }


def row(case: Case, record: Record | None) -> dict[str, Any]:
    """One line of the table; `flags` is a list."""
    if record is None or record.state not in (DONE, FAILED):
        return {"case": case.name, "state": WAITING, "flags": []}
    geometry = record.facts.get("output", {})
    return {
        "case": case.name,
        "state": record.state,
        "flags": list(record.flags),
        "output": record.outputs.get("output", ""),
        "error": record.error,
        "shape_kji": geometry.get("shape_kji"),
        "spacing_mm": geometry.get("spacing_mm"),
        "finished": record.finished,
        **{name: record.quality.get(name) for name in MEASURES},
        **{name: record.seconds.get(name) for name in STEPS},
    }


def add_outliers(rows: Sequence[dict[str, Any]], records: Mapping[str, Record]) -> None:
    """Flag the cases that differ from the others of the cohort."""
    done = {item["case"]: records[item["case"]].quality for item in rows if item["state"] == DONE}
    flags = outliers(done)
    for item in rows:
        item["flags"] += flags.get(item["case"], [])


def write_summary(summary: dict[str, Any], output: Path) -> None:
    """Write `summary.csv` and, without the table, `summary.json`."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({name: as_cell(value) for name, value in item.items()} for item in summary["rows"])
    write_text(output / "summary.csv", text.getvalue())
    write_json(output / "summary.json", {name: value for name, value in summary.items() if name != "rows"})


def as_cell(value: Any) -> Any:
    """A value as one cell: lists become words."""
    if isinstance(value, list):
        return " ".join(f"{item:.6g}" if isinstance(item, float) else str(item) for item in value)
    return value
