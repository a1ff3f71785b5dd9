"""The order of cases: the same from the same seed, balanced over arms, sides and readers, with late repeats."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from SynthMRILib.readers.ordering import LONGEST_RUN, Trial, longest_run, order_for


def singles(subjects=12, arms=("a", "b")):
    return [Trial(f"T{s:02d}{arm}", (f"{s}{arm}",), (arm,), f"s{s}") for s in range(subjects) for arm in arms]


def pairs(subjects=12):
    return [Trial(f"P{s:02d}", (f"{s}a", f"{s}b"), ("a", "b"), f"s{s}") for s in range(subjects)]


def ordered(trials, *, reader=0, seed=5, has_washout=True, repeat_fraction=0.0):
    return order_for(trials, reader=reader, seed=seed, has_washout=has_washout, repeat_fraction=repeat_fraction)


def arm_of(step):
    return step["cases"][0][-1]


@pytest.mark.parametrize("reader", range(4))
def test_the_order_is_that_of_the_seed_and_differs_between_readers(reader):
    assert ordered(singles(), reader=reader) == ordered(singles(), reader=reader)
    assert ordered(singles(), reader=reader) != ordered(singles(), reader=reader + 1)
    assert ordered(singles(), reader=reader) != ordered(singles(), reader=reader, seed=6)


@pytest.mark.parametrize("reader", range(4))
@pytest.mark.parametrize("arms", [("a", "b"), ("a", "b", "c")])
def test_with_a_wash_out_nobody_is_seen_twice_in_a_session_and_arms_are_balanced(reader, arms):
    sessions = ordered(singles(12, arms), reader=reader)
    assert len(sessions) == len(arms)
    for session in sessions:
        assert len({step["cases"][0][:-1] for step in session}) == len(session) == 12
        assert set(Counter(map(arm_of, session)).values()) == {12 // len(arms)}


def test_every_trial_is_shown_once_and_readers_complement_each_other():
    first, second = ordered(singles(), reader=0), ordered(singles(), reader=1)
    assert sorted(step["trial"] for session in first for step in session) == sorted(t.name for t in singles())
    assert {step["trial"] for step in first[0]} == {step["trial"] for step in second[1]}


def test_no_arm_comes_many_times_in_a_row():
    for seed in range(10):
        for session in ordered(singles(20), seed=seed, has_washout=False):
            assert longest_run([arm_of(step) for step in session]) <= LONGEST_RUN
    assert longest_run("aabbbba") == 4 and longest_run("") == 0


def test_repeats_without_a_wash_out_come_late_from_early_trials():
    (session,) = ordered(singles(20), has_washout=False, repeat_fraction=0.2)
    repeats = [step for step in session if step["repeat"]]
    assert len(session) == 48 and Counter(map(arm_of, repeats)) == {"a": 4, "b": 4}
    for step in repeats:
        first = session.index({**step, "repeat": 0})
        assert session.index(step) - first > 40 // 6 - 1


def test_repeats_with_a_wash_out_have_a_session_of_their_own():
    sessions = ordered(singles(), repeat_fraction=0.25)
    assert [len(session) for session in sessions] == [12, 12, 6]
    assert all(step["repeat"] for step in sessions[-1])


@pytest.mark.parametrize("reader", range(3))
def test_pairs_come_last_with_sides_in_balance_and_swapped_for_the_next_reader(reader):
    sessions = ordered([*singles(), *pairs()], reader=reader)
    left = {step["trial"]: arm_of(step) for step in sessions[-1]}
    assert Counter(left.values()) == {"a": 6, "b": 6}
    other = {step["trial"]: arm_of(step) for step in ordered(pairs(), reader=reader + 1)[-1]}
    assert all(left[name] != other[name] for name in left)


def test_subjects_with_one_arm_are_spread_over_the_sessions():
    trials = [*singles(8), *(Trial(f"X{n}", (f"{n + 20}a",), ("a",), f"x{n}") for n in range(8))]
    sessions = ordered(trials)
    assert sum(map(len, sessions)) == 24
    assert max(map(len, sessions)) - min(map(len, sessions)) <= 8
    assert all(len({s["trial"] for s in session}) == len(session) for session in sessions)
    assert all(a["trial"] != b["trial"] for session in sessions for a, b in pairwise(session))
