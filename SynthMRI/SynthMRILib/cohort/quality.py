"""Quality control of a result without a reference: cheap measures, and flags for what a person should look at.

A flag never removes a result. Single cases are flagged by fixed limits; a case that differs from the rest of its cohort
is flagged by the modified z-score (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..findings import Finding
from ..volume import Volume

#: Tasks whose output has the contrast of the input, so that both can be compared.
SAME_CONTRAST = ("super-resolution", "uncertainty", "denoising", "motion-correction")
#: Warnings that hold for every case of a batch.
NOT_OF_A_CASE = ("experimental", "uncalibrated")
#: Head: above this share of the 99.5th percentile.
HEAD_SHARE, HEAD_PERCENTILE = 0.02, 99.5
#: Lowest correlation of the input and the output, averaged to the input's voxels.
LOWEST_CONSISTENCY = 0.95
#: Largest relative change of the mean intensity inside the head.
LARGEST_MEAN_SHIFT = 0.05
#: Share of the field of view that a head takes.
USUAL_HEAD = (0.02, 0.98)
#: Modified z-score above which a case is an outlier, and fewest cases that make a cohort.
OUTLIER, FEWEST_CASES = 3.5, 8


def measure(task: str, source: Volume, output: Volume) -> dict[str, float]:
    """Measures by name.

    `finite_share` of the output; `head_share` of the input's field of view; where input and output can be compared
    `consistency` (Pearson correlation inside the head) and `mean_ratio` (output / input), both of the output averaged
    to the voxels of the input.
    """
    measures = {"finite_share": float(np.isfinite(output.voxels).mean())}
    head = source.voxels > HEAD_SHARE * np.percentile(source.voxels, HEAD_PERCENTILE)
    measures["head_share"] = float(head.mean())
    averaged = averaged_to(source, output) if task in SAME_CONTRAST else None
    if averaged is not None and measures["finite_share"] == 1 and head.any():
        measures |= _comparison(source.voxels[head].astype(np.float64), averaged[head].astype(np.float64))
    return {name: round(value, 6) for name, value in measures.items()}


def averaged_to(source: Volume, output: Volume) -> np.ndarray | None:
    """The output averaged over the blocks that make one input voxel; None when the grids are not so related."""
    factor = output.shape[0] // max(source.shape[0], 1)
    if factor < 1 or not output.grid.matches(source.grid.upsampled(factor), tolerance=1e-3):
        return None
    k, j, i = source.shape
    return output.voxels.reshape(k, factor, j, factor, i, factor).mean(axis=(1, 3, 5))


def _comparison(source: np.ndarray, output: np.ndarray) -> dict[str, float]:
    measures = {}
    if source.std() > 0 and output.std() > 0:
        measures["consistency"] = float(np.corrcoef(source, output)[0, 1])
    if source.mean() > 0:
        measures["mean_ratio"] = float(output.mean() / source.mean())
    return measures


def flags_of(findings: Iterable[Finding], measures: Mapping[str, float]) -> list[str]:
    """Flags of one case: `input:<code>` for each warning about the input, then those of the measures."""
    warnings = [finding.code for finding in findings if finding.severity == "warning"]
    flags = [f"input:{code}" for code in warnings if code not in NOT_OF_A_CASE]
    if measures.get("finite_share", 1) < 1:
        flags.append("output-not-finite")
    if not USUAL_HEAD[0] <= measures.get("head_share", 0.5) <= USUAL_HEAD[1]:
        flags.append("unusual-field-of-view")
    if measures.get("consistency", 1) < LOWEST_CONSISTENCY:
        flags.append("differs-from-input")
    if abs(measures.get("mean_ratio", 1) - 1) > LARGEST_MEAN_SHIFT:
        flags.append("mean-shifted")
    return flags


def flags_of_record(provenance: Mapping[str, Any]) -> list[str]:
    """Flags of what a task itself said of its result: unlike the calibration volumes, or of low confidence."""
    flags = []
    if (provenance.get("gate") or {}).get("verdict") == "outside":
        flags.append("outside-calibration")
    confidence = (provenance.get("quality") or {}).get("flag")
    if confidence in ("amber", "red"):
        flags.append(f"confidence:{confidence}")
    return flags


def outliers(measures: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Flags `outlier:<measure>` by case, from the measures of all cases; none in a cohort too small to tell."""
    flags: dict[str, list[str]] = {case: [] for case in measures}
    for name in sorted({name for values in measures.values() for name in values}):
        values = {case: m[name] for case, m in measures.items() if name in m}
        for case, score in zip(values, modified_z_scores(list(values.values()))):
            if abs(score) > OUTLIER:
                flags[case].append(f"outlier:{name}")
    return flags


def modified_z_scores(values: list[float]) -> np.ndarray:
    """0.6745 (x - median) / median absolute deviation; zeros for few values, or when more than half are equal."""
    array = np.asarray(values, dtype=np.float64)
    if array.size < FEWEST_CASES:
        return np.zeros(array.size)
    distance = array - np.median(array)
    spread = np.median(np.abs(distance))
    return 0.6745 * distance / spread if spread > 0 else np.zeros(array.size)
