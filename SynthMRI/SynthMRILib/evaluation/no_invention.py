"""No-invention check: what was enhanced is averaged to the voxels of the input again and compared with the input.

An enhancement may add detail finer than the voxels of the input, and it may take away noise; it must not add or remove
what the input would have shown. So the residual should be small and look like noise. Two numbers say whether it is: its
root mean square over the head, and its largest value after smoothing, in which noise averages out and an object does
not. Both are in percent of the range (99.5th percentile of the non-zero voxels of the input).
`consistency.py` has the relative residual that goes with uncertainty; this one is sensitive to single small objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ..findings import Finding
from ..intensity import reference_intensity
from ..slice_profile import Acquisition
from ..volume import Volume
from .metrics import quality_mask

#: Standard deviation of the smoothing before the largest value is taken [voxels of the input].
SMOOTHING = 1.5
#: How far a number may lie above the largest one of validation.
TOLERANCE = 1.1
FIELDS = ("rms_percent", "peak_percent")


@dataclass(frozen=True, eq=False)
class Comparison:
    """How well a result explains its input.

    Args:
        residual: result averaged to the voxels of the input, minus the input, in the units of the input.
        rms_percent: root mean square of the residual over the head, percent of the range.
        peak_percent: largest magnitude of the smoothed residual in the head, percent of the range.
        peak_ras: where that is [mm].
    """

    residual: Volume
    rms_percent: float
    peak_percent: float
    peak_ras: tuple[float, float, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "rms_percent": round(self.rms_percent, 3),
            "peak_percent": round(self.peak_percent, 3),
            "peak_ras": [round(x, 1) for x in self.peak_ras],
        }


def compare(source: Volume, output: Volume, *, acquisition: Acquisition | None = None, **profile: Any) -> Comparison:
    """Compare a result with its input.

    Args:
        acquisition: how the input sees the result; default averages, with `profile` (thickness and kind) as
            `slice_profile.Acquisition.between` takes it.

    Raises InputError when the axes of the two volumes differ.
    """
    acquisition = acquisition or Acquisition.between(output.grid, source.grid, **profile)
    residual = acquisition.apply(output.voxels) - source.voxels
    mask = quality_mask(source.voxels)
    unit = reference_intensity(source.voxels)
    smooth = np.abs(ndimage.gaussian_filter(residual, SMOOTHING, mode="nearest")) * mask
    peak = np.unravel_index(int(smooth.argmax()), smooth.shape)
    return Comparison(
        source.with_voxels(residual),
        rms_percent=100 * float(np.sqrt(np.mean(np.square(residual[mask], dtype=np.float64)))) / unit,
        peak_percent=100 * float(smooth[peak]) / unit,
        peak_ras=tuple(float(x) for x in source.grid.index_to_ras(np.array(peak[::-1]))),
    )


def levels_of(section: dict[str, Any]) -> dict[str, float] | None:
    """Largest numbers seen in validation, from the `synthmri` section of a bundle; None when there are none."""
    levels = section.get("consistency")
    if not isinstance(levels, dict) or levels.get("bundle_sha256") != section.get("sha256"):
        return None
    return {name: float(levels[name]) for name in FIELDS}


def kept_finding(found: Comparison) -> Finding:
    """What is left to say of a result that holds the acquired frequencies by construction."""
    text = (
        "Every frequency that was acquired is as it was, noise included; only finer ones were added. "
        f"Truncated to its own k-space, the result differs from the input by {found.rms_percent:.2g} % RMS, which "
        "comes of values below zero that were taken away."
    )
    return Finding("info", "consistency", text)


def findings_of(found: Comparison, levels: dict[str, float] | None) -> list[Finding]:
    """A warning for a residual above the level of validation, otherwise what was found."""
    shown = f"{found.rms_percent:.2g} % RMS, {found.peak_percent:.2g} % at most after smoothing"
    if levels is None:
        text = f"Averaged to its own voxels, the result differs from the input by {shown}; no level is known for it."
        return [Finding("info", "consistency", text)]
    beyond = [name for name in FIELDS if getattr(found, name) > TOLERANCE * levels[name]]
    if not beyond:
        text = f"Averaged to its own voxels, the result agrees with the input as well as in validation ({shown})."
        return [Finding("info", "consistency", text)]
    place = ", ".join(f"{axis} {x:.0f}" for axis, x in zip("RAS", found.peak_ras))
    text = (
        "The result may show what the input does not, or hide what it does: averaged to the voxels of the input it "
        f"differs by {shown} (validation: up to {levels['rms_percent']:.2g} and {levels['peak_percent']:.2g} %). "
        f"Look at the residual, first at {place} mm."
    )
    return [Finding("warning", "consistency", text)]
