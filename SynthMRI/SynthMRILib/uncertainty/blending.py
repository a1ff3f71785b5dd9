"""A volume that shows the synthetic result where it can be trusted and fades to the acquired volume where it cannot."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..intensity import reference_intensity
from ..volume import Volume
from .limits import USUAL_LIMIT

#: Below this multiple of the limit (see `limits`) all is synthetic; from `GONE` on all is acquired; linear in between.
FADING, GONE = 0.5, 1.5


def gated_blend(synthetic: Volume, acquired: Volume, total: Volume, *, limit: float = USUAL_LIMIT) -> Volume:
    """The blend on the grid of the synthetic volume.

    Args:
        synthetic: the result.
        acquired: what it was made from, of the same contrast and in the same units, on any grid.
        total: standard deviations on the grid of `synthetic`.
        limit: what counts as high, per cent of the reference intensity.

    Raises:
        InputError: the map lies on another grid than the result, or the result holds no signal.
    """
    if not total.grid.matches(synthetic.grid, tolerance=1e-3):
        raise InputError("The uncertainty map does not lie on the grid of the synthetic volume.")
    unit = reference_intensity(synthetic.voxels)
    if unit <= 0:
        raise InputError("The synthetic volume holds no positive signal, so there is nothing to blend.")
    share = np.clip((100 * total.voxels / unit / limit - FADING) / (GONE - FADING), 0, 1)
    there = resampled(acquired, synthetic)
    return synthetic.with_voxels(synthetic.voxels * (1 - share) + there * share)


def resampled(volume: Volume, onto: Volume, *, labels: bool = False) -> np.ndarray:
    """Voxels of a volume on another grid, float32 (k, j, i): linear and held constant beyond its border.

    Labels come from the nearest voxel, and are 0 beyond the border.
    """
    matrix = np.linalg.inv(volume.grid.ijk_to_ras) @ onto.grid.ijk_to_ras
    return ndimage.affine_transform(
        volume.voxels,
        matrix[:3, :3][::-1, ::-1],
        matrix[:3, 3][::-1],
        output_shape=onto.shape,
        order=0 if labels else 1,
        mode="grid-constant" if labels else "nearest",
    )
