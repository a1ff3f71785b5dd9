"""The check against invention: what a result says about acquired voxels is compared with them, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import head_like, placed_grid
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.degrade import degrade
from SynthMRILib.uncertainty.residual import as_acquired, box_weights, consistency, spread_over
from SynthMRILib.volume import Volume

OBLIQUE = {"spacing": (0.5, 0.6, 1.0), "rotation": (11, -27, 163), "origin": (83.2, -141.7, 57.3)}


@pytest.fixture
def fine() -> Volume:
    return Volume(head_like((24, 28, 32)), placed_grid((24, 28, 32), **OBLIQUE))


@pytest.mark.parametrize("factor", [2, 4])
def test_a_result_that_averages_to_the_acquired_voxels_has_no_residual(fine: Volume, factor: int) -> None:
    found = consistency(fine, degrade(fine, "mean", factor=factor))
    assert found.relative < 1e-6 and found.largest_percent < 1e-4


def test_invented_signal_shows_where_it_is_and_as_large_as_its_mean(fine: Volume) -> None:
    acquired = degrade(fine, "mean")
    invented = fine.voxels.copy()
    invented[12:14, 14:16, 16:18] += 80
    found = consistency(fine.with_voxels(invented), acquired)
    assert np.argwhere(np.abs(found.residual.voxels) > 1).tolist() == [[6, 7, 8]]
    assert found.residual.voxels[6, 7, 8] == pytest.approx(80, rel=1e-4)
    on_result = spread_over(found.residual, fine.grid)
    assert (on_result[12:14, 14:16, 16:18] > 79).all() and (on_result > 79).sum() == 8


def test_detail_that_averages_out_is_not_seen(fine: Volume) -> None:
    checkered = fine.voxels.copy()
    checkered[10:12, 10:12, 10:12] += np.where(np.indices((2, 2, 2)).sum(axis=0) % 2, 50, -50)
    assert consistency(fine.with_voxels(checkered), degrade(fine, "mean")).relative < 1e-6


@pytest.mark.parametrize("step", [1.0, 1.5, 2.0, 2.7])
def test_means_over_any_spacing_keep_a_constant_and_know_their_border(step: float) -> None:
    weights, inside = box_weights(8, 12, (step - 1) / 2, step)
    assert weights[inside] @ np.full(12, 7.0) == pytest.approx(7.0)
    assert inside.sum() == min(8, int(12 / step))


def test_a_result_on_the_same_grid_is_compared_voxel_by_voxel(fine: Volume) -> None:
    seen, covered = as_acquired(fine, fine.grid)
    assert seen == pytest.approx(fine.voxels) and covered.all()


def test_turned_grids_are_refused(fine: Volume) -> None:
    turned = Volume(fine.voxels, placed_grid(fine.shape, **{**OBLIQUE, "rotation": (11, -27, 150)}))
    with pytest.raises(InputError, match="axes"):
        consistency(turned, fine)
