"""What a reader does at the screen: see the next case, answer, stop at any time and go on later.

Every answer is on the disk before the next case appears. After a crash the case that was on the screen is shown again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import InputError
from .chain import Chain, TamperedError, utc_now
from .paradigms import check_answer
from .study import Study

LONGEST_COMMENT = 2000


@dataclass(frozen=True)
class Presentation:
    """One reading that a reader is to do.

    Args:
        number: from 0 over all sessions.
        session: number of the session from 0.
        trial: identifier of the trial.
        cases: codes, from left to right.
        repeat: 0, or 1 when the reader has seen it before.
        questions: what is asked, by name.
        volumes: for every case the file of each role.
    """

    number: int
    session: int
    trial: str
    cases: tuple[str, ...]
    repeat: int
    questions: dict[str, dict[str, Any]]
    volumes: tuple[dict[str, Path], ...]


class ReaderSession:
    """A reader's way through a study. Close it when the reader leaves; nothing is lost if that does not happen.

    Args:
        study: an opened study that is not locked.
        reader: one of the study's readers.
        profile: facts about the reader, asked for once: "role" (text) and "years" (of experience).
        clock: time of day, UTC.
        timer: seconds, for reading times.

    Raises:
        InputError: the study is locked, has no such reader, or the reader's file is open elsewhere.
        TamperedError: the reader's order or answers were altered.
    """

    def __init__(
        self,
        study: Study,
        reader: str,
        *,
        profile: dict[str, Any] | None = None,
        clock: Callable[[], datetime] = utc_now,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_open(study)
        self.study, self.reader = study, reader
        self._clock, self._timer = clock, timer
        self._presentations = _presentations(study, reader)
        study.answers_path(reader).parent.mkdir(exist_ok=True)
        study.records(reader)
        self._chain = Chain(study.answers_path(reader), clock=clock)
        try:
            self._begin(_checked_profile(profile or {}))
        except BaseException:
            self._chain.close()
            raise
        self._shown_at: float | None = None
        self._overlay_since: float | None = None
        self._overlay_seconds = 0.0

    @property
    def done(self) -> int:
        """Number of presentations answered."""
        return len(self._answers())

    @property
    def total(self) -> int:
        return len(self._presentations)

    @property
    def receipt(self) -> str:
        """Hash of all answers so far; a reader who notes it can prove later that none was changed or removed."""
        return self._chain.head

    @property
    def opens_at(self) -> datetime | None:
        """When the next presentation may be shown, if that is not yet the case because of the wash-out."""
        if not 0 < self.done < self.total:
            return None
        if self._presentations[self.done].session == self._presentations[self.done - 1].session:
            return None
        days = timedelta(days=self.study.protocol.get("washout_days", 0))
        opens = datetime.fromisoformat(self._answers()[-1]["time"]) + days
        return opens if opens > self._clock() else None

    def upcoming(self) -> Presentation | None:
        """The presentation to be answered next, to be loaded before its time starts; None when all are done.

        Raises InputError during a wash-out.
        """
        _check_open(self.study)
        if self.done == self.total:
            return None
        if opens := self.opens_at:
            raise InputError(f"The next session opens on {opens.date().isoformat()}, after the wash-out.")
        return self._presentations[self.done]

    def show(self) -> Presentation | None:
        """The presentation to be answered next, whose time starts now; None when all are done.

        Raises InputError during a wash-out.
        """
        presentation = self.upcoming()
        if presentation is None:
            return None
        self._chain.append("shown", {"presentation": presentation.number})
        self._shown_at = self._timer()
        self._overlay_since, self._overlay_seconds = None, 0.0
        return presentation

    def set_overlay(self, visible: bool) -> None:
        """Note that the overlay was switched on or off; the time it was on is kept with the answer."""
        now = self._timer()
        if self._overlay_since is not None:
            self._overlay_seconds += now - self._overlay_since
        self._overlay_since = now if visible else None

    def answer(self, answers: dict[str, Any], *, comment: str = "") -> None:
        """Record the answers to all questions of what is shown, by name; they are on the disk when this returns.

        Raises:
            InputError: nothing is shown, or the answers do not fit the questions. Nothing is recorded then.
        """
        if self._shown_at is None:
            raise InputError("There is no case on the screen to answer; show the next one first.")
        _check_open(self.study)
        presentation = self._presentations[self.done]
        _check_answers(presentation, answers, comment)
        self.set_overlay(False)
        self._chain.append(
            "answer",
            {
                "presentation": presentation.number,
                "trial": presentation.trial,
                "cases": list(presentation.cases),
                "repeat": presentation.repeat,
                "session": presentation.session,
                "answers": answers,
                "seconds": round(self._timer() - self._shown_at, 3),
                "overlay_seconds": round(self._overlay_seconds, 3),
                "comment": comment,
            },
        )
        self._shown_at = None

    def close(self) -> None:
        self._chain.close()

    def __enter__(self) -> ReaderSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, profile: dict[str, Any]) -> None:
        _check_open(self.study)
        if all(record["kind"] != "opened" for record in self._chain.records):
            facts = {"reader": self.reader, "protocol_sha256": self.study.protocol_sha256, "profile": profile}
            self._chain.append("opened", facts)
        else:
            self._chain.append("resumed", {})
        for answered, expected in zip(self._answers(), self._presentations):
            if (answered["trial"], answered["cases"]) != (expected.trial, list(expected.cases)):
                raise TamperedError(f"The answers of reader '{self.reader}' do not follow the order; restore a copy.")

    def _answers(self) -> list[dict[str, Any]]:
        return [record for record in self._chain.records if record["kind"] == "answer"]


def _presentations(study: Study, reader: str) -> list[Presentation]:
    found: list[Presentation] = []
    for session, steps in enumerate(study.sessions(reader)):
        for step in steps:
            asked = study.protocol["trials"][step["trial"]]["questions"]
            found.append(
                Presentation(
                    number=len(found),
                    session=session,
                    trial=step["trial"],
                    cases=tuple(step["cases"]),
                    repeat=step["repeat"],
                    questions={name: study.questions[name] for name in asked},
                    volumes=tuple(_files(study, code) for code in step["cases"]),
                )
            )
    return found


def _files(study: Study, code: str) -> dict[str, Path]:
    return {role: study.volume_path(code, role) for role in study.protocol["cases"][code]}


def _check_open(study: Study) -> None:
    if study.is_locked:
        raise InputError("The study is locked; its answers can no longer be added to.")


def _checked_profile(profile: dict[str, Any]) -> dict[str, Any]:
    unknown = set(profile) - {"role", "years"}
    years = profile.get("years", 0)
    if (
        unknown
        or not isinstance(years, (int, float))
        or not 0 <= years <= 80
        or len(str(profile.get("role", ""))) > 100
    ):
        raise InputError("A reader's profile holds a role (short text) and years of experience (0 to 80) only.")
    return dict(profile)


def _check_answers(presentation: Presentation, answers: dict[str, Any], comment: str) -> None:
    missing = [name for name in presentation.questions if name not in answers]
    surplus = [name for name in answers if name not in presentation.questions]
    if missing or surplus:
        what = f"'{missing[0]}' is not answered yet" if missing else f"'{surplus[0]}' was not asked"
        raise InputError(f"Not recorded: {what}.")
    for name, question in presentation.questions.items():
        check_answer(name, question, answers[name])
    if len(comment) > LONGEST_COMMENT:
        raise InputError(f"Not recorded: the comment is longer than {LONGEST_COMMENT} characters.")
