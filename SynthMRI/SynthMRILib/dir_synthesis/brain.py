"""A rough brain mask for whole heads, by thresholds and morphology, when no better one is given.

After the idea of Lemieux et al., Magn Reson Med 1999, but much simpler: what is about as bright as the middle of the
head, cut loose from scalp by an erosion, its largest part grown back and filled. It takes some meninges and veins along
and may lose a rim of cortex. Registration, intensity matching and subtraction can live with that; volumes cannot be
measured with it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..volume import Volume

WORK_MM = 2.0
#: Of the intensity in the middle of the head: what is darker or brighter is not taken for brain at first.
DARKEST, BRIGHTEST = 0.5, 1.9
CORE_MM = 35.0
LOOSE_MM = 5.0
CLOSING_MM = 10.0
SMALLEST_ML, LARGEST_ML = 600.0, 2200.0
RULE = "rough brain mask by thresholds and morphology of the whole head"


def rough_brain(volume: Volume) -> np.ndarray:
    """Brain of a whole head (FLAIR or T1w), boolean (k, j, i) on the volume's grid.

    Raises:
        InputError: what was found has not the size of a brain.
    """
    steps = np.array([WORK_MM / s for s in volume.spacing[::-1]])
    size = [max(8, round(n / step)) for n, step in zip(volume.shape, steps)]
    smooth = ndimage.gaussian_filter(volume.voxels, 0.4 * np.maximum(steps - 0.5, 0))
    coarse = ndimage.zoom(smooth, [n / m for n, m in zip(size, volume.shape)], order=1, grid_mode=True, mode="nearest")
    spacing = tuple(s * m / n for s, m, n in zip(volume.spacing[::-1], volume.shape, size))
    brain = _coarse_brain(coarse, spacing)
    milliliters = float(np.count_nonzero(brain) * np.prod(spacing) / 1000)
    if not SMALLEST_ML <= milliliters <= LARGEST_ML:
        raise InputError(
            f"No brain was found in the head by itself ({milliliters:.0f} ml); give a brain mask or a stripped volume."
        )
    factors = [m / n for n, m in zip(size, volume.shape)]
    fine = ndimage.zoom(brain.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    return fine > 0.5


def _coarse_brain(voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    head = voxels > 0.15 * np.percentile(voxels, 98)
    distance = _distance_from(_middle(head, spacing), voxels.shape, spacing)
    tissue = float(np.median(voxels[(distance < CORE_MM) & head]))
    candidates = (voxels > DARKEST * tissue) & (voxels < BRIGHTEST * tissue)
    eroded = _within(~candidates, spacing) > LOOSE_MM
    core = _largest(eroded, distance)
    grown = (_within(core, spacing) <= LOOSE_MM + 1.0) & candidates
    closed = _within(~(_within(grown, spacing) <= CLOSING_MM), spacing) > CLOSING_MM
    return ndimage.binary_fill_holes(_largest(closed, distance))


def _middle(head: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """A point in the middle of the head's upper part: its farthest voxel from air, if not too low."""
    depth = _within(~head, spacing)
    return np.array(np.unravel_index(int(depth.argmax()), head.shape), dtype=float)


def _distance_from(point: np.ndarray, shape, spacing) -> np.ndarray:
    index = np.indices(shape, dtype=np.float32)
    return np.sqrt(sum(((index[a] - point[a]) * spacing[a]) ** 2 for a in range(3)))


def _within(mask: np.ndarray, spacing) -> np.ndarray:
    """Distance of every voxel from the mask [mm]; beyond the array counts as neither."""
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return ndimage.distance_transform_edt(~mask, sampling=spacing)


def _largest(mask: np.ndarray, distance: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels[distance < 2 * CORE_MM], minlength=count + 1)
    sizes[0] = 0
    return labels == sizes.argmax() if sizes.any() else mask
