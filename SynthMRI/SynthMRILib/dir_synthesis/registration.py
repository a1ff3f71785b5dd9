"""Rigid registration of one contrast to another by mutual information, and the check that it was found.

SimpleITK's registration framework with Mattes' mutual information (Mattes et al. 2003), two resolutions, a fixed seed
and one thread, so that the same inputs give the same transform. Success is not taken on trust: the mutual information
found must exceed that of the pose before, and must fall clearly when the result is shifted on purpose. Between visits
the head may lie anywhere: with the moving brain known, centers that are far apart are brought together first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..itk_io import image_from_volume, quiet_simpleitk
from ..volume import Volume

#: Smaller movements than this leave the input as it is: resampling would blur more than it aligns [mm].
SMALLEST_MM = 0.75
#: Centers of the brains of two visits that are farther apart than this are brought together first [mm].
APART_MM = 15.0
LARGEST_MM, LARGEST_DEGREES = 40.0, 30.0
SHIFT_MM = 8.0
#: Mutual information of a shifted result over that of the result; a found optimum is well below.
LARGEST_SHIFTED_RATIO = 0.9
BINS = 32
SAMPLES = 40_000
SEED = 121


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a contrast lies on the grid of the reference.

    Args:
        transform: from points of the reference to points of the moving volume (LPS, mm).
        movement_mm: largest movement of the corners of a box of 100 mm about the center of the reference's brain.
        information: mutual information in the brain [nats] before and after.
        shifted_ratio: mutual information after a shift of SHIFT_MM on purpose, over that found (mean of six shifts).
    """

    transform: sitk.Transform
    movement_mm: float
    information: tuple[float, float]
    shifted_ratio: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "parameters_rad_mm_lps": [round(float(p), 6) for p in self.transform.GetParameters()],
            "center_mm_lps": [round(float(p), 4) for p in self.transform.GetFixedParameters()[:3]],
            "movement_mm": round(self.movement_mm, 3),
            "mutual_information": [round(value, 4) for value in self.information],
            "shifted_ratio": round(self.shifted_ratio, 3),
        }


def register(
    reference: Volume,
    moving: Volume,
    brain: np.ndarray,
    *,
    name: str,
    reference_name: str = "FLAIR",
    moving_brain: np.ndarray | None = None,
) -> Registration:
    """Find the rigid transform of `moving` to `reference`.

    Args:
        brain: boolean (k, j, i) on the reference's grid.
        name, reference_name: of both volumes, for messages.
        moving_brain: boolean (k, j, i) on the grid of the moving volume, when it is of another visit.

    Raises:
        InputError: the volumes do not overlap, or no alignment was found.
    """
    fixed, floating = image_from_volume(reference), image_from_volume(moving)
    mask = sitk.GetImageFromArray(brain.astype(np.uint8))
    mask.CopyInformation(fixed)
    center = _center(reference, brain)
    before = sitk.Euler3DTransform()
    before.SetCenter(center.tolist())
    apart = _center(moving, moving_brain) - center if moving_brain is not None else np.zeros(3)
    if np.linalg.norm(apart) > APART_MM:
        before.SetTranslation(apart.tolist())
    if not _overlap(fixed, floating, before, brain):
        raise InputError(
            f"The {name} volume does not overlap the {reference_name} volume; load volumes of the same head."
        )
    try:
        found = _optimize(fixed, floating, mask, before)
    except RuntimeError as error:
        raise InputError(f"The {name} volume could not be registered to {reference_name}; align it first.") from error
    return _checked(fixed, floating, brain, before, found, (name, reference_name))


def _center(volume: Volume, brain: np.ndarray) -> np.ndarray:
    """Center of the brain, LPS [mm]."""
    return volume.grid.index_to_ras(np.argwhere(brain).mean(axis=0)[::-1]) * (-1, -1, 1)


