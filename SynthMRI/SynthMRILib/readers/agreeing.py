"""Agreement between readers, and of readers with themselves on repeated presentations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..evaluation.agreement import Estimate, cohen_kappa, fleiss_kappa, intraclass_correlation
from ..evaluation.detection import proportion
from .lines import EVERYBODY, Line, line
from .table import Row


def agreement_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:
    """Kappa of choices; ICC(2,1) of counts and ratings, by arm; quadratic kappa of ratings between pairs of readers."""
    lines: list[Line] = []
    first = [row for row in rows if not row.repeat]
    if "choice" in rows[0].answer:
        lines += _kappa_lines(name, first)
        lines += _self_kappa_lines(name, rows)
    for what, value in _numbers(question).items():
        for arm in sorted({row.arm for row in first}):
            of = f"{what}, {arm}"
            lines += _correlation(name, EVERYBODY, of, _by_reader([r for r in first if r.arm == arm], value))
        if question["paradigm"] == "rating":
            lines += _rating_kappa_lines(name, what, question, _by_reader(first, value))
        for reader in sorted({row.reader for row in rows}):
            own = [row for row in rows if row.reader == reader]
            lines += _correlation(name, reader, f"{what}, repeated", _by_repeat(own, value))
    return lines


def _numbers(question: dict[str, Any]) -> dict[str, Callable[[Row], float]]:
    if question["paradigm"] in ("lesions", "new-lesions"):
        return {"total": lambda row: float(sum(row.counts.values()))}
    if question["paradigm"] == "rating":
        return {item: (lambda row, i=item: float(row.answer[i])) for item in question["items"]}
    return {}


def _choice(row: Row) -> str:
    """What was chosen, whichever side it was on."""
    return row.chosen_arm or row.answer["choice"]


def _by_reader(rows: Sequence[Row], value: Callable[[Row], Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row.reader, {})[row.trial] = value(row)
    return found


def _by_repeat(rows: Sequence[Row], value: Callable[[Row], Any]) -> dict[str, dict[str, Any]]:
    """First and second answers to what was shown twice."""
    repeated = {row.trial for row in rows if row.repeat}
    passes: dict[str, dict[str, Any]] = {"first": {}, "second": {}}
    for row in rows:
        if row.trial in repeated:
            passes["second" if row.repeat else "first"][row.trial] = value(row)
    return passes if repeated else {}


def _aligned(columns: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """A row for each trial that every column has."""
    shared = set.intersection(*(set(values) for values in columns.values())) if columns else set()
    return [[values[trial] for values in columns.values()] for trial in sorted(shared)]


def _correlation(name: str, reader: str, of: str, columns: dict[str, dict[str, float]]) -> list[Line]:
    table = _aligned(columns)
    if len(columns) < 2 or len(table) < 2:
        return []
    return [line(name, "ICC(2,1)", reader, of, intraclass_correlation(np.array(table)))]


def _kappa_lines(name: str, rows: Sequence[Row]) -> list[Line]:
    columns = _by_reader(rows, _choice)
    lines = [_cohen(name, f"{a} - {b}", "choice", {a: columns[a], b: columns[b]}) for a, b in combinations(columns, 2)]
    table = _aligned(columns)
    if len(columns) > 2 and table:
        options = sorted({choice for choices in table for choice in choices})
        counts = np.array([[choices.count(option) for option in options] for choices in table])
        lines.append(line(name, "Fleiss kappa", EVERYBODY, "choice", fleiss_kappa(counts)))
    return lines


def _cohen(name: str, readers: str, of: str, columns: dict[str, dict[str, Any]], **options: Any) -> Line:
    table = _aligned(columns)
    first, second = zip(*table) if table else ((), ())
    statistic = "Cohen kappa" + (f", {options['weights']} weights" if options else "")
    return line(name, statistic, readers, of, cohen_kappa(first, second, **options))


def _rating_kappa_lines(
    name: str, item: str, question: dict[str, Any], columns: dict[str, dict[str, float]]
) -> list[Line]:
    options = {"categories": [float(n + 1) for n in range(question["points"])], "weights": "quadratic"}
    return [
        _cohen(name, f"{a} - {b}", item, {a: columns[a], b: columns[b]}, **options) for a, b in combinations(columns, 2)
    ]


def _self_kappa_lines(name: str, rows: Sequence[Row]) -> list[Line]:
    lines: list[Line] = []
    for reader in sorted({row.reader for row in rows}):
        columns = _by_repeat([row for row in rows if row.reader == reader], _choice)
        table = _aligned(columns)
        if table:
            same: Estimate = proportion(sum(a == b for a, b in table), len(table))
            lines.append(line(name, "same answer again", reader, "choice, repeated", same))
            lines.append(_cohen(name, reader, "choice, repeated", columns))
    return lines
