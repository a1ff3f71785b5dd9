"""Figures that say whether a synthetic DIR is a DIR, and a contrast that no gray-scale curve can raise."""

from __future__ import annotations

import numpy as np
import pytest
from simulation_phantoms import ball
from SynthMRILib.dir_synthesis.tissue_fit import CSF, GRAY, OUTSIDE, WHITE
from SynthMRILib.evaluation import dir_likeness, lesions
from SynthMRILib.volume import Grid

SHAPE = (40, 44, 42)


@pytest.fixture(scope="module")
def target() -> lesions.Reference:
    tissues = np.full(SHAPE, OUTSIDE, dtype=np.int8)
    for tissue, radius in ((GRAY, 18), (WHITE, 14), (CSF, 4)):
        tissues[ball(SHAPE, (20, 22, 21), radius)] = tissue
    mask = ball(SHAPE, (20, 22, 30), 2.5) | ball(SHAPE, (28, 22, 21), 2.2)
    return lesions.reference(mask, tissues, Grid(SHAPE, np.eye(4)))


def a_dir(target: lesions.Reference, *, lesion: float = 45.0) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0.5, 1.5, SHAPE)
    level = np.select([target.tissues == GRAY, target.tissues == WHITE, target.tissues == CSF], [36.0, 4.0, 2.0], 0.0)
    return (np.where(target.lesions > 0, lesion, level) * noise).astype(np.float32)


def test_a_dir_is_like_itself_and_nothing_is_cut(target):
    voxels = a_dir(target)
    found = dir_likeness.likeness(voxels, voxels, target)
    assert found["rank_correlation"] == pytest.approx(1)
    assert found["zero_share"] == 0
    low, high = found["lesion_to_gray_interval"]
    assert low < found["lesion_to_gray"] < high


def test_clipping_shows_in_the_zero_share_and_a_dim_lesion_in_its_ratio(target):
    voxels = a_dir(target)
    clipped = np.where(target.tissues == WHITE, 0, voxels)
    assert dir_likeness.likeness(clipped, voxels, target)["zero_share"] == 1
    dim = dir_likeness.likeness(a_dir(target, lesion=5), voxels, target)
    assert dim["lesion_to_gray"] < dim["lesion_to_gray_interval"][0]


@pytest.mark.parametrize("curve", [np.square, np.sqrt, lambda v: np.maximum(v - 6, 0) + 1e-3 * v])
def test_a_gray_scale_curve_gains_no_contrast_once_histograms_are_matched(target, curve):
    voxels = a_dir(target)
    brain = target.tissues != OUTSIDE
    plain = dir_likeness.mean_contrast(voxels, target)
    bent = curve(voxels).astype(np.float32)
    assert dir_likeness.mean_contrast(bent, target) != pytest.approx(plain, rel=0.02)
    matched = dir_likeness.histogram_matched(bent, voxels, brain)
    assert dir_likeness.mean_contrast(matched, target) == pytest.approx(plain, rel=1e-3)


def test_regions_for_information_are_taken_over_gray_matter_too(target):
    found = dir_likeness.other_regions(a_dir(target), target)
    region = target.search_region
    inside = lesions.average_precision(a_dir(target)[region], target.lesions[region] > 0)
    assert found["auprc_brain"] < inside, "gray matter of a DIR is as bright as lesions"
