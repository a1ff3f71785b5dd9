"""A traffic light for a whole result, with the rule it follows printed beside it.

Numbers of the result are compared with those of the calibration volumes that the bundle holds. Amber asks for a look,
red for more: an export has to be acknowledged. The light judges the computation, never the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .gate import Gate

#: Red begins at this multiple of the highest value among the calibration volumes; amber above that value.
RED_FACTOR = 1.5
#: What is compared: title and unit by name.
NUMBERS = {
    "percentile_95_total_percent": ("95th percentile of total uncertainty", "% of the signal"),
    "high_uncertainty_percent": ("share of voxels with high uncertainty", "%"),
    "relative_residual": ("residual against the acquired volume, relative to it", ""),
    "largest_residual_percent": ("99.9th percentile of the residual against the acquired volume", "% of the signal"),
}
FLAGS = ("green", "amber", "red", "unknown")
QUALITY_RULE = (
    f"red: a number above {RED_FACTOR:g} times the highest of the calibration volumes; amber: above the highest, or "
    "the input outside of the calibration domain; green otherwise; unknown: no calibration for the bundle's weights"
)


@dataclass(frozen=True)
class Quality:
    """The light and why.

    Args:
        flag: one of FLAGS.
        reasons: a sentence for everything that is not green.
        numbers: value by name of NUMBERS.
    """

    flag: str
    reasons: tuple[str, ...]
    numbers: dict[str, float]

    @property
    def needs_acknowledgement(self) -> bool:
        """Whether an export must be acknowledged."""
        return self.flag == "red"

    def as_dict(self) -> dict[str, Any]:
        return {"flag": self.flag, "rule": QUALITY_RULE, "reasons": list(self.reasons), "numbers": self.numbers}

    def sentence(self) -> str:
        """One line of confidence for the whole result."""
        grade = {"green": "usual", "amber": "lower than usual", "red": "low", "unknown": "unknown"}[self.flag]
        reasons = " ".join(self.reasons) or "All numbers are within those of the calibration volumes."
        return f"Confidence: {grade} ({self.flag}). {reasons}"


def quality_flag(numbers: dict[str, float], reference: dict[str, list[float]] | None, gate: Gate) -> Quality:
    """Compare the numbers of a result with those of the calibration volumes.

    Args:
        numbers: value by name of NUMBERS; names that the reference lacks are not judged.
        reference: values of the calibration volumes by the same names, or None for an uncalibrated bundle.
        gate: the verdict on the input.
    """
    if not reference:
        text = "The bundle holds no reference distribution for its weights."
        return Quality("unknown", (text, *gate.reasons), numbers)
    flag, reasons = "green", []
    for name, value in numbers.items():
        if not reference.get(name):
            continue
        highest = max(reference[name])
        if value > highest:
            flag = "red" if flag == "red" or value > RED_FACTOR * highest else "amber"
            reasons.append(_sentence(name, value, highest, len(reference[name])))
    if gate.verdict == "outside":
        flag = "amber" if flag == "green" else flag
        reasons += gate.reasons
    return Quality(flag, tuple(reasons), numbers)


def _sentence(name: str, value: float, highest: float, count: int) -> str:
    title, unit = NUMBERS[name]
    return f"The {title} ({value:.3g} {unit}".rstrip() + f") is above the highest of {count} volumes ({highest:.3g})."
