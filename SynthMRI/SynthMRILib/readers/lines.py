"""One statistic as one line of statistics.csv."""

from __future__ import annotations

from typing import Any

from ..evaluation.agreement import Estimate

Line = dict[str, Any]
EVERYBODY = "all"
FIELDS = ("question", "statistic", "reader", "of", "value", "low", "high", "count", "deviation", "p", "p_holm", "note")


def line(name: str, statistic: str, reader: str, of: str, estimate: Estimate, **facts: Any) -> Line:
    """A line; figures that are not defined (NaN) become None.

    Args:
        name: question.
        statistic: what was calculated.
        reader: a reader, "all", or a pair of readers.
        of: what it was calculated of (arm, region, pair of arms).
        estimate: value, interval and number of cases.
        facts: deviation, p, p_holm, note.
    """
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "count": estimate.count}
    full = {"question": name, "statistic": statistic, "reader": reader, "of": of, **values, **facts}
    return {field: _defined(full.get(field)) for field in FIELDS}


def pooled_note(reader: str) -> str:
    return "readers pooled, their answers taken as independent" if reader == EVERYBODY else ""


def _defined(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value
