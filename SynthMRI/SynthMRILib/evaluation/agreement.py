"""How well readers, visits or methods agree: ICC(2,1), kappa, Bland-Altman, Wilcoxon with Holm.

Sources: Shrout and Fleiss, Psychol Bull 86 (1979), 420-428, and McGraw and Wong, Psychol Methods 1 (1996), 30-46
(intraclass correlation and its interval); Cohen, Educ Psychol Meas 20 (1960), 37-46, with the standard error of Fleiss,
Cohen and Everitt, Psychol Bull 72 (1969), 323-327; Fleiss, Psychol Bull 76 (1971), 378-382; Bland and Altman, Stat
Methods Med Res 8 (1999), 135-160; Holm, Scand J Stat 6 (1979), 65-70.

A figure that the data do not define (no variation, a single case) is NaN, never a guess.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy import stats

LEVEL = 0.95
#: Up to so many pairs the signed-rank test is exact; above, the normal approximation agrees to three digits.
EXACT_PAIRS = 200


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval.

    Args:
        value: the estimate; NaN where the data do not define it.
        low: lower limit of the interval.
        high: upper limit of the interval.
        count: number of cases (or answers) behind it.
    """

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of two measurements of the same subjects, `first` minus `second`.

    Args:
        bias: mean difference with its interval.
        deviation: standard deviation of the differences.
        lower: lower 95 % limit of agreement with its interval.
        upper: upper 95 % limit of agreement with its interval.
    """

    bias: Estimate
    deviation: float
    lower: Estimate
    upper: Estimate


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed-rank test of pairs, `first` minus `second`.

    Args:
        statistic: the smaller of the rank sums of positive and negative differences.
        p: two-sided p value; up to `EXACT_PAIRS` pairs exact, also with ties.
        pairs: number of pairs.
        nonzero: pairs that differ; only these are ranked.
        median: median of all differences.
    """

    statistic: float
    p: float
    pairs: int
    nonzero: int
    median: float


def intraclass_correlation(ratings: np.ndarray, *, level: float = LEVEL) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, a single reader.

    Args:
        ratings: array (cases, readers) without gaps.
        level: of the confidence interval (McGraw and Wong 1996, table 7, case A,1).
    """
    ratings = np.asarray(ratings, dtype=float)
    cases, readers = ratings.shape
    if cases < 2 or readers < 2:
        return Estimate(nan, nan, nan, cases)
    between, across, error = _mean_squares(ratings)
    scale = between + (readers - 1) * error + readers * (across - error) / cases
    if scale <= 0:
        return Estimate(nan, nan, nan, cases)
    value = (between - error) / scale
    return Estimate(value, *_correlation_interval(value, (between, across, error), ratings.shape, level), cases)


def _mean_squares(ratings: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between cases, between readers, and of the rest."""
    cases, readers = ratings.shape
    grand = ratings.mean()
    between = readers * ((ratings.mean(axis=1) - grand) ** 2).sum() / (cases - 1)
    across = cases * ((ratings.mean(axis=0) - grand) ** 2).sum() / (readers - 1)
    rest = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0, keepdims=True) + grand
    return float(between), float(across), float((rest**2).sum() / ((cases - 1) * (readers - 1)))


def _correlation_interval(
    value: float, squares: tuple[float, float, float], shape: tuple[int, int], level: float
) -> tuple[float, float]:
    between, across, error = squares
    n, k = shape
    if error <= 1e-12 * max(between, across):
        return (1.0, 1.0) if value > 1 - 1e-9 else (nan, nan)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    spread = (a * across) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    pooled = k * across + (k * n - k - n) * error
    if spread <= 0 or pooled + between <= 0:
        return nan, nan
    freedom = (a * across + b * error) ** 2 / spread
    tail = (1 + level) / 2
    low_f, high_f = stats.f.ppf(tail, n - 1, freedom), stats.f.ppf(tail, freedom, n - 1)
    low = n * (between - low_f * error) / (low_f * pooled + n * between)
    high = n * (high_f * between - error) / (pooled + n * high_f * between)
    return float(low), float(high)


def cohen_kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    categories: Sequence[Hashable] | None = None,
    weights: str = "none",
    level: float = LEVEL,
) -> Estimate:
    """Agreement of two readers beyond chance.

    Args:
        first: categories given by one reader.
        second: categories given by the other, for the same cases.
        categories: all categories, in order where weights are used; those that occur by default.
        weights: "none", "linear" or "quadratic" in the distance of categories.
        level: of the confidence interval.
    """
    names = list(categories) if categories is not None else sorted({*first, *second}, key=str)
    table = np.zeros((len(names), len(names)))
    for a, b in zip(first, second, strict=True):
        table[names.index(a), names.index(b)] += 1
    count = int(table.sum())
    if not count:
        return Estimate(nan, nan, nan, 0)
    return _weighted_kappa(table / count, _agreement_weights(len(names), weights), count, level)


def _agreement_weights(size: int, kind: str) -> np.ndarray:
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / max(size - 1, 1)
    return {"none": (distance == 0).astype(float), "linear": 1 - distance, "quadratic": 1 - distance**2}[kind]


