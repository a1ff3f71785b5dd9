"""HaarPSI as a loss: it is the index of the evaluation, and a step along its gradient raises that index."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from SynthMRILib.evaluation.haarpsi import haarpsi_volume
from SynthMRILib.training.haar_similarity import WIDEST, axes_of, coefficients, haar_similarity_loss

SHAPE = (32, 34, 36)


def a_volume(sigma: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    smooth = ndimage.gaussian_filter(noise, sigma)
    return (0.5 + 0.2 * smooth / smooth.std()).clip(0, 1).astype(np.float32)


def loss_of(estimate: np.ndarray, target: np.ndarray) -> float:
    return float(haar_similarity_loss(*(torch.from_numpy(v)[None, None] for v in (estimate, target))))


def index_of(estimate: np.ndarray, target: np.ndarray) -> float:
    inner = np.zeros(SHAPE, bool)
    inner[8:-8, 8:-8, 8:-8] = True
    return haarpsi_volume(target, estimate, mask=inner, peak=1.0)


def distortions() -> list[np.ndarray]:
    target = a_volume()
    noise = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    blurred = [ndimage.gaussian_filter(target, sigma) for sigma in (0.5, 1.0, 1.5)]
    return [*blurred, *(target + level * noise for level in (0.01, 0.03)), np.roll(target, 1, axis=1)]


def test_equal_volumes_lose_nothing() -> None:
    assert loss_of(a_volume(), a_volume()) == pytest.approx(0, abs=1e-5)
    flat = np.full(SHAPE, 0.3, np.float32)
    assert loss_of(flat, flat) == 0


def test_it_is_one_minus_the_index_of_the_evaluation() -> None:
    target = a_volume()
    for estimate in distortions():
        assert 1 - loss_of(estimate, target) == pytest.approx(index_of(estimate, target), abs=0.02)


def test_the_filters_are_those_of_the_evaluation_wherever_they_fit() -> None:
    from SynthMRILib.evaluation.haarpsi import _haar

    stack = np.random.default_rng(2).random((1, 20, 22)).astype(np.float32)
    pair = torch.from_numpy(np.stack([stack, stack]))[None]
    for along, axis in ((1, 1), (2, 2)):
        for scale in (1, 2, 3):
            found = coefficients(pair, 2**scale, along, 3 - along)[0, 0].numpy()
            expected = _haar(stack, scale, axis)
            start = WIDEST // 2 - 1
            cut = expected[:, start : start + found.shape[1], start : start + found.shape[2]]
            np.testing.assert_allclose(np.abs(found), np.abs(cut), atol=1e-5)


def test_a_step_along_the_gradient_raises_the_index() -> None:
    target, estimate = a_volume(), ndimage.gaussian_filter(a_volume(), 1.0)
    x = torch.from_numpy(estimate)[None, None].requires_grad_()
    haar_similarity_loss(x, torch.from_numpy(target)[None, None]).backward()
    step = x.grad[0, 0].numpy()
    assert np.isfinite(step).all()
    better = estimate - 0.02 * step / np.abs(step).max()
    assert index_of(better, target) > index_of(estimate, target)


def test_a_patch_that_no_filter_fits_is_refused() -> None:
    small = torch.zeros(1, 1, 32, 15, 32)
    with pytest.raises(ValueError, match="at least 16"):
        haar_similarity_loss(small, small)
    assert axes_of(1) == (0, 2)
