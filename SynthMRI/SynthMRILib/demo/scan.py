"""The reference of the demo and the coarse, noisy scan that is simulated from it.

Reference: the ICBM 2009a nonlinear asymmetric T1w template, brain only, 1 mm, as it comes inside nilearn (nothing is
downloaded), or any volume the user names. Its source: Fonov et al., NeuroImage 54 (2011), 313-327.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..evaluation.degrade import degrade
from ..evaluation.metrics import quality_mask
from ..intensity import reference_intensity
from ..simulation.noise import magnitude_noise
from ..volume import Grid, Volume

FACTOR = 2
#: Standard deviation of the noise in each channel as a part of the reference intensity (99.5th percentile).
NOISE = 0.02
#: Air left around the head [voxels].
MARGIN = 6

TEMPLATE_NAME = "the ICBM 2009a T1w template"
TEMPLATE_NOTICE = (
    "ICBM 2009a template: Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological "
    "Institute, McGill University. Permission to use, copy, modify, and distribute this software and its documentation "
    "for any purpose and without fee is hereby granted, provided that the above copyright notice appear in all copies. "
    "The authors and McGill University make no representations about the suitability of this software for any purpose. "
    'It is provided "as is" without express or implied warranty.'
)


def load_template() -> Volume:
    """The template at 1 mm, brain only. Raises InputError when nilearn is missing."""
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise InputError("The demo takes its template from nilearn: pip install 'synthmri[demo]'.") from error
    image = load_mni152_template(resolution=1)
    voxels = np.ascontiguousarray(np.asarray(image.dataobj, dtype=np.float32).T)
    return Volume(voxels, Grid(voxels.shape, image.affine))


def trimmed(volume: Volume, *, margin: int = MARGIN, multiple: int = FACTOR) -> Volume:
    """The box around the head with some air, its shape divisible by `multiple`. Physical positions stay."""
    where = np.nonzero(quality_mask(volume.voxels))
    start = [max(int(axis.min()) - margin, 0) for axis in where]
    stop = [min(int(axis.max()) + 1 + margin, n) for axis, n in zip(where, volume.shape)]
    stop = [low + (high - low) // multiple * multiple for low, high in zip(start, stop)]
    voxels = volume.voxels[tuple(slice(low, high) for low, high in zip(start, stop))]
    shift = np.eye(4)
    shift[:3, 3] = start[::-1]
    return volume.with_voxels(voxels, Grid(voxels.shape, volume.grid.ijk_to_ras @ shift))


def simulate_scan(reference: Volume, *, seed: int, factor: int = FACTOR, noise: float = NOISE) -> Volume:
    """A scan of the reference with voxels `factor` times as long, by truncated k-space, with Rician noise.

    Args:
        seed: seed of the noise.
        noise: standard deviation in each channel as a part of the reference intensity.
    """
    coarse = degrade(reference, "kspace", factor=factor)
    sigma = noise * reference_intensity(reference.voxels)
    return coarse.with_voxels(magnitude_noise(coarse.voxels, sigma, rng=np.random.default_rng(seed)))
