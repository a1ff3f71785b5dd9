"""The answers of an unblinded study as flat rows: what every statistic, plot and CSV file is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from .paradigms import is_pair, region_counts
from .study import Key, Study


@dataclass(frozen=True)
class Row:
    """One answer to one question, unblinded.

    Args:
        reader: who answered.
        question: name of the question; `paradigm` is its kind.
        subject: whom the cases show.
        arms: arm of each case from left to right; `kinds` is "acquired" or "synthetic" of each.
        repeat: 1 when the reader had answered this before.
        answer: the answer as recorded.
        truth: what the key says of the first case ("present", "lesions").
        counts: lesions by region where lesions were marked or counted.
        seconds: reading time of the whole presentation; `overlay_seconds` of it with the overlay on.
    """

    reader: str
    question: str
    paradigm: str
    trial: str
    cases: tuple[str, ...]
    subject: str
    arms: tuple[str, ...]
    kinds: tuple[str, ...]
    repeat: int
    session: int
    position: int
    answer: dict[str, Any]
    truth: dict[str, Any]
    counts: dict[str, int]
    seconds: float
    overlay_seconds: float
    comment: str

    @property
    def arm(self) -> str:
        """The arm of a single case, or the arms of a pair in alphabetical order."""
        return " / ".join(sorted(self.arms))

    @property
    def chosen_arm(self) -> str | None:
        """The arm a reader chose of a pair; None without a choice."""
        return {"left": self.arms[0], "right": self.arms[-1]}.get(self.answer.get("choice", ""))

    @property
    def is_signal(self) -> bool | None:
        """What "yes" would be right for: a synthetic case, a present lesion. None where there is no truth."""
        if self.paradigm == "real-or-synthetic":
            return self.kinds[0] == "synthetic"
        return self.truth.get("present") if self.paradigm == "presence" else None

    @property
    def says_signal(self) -> bool | None:
        """Whether the reader said yes; None when unsure."""
        choice = self.answer.get("choice")
        return {"synthetic": True, "present": True, "real": False, "absent": False}.get(choice)

    @property
    def score(self) -> float:
        """Confidence that it is a signal, from -100 to 100; 0 when unsure."""
        says = self.says_signal
        return 0.0 if says is None else self.answer["confidence"] * (1 if says else -1)


def study_rows(study: Study, key: Key) -> list[Row]:
    """All answers of all readers in the order they were given."""
    return [
        _row(study, key, reader, record, name)
        for reader in study.readers
        for record in study.records(reader)
        if record["kind"] == "answer"
        for name in record["answers"]
    ]


def _row(study: Study, key: Key, reader: str, record: dict[str, Any], name: str) -> Row:
    question, answer = study.questions[name], record["answers"][name]
    facts = [key["cases"][code] for code in record["cases"]]
    has_counts = question["paradigm"] in ("lesions", "new-lesions")
    return Row(
        reader=reader,
        question=name,
        paradigm=question["paradigm"],
        trial=record["trial"],
        cases=tuple(record["cases"]),
        subject=facts[0]["subject"],
        arms=tuple(fact["arm"] for fact in facts),
        kinds=tuple(key["arms"][fact["arm"]] for fact in facts),
        repeat=record["repeat"],
        session=record["session"],
        position=record["presentation"],
        answer=answer,
        truth={} if is_pair(question) else facts[0]["truth"],
        counts=region_counts(question, answer) if has_counts else {},
        seconds=record["seconds"],
        overlay_seconds=record["overlay_seconds"],
        comment=record["comment"],
    )


def matched_lesions(marks: Sequence[Sequence[float]], lesions: Sequence[Sequence[float]], *, within: float) -> int:
    """Number of marks that can be paired one to one with lesions no further than `within` [mm], as many as possible."""
    if not marks or not lesions:
        return 0
    distances = np.linalg.norm(np.asarray(marks)[:, None] - np.asarray(lesions)[None], axis=-1)
    rows, columns = linear_sum_assignment(distances > within)
    return int((distances[rows, columns] <= within).sum())


def answer_line(row: Row) -> dict[str, Any]:
    """A row of responses.csv."""
    choice = row.answer.get("choice", "")
    line = {
        "reader": row.reader,
        "question": row.question,
        "paradigm": row.paradigm,
        "trial": row.trial,
        "case_code": " ".join(row.cases),
        "subject": row.subject,
        "arm": " ".join(row.arms),
        "repeat": row.repeat,
        "session": row.session,
        "position": row.position,
        "choice": choice,
        "chosen_arm": row.chosen_arm or "",
        "confidence": row.answer.get("confidence", ""),
        "seconds": row.seconds,
        "overlay_seconds": row.overlay_seconds,
        "comment": row.comment,
    }
    if row.paradigm == "rating":
        line |= {f"rating_{item}": value for item, value in row.answer.items()}
    if row.counts:
        line |= {f"n_{region}": count for region, count in row.counts.items()} | {"n_total": sum(row.counts.values())}
    return line


def mark_lines(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of marks.csv: every lesion a reader marked, with its place in RAS [mm]."""
    lines = []
    for row in rows:
        for number, mark in enumerate(row.answer.get("marks", ())):
            place = dict(zip(("R", "A", "S"), mark["ras"]))
            head = {"reader": row.reader, "question": row.question, "case_code": row.cases[0], "subject": row.subject}
            tail = {"region": mark["region"], "confidence": mark.get("confidence", "")}
            lines.append({**head, "arm": row.arm, "repeat": row.repeat, "mark": number, **place, **tail})
    return lines
