"""How well lesions stand out in a volume: contrast, suppression, and intensity as a detector; with definitions printed.

AUPRC and recall depend on the ranks of intensities alone, so no gray-scale curve can raise them; contrast-to-noise
ratio and lesion-to-background ratio can be raised by clipping, and are for comparison only between volumes whose
histograms were matched. Average precision as in Davis and Goadrich 2006 (step-wise, no interpolation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from ..dir_synthesis.tissue_fit import CSF, TISSUE_RULE, WHITE
from ..errors import InputError
from ..volume import Grid
from .regions import REGION_RULE, REGIONS, RegionMaps, region_maps

SMALLEST_MM3 = 3.0
NORMAL_DISTANCE_MM = 3.0
FALSE_POSITIVES = (1, 2, 5)
CANDIDATE_MM3 = 5.0
TRUE_SHARE = 0.2
THRESHOLDS = 100
#: Highest share of the search region above a threshold that is tried.
LARGEST_SHARE = 0.05
CONNECTED = np.ones((3, 3, 3), dtype=bool)

DEFINITIONS = {
    "lesion": f"26-connected part of the reference mask of at least {SMALLEST_MM3:g} mm3; smaller parts count nowhere",
    "normal_white_matter": f"white matter of the tissue fit more than {NORMAL_DISTANCE_MM:g} mm from any lesion",
    "cnr": "(mean of lesion - mean of normal white matter) / standard deviation of normal white matter",
    "lbr": "mean of lesion / mean of normal white matter",
    "suppression": "median of white matter, or of fluid, over median of cortex (lesions left out)",
    "search_region": "white matter and fluid of the tissue fit, and lesions; gray matter and its rim left out",
    "auprc": "area under the precision-recall curve of intensity for lesion voxels in the search region (step-wise)",
    "recall": (
        "share of lesions found by a threshold on intensity in the search region; candidates are 26-connected parts "
        f"of at least {CANDIDATE_MM3:g} mm3; one is true when at least {TRUE_SHARE:.0%} of its voxels are lesion, and "
        "finds every lesion it touches; the best recall over thresholds with at most so many false candidates per scan"
    ),
    "tissues": TISSUE_RULE,
    "regions": REGION_RULE,
}


@dataclass(frozen=True, eq=False)
class Reference:
    """What figures of a scan are taken against.

    Args:
        lesions: int32 (k, j, i), number of the lesion or 0.
        regions: region of each lesion, in the order of their numbers from 1.
        tissues: labels of `tissue_fit.TissueFit` (k, j, i).
        maps: where the regions are.
        ignored: parts of the mask that are too small, boolean (k, j, i).
        grid: of all.
    """

    lesions: np.ndarray
    regions: list[str]
    tissues: np.ndarray
    maps: RegionMaps
    ignored: np.ndarray
    grid: Grid

    @cached_property
    def search_region(self) -> np.ndarray:
        """Boolean (k, j, i); see DEFINITIONS."""
        return (((self.tissues == WHITE) | (self.tissues == CSF)) & ~self.ignored) | (self.lesions > 0)

    @cached_property
    def normal_white_matter(self) -> np.ndarray:
        """Boolean (k, j, i); see DEFINITIONS."""
        away = ndimage.distance_transform_edt((self.lesions == 0) & ~self.ignored, sampling=self.grid.spacing[::-1])
        return (self.tissues == WHITE) & (away > NORMAL_DISTANCE_MM)


def reference(
    mask: np.ndarray, tissues: np.ndarray, grid: Grid, *, infratentorial: np.ndarray | None = None
) -> Reference:
    """Number the lesions of a mask and find their regions.

    Args:
        mask: lesions, boolean or numbers (k, j, i).
        tissues: labels of `tissue_fit.TissueFit` (k, j, i).
        infratentorial: brain stem and cerebellum, where known.

    Raises:
        InputError: shapes differ.
    """
    mask = np.asarray(mask) > 0
    if mask.shape != tissues.shape:
        raise InputError("The lesion mask and the volume differ in shape; resample the mask to the volume first.")
    labels, count = ndimage.label(mask, structure=CONNECTED)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * float(np.prod(grid.spacing))
    kept = [n for n in range(1, count + 1) if sizes[n] >= SMALLEST_MM3]
    numbers = np.zeros(count + 1, dtype=np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    lesions = numbers[labels]
    maps = region_maps(tissues, mask, grid, infratentorial=infratentorial)
    places = ndimage.find_objects(lesions)
    regions = []
    for number, place in enumerate(places, start=1):
        voxels = np.argwhere(lesions[place] == number) + [s.start for s in place]
        regions.append(maps.region_of(voxels))
    return Reference(lesions, regions, tissues, maps, mask & (lesions == 0), grid)


def figures(voxels: np.ndarray, target: Reference) -> dict[str, Any]:
    """All figures of a volume (k, j, i) on the reference's grid: JSON types, None where a figure is not defined."""
    if voxels.shape != target.lesions.shape:
        raise InputError("The volume and the lesion mask differ in shape; resample one to the other first.")
    rows = contrast_of_lesions(voxels, target)
    region = target.search_region
    return {
        "lesions": rows,
        "by_region": by_region(rows),
        "suppression": suppression(voxels, target),
        "auprc": average_precision(voxels[region], target.lesions[region] > 0),
        "recall_at_false_positives": recall_at(voxels, target),
    }


