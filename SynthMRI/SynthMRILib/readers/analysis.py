"""The statistics of a study, each a row: question, statistic, who, what, value, interval, p.

Readers are analyzed one by one. Where readers are pooled ("all"), intervals and p values take their answers as
independent, which they are not when several readers see the same cases; such rows say so. Repeated presentations count
for agreement with oneself only. p values of Wilcoxon's test are adjusted (Holm) over the regions, or rated items, of
one question, one reader and one pair of arms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from math import nan
from typing import Any

import numpy as np

from ..evaluation.agreement import Estimate, bland_altman, holm, signed_rank
from ..evaluation.detection import binomial_p, forced_choice_index, proportion
from .agreeing import agreement_lines
from .choices import choice_lines
from .lines import EVERYBODY, Line, line, pooled_note
from .table import Row, matched_lesions

Questions = dict[str, dict[str, Any]]


def analyze(rows: Sequence[Row], questions: Questions) -> list[Line]:
    """All statistics that the answers allow."""
    lines: list[Line] = []
    for name, question in questions.items():
        own = [row for row in rows if row.question == name]
        first = [row for row in own if not row.repeat]
        if first:
            lines += _BY_PARADIGM[question["paradigm"]](name, question, first)
            lines += agreement_lines(name, question, own)
    return lines + time_lines([row for row in rows if not row.repeat])


def readers_of(rows: Iterable[Row]) -> list[str]:
    return sorted({row.reader for row in rows})


def by_reader(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each reader, and of all together when there are several."""
    readers = readers_of(rows)
    own = [(reader, [row for row in rows if row.reader == reader]) for reader in readers]
    return [*own, (EVERYBODY, list(rows))] if len(readers) > 1 else own


def per_subject(rows: Sequence[Row], arm: str, value: Callable[[Row], float]) -> dict[str, float]:
    """Mean value of each subject under an arm."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.arm == arm:
            found.setdefault(row.subject, []).append(value(row))
    return {subject: float(np.mean(values)) for subject, values in found.items()}


def paired(
    rows: Sequence[Row], arms: tuple[str, str], value: Callable[[Row], float]
) -> tuple[list[float], list[float]]:
    """Values of the subjects that were read under both arms, in the same order."""
    first, second = (per_subject(rows, arm, value) for arm in arms)
    subjects = sorted(set(first) & set(second))
    return [first[s] for s in subjects], [second[s] for s in subjects]


def compared(name: str, rows: Sequence[Row], values: dict[str, Callable[[Row], float]], unit: str) -> list[Line]:
    """Mean and deviation by arm, and Wilcoxon's test between every two arms, Holm-adjusted over `values`."""
    lines: list[Line] = []
    arms = sorted({row.arm for row in rows})
    for reader, own in by_reader(rows):
        for what, value in values.items():
            for arm in arms:
                numbers = np.array([*per_subject(own, arm, value).values()])
                if len(numbers):
                    spread = float(numbers.std(ddof=1)) if len(numbers) > 1 else nan
                    estimate = Estimate(float(numbers.mean()), nan, nan, len(numbers))
                    lines.append(line(name, f"mean {unit}", reader, f"{what}, {arm}", estimate, deviation=spread))
        for pair in combinations(arms, 2):
            lines += _tests(name, reader, own, pair, values)
    return lines


def _tests(
    name: str, reader: str, rows: Sequence[Row], pair: tuple[str, str], values: dict[str, Callable[[Row], float]]
) -> list[Line]:
    tests = {what: signed_rank(*paired(rows, pair, value)) for what, value in values.items()}
    adjusted = holm([test.p for test in tests.values()])
    note = "mean of the readers for each subject" if reader == EVERYBODY else ""
    return [
        line(
            name,
            "Wilcoxon signed-rank",
            reader,
            f"{what}, {pair[0]} - {pair[1]}",
            Estimate(test.median, nan, nan, test.pairs),
            p=test.p,
            p_holm=p,
            note=f"value is the median difference{'; ' + note if note else ''}",
        )
        for (what, test), p in zip(tests.items(), adjusted)
        if test.pairs
    ]


