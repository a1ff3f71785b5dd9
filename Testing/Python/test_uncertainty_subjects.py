"""Who decides on a calibration: real subjects where there are enough, each alike, and training only ever widens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import uncertainty_quality
from Benchmarks.calibrate_bundles import held, rules_compared
from bundle_support import make_bundle
from SynthMRILib.uncertainty.calibration import LEVELS, Calibration, coverage, fit_multipliers, interval_score
from SynthMRILib.uncertainty.case_sampling import Sample
from SynthMRILib.uncertainty.deviation import DeviationModel
from SynthMRILib.uncertainty.deviation_fitting import by_subject, fit_model, leave_one_out, multipliers_by
from SynthMRILib.uncertainty.fitting import calibration_from
from SynthMRILib.uncertainty.subject_rules import ALIKE, REAL_DECIDE, RULES, rule_for
from test_uncertainty_deviation import TRUE, a_sample

ROOT = Path(__file__).resolve().parents[2]
SMALLER = replace(TRUE, intercept=TRUE.intercept - 1.0)
LARGER = replace(TRUE, intercept=TRUE.intercept + 1.0)


def subjects(kinds: str, *, real: DeviationModel = TRUE, seen: DeviationModel = TRUE) -> list[Sample]:
    """A sample for each letter: r real, s real and seen in training, m simulated, whose errors are smaller."""
    made = {"r": ("real", False, real), "s": ("real", True, seen), "m": ("simulated", False, SMALLER)}
    return [
        a_sample(f"{kind}{n}", model=made[kind][2], seed=n, group=made[kind][0], trained_on=made[kind][1])
        for n, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("kinds", "rule"),
    [("rrr", REAL_DECIDE), ("rssm", REAL_DECIDE), ("rsmmm", ALIKE), ("sssm", ALIKE), ("mmm", ALIKE), ("rm", ALIKE)],
)
def test_real_subjects_decide_where_there_are_three_and_one_that_training_never_saw(kinds: str, rule) -> None:
    assert rule_for(subjects(kinds)) is rule


def test_simulated_heads_change_nothing_where_real_subjects_decide(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "network")
    alone, among = subjects("rss"), subjects("rssmmm")
    one, other = (
        calibration_from(
            bundle, [replace(s, measured={"input": {"histogram": [0.5]}}) for s in samples], samples=2, blocks=0
        )
        for samples in (alone, among)
    )
    assert other.multipliers == one.multipliers and other.deviation == one.deviation
    assert other.facts["subjects"] == {
        "rule": REAL_DECIDE.words,
        "model": 3,
        "multipliers": 3,
        "multipliers_never_seen_in_training": 1,
    }
    volumes = {v["name"]: v for v in other.facts["volumes"]}
    assert [volumes[name]["counted"] for name in sorted(volumes)] == [False] * 3 + [True] * 3
    covered = {kind: [v["coverage_percent"]["68"] for n, v in volumes.items() if n[0] in kind] for kind in ("rs", "m")}
    assert np.mean(covered["m"]) > np.mean(covered["rs"]) + 10, "their errors are smaller"


def test_subjects_of_training_widen_an_interval_and_never_make_it_narrower() -> None:
    plain = fit_model(subjects("rrr"))
    alone = multipliers_by(REAL_DECIDE, subjects("rr"), plain)
    for kind, widens in ((SMALLER, False), (LARGER, True)):
        among = multipliers_by(REAL_DECIDE, subjects("rrss", seen=kind), plain)
        for level in LEVELS:
            assert (among[level] > 1.1 * alone[level]) if widens else among[level] == alone[level]
    assert multipliers_by(ALIKE, subjects("rrss", seen=LARGER), plain) == alone
    assert multipliers_by(REAL_DECIDE, subjects("ss"), plain), "where only these are left, they count"


def test_every_rule_is_compared_on_the_same_subjects_and_simulated_ones_shorten_intervals_of_real_ones() -> None:
    samples = subjects("rrsmmm")
    calibration = Calibration("x", fit_multipliers(np.ones(4), np.ones(4)), {"deviation_compared": {"form": "model"}})
    compared = rules_compared(samples, calibration)
    assert set(compared) == {*RULES, "real_subjects_alone_without_ranges"}
    covered = {name: found["real"]["coverage_mean_percent"]["68"] for name, found in compared.items()}
    assert covered["real_subjects_alone"] == pytest.approx(68, abs=2)
    assert covered["groups_alike"] < covered["real_subjects_alone"] - 3
    assert set(held(samples, calibration)) == {"real", "simulated"}
    assert rules_compared(subjects("rmm"), calibration) == {}


def test_coverage_is_told_by_subject() -> None:
    rows = leave_one_out(subjects("rrr"), form="model")
    found = by_subject([*rows, {**rows[0], "coverage_percent": {str(q): 0.0 for q in LEVELS}}])
    assert list(found) == ["r0", "r1", "r2"]
    assert found["r0"]["68"] == pytest.approx(rows[0]["coverage_percent"]["68"] / 2, abs=0.01)


def test_the_interval_score_is_best_for_intervals_that_hold_their_levels() -> None:
    error, total = np.random.default_rng(0).laplace(size=20000), np.ones(20000)
    exact = fit_multipliers(error, total)
    scores = [interval_score(error, total, {q: f * m for q, m in exact.items()}) for f in (0.7, 1.0, 1.4)]
    assert scores[1] < scores[0] and scores[1] < scores[2]
    assert interval_score(3 * error, 3 * total, exact) == pytest.approx(3 * scores[1])
    assert coverage(error, total, exact)[68] == pytest.approx(68, abs=0.1)


def test_volumes_of_both_kinds_of_folders_are_found(tmp_path: Path) -> None:
    for name in ("study2_T1W", "study1_FLAIR", "gt", "lesions", "T1POST", "T1"):
        (tmp_path / f"{name}.nii.gz").touch()
    found = [path.name.split(".")[0] for path in uncertainty_quality.volumes_of(tmp_path)]
    assert found == ["T1", "T1POST", "study1_FLAIR", "study2_T1W"]


@pytest.mark.parametrize("name", ["super-resolution-x2", "super-resolution-x2-perceptual", "denoising"])
def test_shipped_bundles_say_that_real_subjects_decide_and_agree_with_their_records(name: str) -> None:
    metadata = ROOT / "Resources" / "Models" / name / "configs" / "metadata.json"
    calibration = Calibration.from_bundle(json.loads(metadata.read_text(encoding="utf-8"))["synthmri"])
    assert calibration.facts["subjects"]["rule"] == REAL_DECIDE.words
    assert calibration.facts["subjects"]["multipliers"] == 3
    file = ROOT / "Documentation" / "figures" / f"uncertainty_calibration_{name}.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    assert record["subjects"] == calibration.facts["subjects"]
    assert DeviationModel.from_dict(record["deviation"]) == calibration.deviation
    for level in LEVELS:
        assert record["multipliers"][str(level)] == pytest.approx(calibration.multipliers[level], abs=1e-4)
        mean = record["held_by_the_calibration"]["real"]["coverage_mean_percent"][str(level)]
        assert mean == pytest.approx(level, abs=3), "within three points on the domain of the calibration"
