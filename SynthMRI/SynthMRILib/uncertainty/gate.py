"""Is this input like the volumes a bundle was calibrated on? A plain verdict, with the reasons in sentences.

Each measured number is compared with the range of the calibration volumes, which the bundle's metadata hold; nothing is
learned and nothing is weighed against something else. Outside of its range a bundle may still be right, but nothing was
measured that says so. A verdict never stops a run; it is stamped into what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..volume import Volume
from .measures import histogram_distance, measure

#: By how much of its width, and of its ends, the range of the calibration volumes is widened.
WIDENED, WIDENED_ENDS = 0.25, 0.1

#: Input roles that hold no intensities.
NOT_IMAGES = ("mask",)

#: What is compared: title and unit by name of the measure.
SIGNALS = {
    "spacing_smallest_mm": ("smallest voxel edge", "mm"),
    "spacing_largest_mm": ("largest voxel edge", "mm"),
    "extent_smallest_mm": ("smallest extent of the signal", "mm"),
    "extent_largest_mm": ("largest extent of the signal", "mm"),
    "cut_sides": ("number of sides at which the head is cut off", ""),
    "noise_percent": ("noise level", "% of the signal"),
    "motion_severity_mm": ("motion severity", "mm"),
    "histogram_distance": ("distance of the intensity histogram from the nearest calibration volume", ""),
}
#: Less of these is never a reason for distrust.
BETTER_LOW = ("cut_sides", "motion_severity_mm", "histogram_distance")
GATE_RULE = (
    f"every measure within the range of the calibration volumes, widened by {WIDENED:.0%} of its width and "
    f"{WIDENED_ENDS:.0%} of its ends; less motion and fewer cut sides than theirs are inside, too"
)


@dataclass(frozen=True)
class Gate:
    """What the gate says of the inputs of a run.

    Args:
        verdict: "inside", "outside", or "unknown" for a bundle without reference ranges.
        reasons: a sentence for every measure outside, or why nothing is known.
        nearest: by input role, the contrast of the calibration volume with the most similar histogram.
        measured: by input role, what was measured.
    """

    verdict: str
    reasons: tuple[str, ...]
    nearest: dict[str, str]
    measured: dict[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "rule": GATE_RULE,
            "reasons": list(self.reasons),
            "nearest_contrast": self.nearest,
            "measured": self.measured,
        }


def judge(
    inputs: dict[str, Volume],
    reference: dict[str, Any] | None,
    *,
    more: dict[str, dict[str, float]] | None = None,
) -> Gate:
    """The verdict on the inputs of a run.

    Args:
        inputs: volumes by role.
        reference: what `reference_ranges` gave when the bundle was calibrated, or None.
        more: by role, what was measured already.
    """
    images = {role: volume for role, volume in inputs.items() if role not in NOT_IMAGES}
    measured = {role: {**measure(volume), **(more or {}).get(role, {})} for role, volume in images.items()}
    known = reference or {}
    compared = [role for role in measured if role in known]
    if not compared:
        return Gate("unknown", ("The bundle holds no reference ranges for these inputs.",), {}, measured)
    nearest, reasons = {}, []
    for role in compared:
        distance, nearest[role] = nearest_histogram(measured[role]["histogram"], known[role]["histograms"])
        measured[role]["histogram_distance"] = distance
        name = "" if len(measured) == 1 else f"{role}: "
        reasons += [name + text for text in outside(measured[role], known[role])]
    return Gate("outside" if reasons else "inside", tuple(reasons), nearest, measured)


def outside(measured: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """A sentence for every measure outside of its range."""
    sentences: dict[str, str] = {}
    for name, (lowest, highest) in reference["ranges"].items():
        value = measured.get(name)
        if value is None or name not in SIGNALS:
            continue
        low, high = widened(lowest, highest)
        if value <= high and (value >= low or name in BETTER_LOW):
            continue
        title, unit = SIGNALS[name]
        side = "below" if value < low else "above"
        span = f"{lowest:.3g}" if f"{lowest:.3g}" == f"{highest:.3g}" else f"{lowest:.3g} to {highest:.3g}"
        text = f"({_with_unit(value, unit)}) is {side} the {f'{span} {unit}'.strip()} of the"
        # Of two measures that say the very same, as both edges of cubic voxels do, the first is enough.
        sentences.setdefault(text, f"The {title} {text} {reference['volumes']} volumes the bundle was calibrated on.")
    return list(sentences.values())


def widened(lowest: float, highest: float) -> tuple[float, float]:
    """The range that still counts as inside."""
    margin = WIDENED * (highest - lowest)
    return lowest - margin - WIDENED_ENDS * abs(lowest), highest + margin + WIDENED_ENDS * abs(highest)


def nearest_histogram(histogram: list[float], known: list[dict[str, Any]]) -> tuple[float, str]:
    """Distance of the most similar histogram, and the contrast it is of."""
    distances = [histogram_distance(histogram, other["percentiles"]) for other in known]
    best = int(np.argmin(distances))
    return distances[best], known[best]["contrast"]


def reference_ranges(
    measured: list[dict[str, Any]], contrasts: list[str], subjects: list[str] | None = None
) -> dict[str, Any]:
    """What a bundle keeps of one input role: the range of every measure and the histograms, JSON types only.

    Args:
        measured: what `measures.measure` gave for each calibration volume.
        contrasts: their contrasts, in words.
        subjects: whose they are: histograms are compared with those of others. Each of another one by default.
    """
    names = [name for name in SIGNALS if all(name in m for m in measured)]
    ranges = {name: [min(m[name] for m in measured), max(m[name] for m in measured)] for name in names}
    if len(measured) > 1:
        ranges["histogram_distance"] = [0.0, max(_distances_to_others(measured, subjects))]
    histograms = [
        {"contrast": contrast, "percentiles": [round(p, 4) for p in m["histogram"]]}
        for contrast, m in zip(contrasts, measured)
    ]
    rounded = {name: [float(f"{x:.4g}") for x in pair] for name, pair in ranges.items()}
    return {"volumes": len(measured), "ranges": rounded, "histograms": histograms}


def _distances_to_others(measured: list[dict[str, Any]], subjects: list[str] | None) -> list[float]:
    """Distance of each calibration volume's histogram from the nearest one of another subject, if there is another."""
    histograms = [m["histogram"] for m in measured]
    owners = subjects if subjects and len(set(subjects)) > 1 else list(range(len(histograms)))
    return [
        min(histogram_distance(one, other) for other, owner in zip(histograms, owners) if owner != mine)
        for one, mine in zip(histograms, owners)
    ]


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip()