def lesion_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:
    regions = {region: (lambda row, r=region: row.counts[r]) for region in question["regions"]}
    values = {"total": _total, **regions}
    lines = compared(name, rows, values, "count")
    for reader, own in by_reader(rows):
        for pair in combinations(sorted({row.arm for row in rows}), 2):
            lines += limits_lines(name, reader, f"{pair[0]} - {pair[1]}", *paired(own, pair, _total))
        lines += _found_lines(name, reader, own, question["match_mm"])
    for pair in combinations(readers_of(rows), 2):
        for arm in sorted({row.arm for row in rows}):
            counts = [per_subject([row for row in rows if row.reader == reader], arm, _total) for reader in pair]
            shared = sorted(set(counts[0]) & set(counts[1]))
            both = ([count[s] for s in shared] for count in counts)
            lines += limits_lines(name, f"{pair[0]} - {pair[1]}", arm, *both)
    return lines


def _total(row: Row) -> float:
    return float(sum(row.counts.values()))


def limits_lines(name: str, reader: str, what: str, first: Sequence[float], second: Sequence[float]) -> list[Line]:
    """Bland and Altman's bias and limits of agreement."""
    agreement = bland_altman(first, second)
    parts = {"bias": agreement.bias, "lower limit": agreement.lower, "upper limit": agreement.upper}
    if agreement.bias.count < 2:
        return []
    return [line(name, f"Bland-Altman {part}", reader, what, estimate) for part, estimate in parts.items()]


def _found_lines(name: str, reader: str, rows: Sequence[Row], within: float) -> list[Line]:
    """Sensitivity and false marks per case against the lesions of the key: more marks are not better by themselves."""
    lines = []
    for arm in sorted({row.arm for row in rows}):
        known = [row for row in rows if row.arm == arm and "lesions" in row.truth and "marks" in row.answer]
        if not known:
            continue
        hits = sum(
            matched_lesions([m["ras"] for m in r.answer["marks"]], r.truth["lesions"], within=within) for r in known
        )
        lesions = sum(len(row.truth["lesions"]) for row in known)
        false = sum(len(row.answer["marks"]) for row in known) - hits
        note = f"marks within {within:g} mm of a lesion of the key; lesions of one subject are not independent"
        lines.append(line(name, "lesion sensitivity", reader, arm, proportion(hits, lesions), note=note))
        estimate = Estimate(false / len(known), nan, nan, len(known))
        lines.append(line(name, "false marks per case", reader, arm, estimate, note=note))
    return lines


def rating_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:
    items = {item: (lambda row, i=item: float(row.answer[i])) for item in question["items"]}
    return compared(name, rows, items, "rating")


def forced_choice_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:
    lines = []
    for reader, own in by_reader(rows):
        right = sum(row.kinds[row.arms.index(row.chosen_arm)] == question["target"] for row in own)
        note = pooled_note(reader)
        share = proportion(right, len(own))
        lines.append(line(name, "accuracy", reader, "all", share, p=binomial_p(right, len(own)), note=note))
        index = Estimate(forced_choice_index(right, len(own)), nan, nan, len(own))
        lines.append(line(name, "d'", reader, "all", index, note=note))
    return lines


def preference_lines(name: str, question: dict[str, Any], rows: Sequence[Row]) -> list[Line]:  # noqa: ARG001
    lines = []
    for reader, own in by_reader(rows):
        for pair in sorted({row.arm for row in own}):
            chosen = [row.chosen_arm for row in own if row.arm == pair]
            decided = [arm for arm in chosen if arm]
            favorite = pair.split(" / ")[0]
            hits = decided.count(favorite)
            note = "; ".join(filter(None, [f"{len(chosen) - len(decided)} without preference", pooled_note(reader)]))
            share, p = proportion(hits, len(decided)), binomial_p(hits, len(decided))
            lines.append(line(name, f"prefers {favorite}", reader, pair, share, p=p, note=note))
    return lines


def time_lines(rows: Sequence[Row]) -> list[Line]:
    """Reading time by arm; each presentation counts once, however many questions it asked."""
    once = list({(row.reader, row.position): row for row in rows}.values())
    single = [row for row in once if len(row.arms) == 1]
    return compared("reading time", single, {"seconds": lambda row: row.seconds}, "seconds") if single else []


_BY_PARADIGM: dict[str, Callable[[str, dict[str, Any], Sequence[Row]], list[Line]]] = {
    "real-or-synthetic": choice_lines,
    "presence": choice_lines,
    "lesions": lesion_lines,
    "new-lesions": lesion_lines,
    "rating": rating_lines,
    "two-alternative": forced_choice_lines,
    "preference": preference_lines,
}
