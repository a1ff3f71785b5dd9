"""Total variation: edges come back sharper than from interpolation, and the gradient has its adjoint."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from conftest import head_like
from SynthMRILib.evaluation.baselines import upsample
from SynthMRILib.evaluation.degrade import degrade
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.through_plane.request import memory_needed
from SynthMRILib.through_plane.resampling import grid_of_spacing
from SynthMRILib.through_plane.total_variation import add_gradient, limit, reconstruct, subtract_divergence
from SynthMRILib.volume import Grid, Volume


def test_flat_regions_with_edges_come_back_better_than_by_interpolation() -> None:
    voxels = np.full((24, 24, 24), 100, np.float32)
    voxels[5:14, 7:19, 6:17] = 300
    sharp = Volume(voxels, Grid.from_spacing(voxels.shape, (1, 1, 1)))
    coarse = degrade(sharp, "mean")
    result = reconstruct(coarse, sharp.grid)
    spline = upsample(coarse, 2, "bspline")
    assert psnr(voxels, result.voxels) > psnr(voxels, spline.voxels) + 0.5
    assert np.abs(degrade(result, "mean").voxels - coarse.voxels).mean() < 3


def test_the_divergence_is_minus_the_adjoint_of_the_gradient() -> None:
    rng = np.random.default_rng(0)
    x, field = rng.normal(size=(5, 6, 7)).astype(np.float32), rng.normal(size=(3, 5, 6, 7)).astype(np.float32)
    gradient, minus_divergence = np.zeros_like(field), np.zeros_like(x)
    add_gradient(gradient, x, np.float32(1), np.empty_like(x))
    subtract_divergence(minus_divergence, field)
    assert (gradient * field).sum() == pytest.approx((x * minus_divergence).sum(), rel=1e-4)


def test_long_vectors_are_shortened_and_short_ones_stay() -> None:
    field = np.array([3.0, 0.3], dtype=np.float32)[None, None, None] * np.float32([0, 0.6, 0.8])[:, None, None, None]
    limit(field, np.float32(1), np.empty(field.shape[1:], dtype=np.float32))
    assert np.sqrt((field**2).sum(axis=0)).ravel() == pytest.approx([1, 0.3])


def test_it_needs_about_as_much_memory_as_requests_are_checked_for() -> None:
    coarse = Volume(head_like((20, 80, 80)), Grid.from_spacing((20, 80, 80), (1, 1, 4)))
    fine = grid_of_spacing(coarse.grid, (1, 1, 1))
    tracemalloc.start()
    reconstruct(coarse, fine, iterations=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.75 < peak / memory_needed(fine) < 1.05
