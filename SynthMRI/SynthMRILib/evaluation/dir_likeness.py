"""Whether a synthetic DIR is a DIR: what was cut to zero, likeness to the signal equation; and fair contrast.

Contrast-to-noise ratio can be raised by any grey-scale curve that flattens white matter. It is therefore compared only
with baselines whose histogram in the brain was matched to that of the synthetic DIR.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from ..dir_synthesis.tissue_fit import OUTSIDE, WHITE
from .lesions import Reference, average_precision, contrast_of_lesions
from .regions import DISTANCE_MM

RANK_SAMPLE = 200_000
INTERVAL_PERCENT = (5.0, 95.0)

DEFINITIONS = {
    "zero_share": "share of white-matter voxels (lesions left out) that are exactly zero",
    "rank_correlation": "Spearman's, with the dictionary DIR of all inputs, over the brain without lesions",
    "lesion_to_gray": "median over lesion voxels over median of cortex",
    "lesion_to_gray_interval": (
        f"{INTERVAL_PERCENT[0]:g}th to {INTERVAL_PERCENT[1]:g}th percentile of the dictionary DIR over lesion voxels "
        "over its median of cortex: what the DIR equation gives for the fitted parameters"
    ),
    "cnr_matched": "mean CNR of lesions after the brain's histogram was matched to that of the synthetic DIR",
    "auprc_brain": "as auprc, but over the whole brain, gray matter included (a true DIR shows gray matter bright)",
    "auprc_juxtacortical": f"as auprc_brain, but within {DISTANCE_MM:g} mm of cortex",
}


def likeness(voxels: np.ndarray, dictionary: np.ndarray, target: Reference) -> dict[str, float | None]:
    """Figures of DEFINITIONS that compare a synthetic DIR with the dictionary DIR, arrays (k, j, i)."""
    brain = target.tissues != OUTSIDE
    free = brain & (target.lesions == 0) & ~target.ignored
    white = free & (target.tissues == WHITE)
    chosen = np.flatnonzero(free)
    chosen = chosen[np.linspace(0, chosen.size - 1, min(RANK_SAMPLE, chosen.size)).astype(int)]
    correlation = stats.spearmanr(voxels.ravel()[chosen], dictionary.ravel()[chosen]).statistic
    lesion = target.lesions > 0
    interval = lesion_to_gray(dictionary, target, INTERVAL_PERCENT) if lesion.any() else None
    return {
        "zero_share": float(np.mean(voxels[white] == 0)),
        "zero_share_dictionary": float(np.mean(dictionary[white] == 0)),
        "rank_correlation": float(correlation),
        "lesion_to_gray": lesion_to_gray(voxels, target, (50.0,))[0] if lesion.any() else None,
        "lesion_to_gray_interval": interval,
    }


def lesion_to_gray(voxels: np.ndarray, target: Reference, percentiles: tuple[float, ...]) -> list[float]:
    """Percentiles of the lesion voxels over the median of cortex."""
    cortex = float(np.median(voxels[target.maps.cortex])) or 1e-9
    return [float(v) / cortex for v in np.percentile(voxels[target.lesions > 0], percentiles)]


def other_regions(voxels: np.ndarray, target: Reference) -> dict[str, float | None]:
    """Area under the precision-recall curve in the whole brain and in the juxtacortical band, for information."""
    brain = (target.tissues != OUTSIDE) & ~target.ignored
    band = brain & (target.maps.to_cortex <= DISTANCE_MM)
    return {
        name: average_precision(voxels[part], target.lesions[part] > 0)
        for name, part in (("auprc_brain", brain), ("auprc_juxtacortical", band))
    }


def histogram_matched(voxels: np.ndarray, like: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """`voxels` after the monotone map that gives them the histogram of `like` in the brain; zero outside."""
    order = np.argsort(voxels[brain], kind="stable")
    matched = np.empty(order.size, dtype=np.float32)
    matched[order] = np.sort(like[brain])
    result = np.zeros(voxels.shape, dtype=np.float32)
    result[brain] = matched
    return result


def mean_contrast(voxels: np.ndarray, target: Reference) -> float | None:
    """Mean contrast-to-noise ratio over the lesions."""
    rows: list[dict[str, Any]] = contrast_of_lesions(voxels, target)
    values = [row["cnr"] for row in rows if row["cnr"] is not None]
    return float(np.mean(values)) if values else None
