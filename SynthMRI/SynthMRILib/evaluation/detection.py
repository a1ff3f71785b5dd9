"""Can readers tell? Exact proportions, d', area under the ROC curve, and how many cases it takes.

Sources: Clopper and Pearson, Biometrika 26 (1934), 404-413 (exact interval); Green and Swets, Signal Detection Theory
and Psychophysics (1966), and Hautus, Behav Res Methods 27 (1995), 46-51 (d' with the log-linear rule); DeLong, DeLong
and Clarke-Pearson, Biometrics 44 (1988), 837-845 (variance of the area).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy import stats

from ..errors import InputError
from .agreement import LEVEL, Estimate

#: No study of readers has more cases than this; the search for a sample size ends here.
MOST_CASES = 20_000


@dataclass(frozen=True)
class Sensitivity:
    """Signal detection: how far signal and noise lie apart for a reader, and which answer the reader leans to.

    Args:
        d_prime: distance in standard deviations; 0 is chance.
        criterion: 0 is unbiased, positive leans to "no".
    """

    d_prime: float
    criterion: float


@dataclass(frozen=True)
class SampleSize:
    """How many cases a study needs.

    Args:
        cases: number of cases for one reader.
        critical: smallest number of right answers among them that differs from chance.
        power: probability of the wanted result with so many cases.
    """

    cases: int
    critical: int
    power: float


def proportion(hits: int, count: int, *, level: float = LEVEL) -> Estimate:
    """A share with its exact (Clopper-Pearson) interval; NaN of no cases."""
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} of {count} is no share")
    if not count:
        return Estimate(nan, nan, nan, 0)
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, hits, count - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, count - hits)) if hits < count else 1.0
    return Estimate(hits / count, low, high, count)


def binomial_p(hits: int, count: int, *, chance: float = 0.5) -> float:
    """Exact two-sided p value (twice the smaller tail) of `hits` under `chance`; NaN of no cases."""
    if not count:
        return nan
    tails = stats.binom.cdf(hits, count, chance), stats.binom.sf(hits - 1, count, chance)
    return float(min(1.0, 2 * min(tails)))


def false_identification_rate(is_synthetic: Sequence[bool], called_synthetic: Sequence[bool]) -> Estimate:
    """Share of synthetic cases that were recognized as synthetic, with its exact interval: lower is more realistic."""
    called = [bool(c) for s, c in zip(is_synthetic, called_synthetic, strict=True) if s]
    return proportion(sum(called), len(called))


def sensitivity_index(hits: int, signals: int, false_alarms: int, noises: int) -> Sensitivity:
    """d' and criterion of yes-no answers; the log-linear rule (Hautus 1995) keeps perfect readers finite."""
    if not signals or not noises:
        return Sensitivity(nan, nan)
    hit = float(stats.norm.ppf((hits + 0.5) / (signals + 1)))
    false_alarm = float(stats.norm.ppf((false_alarms + 0.5) / (noises + 1)))
    return Sensitivity(hit - false_alarm, -(hit + false_alarm) / 2)


def forced_choice_index(right: int, count: int) -> float:
    """d' of two-alternative forced choice, sqrt(2) z(share right), with the log-linear rule."""
    return sqrt(2) * float(stats.norm.ppf((right + 0.5) / (count + 1))) if count else nan


def area_under_curve(signals: Sequence[float], noises: Sequence[float], *, level: float = LEVEL) -> Estimate:
    """Probability that a signal case scores above a noise case (ties count half), with an interval.

    The interval is DeLong's on the logit scale, which stays within 0 to 1. Where the area is 0 or 1, DeLong's variance
    is 0; the exact interval of the smaller group's size takes its place.
    """
    signals, noises = np.asarray(signals, dtype=float), np.asarray(noises, dtype=float)
    count = len(signals) + len(noises)
    if not len(signals) or not len(noises):
        return Estimate(nan, nan, nan, count)
    area, variance = delong(signals, noises)
    if not 0 < area < 1:
        smaller = min(len(signals), len(noises))
        exact = proportion(smaller if area >= 1 else 0, smaller, level=level)
        return Estimate(area, exact.low, exact.high, count)
    reach = float(stats.norm.ppf((1 + level) / 2)) * sqrt(variance) / (area * (1 - area))
    center = np.log(area / (1 - area))
    low, high = (float(1 / (1 + np.exp(-edge))) for edge in (center - reach, center + reach))
    return Estimate(area, low, high, count) if variance == variance else Estimate(area, nan, nan, count)