def contrast_of_lesions(voxels: np.ndarray, target: Reference) -> list[dict[str, Any]]:
    """Region, volume [mm3], CNR and LBR of every lesion."""
    normal = voxels[target.normal_white_matter]
    if not normal.size or not target.regions:
        return []
    mean, deviation = float(normal.mean()), float(normal.std())
    numbers = np.arange(1, len(target.regions) + 1)
    means = ndimage.mean(voxels, target.lesions, numbers)
    sizes = np.bincount(target.lesions.ravel())[1:] * float(np.prod(target.grid.spacing))
    return [
        {
            "number": int(number),
            "region": region,
            "volume_mm3": float(size),
            "cnr": (float(value) - mean) / deviation if deviation > 0 else None,
            "lbr": float(value) / mean if mean > 0 else None,
        }
        for number, region, size, value in zip(numbers, target.regions, sizes, means)
    ]


def by_region(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Number of lesions and their mean CNR and LBR by region, and over all."""
    found = {}
    for region in (*REGIONS, "all"):
        own = [row for row in rows if region in (row["region"], "all")]
        entry: dict[str, Any] = {"lesions": len(own)}
        for name in ("cnr", "lbr"):
            values = [row[name] for row in own if row[name] is not None]
            entry[name] = float(np.mean(values)) if values else None
        found[region] = entry
    return found


def suppression(voxels: np.ndarray, target: Reference) -> dict[str, float | None]:
    """Median of white matter and of fluid over that of cortex; "fluid_core" is fluid two voxels from its border."""
    cortex = voxels[target.maps.cortex]
    middle = float(np.median(cortex)) if cortex.size else 0.0
    free = (target.lesions == 0) & ~target.ignored
    fluid = (target.tissues == CSF) & free
    parts = {
        "white_matter": (target.tissues == WHITE) & free,
        "fluid": fluid,
        "fluid_core": ndimage.binary_erosion(fluid, iterations=2),
    }
    return {
        name: float(np.median(voxels[part])) / middle if middle > 0 and part.any() else None
        for name, part in parts.items()
    }


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Area under the precision-recall curve, ties taken together; None without a true voxel."""
    positives = int(np.count_nonzero(truth))
    if positives == 0:
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    precision, recall = hits[last] / (last + 1), hits[last] / positives
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def recall_at(voxels: np.ndarray, target: Reference) -> dict[str, float | None]:
    """Lesion-wise recall at FALSE_POSITIVES false candidates per scan; see DEFINITIONS."""
    if not target.regions:
        return {str(limit): None for limit in FALSE_POSITIVES}
    best = dict.fromkeys(FALSE_POSITIVES, 0.0)
    for found, false in operating_points(voxels, target):
        for limit in FALSE_POSITIVES:
            if false <= limit:
                best[limit] = max(best[limit], found / len(target.regions))
    return {str(limit): value for limit, value in best.items()}


def operating_points(voxels: np.ndarray, target: Reference) -> list[tuple[int, int]]:
    """(lesions found, false candidates) at THRESHOLDS thresholds from high to low, spaced evenly in log rank."""
    region = target.search_region
    values = np.sort(voxels[region])[::-1]
    ranks = np.geomspace(5, max(LARGEST_SHARE * values.size, 6), THRESHOLDS).astype(int)
    thresholds = np.unique(values[np.minimum(ranks, values.size - 1)])[::-1]
    cloud = _Cloud.of(np.where(region, voxels, -np.inf), target, lowest=thresholds[-1])
    return [cloud.candidates(threshold) for threshold in thresholds]


@dataclass(frozen=True, eq=False)
class _Cloud:
    """The voxels above the lowest threshold and which of them touch: faster than labeling the volume every time.

    Args:
        values: intensity; numbers: lesion or 0; both (voxels,).
        pairs: indices of touching voxels (2, pairs); joined: the lower of both intensities, (pairs,).
        voxel_mm3: volume of a voxel.
    """

    values: np.ndarray
    numbers: np.ndarray
    pairs: np.ndarray
    joined: np.ndarray
    voxel_mm3: float

    @classmethod
    def of(cls, voxels: np.ndarray, target: Reference, *, lowest: float) -> _Cloud:
        mask = np.pad(voxels >= lowest, 1)
        names = np.full(mask.shape, -1, dtype=np.int32)
        names[mask] = np.arange(np.count_nonzero(mask))
        flat, at = names.ravel(), np.flatnonzero(mask)
        strides = np.array([mask.shape[1] * mask.shape[2], mask.shape[2], 1])
        offsets = [int(o @ strides) for o in np.argwhere(CONNECTED) - 1]
        found = []
        for offset in [o for o in offsets if o > 0]:
            other = flat[at + offset]
            found.append(np.stack([flat[at][other >= 0], other[other >= 0]]))
        pairs = np.concatenate(found, axis=1)
        inside = mask[1:-1, 1:-1, 1:-1]
        values = voxels[inside]
        joined = np.minimum(values[pairs[0]], values[pairs[1]])
        return cls(values, target.lesions[inside], pairs, joined, float(np.prod(target.grid.spacing)))

    def candidates(self, threshold: float) -> tuple[int, int]:
        """(lesions found, false candidates) at a threshold, by the fixed rule of DEFINITIONS."""
        kept, there = self.joined >= threshold, self.values >= threshold
        first, second = self.pairs[:, kept]
        graph = sparse.coo_matrix((np.ones(first.size, dtype=bool), (first, second)), shape=(there.size,) * 2)
        count, names = csgraph.connected_components(graph, directed=False)
        names, numbers = names[there], self.numbers[there]
        sizes = np.bincount(names, minlength=count)
        inside = np.bincount(names, weights=numbers > 0, minlength=count)
        large = sizes * self.voxel_mm3 >= CANDIDATE_MM3
        true = large & (inside >= TRUE_SHARE * np.maximum(sizes, 1))
        found = np.unique(numbers[true[names] & (numbers > 0)])
        return len(found), int(np.count_nonzero(large & ~true))
