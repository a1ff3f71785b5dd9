"""Small reader studies for tests: plans on disk, and readers who answer by a rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from SynthMRILib.readers.creation import create_study
from SynthMRILib.readers.responses import Presentation, ReaderSession
from SynthMRILib.readers.study import Study
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

SHAPE = (16, 18, 20)
ARMS = {"flair": "acquired", "dir": "synthetic"}
QUESTIONS = {
    "real": {"paradigm": "real-or-synthetic", "prompt": "Is this volume real?", "unsure": True},
    "lesions": {"paradigm": "lesions", "prompt": "Mark all lesions."},
    "present": {"paradigm": "presence", "prompt": "Is there a lesion?"},
    "rating": {"paradigm": "rating", "prompt": "Rate the volume."},
}
PAIR_QUESTIONS = {
    "which": {"paradigm": "two-alternative", "prompt": "Which one is real?"},
    "better": {"paradigm": "preference", "prompt": "Which one would you rather read?"},
}
LESIONS = [[2.0, 3.0, 4.0], [10.0, 9.0, 8.0], [15.0, 4.0, 12.0]]


def a_head(random: np.random.Generator, *, noise: float = 10.0) -> np.ndarray:
    """float32 array (k, j, i): a bright ball in Rician noise, different each time."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    inside = np.sqrt(sum(a**2 for a in axes)) < random.uniform(0.72, 0.8)
    signal = np.where(inside, random.uniform(350, 450) + 30 * random.standard_normal(SHAPE), 0)
    return np.hypot(signal + noise * random.standard_normal(SHAPE), noise * random.standard_normal(SHAPE)).astype("f4")


def write_plan(
    folder: Path,
    *,
    subjects: int = 6,
    arms: dict[str, str] | None = None,
    questions: dict[str, Any] | None = None,
    alter: Callable[[Volume, str], Volume] | None = None,
    **facts: Any,
) -> Path:
    """A plan over simulated heads, every subject under every arm; `alter(volume, arm)` may plant a leak."""
    folder.mkdir(parents=True, exist_ok=True)
    arms = arms or ARMS
    random = np.random.default_rng(7)
    cases = []
    for number in range(subjects):
        for arm in arms:
            volume = Volume(a_head(random), Grid.from_spacing(SHAPE, (1, 1, 1.5)))
            path = folder / f"patient{number:02d}_{arm}.nii.gz"
            write_volume(alter(volume, arm) if alter else volume, path, synthetic=arms[arm] == "synthetic")
            truth = {"present": number % 2 == 0, "lesions": LESIONS[: 1 + number % 3]}
            volumes = {"main": path.name}
            cases.append({"subject": f"patient{number:02d}", "arm": arm, "volumes": volumes, "truth": truth})
    plan = {
        "id": "pilot",
        "title": "A pilot",
        "seed": 3,
        "readers": ["R1", "R2", "R3"],
        "arms": arms,
        "questions": questions or {**QUESTIONS, **PAIR_QUESTIONS},
        "cases": cases,
        **facts,
    }
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return folder / "plan.json"


def make_study(folder: Path, **facts: Any) -> Study:
    """A study in `folder`/study with its key beside it."""
    return create_study(write_plan(folder / "source", **facts), folder / "study")


class SimulatedReader:
    """Answers by a rule: right with probability `skill`, and counts more lesions under the arm "dir".

    Args:
        key: the key of the study, which only a simulation may look into.
        skill: probability of a right answer.
        seed: the same seed gives the same answers to the same presentations.
    """

    def __init__(self, key: dict[str, Any], *, skill: float = 0.8, seed: int = 0) -> None:
        self.key, self.skill, self.seed = key, skill, seed

    def __call__(self, presentation: Presentation) -> dict[str, Any]:
        random = np.random.default_rng([self.seed, presentation.number])
        return {name: self._answer(q, presentation, random) for name, q in presentation.questions.items()}

    def _answer(self, question: dict[str, Any], presentation: Presentation, random: np.random.Generator) -> Any:
        cases = [self.key["cases"][code] for code in presentation.cases]
        is_synthetic = [self.key["arms"][case["arm"]] == "synthetic" for case in cases]
        is_right = bool(random.random() < self.skill)
        confidence = int(random.integers(50, 100) if is_right else random.integers(0, 60))
        paradigm = question["paradigm"]
        if paradigm == "real-or-synthetic":
            return {"choice": "synthetic" if is_synthetic[0] == is_right else "real", "confidence": confidence}
        if paradigm == "presence":
            is_there = cases[0]["truth"]["present"] == is_right
            return {"choice": "present" if is_there else "absent", "confidence": confidence}
        if paradigm == "rating":
            return {item: int(random.integers(2, 5)) + is_synthetic[0] for item in question["items"]}
        if paradigm in ("two-alternative", "preference"):
            side = "right" if is_synthetic[0] == is_right else "left"
            return {"choice": side} | ({"confidence": confidence} if paradigm == "two-alternative" else {})
        return {"marks": self._marks(cases[0], question["regions"], random)}

    def _marks(self, case: dict[str, Any], regions: list[str], random: np.random.Generator) -> list[dict[str, Any]]:
        found = [place for place in case["truth"]["lesions"] if random.random() < self.skill]
        if case["arm"] == "dir":
            found = [*found, [30.0, 30.0, 30.0]]
        return [
            {"ras": [x + 0.5 for x in place], "region": regions[int(random.integers(len(regions)))]} for place in found
        ]


def read_all(
    study: Study, reader: str, answers: Callable[[Presentation], dict[str, Any]], *, most: int = 10_000, **options: Any
) -> int:
    """Let a reader answer up to `most` presentations; returns how many are done in all."""
    with ReaderSession(study, reader, **options) as session:
        for _ in range(most):
            presentation = session.show()
            if presentation is None:
                break
            session.answer(answers(presentation))
        return session.done


def ticking(days: Iterable[float]) -> Callable[[], datetime]:
    """A clock that shows the given days after the first of January 2026, one a call, then stays."""
    left, last = iter(days), [0.0]

    def clock() -> datetime:
        last[0] = next(left, last[0])
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=last[0])

    return clock
