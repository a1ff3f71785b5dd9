"""In which order each reader sees the cases: balanced, with wash-out and repeats, and replayable from a seed.

A subject seen under several arms is read once in each session, and the arm it has in a session goes round by a Latin
square (Williams-style rotation over subjects and readers), so that no arm gains from being read late and nobody sees a
patient twice in a session. Pairs come after all single cases, because a pair shows both arms side by side.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: No more than so many cases of one arm in a row, where the numbers allow it.
LONGEST_RUN = 3
ATTEMPTS = 200


@dataclass(frozen=True)
class Trial:
    """One reading: a case, or two side by side.

    Args:
        name: identifier of the trial.
        cases: codes of the cases.
        arms: arm of each case.
        subject: whom the cases show.
    """

    name: str
    cases: tuple[str, ...]
    arms: tuple[str, ...]
    subject: str


Step = dict[str, Any]


def order_for(
    trials: Sequence[Trial], *, reader: int, seed: int, has_washout: bool, repeat_fraction: float
) -> list[list[Step]]:
    """Sessions of one reader, each a list of steps {"trial", "cases" from left to right, "repeat"}.

    Args:
        trials: all trials of the study.
        reader: number of the reader from 0; neighbors get complementary orders.
        seed: of the study; the same arguments give the same order everywhere.
        has_washout: True spreads the arms of a subject and the repeats over sessions.
        repeat_fraction: share of the single trials that is shown twice.
    """
    random = np.random.default_rng(_seed(seed, reader))
    singles = [trial for trial in trials if len(trial.cases) == 1]
    pairs = [trial for trial in trials if len(trial.cases) == 2]
    sessions = _spread(singles, seed, reader) if has_washout else [singles] if singles else []
    ordered = [_mixed(session, random) for session in sessions]
    repeated = _repeated(ordered, repeat_fraction, random)
    steps = [[_step(trial, trial.cases) for trial in session] for session in ordered]
    shown_again = [_step(trial, trial.cases, repeat=1) for trial in repeated]
    if shown_again and has_washout:
        steps.append(shown_again)
    elif shown_again:
        steps[-1] = _inserted_late(steps[-1], shown_again, random)
    if pairs:
        steps += _pair_sessions(pairs, reader, seed, random, has_washout)
    return steps


def _seed(seed: int, reader: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{reader}".encode()).digest()[:8], "big")


def _step(trial: Trial, cases: Sequence[str], *, repeat: int = 0) -> Step:
    return {"trial": trial.name, "cases": list(cases), "repeat": repeat}


def _spread(trials: Sequence[Trial], seed: int, reader: int) -> list[list[Trial]]:
    """One trial of each subject a session, the arms rotated; the same seed rotates all readers against each other."""
    by_subject: dict[str, list[Trial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: trial.arms):
        by_subject[trial.subject].append(trial)
    subjects = sorted(by_subject)
    ranks = np.random.default_rng(_seed(seed, -1)).permutation(len(subjects))
    count = max(map(len, by_subject.values()), default=0)
    sessions: list[list[Trial]] = [[] for _ in range(count)]
    for subject, rank in zip(subjects, ranks):
        own = by_subject[subject]
        for n, trial in enumerate(own):
            sessions[(n + int(rank) + reader) % (len(own) if len(own) == count else count)].append(trial)
    return [session for session in sessions if session]


def _mixed(trials: Sequence[Trial], random: np.random.Generator) -> list[Trial]:
    """A random order without long runs of one arm; the one with the shortest longest run if none is short enough."""
    best: list[Trial] = list(trials)
    shortest = len(best) + 1
    for _ in range(ATTEMPTS):
        drawn = [trials[n] for n in random.permutation(len(trials))]
        run = longest_run([trial.arms for trial in drawn])
        if run < shortest:
            best, shortest = drawn, run
        if shortest <= LONGEST_RUN:
            break
    return best


def longest_run(values: Sequence[Any]) -> int:
    """Most equal values in a row."""
    longest = run = 0
    for n, value in enumerate(values):
        run = run + 1 if n and value == values[n - 1] else 1
        longest = max(longest, run)
    return longest


def _repeated(sessions: Sequence[Sequence[Trial]], fraction: float, random: np.random.Generator) -> list[Trial]:
    """Trials to be shown again: from the first half of what was read, the arms in turn."""
    read = [trial for session in sessions for trial in session]
    early = read[: (len(read) + 1) // 2]
    wanted = min(round(fraction * len(read)), len(early))
    used: Counter[tuple[str, ...]] = Counter()
    turns = []
    for n in random.permutation(len(early)):
        turns.append((used[early[n].arms], len(turns), early[n]))
        used[early[n].arms] += 1
    return [trial for _, _, trial in sorted(turns, key=lambda turn: turn[:2])[:wanted]]


def _inserted_late(steps: list[Step], repeats: list[Step], random: np.random.Generator) -> list[Step]:
    """Repeats at random places of the last third."""
    mixed = list(steps)
    start = 2 * len(steps) // 3
    for step in repeats:
        mixed.insert(int(random.integers(start, len(mixed) + 1)), step)
    return mixed


def _pair_sessions(
    pairs: Sequence[Trial], reader: int, seed: int, random: np.random.Generator, has_washout: bool
) -> list[list[Step]]:
    """Sessions of pairs, every arm as often left as right (to within one), sides swapped from reader to reader."""
    sides = np.random.default_rng(_seed(seed, -2)).permutation(len(pairs))
    steps = {}
    for trial, side in zip(sorted(pairs, key=lambda trial: trial.name), sides):
        cases = [case for _, case in sorted(zip(trial.arms, trial.cases))]
        steps[trial.name] = _step(trial, cases[:: 1 if (int(side) + reader) % 2 == 0 else -1])
    sessions = _spread(pairs, seed, reader) if has_washout else [list(pairs)]
    return [[steps[session[n].name] for n in random.permutation(len(session))] for session in sessions]
