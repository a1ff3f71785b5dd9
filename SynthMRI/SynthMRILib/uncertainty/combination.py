"""One map of suspicion from several signals, for finding where a result may have failed.

Every signal is divided by its 95th percentile over voxels where nothing was wrong, so that 1 is "as high as the highest
twentieth of usual voxels" for all of them, and the root of the mean of their weighted squares is taken. The total
counts twice as much as each of the others, chosen on validation heads. Nothing finer is fitted: weights learned on the
failures that one can simulate would know only those.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

USUAL_PERCENTILE = 95
#: Weights of the signals: total, spread under test-time augmentation, residual against the input.
WEIGHTS = {"total": 1.0, "augmentation": 0.5, "residual": 0.5}
SIGNALS = tuple(WEIGHTS)


def usual_levels(signals: Mapping[str, np.ndarray]) -> dict[str, float]:
    """95th percentile of each signal over voxels where nothing is wrong; arrays of any one shape."""
    return {name: float(np.percentile(values, USUAL_PERCENTILE)) for name, values in signals.items()}


def combined(signals: Mapping[str, np.ndarray], levels: Mapping[str, float]) -> np.ndarray:
    """The combination of the signals that have a level above zero, float32 of their shape; 1 is unusually high.

    Raises ValueError when no signal has one.
    """
    used = [name for name in WEIGHTS if name in signals and levels.get(name, 0) > 0]
    if not used:
        raise ValueError("no signal has a usual level")
    squares = sum((WEIGHTS[name] * signals[name] / levels[name]) ** 2 for name in used)
    return np.sqrt(squares / sum(WEIGHTS[name] ** 2 for name in used)).astype(np.float32)
