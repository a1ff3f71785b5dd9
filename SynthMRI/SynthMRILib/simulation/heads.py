"""Whole heads of any contrast from a label map: sharp, noise-free volumes on which networks learn what edges look like.

A short way through `subject` and `protocols` for training that needs one volume and no masks.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import protocols, subject
from .fields import smooth_field
from .tissue import BRAIN_LABELS

CONTRASTS = ("t1w", "t2w", "flair", "t1w-contrast-enhanced", "random", "pd", "dir")


def simulate_head(
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    contrast: str,
    voxel_mm: float = 1.0,
    bias: float = 0.0,
    deformed: bool = False,
) -> np.ndarray:
    """A noise-free head volume, sharp along every axis.

    Args:
        labels: integers (k, j, i), FreeSurfer numbering with 5xx for extra-cerebral tissue.
        rng: everything random is drawn from it.
        contrast: one of CONTRASTS; "random" gives every tissue an arbitrary intensity.
        voxel_mm: voxel size of the label map [mm].
        bias: standard deviation of the logarithm of a smooth intensity bias; 0 for none.
        deformed: change the shape of the head; the result then no longer lies on `labels`.

    Returns:
        float32 (k, j, i), zero in air, 99.5th percentile of the non-zero voxels 1.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"unknown contrast {contrast!r}; known: {', '.join(CONTRASTS)}")
    record = subject.draw(rng, deformed=deformed, lesions_probability=0.4)
    person = subject.apply(record, labels, spacing=(voxel_mm,) * 3)
    image = person.volume(protocols.draw(rng, contrast))
    if bias > 0:
        image *= np.exp(bias * smooth_field(image.shape, rng, length=80.0 / voxel_mm))
    return normalized(image)


def normalized(image: np.ndarray) -> np.ndarray:
    """The image divided by the 99.5th percentile of its non-zero voxels, float32."""
    foreground = image[image > 0]
    scale = np.percentile(foreground, 99.5) if foreground.size else 1.0
    return (image / np.float32(scale if scale > 0 else 1.0)).astype(np.float32)


def strip(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with everything outside the brain set to zero, with a margin of about one voxel of fluid."""
    mask = ndimage.binary_fill_holes(ndimage.binary_closing(np.isin(labels, BRAIN_LABELS), iterations=2))
    return np.where(ndimage.binary_dilation(mask), image, 0).astype(np.float32)
