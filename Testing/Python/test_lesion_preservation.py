"""Lesions before and after: kept ones have the same contrast and volume, faded and removed ones are counted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from SynthMRILib.evaluation.lesion_preservation import compare_lesions, summary

SPACING = (1.0, 1.0, 1.0)
NOISE = 2.0


def a_brain(contrast: float = 50) -> tuple[np.ndarray, np.ndarray]:
    """Four balls of 200 mm3 in even tissue, and their numbers."""
    lesions = np.zeros((40, 40, 40), np.int32)
    for number, center in enumerate([(10, 10, 10), (10, 28, 28), (28, 10, 28), (28, 28, 10)], 1):
        distance = sum((axis - c) ** 2 for axis, c in zip(np.indices(lesions.shape), center))
        lesions[distance < 13] = number
    voxels = 100 + contrast * (lesions > 0) + np.random.default_rng(0).normal(0, NOISE, lesions.shape)
    return voxels.astype(np.float32), lesions


def compared(reference: np.ndarray, result: np.ndarray, lesions: np.ndarray) -> dict:
    brain = np.ones(lesions.shape, bool)
    return summary(compare_lesions(reference, result, lesions, brain, noise=NOISE, spacing=SPACING))


def test_an_unchanged_volume_keeps_every_lesion() -> None:
    reference, lesions = a_brain()
    figures = compared(reference, reference, lesions)
    assert figures["lesions"] == figures["found"] == 4
    assert figures["contrast_ratio_5_50_95"] == figures["volume_ratio_5_50_95"] == [1.0, 1.0, 1.0]
    assert figures["misses"] == []


def test_a_removed_lesion_is_a_miss() -> None:
    reference, lesions = a_brain()
    result = np.where(lesions == 3, 100, reference)
    figures = compared(reference, result, lesions)
    assert figures["found"] == 3
    assert [miss["number"] for miss in figures["misses"]] == [3]
    assert figures["misses"][0]["contrast_ratio"] == pytest.approx(0, abs=0.05)


def test_a_blur_lowers_the_contrast() -> None:
    reference, lesions = a_brain()
    figures = compared(reference, ndimage.gaussian_filter(reference, 1.5), lesions)
    assert figures["contrast_ratio_5_50_95"][1] < 0.9


@pytest.mark.parametrize("contrast", [3, 0, -40])
def test_faint_and_dark_lesions_are_not_eligible(contrast: float) -> None:
    reference, lesions = a_brain(contrast)
    assert compared(reference, reference, lesions) == {"lesions": 0}


def test_small_lesions_are_not_eligible() -> None:
    reference, _ = a_brain(0)
    lesions = np.zeros(reference.shape, np.int32)
    lesions[20:22, 20:22, 20:22] = 1
    assert compared(reference + 50 * lesions, reference, lesions) == {"lesions": 0}
