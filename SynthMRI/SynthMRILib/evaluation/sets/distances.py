"""Distances between two sets of feature vectors, with intervals over volumes.

Frechet distance (Heusel et al., NeurIPS 2017), unbiased squared maximum mean discrepancy with a Gaussian (Gretton et
al., JMLR 13 (2012), 723-773) and with the cubic kernel of the kernel distance KID (Binkowski et al., ICLR 2018),
precision and recall by nearest neighbors (Kynkaanniemi et al., NeurIPS 2019).

Slices of one volume are not independent: intervals resample volumes, with all their slices. The spread of the draws is
put around the estimate itself, because a draw holds volumes twice, which shifts some of the figures. A kernel distance
of a draw leaves out pairs of the same volume.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np
from scipy import linalg, spatial

from ..agreement import LEVEL, Estimate

DRAWS = 200
NEIGHBORS = 3

Features = np.ndarray


def frechet_distance(first: Features, second: Features) -> float:
    """|m1 - m2|^2 + trace(S1 + S2 - 2 (S1 S2)^(1/2)) of two sets of vectors (count, size)."""
    means = first.mean(axis=0) - second.mean(axis=0)
    return _frechet(means, np.cov(first, rowvar=False), np.cov(second, rowvar=False))


def _frechet(means: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The trace of the root of S1 S2 is the sum of the roots of the eigenvalues of R S2 R, R the root of S1."""
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    values, vectors = linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(means @ means + np.trace(first) + np.trace(second) - 2 * shared)


def median_bandwidth(first: Features, second: Features) -> float:
    """Median distance between vectors of the pooled sets, the usual width of the Gaussian kernel."""
    distances = spatial.distance.pdist(np.concatenate([first, second]))
    return float(np.median(distances)) or 1.0


def gaussian_kernel(a: Features, b: Features, *, bandwidth: float) -> np.ndarray:
    """exp(-|a - b|^2 / (2 bandwidth^2)) of every pair."""
    return np.exp(-spatial.distance.cdist(a, b, "sqeuclidean") / (2 * bandwidth**2))


def cubic_kernel(a: Features, b: Features) -> np.ndarray:
    """(a.b / size + 1)^3 of every pair, the kernel of KID."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def discrepancy(within: np.ndarray, within_other: np.ndarray, between: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy from the kernels of pairs within each set and between them."""
    return _discrepancy(within, within_other, between, np.ones(len(within)), np.ones(len(within_other)))


def _discrepancy(a: np.ndarray, b: np.ndarray, ab: np.ndarray, u: np.ndarray, v: np.ndarray) -> float:
    """The same of a draw that holds member n of the first set u[n] times; a member is never paired with itself."""

    def mean(kernel: np.ndarray, weights: np.ndarray) -> float:
        pairs = weights.sum() ** 2 - (weights**2).sum()
        return (weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / pairs

    return float(mean(a, u) + mean(b, v) - 2 * (u @ ab @ v) / (u.sum() * v.sum()))


def gaussian_discrepancy(first: Features, second: Features, *, seed: int = 0) -> Estimate:
    """Squared discrepancy of two sets of vectors, one for each volume, with the Gaussian kernel."""
    bandwidth = median_bandwidth(first, second)
    kernels = [gaussian_kernel(a, b, bandwidth=bandwidth) for a, b in _pairs(first, second)]
    return _kernel_estimate(kernels, seed)


def kernel_distance(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Estimate:
    """KID of two sets (volumes, slices, size); slices of the same volume are never paired with each other."""
    kernels = [_by_volume(a, b) for a, b in _pairs(first, second)]
    return _kernel_estimate(kernels, seed)


def _by_volume(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean kernel over the pairs of slices of every pair of volumes."""
    kernel = cubic_kernel(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]))
    return kernel.reshape(len(a), a.shape[1], len(b), b.shape[1]).mean(axis=(1, 3))


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple:
    return (first, first), (second, second), (first, second)


def _kernel_estimate(kernels: list[np.ndarray], seed: int) -> Estimate:
    counts = len(kernels[0]), len(kernels[1])
    value = discrepancy(*kernels)
    return with_interval(value, counts, lambda u, v: _discrepancy(*kernels, u, v), seed=seed)


def frechet_estimate(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Estimate:
    """Frechet distance of two sets (volumes, slices, size) with its interval."""
    value = frechet_distance(*(part.reshape(-1, part.shape[-1]) for part in (first, second)))

    def drawn(u: np.ndarray, v: np.ndarray) -> float:
        moments = [_moments(part, weights) for part, weights in ((first, u), (second, v))]
        return _frechet(moments[0][0] - moments[1][0], moments[0][1], moments[1][1])

    return with_interval(value, (len(first), len(second)), drawn, seed=seed)


def _moments(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat, repeated = features.reshape(-1, features.shape[-1]), np.repeat(weights, features.shape[1])
    mean = repeated @ flat / repeated.sum()
    return mean, np.cov(flat, rowvar=False, fweights=repeated.astype(int))


def with_interval(
    value: float,
    counts: tuple[int, int],
    drawn: Callable[[np.ndarray, np.ndarray], float],
    *,
    seed: int,
    level: float = LEVEL,
) -> Estimate:
    """An estimate with the spread of DRAWS draws of volumes, with replacement, around it.

    Args:
        value: the estimate.
        counts: number of volumes in both sets.
        drawn: the figure of a draw, from how often each volume is in it.
        seed: of the draws.
        level: probability that the interval holds.
    """
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(DRAWS):
        weights = [random.multinomial(n, np.full(n, 1 / n)) for n in counts]
        if min((w > 0).sum() for w in weights) > 1:
            draws.append(drawn(*weights))
    if not draws or not np.isfinite(value):
        return Estimate(value, nan, nan, min(counts))
    low, high = np.percentile(np.array(draws) - np.mean(draws), [50 * (1 - level), 50 * (1 + level)])
    return Estimate(value, value + float(low), value + float(high), min(counts))


def precision_and_recall(
    real: Features, synthetic: Features, *, neighbors: int = NEIGHBORS, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """Share of synthetic vectors within the real manifold, and of real ones within the synthetic manifold.

    The manifold of a set is the union of balls around its members that reach to their k-th nearest neighbor. Vectors
    are (volumes, slices, size); intervals resample the volumes that are judged and leave the manifold as it is.
    """
    sets = [part.reshape(-1, part.shape[-1]) for part in (real, synthetic)]
    return tuple(
        _share_inside(sets[a], sets[b], (real, synthetic)[b].shape[:2], neighbors, seed) for a, b in ((0, 1), (1, 0))
    )


def _share_inside(manifold: Features, judged: Features, shape: tuple[int, int], neighbors: int, seed: int) -> Estimate:
    own = spatial.distance.cdist(manifold, manifold)
    reach = np.partition(own, neighbors, axis=1)[:, neighbors]
    inside = (spatial.distance.cdist(judged, manifold) <= reach).any(axis=1).reshape(shape).mean(axis=1)
    estimate = with_interval(
        float(inside.mean()), (shape[0], shape[0]), lambda u, _: float(u @ inside / u.sum()), seed=seed
    )
    return Estimate(estimate.value, max(estimate.low, 0.0), min(estimate.high, 1.0), shape[0])
