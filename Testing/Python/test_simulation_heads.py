"""Whole heads from label maps: deterministic, scaled, sharp, and dark where there is no signal."""

import numpy as np
import pytest
from SynthMRILib.simulation.heads import CONTRASTS, simulate_head, strip


def ball(shape, center, radius):
    grid = np.indices(shape).astype(float)
    return sum((g - c) ** 2 for g, c in zip(grid, center)) < radius**2


@pytest.fixture
def a_label_map() -> np.ndarray:
    """A round head of 40 voxels: skin, soft tissue, bone, fluid, cortex, white matter, ventricle."""
    shape, center = (40, 44, 42), (20, 22, 21)
    labels = np.zeros(shape, dtype=np.int32)
    for label, radius in ((511, 19), (507, 18), (515, 16), (24, 14), (3, 13), (2, 10), (4, 3)):
        labels[ball(shape, center, radius)] = label
    return labels


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_a_head_is_scaled_finite_and_black_in_air(a_label_map, contrast):
    image = simulate_head(a_label_map, np.random.default_rng(1), contrast=contrast)
    assert image.dtype == np.float32
    assert image.shape == a_label_map.shape
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert np.percentile(image[image > 0], 99.5) == pytest.approx(1.0, rel=1e-5)
    assert image[0, 0, 0] == 0


def test_the_same_seed_gives_the_same_bits(a_label_map):
    first, second = (simulate_head(a_label_map, np.random.default_rng(7), contrast="t2w", bias=0.2) for _ in range(2))
    assert np.array_equal(first, second)


def test_stripping_keeps_the_brain_and_nothing_outside(a_label_map):
    stripped = strip(np.ones(a_label_map.shape, dtype=np.float32), a_label_map)
    assert (stripped[np.isin(a_label_map, (2, 3, 4))] == 1).all()
    assert (stripped[np.isin(a_label_map, (0, 507, 511, 515))] == 0).all()


def test_an_unknown_contrast_is_refused(a_label_map):
    with pytest.raises(ValueError, match="unknown contrast"):
        simulate_head(a_label_map, np.random.default_rng(0), contrast="ct")
