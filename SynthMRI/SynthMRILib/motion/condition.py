"""Severity as networks see it: a channel of the correction network, and the logarithm that is estimated.

Severity is the effective displacement (`simulation.motion.effective_displacement`): what the volume shows of motion.
The correction network is told what that changed in this volume, as a denoiser is told the noise: the same displacement
changes a volume of sharp edges several times as much as a smooth one.
"""

from __future__ import annotations

import math

import numpy as np

from ..simulation.motion import edge_slope

TOLD = {"told": "change"}
"""In the `synthmri` section of bundles whose network is told the change; earlier ones were told the displacement."""
UNKNOWN = -1.0
"""The channel where the change is not known: the network then corrects by what it sees alone."""
UNIT, LARGEST = 0.16, 4.0
"""Change that is 1 in the channel [network units], and the largest value there."""
OFFSET_MM = 0.05
"""Added before the logarithm, so that a head that lies still has one."""


def expected_change(voxels: np.ndarray, severity_mm: float, spacing: tuple[float, float, float]) -> float:
    """Root mean square change that motion of a severity [mm] makes of a volume, in its units.

    Args:
        voxels: the volume with motion (k, j, i).
        spacing: of its voxels (i, j, k) [mm].
    """
    return severity_mm * edge_slope(voxels, spacing)


def condition_of(change: float | None) -> float:
    """The value of the channel for a change [network units], or for none: 0 (no motion) to 4, or `UNKNOWN`."""
    return UNKNOWN if change is None else min(max(change / UNIT, 0.0), LARGEST)


def log_severity(severity_mm: float, offset_mm: float = OFFSET_MM) -> float:
    """What severity is estimated on: the logarithm of the severity plus an offset."""
    return math.log(max(severity_mm, 0.0) + offset_mm)


def severity_of_log(value: float, offset_mm: float = OFFSET_MM) -> float:
    """Severity [mm] of a value of `log_severity` with the same offset, not below zero."""
    return max(math.exp(value) - offset_mm, 0.0)
