"""Severity as networks see it: a channel of the correction network, and the logarithm that is estimated.

Severity is the effective displacement (`simulation.motion.effective_displacement`): what the volume shows of motion.
"""

from __future__ import annotations

import math

UNKNOWN = -1.0
"""The channel where severity is not known: the network then corrects by what it sees alone."""
LARGEST_MM = 4.0
"""Severities above this are told as this."""
UNIT_MM = 2.0
OFFSET_MM = 0.05
"""Added before the logarithm, so that a head that lies still has one."""


def condition_of(severity_mm: float | None) -> float:
    """The value of the channel for a severity [mm], or for none: 0 (no motion) to 2, or `UNKNOWN`."""
    return UNKNOWN if severity_mm is None else min(max(severity_mm, 0.0), LARGEST_MM) / UNIT_MM


def log_severity(severity_mm: float, offset_mm: float = OFFSET_MM) -> float:
    """What severity is estimated on: the logarithm of the severity plus an offset."""
    return math.log(max(severity_mm, 0.0) + offset_mm)


def severity_of_log(value: float, offset_mm: float = OFFSET_MM) -> float:
    """Severity [mm] of a value of `log_severity` with the same offset, not below zero."""
    return max(math.exp(value) - offset_mm, 0.0)
