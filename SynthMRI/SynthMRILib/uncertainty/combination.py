"""One map of suspicion from several signals, for finding where a result may have failed.

Every signal is divided by its 95th percentile over voxels where nothing was wrong, so that 1 is "as high as the highest
twentieth of usual voxels" for all of them; the map is a product of their powers. The exponents are those of a logistic
regression on failures at structures that no training saw, in validation heads, and none of them may be below zero but
that of the surroundings: the total is the more suspicious, the more it stands out from the total around it. What the
residual and the gradient of the result know is in the total already (see `deviation.py`), so little is left for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

USUAL_PERCENTILE = 95
#: Exponents, fitted by `Testing/Benchmarks/failure_combination.py`, which has left out each head in turn.
WEIGHTS = {"total": 4.767, "surroundings": -3.657, "epistemic": 0.0, "augmentation": 0.0, "residual": 0.0}
SIGNALS = tuple(WEIGHTS)
#: Signals of which more may mean less suspicion.
FREE = ("surroundings",)
#: Width of the Gaussian over which the surroundings are averaged [voxels of the result].
SURROUNDINGS_WIDTH = 4.0
#: Added to a signal over its usual level, so that none of them alone can clear a voxel.
SOFTNESS = 0.05
#: Weight of the squares of the standardised slopes in the fit.
PENALTY = 1e-3


def surroundings(total: np.ndarray) -> np.ndarray:
    """Geometric mean of the total (k, j, i) around each voxel, float32, zeros counting as very little."""
    floor = np.float32(max(1e-3 * float(total.max()), np.finfo(np.float32).tiny))
    logarithm = np.log(np.maximum(total, floor, dtype=np.float32))
    return np.exp(ndimage.gaussian_filter(logarithm, SURROUNDINGS_WIDTH)).astype(np.float32)


def usual_levels(signals: Mapping[str, np.ndarray]) -> dict[str, float]:
    """95th percentile of each signal over voxels where nothing is wrong; arrays of any one shape."""
    return {name: float(np.percentile(values, USUAL_PERCENTILE)) for name, values in signals.items()}


def combined(
    signals: Mapping[str, np.ndarray], levels: Mapping[str, float], weights: Mapping[str, float] = WEIGHTS
) -> np.ndarray:
    """The combination of the signals that have a level above zero, float32 of their shape; 1 is unusually high.

    Exponents are relative to the largest, so that the combination rises as its strongest signal does.

    Raises ValueError when no signal has one.
    """
    used = [name for name in weights if name in signals and levels.get(name, 0) > 0]
    if not used:
        raise ValueError("no signal has a usual level")
    most = max(weights[name] for name in used)
    shares = {name: np.float32(weights[name] / most if most > 0 else weights[name]) for name in used}
    return np.exp(sum(share * _relative(signals[n], levels[n]) for n, share in shares.items())).astype(np.float32)


def fit_weights(
    signals: Sequence[Mapping[str, np.ndarray]], failed: Sequence[np.ndarray], levels: Mapping[str, float]
) -> dict[str, float]:
    """Exponents of SIGNALS that tell failing voxels from others best; both kinds count alike.

    Args:
        signals: by name, flat arrays of the voxels of each place; failed: boolean, which of them have failed.
        levels: what `usual_levels` gave.
    """
    from scipy.optimize import minimize

    table = np.concatenate([np.stack([_relative(s[n], levels[n]) for n in SIGNALS], axis=1) for s in signals])
    failing = np.concatenate(failed).astype(np.float64)
    middle, spread = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-6)
    scaled = np.column_stack([(table - middle) / spread, np.ones(len(table))]).astype(np.float64)
    weight = np.where(failing > 0, 0.5 / failing.sum(), 0.5 / (1 - failing).sum())

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        z, slopes = scaled @ values, np.append(values[:-1], 0.0)
        gradient = scaled.T @ (weight * (1 / (1 + np.exp(-z)) - failing))
        return weight @ (np.logaddexp(0, z) - failing * z) + PENALTY * slopes @ slopes, gradient + 2 * PENALTY * slopes

    bounds = [(None if n in FREE else 0, None) for n in SIGNALS] + [(None, None)]
    found = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds).x
    return {name: round(float(slope), 3) for name, slope in zip(SIGNALS, found[:-1] / spread)}


def _relative(values: np.ndarray, level: float) -> np.ndarray:
    """Logarithm of a signal over its usual level, zero where it is just that."""
    return np.log((values / np.float32(level) + np.float32(SOFTNESS)) / np.float32(1 + SOFTNESS))
