"""Regions of lesions from tissue fits and distances, without an atlas; the rule is printed with every figure.

The four regions and their order follow the McDonald criteria as used in reader studies of synthetic DIR. The place of
the tentorium is only approximated, from the size of the brain, unless a mask of brain stem and cerebellum is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..dir_synthesis.tissue_fit import CSF, GRAY, OUTSIDE
from ..volume import Grid

INFRATENTORIAL, PERIVENTRICULAR, JUXTACORTICAL, SUBCORTICAL = REGIONS = (
    "infratentorial",
    "periventricular",
    "juxtacortical",
    "subcortical",
)
DISTANCE_MM = 3.0
#: Fluid deeper than this below the surface of the brain, and the rest of its connected part, is ventricle.
VENTRICLE_DEPTH_MM = 15.0
#: Gray matter deeper than this below the surface is not taken for cortex.
CORTEX_DEPTH_MM = 20.0
#: From front to back of the average (MNI) brain and from its top down to the plane of the origin [mm].
_MNI_LENGTH, _MNI_FRONT, _MNI_TOP = 177.0, 72.0, 81.0
REGION_RULE = (
    "first that applies: infratentorial, half of the lesion or more lies in the given mask of brain stem and "
    "cerebellum or, without one, below a roof scaled from the average brain to this brain (approximate); "
    f"periventricular, a voxel within {DISTANCE_MM:g} mm of ventricle (fluid of the tissue fit more than "
    f"{VENTRICLE_DEPTH_MM:g} mm below the brain's surface); juxtacortical, a voxel within {DISTANCE_MM:g} mm of cortex "
    f"(gray matter of the tissue fit in its largest connected part after lesions dilated by 2 voxels are taken out, at "
    f"most {CORTEX_DEPTH_MM:g} mm below the surface); otherwise subcortical"
)


@dataclass(frozen=True, eq=False)
class RegionMaps:
    """What the regions are decided by.

    Args:
        infratentorial: boolean (k, j, i).
        to_ventricle, to_cortex: distance of every voxel [mm], float32 (k, j, i); infinite where there is none.
        cortex: boolean (k, j, i).
    """

    infratentorial: np.ndarray
    to_ventricle: np.ndarray
    to_cortex: np.ndarray
    cortex: np.ndarray

    def region_of(self, lesion: np.ndarray) -> str:
        """Region of a lesion given by its voxels, integers (voxels, 3) in (k, j, i)."""
        at = tuple(np.asarray(lesion).T)
        if self.infratentorial[at].mean() >= 0.5:
            return INFRATENTORIAL
        if self.to_ventricle[at].min() <= DISTANCE_MM:
            return PERIVENTRICULAR
        if self.to_cortex[at].min() <= DISTANCE_MM:
            return JUXTACORTICAL
        return SUBCORTICAL


def region_maps(
    tissues: np.ndarray, lesions: np.ndarray, grid: Grid, *, infratentorial: np.ndarray | None = None
) -> RegionMaps:
    """Maps of a brain.

    Args:
        tissues: labels of `tissue_fit.TissueFit` (k, j, i).
        lesions: boolean (k, j, i).
        infratentorial: brain stem and cerebellum, boolean (k, j, i), where known.
    """
    brain = ndimage.binary_fill_holes(tissues != OUTSIDE)
    sampling = grid.spacing[::-1]
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=sampling)[1:-1, 1:-1, 1:-1]
    below = infratentorial if infratentorial is not None else approximately_infratentorial(brain, grid)
    gray = (tissues == GRAY) & ~ndimage.binary_dilation(lesions, iterations=2) & (depth <= CORTEX_DEPTH_MM)
    cortex = largest_part(gray)
    ventricle = (tissues == CSF) & (depth > VENTRICLE_DEPTH_MM) & ~lesions & ~below
    ventricle = ndimage.binary_opening(ventricle) if ventricle.any() else ventricle
    return RegionMaps(below, _distance(ventricle, sampling), _distance(cortex, sampling), cortex)


def approximately_infratentorial(brain: np.ndarray, grid: Grid) -> np.ndarray:
    """Voxels below an approximate tentorium: a roof that falls to the sides and to the back. Boolean (k, j, i)."""
    index = np.argwhere(brain)
    if not len(index):
        return np.zeros(brain.shape, dtype=bool)
    ras = grid.index_to_ras(index[:, ::-1])
    front, back, top = ras[:, 1].max(), ras[:, 1].min(), ras[:, 2].max()
    scale = max(front - back, 1.0) / _MNI_LENGTH
    x = np.abs(ras[:, 0] - np.median(ras[:, 0])) / scale
    y = (ras[:, 1] - front) / scale + _MNI_FRONT
    z = (ras[:, 2] - top) / scale + _MNI_TOP
    roof = -2.0 - 0.45 * x - 0.25 * np.maximum(-45.0 - y, 0)
    cerebellum = (y < -35) & (y > -100) & (z < roof)
    stem = (y < -10) & (y >= -45) & (x < 20) & (z < -8)
    found = np.zeros(brain.shape, dtype=bool)
    found[tuple(index[cerebellum | stem].T)] = True
    return found


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest face-connected part of a mask."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _distance(mask: np.ndarray, sampling: tuple[float, ...]) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return ndimage.distance_transform_edt(~mask, sampling=sampling).astype(np.float32)
