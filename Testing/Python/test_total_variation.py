"""Total variation: edges come back sharper than from interpolation, and the gradient has its adjoint."""

from __future__ import annotations

import numpy as np
import pytest
from SynthMRILib.evaluation.baselines import upsample
from SynthMRILib.evaluation.degrade import degrade
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.through_plane.total_variation import divergence, gradient, reconstruct
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
    assert (gradient(x) * field).sum() == pytest.approx(-(x * divergence(field)).sum(), rel=1e-4)
