"""Which region a marked lesion lies in: a proposal from labels, which the reader may overrule.

Rule: infratentorial before periventricular before juxtacortical before subcortical; periventricular and juxtacortical
mean within 3 mm of a ventricle and of the cortex. The labels come from the user's own segmentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from ..volume import Volume
from .schema import REGIONS

NEAR = 3.0
#: Rounding of positions [mm].
TOLERANCE = 1e-6


def region_map(segmentation: Volume, tissues: Mapping[str, Sequence[int]], *, near: float = NEAR) -> Volume:
    """Label volume of regions: voxel value n stands for `REGIONS[n - 1]`, 0 for outside the brain.

    Args:
        segmentation: label volume.
        tissues: labels of "ventricle", "cortex" and "infratentorial"; all other labels above 0 are brain.
        near: how near [mm] to ventricle or cortex a voxel must be.
    """
    labels = np.rint(segmentation.voxels).astype(int)
    is_in = {tissue: np.isin(labels, list(values)) for tissue, values in tissues.items()}
    spacing = segmentation.spacing[::-1]
    regions = np.where(labels > 0, REGIONS.index("subcortical") + 1, 0)
    regions[_near(is_in["cortex"], spacing, near) & (labels > 0)] = REGIONS.index("juxtacortical") + 1
    regions[_near(is_in["ventricle"], spacing, near) & (labels > 0)] = REGIONS.index("periventricular") + 1
    regions[is_in["infratentorial"]] = REGIONS.index("infratentorial") + 1
    return segmentation.with_voxels(regions.astype(np.float32))


def proposed_region(regions: Volume, ras: Sequence[float], names: Sequence[str], *, near: float = NEAR) -> str | None:
    """Region of the labeled voxel nearest to a mark, None when there is none within `near`.

    Args:
        regions: label volume; value n stands for `names[n - 1]` (the role "regions" of a case).
        ras: place of the mark [mm].
        names: regions of the question, in order.
        near: how far [mm] the nearest labeled voxel may be.
    """
    center = regions.grid.ras_to_index(np.asarray(ras, dtype=float))[::-1]
    reach = np.ceil(near / np.array(regions.spacing[::-1]))
    start = np.maximum(np.rint(center - reach), 0).astype(int)
    stop = np.minimum(np.rint(center + reach) + 1, regions.shape).astype(int)
    if (stop <= start).any():
        return None
    box = np.rint(regions.voxels[tuple(slice(a, b) for a, b in zip(start, stop))]).astype(int)
    found = np.argwhere((box > 0) & (box <= len(names)))
    if not len(found):
        return None
    distances = np.linalg.norm(regions.grid.index_to_ras((found + start)[:, ::-1]) - np.asarray(ras), axis=1)
    nearest = int(distances.argmin())
    return names[box[tuple(found[nearest])] - 1] if distances[nearest] <= near + TOLERANCE else None


def _near(mask: np.ndarray, spacing: Sequence[float], near: float) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask, sampling=spacing) <= near + TOLERANCE if mask.any() else mask