def delong(signals: np.ndarray, noises: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve and its variance (NaN with a single case in a group), by midranks."""
    m, n = len(signals), len(noises)
    joint = stats.rankdata(np.concatenate([signals, noises]))
    of_signals = (joint[:m] - stats.rankdata(signals)) / n
    of_noises = 1 - (joint[m:] - stats.rankdata(noises)) / m
    area = float(of_signals.mean())
    if m < 2 or n < 2:
        return area, nan
    return area, float(of_signals.var(ddof=1) / m + of_noises.var(ddof=1) / n)


def roc_curve(signals: Sequence[float], noises: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """False alarm rates and hit rates, both from 0 to 1, as the threshold falls."""
    signals, noises = np.asarray(signals, dtype=float), np.asarray(noises, dtype=float)
    thresholds = np.unique(np.concatenate([signals, noises]))[::-1]
    hits = [0.0, *((signals >= t).mean() for t in thresholds)]
    false_alarms = [0.0, *((noises >= t).mean() for t in thresholds)]
    return np.array(false_alarms), np.array(hits)


def critical_count(cases: int, *, chance: float = 0.5, alpha: float = 0.05) -> int:
    """Smallest number of right answers whose exact two-sided p is below `alpha`; `cases` + 1 if there is none."""
    return int(stats.binom.isf(_below(alpha) / 2, cases, chance)) + 1


def sample_size(
    accuracy: float, *, chance: float = 0.5, alpha: float = 0.05, power: float = 0.8, most: int = MOST_CASES
) -> SampleSize:
    """Cases a reader must see so that `accuracy` is told from `chance`, by the exact two-sided binomial test.

    Power goes up and down by steps with the number of cases; from the number returned on it stays above `power`.

    Raises:
        InputError: the numbers are out of range, or more than `most` cases would be needed.
    """
    _check_sample(chance=chance, alpha=alpha, power=power)
    if not chance < accuracy <= 1:
        raise InputError(f"The accuracy must lie above chance ({chance:g}) and not above 1, not {accuracy:g}.")
    cases = np.arange(1, most + 1)
    critical = stats.binom.isf(_below(alpha) / 2, cases, chance).astype(int) + 1
    return _settled(cases, critical, stats.binom.sf(critical - 1, cases, accuracy), power)


def equivalence_sample_size(
    margin: float, *, chance: float = 0.5, alpha: float = 0.05, power: float = 0.8, most: int = MOST_CASES
) -> SampleSize:
    """Cases a reader must see to show that accuracy lies within `chance` +- `margin`, when it is `chance` in truth.

    Two one-sided exact tests at `alpha`. "Not significant" is no evidence of being alike; this is.

    Raises:
        InputError: the numbers are out of range, or more than `most` cases would be needed.
    """
    _check_sample(chance=chance, alpha=alpha, power=power)
    if not 0 < margin < min(chance, 1 - chance):
        raise InputError(f"The margin must lie between 0 and {min(chance, 1 - chance):g}, not {margin:g}.")
    cases = np.arange(1, most + 1)
    fewest = stats.binom.isf(_below(alpha), cases, chance - margin).astype(int) + 1
    highest = cases - (stats.binom.isf(_below(alpha), cases, 1 - chance - margin).astype(int) + 1)
    within = stats.binom.cdf(highest, cases, chance) - stats.binom.cdf(fewest - 1, cases, chance)
    return _settled(cases, highest, np.where(highest >= fewest, within, 0.0), power)


def _settled(cases: np.ndarray, critical: np.ndarray, powers: np.ndarray, wanted: float) -> SampleSize:
    short = np.flatnonzero(powers < wanted)
    first = int(short[-1]) + 1 if len(short) else 0
    if first >= len(cases):
        raise InputError(f"More than {len(cases)} cases would be needed; ask for a larger effect or less power.")
    return SampleSize(int(cases[first]), int(critical[first]), float(powers[first]))


def _check_sample(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise InputError(f"The value of {name} must lie between 0 and 1, not {value:g}.")


def _below(alpha: float) -> float:
    """The p value must be below alpha, not equal to it."""
    return alpha * (1 - 1e-9)
