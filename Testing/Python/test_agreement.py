"""Agreement of readers against published worked examples, statsmodels and scipy."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import inter_rater
from statsmodels.stats.multitest import multipletests
from SynthMRILib.evaluation.agreement import (
    EXACT_PAIRS,
    bland_altman,
    cohen_kappa,
    fleiss_kappa,
    holm,
    intraclass_correlation,
    signed_rank,
)

#: Shrout and Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]

#: Bland and Altman, Lancet 1986: peak expiratory flow of 17 subjects by two meters [l/min].
LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
SMALL_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

#: Fleiss 1971, table 1: six psychiatrists sort thirty patients into five diagnoses, one digit per psychiatrist.
DIAGNOSES = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445 "
    "333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"
)

#: A worked example common in textbooks: 14 raters, 10 cases, 5 categories; kappa 0.210.
FOURTEEN_RATERS = [
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
    *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]


def test_the_intraclass_correlation_of_shrout_and_fleiss_comes_out():
    estimate = intraclass_correlation(np.array(SHROUT_FLEISS))
    assert round(estimate.value, 2) == 0.29
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (0.019, 0.761)


def test_readers_who_never_differ_agree_fully_and_constant_ratings_define_nothing():
    same = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    assert intraclass_correlation(same).value == pytest.approx(1)
    assert isnan(intraclass_correlation(np.ones((5, 3))).value)
    assert isnan(intraclass_correlation(np.ones((1, 3))).value)


@pytest.mark.parametrize("ratings", [[[1, 3], [3, 1], [2, 2]], [[1, 3], [3, 1]], [[1, 2], [1, 2]], [[0, 0], [1, 0]]])
def test_few_cases_leave_no_interval_or_a_sound_one_but_never_an_error(ratings):
    estimate = intraclass_correlation(np.array(ratings))
    assert isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high


def test_absolute_agreement_falls_when_one_reader_counts_more():
    truth = np.arange(10.0)
    ratings = np.stack([truth, truth + 5], axis=1)
    assert intraclass_correlation(ratings).value < 0.5


@pytest.mark.parametrize("weights, name", [("none", None), ("linear", "linear"), ("quadratic", "quadratic")])
@pytest.mark.parametrize("seed", range(3))
def test_cohens_kappa_and_its_interval_are_those_of_statsmodels(weights, name, seed):
    table = np.random.default_rng(seed).integers(1, 12, (4, 4))
    pairs = [(i, j) for i in range(4) for j in range(4) for _ in range(table[i, j])]
    ours = cohen_kappa(*zip(*pairs), categories=range(4), weights=weights)
    theirs = inter_rater.cohens_kappa(table, wt=name)
    assert ours.value == pytest.approx(theirs.kappa)
    assert (ours.low, ours.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), rel=1e-6)


def test_kappa_of_readers_who_say_only_one_word_is_undefined():
    assert isnan(cohen_kappa(["real"] * 5, ["real"] * 5).value)
    assert isnan(cohen_kappa([], []).value)


def test_fleiss_kappa_of_the_published_table_comes_out():
    assert round(fleiss_kappa(np.array(FOURTEEN_RATERS)).value, 3) == 0.210


def test_fleiss_kappa_of_fleiss_1971_comes_out():
    counts = np.array(
        [[patient.count(str(diagnosis)) for diagnosis in range(1, 6)] for patient in DIAGNOSES.split(" ")]
    )
    assert round(fleiss_kappa(counts).value, 3) == 0.430


def test_fleiss_kappa_is_that_of_statsmodels_and_its_interval_is_near_the_bootstrap():
    random = np.random.default_rng(0)
    chance = random.dirichlet([1, 1, 1], 40)
    counts = np.array([random.multinomial(5, row) for row in chance])
    ours = fleiss_kappa(counts)
    assert ours.value == pytest.approx(inter_rater.fleiss_kappa(counts))
    drawn = [inter_rater.fleiss_kappa(counts[random.integers(0, 40, 40)]) for _ in range(250)]
    assert (ours.low, ours.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.06)


def test_fleiss_kappa_wants_the_same_number_of_readers_for_every_case():
    with pytest.raises(ValueError, match="same number of readers"):
        fleiss_kappa(np.array([[2, 1], [1, 1]]))


def test_the_limits_of_agreement_of_bland_and_altman_come_out():
    agreement = bland_altman(LARGE_METER, SMALL_METER)
    assert round(agreement.bias.value, 1) == -2.1
    assert round(agreement.deviation, 1) == 38.8
    assert (agreement.lower.value, agreement.upper.value) == pytest.approx((-78.1, 73.9), abs=0.1)
    assert (agreement.bias.low, agreement.bias.high) == pytest.approx((-22.0, 17.8), abs=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_the_signed_rank_test_without_ties_is_scipys_exact_one(seed):
    random = np.random.default_rng(seed)
    first, second = random.normal(0.4, 1, 14), random.normal(0, 1, 14)
    theirs = stats.wilcoxon(first, second, method="exact")
    ours = signed_rank(first, second)
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_the_signed_rank_test_with_ties_is_the_permutation_of_all_signs():
    first, second = np.array([3, 5, 2, 7, 7, 4, 6, 9, 3]), np.array([2, 4, 3, 4, 6, 4, 4, 5, 2])
    differences = (first - second)[first != second]
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(np.meshgrid(*[[0, 1]] * len(ranks))).reshape(len(ranks), -1)
    sums = ranks @ signs
    ours = signed_rank(first, second)
    assert ours.statistic == min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    assert ours.p == pytest.approx(min(1, 2 * (sums <= ours.statistic).mean()))
    assert (ours.pairs, ours.nonzero, ours.median) == (9, 8, 1)


def test_the_signed_rank_test_hands_over_to_the_normal_one_without_a_step():
    differences = np.random.default_rng(1).normal(0.1, 1, EXACT_PAIRS + 1)
    exact, approximate = signed_rank(differences[1:], np.zeros(EXACT_PAIRS)), stats.wilcoxon(differences[1:])
    assert exact.p == pytest.approx(approximate.pvalue, rel=0.01)
    assert signed_rank(differences, np.zeros(EXACT_PAIRS + 1)).p == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_pairs_without_any_difference_show_none():
    assert signed_rank([1, 2, 3], [1, 2, 3]).p == 1
    assert isnan(signed_rank([], []).p)


def test_holms_p_values_are_those_of_statsmodels_and_gaps_stay_gaps():
    p = [0.03, 0.001, 0.2, 0.04, 0.011]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with_gap = holm([0.03, float("nan"), 0.04])
    assert isnan(with_gap[1]) and with_gap[0] == pytest.approx(0.06)