def _optimize(fixed: sitk.Image, floating: sitk.Image, mask: sitk.Image, start: sitk.Transform) -> sitk.Transform:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, SAMPLES / max(float(sitk.GetArrayViewFromImage(mask).size), 1.0))
    method.SetMetricSamplingPercentage(share, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.005, numberOfIterations=80, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(sitk.Euler3DTransform(start), inPlace=False)
    with quiet_simpleitk():
        return sitk.Euler3DTransform(method.Execute(fixed, floating).GetNthTransform(0))


def _overlap(fixed: sitk.Image, floating: sitk.Image, transform: sitk.Transform, brain: np.ndarray) -> bool:
    moved = resampled(floating, fixed, transform, linear=True)
    return np.count_nonzero(moved[brain]) >= 0.25 * np.count_nonzero(brain)


def _checked(fixed, floating, brain, before, found, names: tuple[str, str]) -> Registration:
    name, reference_name = names
    moved = _movement(found)
    movement = _movement(found, before)
    degrees = np.degrees(np.abs(found.GetParameters()[:3]).max())
    if movement > LARGEST_MM or degrees > LARGEST_DEGREES:
        raise InputError(
            f"Registration moved the {name} volume by {movement:.0f} mm and {degrees:.0f} degrees, which is not "
            "plausible within one examination; align the volumes first."
        )
    target = sitk.GetArrayViewFromImage(fixed)[brain]

    def information(transform: sitk.Transform) -> float:
        return mutual_information(target, resampled(floating, fixed, transform, linear=True)[brain])

    old, new = information(before), information(found)
    if old >= new:
        found, new, moved = before, old, _movement(before)
    shifted = [information(_shifted(found, axis, sign)) for axis in range(3) for sign in (-1, 1)]
    ratio = float(np.mean(shifted)) / max(new, 1e-9)
    if ratio > LARGEST_SHIFTED_RATIO:
        raise InputError(
            f"The {name} volume fits the {reference_name} volume no better than when shifted by {SHIFT_MM:.0f} mm; "
            "check that both are of the same brain, or align them first."
        )
    return Registration(found, moved, (old, new), ratio)


def _shifted(transform: sitk.Transform, axis: int, sign: int) -> sitk.Transform:
    shifted = sitk.Euler3DTransform(transform)
    translation = np.array(shifted.GetTranslation())
    translation[axis] += sign * SHIFT_MM
    shifted.SetTranslation(translation.tolist())
    return shifted


def _movement(transform: sitk.Euler3DTransform, start: sitk.Euler3DTransform | None = None) -> float:
    """Largest movement of the corners of a box of 100 mm about the center [mm], beyond that of the start."""
    corners = (np.array(transform.GetCenter()) + 50.0 * (np.indices((2, 2, 2)).reshape(3, -1).T * 2 - 1)).tolist()
    ends = [start.TransformPoint(c) if start else c for c in corners]
    return float(max(np.linalg.norm(np.subtract(transform.TransformPoint(c), e)) for c, e in zip(corners, ends)))


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information of paired values [nats], from a histogram between their 1st and 99th percentiles."""
    scaled = []
    for values in (first, second):
        low, high = np.percentile(values, (1, 99))
        scaled.append(np.clip((values - low) / max(high - low, 1e-9) * BINS, 0, BINS - 1).astype(np.int32))
    joint = np.bincount(scaled[0] * BINS + scaled[1], minlength=BINS * BINS).reshape(BINS, BINS) / first.size
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / independent[there])).sum())


def resampled(floating: sitk.Image, fixed: sitk.Image, transform: sitk.Transform, *, linear: bool) -> np.ndarray:
    """Voxels (k, j, i) of `floating` on the grid of `fixed`; zero where it has none."""
    interpolator = sitk.sitkLinear if linear else sitk.sitkBSpline
    with quiet_simpleitk():
        image = sitk.Resample(floating, fixed, transform, interpolator, 0.0, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(image)
