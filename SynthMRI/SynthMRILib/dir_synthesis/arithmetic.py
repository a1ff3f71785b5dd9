"""The arithmetic that anyone can do in a minute, and that every other synthetic DIR has to beat.

FLAIR x T2 brightens what is bright in both, FLAIR - k T1 darkens white matter; contrasts are first scaled so that white
matter is 1. Both have no physics of double inversion in them. A Gaussian blur raises the figures of a detector that
looks at single voxels, so each comes plain and blurred.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from ..errors import InputError
from .tissue_fit import WHITE, TissueFit

#: Formula -> the contrasts it takes.
FORMULAS = {"flair-minus-t1": ("flair", "t1"), "flair-times-t2": ("flair", "t2")}
T1_FACTOR = 0.3


def available_formulas(contrasts: Mapping[str, object] | set[str]) -> list[str]:
    """Formulas that the contrasts given suffice for."""
    return [name for name, needed in FORMULAS.items() if set(needed) <= set(contrasts)]


def combine(
    formula: str,
    contrasts: Mapping[str, np.ndarray],
    brain: np.ndarray,
    tissues: TissueFit,
    *,
    factor: float = T1_FACTOR,
) -> np.ndarray:
    """The formula inside the brain, float32 (k, j, i), not negative, zero outside.

    Args:
        formula: one of FORMULAS.
        contrasts: arrays (k, j, i) on one grid by name.
        tissues: fit whose white matter becomes 1 in each contrast.
        factor: k of "flair-minus-t1".

    Raises:
        InputError: unknown formula, or a contrast it needs is missing.
    """
    if formula not in available_formulas(contrasts):
        raise InputError(f"The formula '{formula}' is unknown or lacks a contrast; known: {', '.join(FORMULAS)}.")
    flair, other = (contrasts[n] / np.float32(tissues.means[n][WHITE]) for n in FORMULAS[formula])
    result = flair * other if formula == "flair-times-t2" else flair - np.float32(factor) * other
    return np.where(brain, np.maximum(result, 0), 0).astype(np.float32)


def smoothed(
    voxels: np.ndarray, brain: np.ndarray, *, sigma_mm: float, spacing: tuple[float, float, float]
) -> np.ndarray:
    """Gaussian blur that does not mix in what is outside of the brain; 0 mm gives the same array."""
    if sigma_mm == 0:
        return voxels
    sigma = tuple(sigma_mm / s for s in spacing[::-1])
    inside = ndimage.gaussian_filter(brain.astype(np.float32), sigma)
    blurred = ndimage.gaussian_filter(np.where(brain, voxels, 0).astype(np.float32), sigma)
    return np.where(brain, blurred / np.maximum(inside, 1e-3), 0).astype(np.float32)