def _weighted_kappa(shares: np.ndarray, weights: np.ndarray, count: int, level: float) -> Estimate:
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed = float((weights * shares).sum())
    expected = float((weights * np.outer(rows, columns)).sum())
    if expected >= 1 - 1e-12:
        return Estimate(nan, nan, nan, count)
    value = (observed - expected) / (1 - expected)
    mean_weights = np.add.outer(weights @ columns, rows @ weights)
    spread = (shares * (weights - mean_weights * (1 - value)) ** 2).sum() - (value - expected * (1 - value)) ** 2
    error = sqrt(max(float(spread), 0.0) / count) / (1 - expected)
    return _normal_estimate(value, error, count, level, upper=1.0)


def fleiss_kappa(counts: np.ndarray, *, level: float = LEVEL) -> Estimate:
    """Agreement of any number of readers beyond chance; the interval is a jackknife over cases.

    Args:
        counts: array (cases, categories): how many readers chose each category; the same number of readers per case.
        level: of the confidence interval.

    Raises:
        ValueError: the number of readers differs between cases.
    """
    counts = np.asarray(counts, dtype=float)
    cases = len(counts)
    if not cases or len(np.unique(counts.sum(axis=1))) != 1:
        raise ValueError("every case needs the same number of readers")
    value = _fleiss(counts)
    if cases < 3 or np.isnan(value):
        return Estimate(value, nan, nan, cases)
    left_out = np.array([_fleiss(np.delete(counts, n, axis=0)) for n in range(cases)])
    pseudo = cases * value - (cases - 1) * left_out
    return _normal_estimate(value, float(pseudo.std(ddof=1)) / sqrt(cases), cases, level, upper=1.0)


def _fleiss(counts: np.ndarray) -> float:
    readers = counts[0].sum()
    if readers < 2:
        return nan
    observed = ((counts**2).sum(axis=1) - readers).mean() / (readers * (readers - 1))
    expected = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((observed - expected) / (1 - expected)) if expected < 1 - 1e-12 else nan


def bland_altman(first: Sequence[float], second: Sequence[float], *, level: float = LEVEL) -> BlandAltman:
    """Bias and 95 % limits of agreement with their intervals (Bland and Altman 1999, section 2)."""
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    count = len(differences)
    if count < 2:
        unknown = Estimate(nan, nan, nan, count)
        return BlandAltman(unknown, nan, unknown, unknown)
    bias, deviation = float(differences.mean()), float(differences.std(ddof=1))
    t = float(stats.t.ppf((1 + level) / 2, count - 1))
    z = float(stats.norm.ppf(0.975))
    of_bias = t * deviation / sqrt(count)
    of_limit = t * deviation * sqrt(1 / count + z**2 / (2 * (count - 1)))
    limits = [
        Estimate(edge, edge - of_limit, edge + of_limit, count) for edge in (bias - z * deviation, bias + z * deviation)
    ]
    return BlandAltman(Estimate(bias, bias - of_bias, bias + of_bias, count), deviation, *limits)


def signed_rank(first: Sequence[float], second: Sequence[float]) -> SignedRank:
    """Wilcoxon's signed-rank test of pairs; pairs without a difference are left out of the ranking (Wilcoxon 1945)."""
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if not len(differences):
        return SignedRank(nan, nan, 0, 0, nan)
    median = float(np.median(differences))
    ranked = np.round(differences[np.abs(differences) > 1e-12], 12)
    if not len(ranked):
        return SignedRank(0.0, 1.0, len(differences), 0, median)
    doubled = np.rint(2 * stats.rankdata(np.abs(ranked))).astype(int)
    smaller = int(min(doubled[ranked > 0].sum(), doubled[ranked < 0].sum()))
    if len(ranked) > EXACT_PAIRS:
        p = float(stats.wilcoxon(ranked, method="approx").pvalue)
    else:
        p = min(1.0, 2 * _share_at_most(doubled, smaller))
    return SignedRank(smaller / 2, p, len(differences), len(ranked), median)


def _share_at_most(doubled_ranks: np.ndarray, limit: int) -> float:
    """Share of all 2^n sign patterns whose sum of positive ranks (doubled, to be whole) is at most `limit`."""
    ways = np.zeros(limit + 1)
    ways[0] = 1.0
    for rank in doubled_ranks:
        shifted = np.zeros_like(ways)
        if rank <= limit:
            shifted[rank:] = ways[: limit + 1 - rank]
        ways = (ways + shifted) / 2
    return float(ways.sum())


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the order given; NaN stays NaN and is not counted."""
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), nan)
    order = [int(n) for n in np.argsort(p) if not np.isnan(p[n])]
    largest = 0.0
    for rank, n in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(p[n])))
        adjusted[n] = largest
    return adjusted.tolist()


def _normal_estimate(value: float, error: float, count: int, level: float, *, upper: float) -> Estimate:
    z = float(stats.norm.ppf((1 + level) / 2))
    return Estimate(value, max(value - z * error, -1.0), min(value + z * error, upper), count)
