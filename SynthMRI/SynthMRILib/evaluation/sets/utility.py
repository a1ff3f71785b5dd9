"""What synthetic volumes are good for: does a classifier of real volumes learn more when they are added?

After the augmentation test of Xing et al. (2023): half of the real volumes train, the other half tests, again and
again. Compared are real volumes alone, with classical augmentation (mirrored, other gamma), with the synthetic ones,
and the synthetic ones alone. The classifier is a logistic regression on slice features, so that the test runs
anywhere; a gain here is no promise for a network trained on voxels.

The halves overlap from time to time, so that the plain deviation would be far too small: intervals and p values are
those of the corrected resampled t test (Nadeau and Bengio, Machine Learning 52 (2003), 239-281).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from scipy import optimize, special, stats

from ...errors import InputError
from ..agreement import LEVEL, Estimate

REPEATS = 20
TEST_SHARE = 0.5
PENALTY = 1.0
MINIMUM_PER_LABEL = 6


@dataclass(frozen=True)
class Gain:
    """What an arm gains over real volumes alone.

    Args:
        score: mean balanced accuracy on held-out real volumes.
        gain: its mean difference to that of real volumes alone, with its interval.
        p: two-sided, of no difference.
    """

    score: float
    gain: Estimate
    p: float


def utility(
    real: np.ndarray,
    real_labels: Sequence[str],
    synthetic: np.ndarray,
    synthetic_labels: Sequence[str],
    augmented: np.ndarray,
    *,
    seed: int = 0,
) -> dict[str, Gain]:
    """Gains of "with synthetic", "with classical augmentation" and "synthetic alone".

    Args:
        real, synthetic: features (volumes, size); augmented: of the augmented copy of each real volume.
        real_labels, synthetic_labels: what is to be told apart.
        seed: of the halves.

    Raises:
        InputError: fewer than two labels, too few real volumes of one, or a synthetic label that no real volume has.
    """
    names = sorted(set(real_labels))
    check_labels(real_labels, synthetic_labels)
    labels, other = (np.array([names.index(n) for n in given]) for given in (real_labels, synthetic_labels))
    scores: dict[str, list[float]] = {"real": [], "with synthetic": [], "with classical augmentation": []}
    scores["synthetic alone"] = []
    random = np.random.default_rng(seed)
    for _ in range(REPEATS):
        train, test = _halves(labels, random)
        arms = {
            "real": (real[train], labels[train]),
            "with synthetic": (np.concatenate([real[train], synthetic]), np.concatenate([labels[train], other])),
            "with classical augmentation": (
                np.concatenate([real[train], augmented[train]]),
                np.concatenate([labels[train], labels[train]]),
            ),
            "synthetic alone": (synthetic, other),
        }
        for arm, (features, given) in arms.items():
            predicted = fit_and_predict(features, given, real[test], classes=len(names))
            scores[arm].append(balanced_accuracy(labels[test], predicted))
    return {arm: _gain(scores[arm], scores["real"]) for arm in scores}


def check_labels(real: Sequence[str], synthetic: Sequence[str]) -> None:
    """Raises InputError when the test would say nothing."""
    counts = {name: list(real).count(name) for name in set(real)}
    if len(counts) < 2 or set(synthetic) != set(real):
        raise InputError("The utility test needs at least two labels, each with real and synthetic volumes.")
    fewest = min(counts, key=lambda name: counts[name])
    if counts[fewest] < MINIMUM_PER_LABEL:
        raise InputError(
            f"Only {counts[fewest]} real volumes have the label '{fewest}'; the utility test needs {MINIMUM_PER_LABEL}."
        )


def _halves(labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and testing, each label divided alike."""
    test: list[int] = []
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        test += own[: round(TEST_SHARE * len(own))].tolist()
    return np.setdiff1d(np.arange(len(labels)), test), np.array(sorted(test))


def fit_and_predict(
    features: np.ndarray, labels: np.ndarray, wanted: np.ndarray, *, classes: int, penalty: float = PENALTY
) -> np.ndarray:
    """Labels of `wanted` from a multinomial logistic regression on standardized features, squared weights penalized."""
    center, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    weights, intercept = fit_logistic((features - center) / scale, labels, classes=classes, penalty=penalty)
    return ((wanted - center) / scale @ weights + intercept).argmax(axis=1)


def fit_logistic(
    features: np.ndarray, labels: np.ndarray, *, classes: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (size, classes) and intercepts that minimize the summed log loss plus penalty / 2 |weights|^2."""
    size, truth = features.shape[1], np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercept = flat[:-classes].reshape(size, classes), flat[-classes:]
        logs = special.log_softmax(features @ weights + intercept, axis=1)
        difference = np.exp(logs) - truth
        gradient = np.concatenate([(features.T @ difference + penalty * weights).ravel(), difference.sum(axis=0)])
        return float(-(truth * logs).sum() + penalty / 2 * (weights**2).sum()), gradient

    found = optimize.minimize(
        loss, np.zeros((size + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 500}
    )
    return found.x[:-classes].reshape(size, classes), found.x[-classes:]


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the labels of the share that is named right."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def _gain(scores: Sequence[float], alone: Sequence[float]) -> Gain:
    differences = np.array(scores) - np.array(alone)
    mean, count = float(differences.mean()), len(differences)
    error = sqrt(float(differences.var(ddof=1)) * (1 / count + TEST_SHARE / (1 - TEST_SHARE)))
    if error == 0:
        return Gain(float(np.mean(scores)), Estimate(mean, nan, nan, count), nan)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    return Gain(float(np.mean(scores)), Estimate(mean, mean - reach, mean + reach, count), p)
