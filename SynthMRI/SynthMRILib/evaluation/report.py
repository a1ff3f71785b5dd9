"""An evaluation as a table that fits a terminal."""

from __future__ import annotations

from typing import Any

from .metrics import METRICS

DECIMALS = {"psnr": 2}


def as_table(record: dict[str, Any]) -> str:
    """Rows of a record (see `super_resolution.evaluate`), best value of each degradation and metric marked with *."""
    head = ["input", "method", *(titled(name) for name in METRICS), "seconds"]
    body = [row_cells(row, record["rows"]) for row in record["rows"]]
    widths = [max(len(line[n]) for line in [head, *body]) for n in range(len(head))]
    lines = [aligned(head, widths), *(aligned(line, widths) for line in body)]
    return "\n".join([*lines, "", *footnotes(record)])


def titled(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.title} [{metric.unit}]" if metric.unit else metric.title


def row_cells(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    peers = [r for r in rows if r["degradation"] == row["degradation"]]
    figures = [figure(row[name], name) + ("*" if is_best(row, peers, name) else " ") for name in METRICS]
    return [row["degradation"], row["method"], *figures, f"{row['seconds']:.1f}"]


def figure(value: float | None, name: str) -> str:
    return "inf" if value is None else f"{value:.{DECIMALS.get(name, 4)}f}"


def is_best(row: dict[str, Any], peers: list[dict[str, Any]], name: str) -> bool:
    sign = 1 if METRICS[name].higher_is_better else -1
    values = [sign * (float("inf") if peer[name] is None else peer[name]) for peer in peers]
    return sign * (float("inf") if row[name] is None else row[name]) == max(values)


def aligned(cells: list[str], widths: list[int]) -> str:
    """Words to the left, figures to the right."""
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2])]
    return "  ".join([*words, *(cell.rjust(width) for cell, width in zip(cells[2:], widths[2:]))]).rstrip()


def footnotes(record: dict[str, Any]) -> list[str]:
    mask = record["mask"]
    return [
        "* best of its input",
        f"Mask: {mask['rule']} ({mask['voxels']} voxels). Data range: {record['data_range']['value']:.6g}.",
        record["caveat"],
        "Research use only, not for diagnosis.",
    ]
