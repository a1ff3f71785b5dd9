"""Label maps without any download: the ICBM 2009a brain (T1, gray and white matter) that comes inside nilearn.

An average of 152 people: smooth, without head, sulci less deep than in one person. Good for demonstration and tests;
train on label maps of single people.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import ResourceError
from ..volume import Grid

LEFT, RIGHT = {"white": 2, "gray": 3, "ventricle": 4}, {"white": 41, "gray": 42, "ventricle": 43}
FLUID = 24


def template_labels(*, resolution_mm: int = 1) -> tuple[np.ndarray, Grid]:
    """Label map of the ICBM 2009a brain, int32 (k, j, i), in FreeSurfer numbering, and its grid in MNI space.

    Args:
        resolution_mm: 1 or more, whole millimetres.

    Raises:
        ResourceError: nilearn is not installed.
    """
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ResourceError("The template brain needs nilearn; install it with: pip install nilearn.") from error
    load = {
        "t1": datasets.load_mni152_template,
        "gray": datasets.load_mni152_gm_template,
        "white": datasets.load_mni152_wm_template,
    }
    images = {name: loader(resolution=resolution_mm) for name, loader in load.items()}
    arrays = {name: np.asarray(image.dataobj, dtype=np.float32).T for name, image in images.items()}
    return _labels(arrays, images["t1"].affine), Grid(arrays["t1"].shape, images["t1"].affine)


def _labels(arrays: dict[str, np.ndarray], affine: np.ndarray) -> np.ndarray:
    brain = ndimage.binary_fill_holes(arrays["t1"] > 0.05 * arrays["t1"].max())
    fluid = np.clip(1 - arrays["gray"] - arrays["white"], 0, 1)
    winner = np.argmax([fluid, arrays["gray"], arrays["white"]], axis=0)
    labels = np.where(brain, FLUID, 0).astype(np.int32)
    on_left = Grid(brain.shape, affine).index_to_ras(_indices(brain.shape))[..., 0] < 0
    inner = brain & (winner == 0) & ndimage.binary_erosion(brain, iterations=max(round(25 / abs(affine[0, 0])), 1))
    for mask, name in ((winner == 1, "gray"), (winner == 2, "white"), (inner, "ventricle")):
        labels[brain & mask & on_left] = LEFT[name]
        labels[brain & mask & ~on_left] = RIGHT[name]
    return labels


def _indices(shape: tuple[int, ...]) -> np.ndarray:
    """Voxel indices (k, j, i, 3) in (i, j, k) order."""
    return np.moveaxis(np.indices(shape)[::-1], 0, -1)
