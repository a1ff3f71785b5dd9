"""Bring FLAIR, T1w and T2w of one examination to one grid, with a brain mask, before any synthesis.

The grid is that of the reference: FLAIR or, without it, the first that is given. Everything done is recorded; the
result of a synthesis lies on the untouched grid of the reference, so there is nothing to undo.
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
from .brain import RULE as ROUGH_RULE
from .brain import rough_brain
from .registration import SMALLEST_MM, register, resampled

CONTRASTS = ("flair", "t1", "t2")
#: A stripped volume has at least this share of its voxels exactly zero and no more signal than a large brain; a whole
#: head has air noise or, where the scanner blanked the air, far more volume.
STRIPPED_BACKGROUND = 0.3
LARGEST_BRAIN_ML = 2200.0
LEAST_BRAIN_ML = 1.0
BRAIN_RULE = "voxels of {name} that are not zero, largest connected part, holes filled"
N4_SHRINK = 4
N4_ITERATIONS = (30, 20, 10)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Contrasts on the grid of the reference.

    Args:
        contrasts: float32 arrays (k, j, i) by name.
        covered: boolean (k, j, i) by name: where the contrast has data.
        brain: boolean (k, j, i).
        grid: of the reference.
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
        inputs: any of "flair", "t1", "t2", at least one of them, and "mask" (brain, any grid).
        registered: the volumes are aligned already in physical space; only resample where grids differ.
        bias_correction: run N4 on each contrast.

    Raises:
        InputError: no brain is found in a whole head; the mask is no brain; registration failed.
    """
    first, *others = given_contrasts(inputs)
    reference = inputs[first]
    brain, rule = brain_mask(reference, inputs.get("mask"), name=first.upper())
    contrasts, covered = {first: np.where(brain, reference.voxels, 0)}, {first: brain}
    registrations: dict[str, Any] = {}
    for name in others:
        progress(0.3 * len(registrations), f"Registering {name.upper()} to {first.upper()}")
        contrasts[name], covered[name], registrations[name] = _on_grid(
            reference, inputs[name], brain, names=(name.upper(), first.upper()), registered=registered
        )
    if bias_correction:
        progress(0.6, "Correcting bias")
        contrasts = {n: without_bias(v, covered[n], reference.grid) for n, v in contrasts.items()}
    facts = {"brain": rule, "brain_ml": round(_milliliters(brain, reference.grid), 1), "registration": registrations}
    facts["reference"] = first
    facts["bias_correction"] = {"method": "N4", "shrink": N4_SHRINK} if bias_correction else None
    return Prepared(contrasts, covered, brain, reference.grid, facts)


def given_contrasts(inputs: Mapping[str, Volume]) -> list[str]:
    """Names of the contrasts that are given; the first is the reference."""
    return [name for name in CONTRASTS if name in inputs]


def brain_mask(reference: Volume, given: Volume | None, *, name: str = "FLAIR") -> tuple[np.ndarray, str]:
    """The brain on the reference's grid, boolean (k, j, i), and its rule. Raises InputError when there is none."""
    if given is not None:
        moved = resampled(image_from_volume(given), image_from_volume(reference), sitk.Transform(), linear=True)
        brain, rule = moved > 0.5 * max(float(given.voxels.max()), 1e-9), "given mask"
    else:
        brain, rule = _own_brain(reference, name)
    if _milliliters(brain, reference.grid) < LEAST_BRAIN_ML:
        raise InputError(f"The brain mask holds less than 1 ml of the {name} volume; check the mask and its position.")
    return brain, rule


def _own_brain(reference: Volume, name: str) -> tuple[np.ndarray, str]:
    """What stripping left or, of a whole head, a rough mask; and the rule."""
    if is_stripped(reference):
        return ndimage.binary_fill_holes(_largest(reference.voxels > 0)), BRAIN_RULE.format(name=name)
    return rough_brain(reference), ROUGH_RULE


def is_stripped(volume: Volume) -> bool:
    """True when enough of the volume is exactly zero and what is left is no larger than a brain."""
    signal = volume.voxels != 0
    blank = signal.size - np.count_nonzero(signal)
    return blank >= STRIPPED_BACKGROUND * signal.size and _milliliters(signal, volume.grid) <= LARGEST_BRAIN_ML


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


def _on_grid(reference: Volume, moving: Volume, brain: np.ndarray, *, names: tuple[str, str], registered: bool):
    """Voxels, coverage and record of a contrast on the grid of the reference."""
    record: dict[str, Any] = {"method": "none, taken as aligned"}
    transform, movement = sitk.Euler3DTransform(), 0.0
    if not registered:
        found = register(reference, moving, brain, name=names[0], reference_name=names[1])
        transform, movement, record = found.transform, found.movement_mm, found.as_dict()
    if movement < SMALLEST_MM and moving.grid.matches(reference.grid):
        voxels, there = moving.voxels, np.ones(brain.shape, dtype=bool)
        record["resampled"] = False
    else:
        fixed, floating = image_from_volume(reference), image_from_volume(moving)
        # Linear at the edge of the field of view is safe; in between a cubic spline keeps detail.
        ones = image_from_volume(moving.with_voxels(np.ones(moving.shape, dtype=np.float32)))
        there = resampled(ones, fixed, transform, linear=True) > 0.99
        voxels = np.maximum(resampled(floating, fixed, transform, linear=False), 0)
        record["resampled"] = True
    covered = brain & there & (ndimage.binary_dilation(voxels > 0) | ~brain)
    record["covers_brain"] = round(float(covered.sum() / max(brain.sum(), 1)), 4)
    if record["covers_brain"] < 0.25:
        raise InputError(f"The {names[0]} volume covers less than a quarter of the brain; choose another.")
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
