"""Turn predicted standard deviations into intervals that hold what they promise.

An interval at level q is mean +- m_q x total. The multipliers m_q are quantiles of |error| / total on subjects that
were never trained on, so no shape of the errors is assumed (split conformal prediction, Lei et al., JASA 2018). The
total is the root of the sum of the network's variances, or what a `deviation.DeviationModel` makes of it. The map that
users see is total x m_68, one standard deviation in the sense that 68 % of the errors are smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .deviation import DeviationModel

LEVELS = (50, 68, 90, 95)
SMALLEST_DEVIATION = 1e-6
SPARSIFICATION_STEPS = 20


@dataclass(frozen=True)
class Calibration:
    """Interval multipliers of one bundle.

    Args:
        sha256: weights they were fitted for; with other weights they mean nothing.
        multipliers: m_q by level in per cent, for the deviation: that of the model, or the raw total of the network.
        facts: data and figures of the fit, JSON types only.
    """

    sha256: str
    multipliers: dict[int, float]
    facts: dict[str, Any]

    @property
    def scale(self) -> float:
        """Factor from the deviation to the calibrated standard deviation."""
        return self.multipliers[68]

    @property
    def deviation(self) -> DeviationModel | None:
        """The formula that gives the deviation; None where it is the raw total of the network."""
        return DeviationModel.from_dict(self.facts.get("deviation"))

    @property
    def gate(self) -> dict[str, Any] | None:
        """By input role, the ranges of `gate.reference_ranges` over the calibration volumes; None in old bundles."""
        return self.facts.get("gate")

    @property
    def quality(self) -> dict[str, list[float]] | None:
        """Numbers of the calibration volumes by name of `quality.NUMBERS`; None in old bundles."""
        return self.facts.get("quality")

    def relative(self) -> dict[str, float]:
        """Multipliers for the calibrated total."""
        return {str(level): self.multipliers[level] / self.scale for level in LEVELS}

    def as_dict(self) -> dict[str, Any]:
        multipliers = {str(level): value for level, value in self.multipliers.items()}
        return {"sha256": self.sha256, "multipliers": multipliers, **self.facts}

    @classmethod
    def from_bundle(cls, section: dict[str, Any], method: str = "") -> Calibration | None:
        """The calibration in a bundle's section, or None when there is none for these weights.

        Args:
            method: one that has a calibration of its own, see `tasks.base.NetworkTask`; "" for the network alone.
        """
        record = section.get(section_key(method))
        if not record or record.get("sha256") != section["sha256"]:
            return None
        facts = {k: v for k, v in record.items() if k not in ("sha256", "multipliers")}
        return cls(record["sha256"], {int(k): float(v) for k, v in record["multipliers"].items()}, facts)


def section_key(method: str = "") -> str:
    """Where a bundle's section holds the calibration of a method; "" for the network alone."""
    return f"calibration_{method}" if method else "calibration"


def fit_multipliers(error: np.ndarray, total: np.ndarray, weights: np.ndarray | None = None) -> dict[int, float]:
    """Multipliers by level from errors, deviations and, if wanted, weights, arrays of the same shape."""
    ratio = np.abs(error) / np.maximum(total, SMALLEST_DEVIATION)
    if weights is None:
        return {level: float(np.quantile(ratio, level / 100)) for level in LEVELS}
    order = np.argsort(ratio)
    share = np.cumsum(weights[order]) / weights.sum()
    last = ratio.size - 1
    return {level: float(ratio[order[min(np.searchsorted(share, level / 100), last)]]) for level in LEVELS}


def coverage(error: np.ndarray, total: np.ndarray, multipliers: dict[int, float]) -> dict[int, float]:
    """Share of errors [%] inside the interval of each level."""
    return {q: float(100 * np.mean(np.abs(error) <= m * total)) for q, m in multipliers.items()}


def interval_score(error: np.ndarray, total: np.ndarray, multipliers: dict[int, float]) -> float:
    """Mean over levels of width plus penalty for what lies outside, in the units of the error; the lower the better.

    A proper score: too narrow and too wide intervals both lose (Winkler; Gneiting and Raftery, JASA 2007).
    """
    size = np.abs(error)
    scores = []
    for level, multiplier in multipliers.items():
        half = multiplier * total
        scores.append(np.mean(2 * half + 2 / (1 - level / 100) * np.maximum(size - half, 0)))
    return float(np.mean(scores))


def rank_correlation(error: np.ndarray, total: np.ndarray) -> float:
    """Spearman's correlation between absolute error and predicted deviation."""
    from scipy import stats

    return float(stats.spearmanr(np.abs(error).ravel(), total.ravel()).statistic)


def area_under_roc(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Probability that a positive voxel scores above another one (ties count half); None without both kinds."""
    from scipy import stats

    positive, score = positive.ravel().astype(bool), score.ravel()
    hits, others = int(positive.sum()), int((~positive).sum())
    if not hits or not others:
        return None
    ranks = stats.rankdata(score)
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * others))


def average_precision(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the precision-recall curve as the mean precision at each positive voxel; None without any."""
    positive = positive.ravel().astype(bool)
    if not positive.any():
        return None
    ordered = positive[np.argsort(-score.ravel(), kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, ordered.size + 1)
    return float(precision[ordered].mean())


def sparsification_area(error: np.ndarray, total: np.ndarray) -> float:
    """AUSE: mean gap between removing voxels by predicted deviation and by true error, relative to the mean error.

    Zero when the order is perfect; Ilg et al., ECCV 2018.
    """
    size = np.abs(error).ravel()
    curves = [_remaining_error(size, np.argsort(-order.ravel())) for order in (total, size)]
    return float(np.mean(curves[0] - curves[1]) / size.mean())


def _remaining_error(size: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Mean of what is left after removing 0, 5, ... 95 % of the voxels in that order."""
    tail_sums = np.cumsum(size[order][::-1])[::-1]
    starts = (np.arange(SPARSIFICATION_STEPS) * len(size)) // SPARSIFICATION_STEPS
    return tail_sums[starts] / (len(size) - starts)
