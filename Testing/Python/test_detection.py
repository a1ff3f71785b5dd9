"""Accuracy, d', areas under curves and sample sizes against scipy, statsmodels, definitions and published numbers."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.detection import (
    area_under_curve,
    binomial_p,
    critical_count,
    delong,
    equivalence_sample_size,
    false_identification_rate,
    forced_choice_index,
    proportion,
    roc_curve,
    sample_size,
    sensitivity_index,
)


@pytest.mark.parametrize("hits, count", [(0, 12), (1, 12), (7, 12), (12, 12), (38, 64)])
def test_exact_intervals_are_those_of_scipy_and_statsmodels(hits, count):
    ours = proportion(hits, count)
    theirs = stats.binomtest(hits, count).proportion_ci(method="exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert (ours.low, ours.high) == pytest.approx(proportion_confint(hits, count, method="beta"), nan_ok=True)


def test_the_p_value_of_chance_is_scipys():
    for hits in range(21):
        assert binomial_p(hits, 20) == pytest.approx(stats.binomtest(hits, 20).pvalue)
    assert isnan(binomial_p(0, 0)) and isnan(proportion(0, 0).value)


def test_published_reading_of_64_images_is_undersized():
    assert round(binomial_p(38, 64), 3) == 0.169
    assert critical_count(64) == 41
    assert binomial_p(41, 64) < 0.05 < binomial_p(40, 64)


def test_the_false_identification_rate_counts_synthetic_cases_only():
    rate = false_identification_rate([True, True, True, False, False], [True, False, False, True, True])
    assert (rate.value, rate.count) == (pytest.approx(1 / 3), 3)


def test_d_prime_follows_its_definition_and_stays_finite():
    z = stats.norm.ppf
    index = sensitivity_index(hits=80, signals=99, false_alarms=20, noises=99)
    assert index.d_prime == pytest.approx(z(0.805) - z(0.205))
    assert index.criterion == pytest.approx(-(z(0.805) + z(0.205)) / 2)
    assert 3 < sensitivity_index(20, 20, 0, 20).d_prime < 5
    assert sensitivity_index(5, 10, 5, 10).d_prime == pytest.approx(0)
    assert forced_choice_index(75, 99) == pytest.approx(sqrt(2) * z(75.5 / 100))
    assert isnan(sensitivity_index(0, 0, 1, 2).d_prime) and isnan(forced_choice_index(0, 0))


@pytest.mark.parametrize("seed", range(3))
def test_the_area_and_its_variance_follow_delongs_definition(seed):
    random = np.random.default_rng(seed)
    signals, noises = random.integers(2, 9, 14).astype(float), random.integers(0, 7, 11).astype(float)
    kernel = (signals[:, None] > noises) + 0.5 * (signals[:, None] == noises)
    area, variance = delong(signals, noises)
    assert area == pytest.approx(kernel.mean())
    assert area == pytest.approx(stats.mannwhitneyu(signals, noises).statistic / (14 * 11))
    expected = kernel.mean(axis=1).var(ddof=1) / 14 + kernel.mean(axis=0).var(ddof=1) / 11
    assert variance == pytest.approx(expected)


def test_the_interval_of_the_area_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    truth = stats.norm.cdf(1 / sqrt(2))
    covered = 0
    for _ in range(200):
        area = area_under_curve(random.normal(1, 1, 30), random.normal(0, 1, 30))
        covered += area.low <= truth <= area.high
    assert 0.90 < covered / 200 < 0.99


def test_a_perfect_reader_still_has_an_interval():
    area = area_under_curve([3, 4, 5, 6], [0, 1, 2, 1, 0])
    assert (area.value, area.high) == (1, 1) and 0.3 < area.low < 0.5
    assert isnan(area_under_curve([], [1]).value)
    single = area_under_curve([1.0], [0.0, 2.0])
    assert single.value == 0.5 and isnan(single.low)


def test_the_area_lies_under_the_curve():
    random = np.random.default_rng(0)
    signals, noises = random.integers(0, 6, 30), random.integers(0, 5, 25)
    false_alarms, hits = roc_curve(signals, noises)
    assert (false_alarms[-1], hits[-1]) == (1, 1)
    assert np.trapezoid(hits, false_alarms) == pytest.approx(area_under_curve(signals, noises).value)


@pytest.mark.parametrize("accuracy, power", [(0.6, 0.8), (0.65, 0.8), (0.75, 0.9), (1.0, 0.8)])
def test_the_sample_size_is_the_smallest_from_which_power_holds(accuracy, power):
    def power_of(cases: int) -> float:
        counts = np.arange(cases // 2 + 1, cases + 1)
        significant = counts[2 * stats.binom.sf(counts - 1, cases, 0.5) < 0.05]
        return stats.binom.pmf(significant, cases, accuracy).sum()

    size = sample_size(accuracy, power=power)
    assert size.power == pytest.approx(power_of(size.cases)) and size.power >= power
    assert power_of(size.cases - 1) < power
    assert all(power_of(size.cases + more) >= power for more in range(1, 8))
    assert stats.binomtest(size.critical, size.cases).pvalue < 0.05
    assert stats.binomtest(size.critical - 1, size.cases).pvalue >= 0.05


def test_equivalence_takes_more_cases_and_its_limits_hold():
    size = equivalence_sample_size(0.1)
    assert 190 < size.cases < 260, "the normal approximation gives 214"
    low, high = (
        proportion(size.critical, size.cases, level=0.9).low,
        proportion(size.critical, size.cases, level=0.9).high,
    )
    assert low > 0.4 and high < 0.6
    beyond = proportion(size.critical + 1, size.cases, level=0.9)
    assert beyond.high >= 0.6


@pytest.mark.parametrize(
    "call", [lambda: sample_size(0.5), lambda: sample_size(0.6, power=1), lambda: equivalence_sample_size(0.6)]
)
def test_numbers_out_of_range_are_refused_in_a_sentence(call):
    with pytest.raises(InputError, match="must lie"):
        call()


def test_an_effect_too_small_to_show_is_said_to_be():
    with pytest.raises(InputError, match="cases would be needed"):
        sample_size(0.505)
