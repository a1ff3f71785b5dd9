"""Statistics of yes-no answers with confidence: real or synthetic, lesion present or absent."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

from ..evaluation.agreement import Estimate
from ..evaluation.detection import (
    area_under_curve,
    binomial_p,
    false_identification_rate,
    proportion,
    sensitivity_index,
)
from .lines import EVERYBODY, Line, line, pooled_note
from .table import Row


def choice_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:
    """Accuracy, rates, d' and area of every reader and of all; nothing where the key holds no truth."""
    known = [row for row in rows if row.is_signal is not None]
    readers = sorted({row.reader for row in known})
    lines: list[Line] = []
    for reader in [*readers, *([EVERYBODY] if len(readers) > 1 else [])]:
        own = [row for row in known if reader in (EVERYBODY, row.reader)]
        for of, part in _parts(question["paradigm"], own).items():
            lines += _lines(name, question["paradigm"], reader, of, part)
    return lines


def _parts(paradigm: str, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Presence is judged arm by arm; real or synthetic over all arms, and each synthetic arm against all acquired."""
    arms = sorted({row.arm for row in rows})
    if paradigm == "presence":
        return {arm: [row for row in rows if row.arm == arm] for arm in arms}
    synthetic = sorted({row.arm for row in rows if row.is_signal})
    against = {arm: [row for row in rows if row.arm == arm or not row.is_signal] for arm in synthetic}
    return {"all arms": list(rows), **(against if len(synthetic) > 1 else {})}


def _lines(name: str, paradigm: str, reader: str, of: str, rows: Sequence[Row]) -> list[Line]:
    decided = [row for row in rows if row.says_signal is not None]
    right = sum(row.says_signal == row.is_signal for row in decided)
    signals, noises = ([row for row in rows if row.is_signal is truth] for truth in (True, False))
    hits, false_alarms = (sum(row.says_signal is True for row in part) for part in (signals, noises))
    note = pooled_note(reader)
    unsure = len(rows) - len(decided)
    accuracy_note = "; ".join(filter(None, [f"{unsure} unsure answers left out" if unsure else "", note]))
    index = sensitivity_index(hits, len(signals), false_alarms, len(noises))
    area = area_under_curve([row.score for row in signals], [row.score for row in noises])
    p = binomial_p(right, len(decided)) if paradigm == "real-or-synthetic" else nan
    return [
        line(name, "accuracy", reader, of, proportion(right, len(decided)), p=p, note=accuracy_note),
        *_rates(name, paradigm, reader, of, rows),
        line(name, "d'", reader, of, Estimate(index.d_prime, nan, nan, len(rows)), note=note),
        line(name, "criterion", reader, of, Estimate(index.criterion, nan, nan, len(rows)), note=note),
        line(name, "area under ROC curve", reader, of, area, note=note),
    ]


def _rates(name: str, paradigm: str, reader: str, of: str, rows: Sequence[Row]) -> list[Line]:
    note = pooled_note(reader)
    truths = [bool(row.is_signal) for row in rows]
    yes = [row.says_signal is True for row in rows]
    if paradigm == "real-or-synthetic":
        alarms = [said for said, truth in zip(yes, truths) if not truth]
        return [
            line(name, "false identification rate", reader, of, false_identification_rate(truths, yes), note=note),
            line(name, "acquired called synthetic", reader, of, proportion(sum(alarms), len(alarms)), note=note),
        ]
    found = [said for said, truth in zip(yes, truths) if truth]
    cleared = [not said for said, truth in zip(yes, truths) if not truth]
    return [
        line(name, "sensitivity", reader, of, proportion(sum(found), len(found)), note=note),
        line(name, "specificity", reader, of, proportion(sum(cleared), len(cleared)), note=note),
    ]
