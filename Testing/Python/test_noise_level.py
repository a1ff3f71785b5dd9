"""The noise of a magnitude volume is found where it is known: even, varying, in air and around a stripped brain."""

from __future__ import annotations

import numpy as np
import pytest
from SynthMRILib.denoising.noise_level import (
    block_means,
    estimate_noise,
    magnitude_table,
    middle_of,
    smoothed,
    uniform_noise,
)

SPACING = (1.0, 1.0, 1.0)
SHAPE = (56, 60, 64)


def a_head(*, air: float = 0.0) -> np.ndarray:
    """An ellipsoid with texture and a bright 99.5th percentile near 1, float32 (k, j, i)."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    texture = 0.25 * np.sin(9 * axes[0]) * np.cos(7 * axes[1]) * np.sin(8 * axes[2] + 1)
    inside = sum(a**2 for a in axes) < 0.8
    return np.where(inside, 0.72 + texture, air).astype(np.float32)


def with_noise(voxels: np.ndarray, sigma: np.ndarray | float, seed: int = 0) -> np.ndarray:
    noise = sigma * np.random.default_rng(seed).standard_normal((2, *voxels.shape))
    return np.hypot(voxels + noise[0], noise[1]).astype(np.float32)


@pytest.mark.parametrize("level", [0.02, 0.06, 0.15])
def test_even_noise_is_found_within_a_tenth(level: float) -> None:
    noisy = with_noise(a_head(), level)
    found = estimate_noise(noisy, spacing=SPACING)
    inside = a_head() > 0
    assert np.median(found.sigma[inside]) == pytest.approx(level, rel=0.1)


def test_noise_in_air_is_that_of_the_parts_not_of_the_magnitude() -> None:
    noisy = with_noise(a_head(), 0.05)
    air = noisy[:6, :6, :6]
    found = estimate_noise(noisy, spacing=SPACING).sigma[:6, :6, :6]
    assert air.std() < 0.04
    assert found.mean() == pytest.approx(0.05, rel=0.15)


def test_noise_that_varies_is_found_where_it_is() -> None:
    sigma = np.linspace(0.03, 0.12, SHAPE[2]) * np.ones(SHAPE)
    found = estimate_noise(with_noise(a_head(air=0.5), sigma), spacing=SPACING)
    ratio = found.sigma / sigma
    assert np.median(ratio[..., 8:16]) == pytest.approx(1, abs=0.25)
    assert np.median(ratio[..., -16:-8]) == pytest.approx(1, abs=0.25)
    assert found.highest > 1.5 * found.lowest


def test_the_empty_surroundings_of_a_stripped_brain_change_nothing() -> None:
    head = a_head()
    stripped = with_noise(head, 0.05) * (head > 0)
    found = estimate_noise(stripped, spacing=SPACING)
    assert np.median(found.sigma[head > 0]) == pytest.approx(0.05, rel=0.1)
    assert (found.sigma[head == 0] == 0).all()


def test_a_clean_volume_has_next_to_no_noise() -> None:
    found = estimate_noise(a_head(), spacing=SPACING)
    assert found.median < 0.005


def test_an_empty_volume_has_none() -> None:
    assert estimate_noise(np.zeros(SHAPE, np.float32), spacing=SPACING).as_dict() == {
        "median_percent": 0.0,
        "lowest_percent": 0.0,
        "highest_percent": 0.0,
    }


def test_the_level_follows_the_units_of_the_volume() -> None:
    noisy = with_noise(a_head(), 0.06)
    one, other = (estimate_noise(noisy * factor, spacing=SPACING) for factor in (1, 700))
    assert other.median == pytest.approx(one.median, rel=1e-3)
    assert other.sigma.max() == pytest.approx(700 * one.sigma.max(), rel=1e-3)


def test_a_given_level_is_taken_as_it_is() -> None:
    level = uniform_noise(a_head(), 0.07)
    assert level.median == 0.07
    assert np.ptp(level.sigma[a_head() > 0]) == 0


def test_the_spread_of_a_magnitude_runs_from_rayleigh_to_gaussian() -> None:
    ratio, spread = magnitude_table()
    assert (np.diff(ratio) > 0).all()
    assert spread[0] == pytest.approx(np.sqrt(2 - np.pi / 2), abs=1e-6)
    assert spread[-1] == pytest.approx(1, abs=0.01)


def test_smoothing_keeps_constants_and_shapes() -> None:
    for shape in ((17, 40, 23), (16, 16, 16)):
        assert smoothed(np.full(shape, 3.0, np.float32), (12.0, 6.0, 1.0)) == pytest.approx(np.full(shape, 3.0))
    assert block_means(np.arange(5.0).reshape(5, 1, 1), (2, 1, 1)).ravel() == pytest.approx([0.5, 2.5, 4.0])


def test_the_middle_of_a_volume_is_no_larger_than_it() -> None:
    assert middle_of(np.zeros((200, 50, 96))).shape == (96, 50, 96)
