"""The statistics of a study come from its answers: each is calculated here a second time from the rows or the key."""

from __future__ import annotations

import numpy as np
import pytest
from reader_support import LESIONS, SimulatedReader, make_study, read_all
from scipy import stats
from SynthMRILib.evaluation.agreement import cohen_kappa, holm
from SynthMRILib.readers.analysis import analyze
from SynthMRILib.readers.table import matched_lesions, study_rows


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Rows and statistics of three readers of different skill."""
    study = make_study(tmp_path_factory.mktemp("study"), subjects=6, repeat_fraction=0.25)
    key = study.read_key()
    for number, (reader, skill) in enumerate(zip(study.readers, (0.95, 0.8, 0.5))):
        read_all(study, reader, SimulatedReader(key, skill=skill, seed=number))
    study.lock()
    rows = study_rows(study, study.unblind())
    return rows, analyze(rows, study.questions)


def one(lines, question, statistic, reader, of):
    (found,) = [
        entry
        for entry in lines
        if (entry["question"], entry["statistic"], entry["reader"], entry["of"]) == (question, statistic, reader, of)
    ]
    return found


def first_of(rows, question, reader=None):
    return [row for row in rows if row.question == question and not row.repeat and reader in (None, row.reader)]


def total(row):
    return len(row.answer["marks"])


def by_subject(rows, arm):
    values = {}
    for row in rows:
        if row.arm == arm:
            values.setdefault(row.subject, []).append(total(row))
    return np.array([np.mean(values[subject]) for subject in sorted(values)])


@pytest.mark.parametrize("reader", ["R1", "R2", "R3"])
def test_accuracy_and_false_identification_are_shares_of_answers(results, reader):
    rows, lines = results
    own = first_of(rows, "real", reader)
    right = sum((row.answer["choice"] == "synthetic") == (row.arm == "dir") for row in own)
    accuracy = one(lines, "real", "accuracy", reader, "all arms")
    exact = stats.binomtest(right, 12).proportion_ci(method="exact")
    assert (accuracy["value"], accuracy["low"], accuracy["high"]) == pytest.approx((right / 12, *exact))
    assert accuracy["p"] == pytest.approx(stats.binomtest(right, 12).pvalue)
    called = [row.answer["choice"] == "synthetic" for row in own if row.arm == "dir"]
    rate = one(lines, "real", "false identification rate", reader, "all arms")
    assert (rate["value"], rate["count"]) == (pytest.approx(np.mean(called)), 6)


def test_the_area_follows_confidence(results):
    rows, lines = results
    own = first_of(rows, "real", "R2")
    score = {row.cases: row.answer["confidence"] * (1 if row.answer["choice"] == "synthetic" else -1) for row in own}
    dirs, flairs = ([score[row.cases] for row in own if row.arm == arm] for arm in ("dir", "flair"))
    expected = stats.mannwhitneyu(dirs, flairs).statistic / 36
    assert one(lines, "real", "area under ROC curve", "R2", "all arms")["value"] == pytest.approx(expected)


def test_lesion_counts_are_compared_by_arm_with_holm_over_total_and_regions(results):
    rows, lines = results
    own = first_of(rows, "lesions")
    dirs, flairs = by_subject(own, "dir"), by_subject(own, "flair")
    test = one(lines, "lesions", "Wilcoxon signed-rank", "all", "total, dir - flair")
    assert one(lines, "lesions", "mean count", "all", "total, dir")["value"] == pytest.approx(dirs.mean())
    assert test["value"] == pytest.approx(np.median(dirs - flairs)) and test["count"] == 6
    family = [
        e
        for e in lines
        if (e["statistic"], e["reader"]) == ("Wilcoxon signed-rank", "all") and e["question"] == "lesions"
    ]
    assert len(family) == 5
    assert [e["p_holm"] for e in family] == pytest.approx(holm([e["p"] for e in family]))


def test_limits_of_agreement_between_arms_are_those_of_the_differences(results):
    rows, lines = results
    own = first_of(rows, "lesions", "R1")
    differences = by_subject(own, "dir") - by_subject(own, "flair")
    bias = one(lines, "lesions", "Bland-Altman bias", "R1", "dir - flair")["value"]
    upper = one(lines, "lesions", "Bland-Altman upper limit", "R1", "dir - flair")["value"]
    assert (bias, upper) == pytest.approx((differences.mean(), differences.mean() + 1.959964 * differences.std(ddof=1)))


def test_marks_are_scored_against_the_key_so_that_more_is_not_better(results):
    rows, lines = results
    own = [row for row in first_of(rows, "lesions", "R1") if row.arm == "dir"]
    lesions = sum(len(row.truth["lesions"]) for row in own)
    hits = sum(len(row.answer["marks"]) - 1 for row in own)
    sensitivity = one(lines, "lesions", "lesion sensitivity", "R1", "dir")
    assert (sensitivity["value"], sensitivity["count"]) == (pytest.approx(hits / lesions), lesions)
    assert one(lines, "lesions", "false marks per case", "R1", "dir")["value"] == 1


def test_a_lesion_is_found_once_however_often_it_is_marked():
    assert matched_lesions([LESIONS[0], LESIONS[0]], LESIONS, within=5) == 1
    assert matched_lesions([[0, 0, 0], [6, 0, 0]], [[3, 0, 0], [9.5, 0, 0]], within=4) == 2
    assert matched_lesions([], LESIONS, within=5) == 0


def test_kappa_between_readers_is_that_of_their_choices(results):
    rows, lines = results
    choices = [
        {row.trial: row.answer["choice"] for row in first_of(rows, "present", reader)} for reader in ("R1", "R2")
    ]
    shared = sorted(choices[0])
    expected = cohen_kappa(*([choice[trial] for trial in shared] for choice in choices))
    assert one(lines, "present", "Cohen kappa", "R1 - R2", "choice")["value"] == pytest.approx(expected.value)
    assert one(lines, "present", "Fleiss kappa", "all", "choice")["count"] == 12


def test_repeats_serve_agreement_with_oneself_only(results):
    rows, lines = results
    repeats = [row for row in rows if row.question == "real" and row.repeat and row.reader == "R1"]
    assert one(lines, "real", "same answer again", "R1", "choice, repeated")["count"] == len(repeats) == 3
    assert one(lines, "rating", "ICC(2,1)", "R1", "quality, repeated")["count"] == 3


def test_a_pair_is_judged_by_arm_not_by_side(results):
    rows, lines = results
    own = first_of(rows, "which", "R1")
    assert {row.arms[0] for row in own} == {"flair", "dir"}
    right = sum(row.arms[0 if row.answer["choice"] == "left" else 1] == "flair" for row in own)
    assert one(lines, "which", "accuracy", "R1", "all")["value"] == pytest.approx(right / 6)
    chosen = [row.arms[0 if row.answer["choice"] == "left" else 1] for row in first_of(rows, "better", "R3")]
    prefers = one(lines, "better", "prefers dir", "R3", "dir / flair")
    assert prefers["value"] == pytest.approx(chosen.count("dir") / 6)


def test_presence_has_sensitivity_and_specificity_by_arm(results):
    rows, lines = results
    own = [row for row in first_of(rows, "present", "R3") if row.arm == "flair" and not row.truth["present"]]
    expected = np.mean([row.answer["choice"] == "absent" for row in own])
    assert one(lines, "present", "specificity", "R3", "flair")["value"] == pytest.approx(expected)


def test_reading_time_counts_a_presentation_once(results):
    _, lines = results
    assert one(lines, "reading time", "mean seconds", "R1", "seconds, dir")["count"] == 6
    assert all(entry["note"] for entry in lines if entry["statistic"] == "accuracy" and entry["reader"] == "all")
