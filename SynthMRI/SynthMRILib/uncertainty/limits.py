"""From where on uncertainty counts as high, and where the scale of its colors ends: one answer for a bundle.

Errors of a synthetic DIR are larger than those of denoising, so no one limit tells what stands out in both. A bundle
holds the 95th percentile of the total of each volume that it was calibrated on; their median is the limit: in a usual
volume five of a hundred voxels with signal lie above it. Scale and limit depend on the bundle and never on the case: a
scale of each case would make a bad one look like a good one.

All in per cent of the reference intensity of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: The limit where a bundle gives none.
USUAL_LIMIT = 5.0
#: The scale ends at the first of these that is at least twice the limit.
SCALE_ENDS = (10.0, 20.0, 30.0, 50.0, 100.0)
#: Where a region is too large to go to, it is taken apart at these multiples of the limit.
MULTIPLES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
#: Name of the percentiles in a bundle's calibration.
PERCENTILES = "percentile_95_total_percent"


def high_limit(quality: Mapping[str, list[float]] | None) -> float:
    """The limit that the calibration volumes give; USUAL_LIMIT without any.

    Args:
        quality: numbers of the calibration volumes by name, as `calibration.Calibration.quality`.
    """
    values = (quality or {}).get(PERCENTILES)
    return float(f"{np.median(values):.2g}") if values else USUAL_LIMIT


def scale_end(limit: float) -> float:
    """Upper end of the color scale for a limit."""
    return next((end for end in SCALE_ENDS if end >= 2 * limit), SCALE_ENDS[-1])


def limit_of(provenance: Mapping[str, Any]) -> float:
    """The limit that a result was judged by, from its provenance; USUAL_LIMIT where it names none."""
    return float((provenance.get("calibration") or {}).get("high_limit_percent", USUAL_LIMIT))


def limit_rule(provenance: Mapping[str, Any]) -> str:
    """What counts as high, and why."""
    limit = limit_of(provenance)
    text = f"total above {limit:g} % of the 99.5th percentile of the non-zero voxels"
    if "high_limit_percent" in (provenance.get("calibration") or {}):
        return text + ", which 5 % of the voxels with signal of a usual calibration volume exceed"
    return text
