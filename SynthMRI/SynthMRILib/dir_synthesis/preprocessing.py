"""Bring FLAIR, T1w and T2w of one examination to the FLAIR grid, with a brain mask, before any synthesis.

Everything done is recorded; the result of a synthesis lies on the untouched FLAIR grid, so there is nothing to undo.
N4 is that of Tustison et al. 2010 (SimpleITK).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import InputError
from ..itk_io import image_from_volume, quiet_simpleitk
from ..progress import Progress, no_progress
from ..volume import Grid, Volume
from .registration import SMALLEST_MM, register, resampled

CONTRASTS = ("flair", "t1", "t2")
#: A stripped volume has at least this share of its voxels exactly zero; a whole head with air noise far less.
STRIPPED_BACKGROUND = 0.3
LEAST_BRAIN_ML = 1.0
BRAIN_RULE = "voxels of FLAIR that are not zero, largest connected part, holes filled"
N4_SHRINK = 4
N4_ITERATIONS = (30, 20, 10)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Contrasts on the FLAIR grid.

    Args:
        contrasts: float32 arrays (k, j, i) by name.
        covered: boolean (k, j, i) by name: where the contrast has data.
        brain: boolean (k, j, i).
        grid: of FLAIR.
        facts: what was done, JSON types.
    """

    contrasts: dict[str, np.ndarray]
    covered: dict[str, np.ndarray]
    brain: np.ndarray
    grid: Grid
    facts: dict[str, Any]


def prepare(
    inputs: Mapping[str, Volume],
    *,
    registered: bool = False,
    bias_correction: bool = False,
    progress: Progress = no_progress,
) -> Prepared:
    """Register, mask and, if asked for, correct the bias of the inputs.

    Args:
        inputs: "flair" and any of "t1", "t2", "mask" (brain, any grid).
        registered: the volumes are aligned already in physical space; only resample where grids differ.
        bias_correction: run N4 on each contrast.

    Raises:
        InputError: no brain mask and FLAIR is not stripped; the mask is no brain; registration failed.
    """
    flair = inputs["flair"]
    brain, rule = brain_mask(flair, inputs.get("mask"))
    contrasts, covered = {"flair": np.where(brain, flair.voxels, 0)}, {"flair": brain}
    registrations: dict[str, Any] = {}
    for name in [n for n in CONTRASTS[1:] if n in inputs]:
        progress(0.3 * len(registrations), f"Registering {name.upper()} to FLAIR")
        contrasts[name], covered[name], registrations[name] = _on_grid(
            flair, inputs[name], brain, name=name, registered=registered
        )
    if bias_correction:
        progress(0.6, "Correcting bias")
        contrasts = {n: without_bias(v, covered[n], flair.grid) for n, v in contrasts.items()}
    facts = {"brain": rule, "brain_ml": round(_milliliters(brain, flair.grid), 1), "registration": registrations}
    facts["bias_correction"] = {"method": "N4", "shrink": N4_SHRINK} if bias_correction else None
    return Prepared(contrasts, covered, brain, flair.grid, facts)


def brain_mask(flair: Volume, given: Volume | None) -> tuple[np.ndarray, str]:
    """The brain on the FLAIR grid, boolean (k, j, i), and its rule. Raises InputError when there is none."""
    if given is not None:
        moved = resampled(image_from_volume(given), image_from_volume(flair), sitk.Transform(), linear=True)
        brain, rule = moved > 0.5 * max(float(given.voxels.max()), 1e-9), "given mask"
    else:
        if not is_stripped(flair):
            raise InputError("FLAIR shows the whole head; give a brain mask, or volumes without skull.")
        brain, rule = ndimage.binary_fill_holes(_largest(flair.voxels > 0)), BRAIN_RULE
    if _milliliters(brain, flair.grid) < LEAST_BRAIN_ML:
        raise InputError("The brain mask holds less than 1 ml of the FLAIR volume; check the mask and its position.")
    return brain, rule


def is_stripped(volume: Volume) -> bool:
    """True when enough of the volume is exactly zero, as outside of an extracted brain."""
    return np.count_nonzero(volume.voxels == 0) >= STRIPPED_BACKGROUND * volume.voxels.size


def without_bias(voxels: np.ndarray, inside: np.ndarray, grid: Grid) -> np.ndarray:
    """N4 inside a mask; float32 (k, j, i) of the same mean there."""
    image = image_from_volume(Volume(voxels, grid))
    mask = sitk.GetImageFromArray(inside.astype(np.uint8))
    mask.CopyInformation(image)
    shrink = [max(1, min(N4_SHRINK, n // 16)) for n in grid.size]
    method = sitk.N4BiasFieldCorrectionImageFilter()
    method.SetNumberOfThreads(1)
    method.SetMaximumNumberOfIterations(N4_ITERATIONS)
    with quiet_simpleitk():
        method.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
        field = np.exp(sitk.GetArrayFromImage(method.GetLogBiasFieldAsImage(image)))
    corrected = voxels / np.maximum(field, 1e-3)
    return (corrected * (voxels[inside].mean() / max(float(corrected[inside].mean()), 1e-9))).astype(np.float32)


def _on_grid(flair: Volume, moving: Volume, brain: np.ndarray, *, name: str, registered: bool):
    """Voxels, coverage and record of a contrast on the FLAIR grid."""
    record: dict[str, Any] = {"method": "none, taken as aligned"}
    transform, movement = sitk.Euler3DTransform(), 0.0
    if not registered:
        found = register(flair, moving, brain, name=name.upper())
        transform, movement, record = found.transform, found.movement_mm, found.as_dict()
    if movement < SMALLEST_MM and moving.grid.matches(flair.grid):
        voxels, there = moving.voxels, np.ones(brain.shape, dtype=bool)
        record["resampled"] = False
    else:
        fixed, floating = image_from_volume(flair), image_from_volume(moving)
        # Linear at the edge of the field of view is safe; in between a cubic spline keeps detail.
        ones = image_from_volume(moving.with_voxels(np.ones(moving.shape, dtype=np.float32)))
        there = resampled(ones, fixed, transform, linear=True) > 0.99
        voxels = np.maximum(resampled(floating, fixed, transform, linear=False), 0)
        record["resampled"] = True
    covered = brain & there & (ndimage.binary_dilation(voxels > 0) | ~brain)
    record["covers_brain"] = round(float(covered.sum() / max(brain.sum(), 1)), 4)
    if record["covers_brain"] < 0.25:
        raise InputError(f"The {name.upper()} volume covers less than a quarter of the brain in FLAIR; choose another.")
    return np.where(covered, voxels, 0).astype(np.float32), covered, record


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _milliliters(mask: np.ndarray, grid: Grid) -> float:
    return float(np.count_nonzero(mask) * np.prod(grid.spacing) / 1000)
