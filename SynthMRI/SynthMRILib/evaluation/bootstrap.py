"""Confidence intervals by resampling with replacement (Efron 1979): percentile intervals of 2000 draws.

A figure over several blocks or subjects is a function of sums, so blocks are drawn and the sums taken again: the gain
in PSNR of a volume is ten times the logarithm of the ratio of its summed squared errors, not the mean of its blocks'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .agreement import LEVEL, Estimate

DRAWS = 2000


def gain_in_decibels(
    before: Sequence[float], after: Sequence[float], *, seed: int = 0, level: float = LEVEL
) -> Estimate:
    """Gain of `after` over `before` in PSNR [dB] with its interval.

    Args:
        before, after: summed squared errors over the same voxels, one number a block; greater than zero.
        seed: seed of the draws.
        level: probability that the interval holds.

    Returns:
        The gain; the interval is NaN for fewer than two blocks.
    """
    errors = np.array([before, after], dtype=np.float64)
    count = errors.shape[1]
    value = 10 * np.log10(errors[0].sum() / errors[1].sum())
    if count < 2:
        return Estimate(float(value), np.nan, np.nan, count)
    drawn = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
    gains = 10 * np.log10(errors[0][drawn].sum(axis=1) / errors[1][drawn].sum(axis=1))
    return Estimate(float(value), *percentiles(gains, level), count)


def mean_of(values: Sequence[float], *, seed: int = 0, level: float = LEVEL) -> Estimate:
    """Mean with its interval; the interval is NaN for fewer than two values."""
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        return Estimate(float(values.mean()), np.nan, np.nan, values.size)
    drawn = np.random.default_rng(seed).integers(values.size, size=(DRAWS, values.size))
    return Estimate(float(values.mean()), *percentiles(values[drawn].mean(axis=1), level), values.size)


def percentiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    """Limits between which the middle `level` of the draws lies."""
    low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
