"""Figures of uncertainty that noise of single voxels spoils less: of neighborhoods, and by tenths of the voxels."""

from __future__ import annotations

import numpy as np
import pytest
from Benchmarks.uncertainty_quality import local_figures, root_mean_square, tenths
from SynthMRILib.uncertainty.calibration import rank_correlation

SHAPE = (24, 24, 24)


def test_a_neighborhood_holds_no_voxels_outside_of_the_mask_and_leaves_out_its_middle_if_asked() -> None:
    values, mask = np.ones(SHAPE, np.float32), np.zeros(SHAPE, bool)
    mask[4:20, 4:20, 4:20] = True
    values[~mask] = 100
    assert root_mean_square(values, mask) == pytest.approx(1)
    values[10, 10, 10] = 7
    flat = np.flatnonzero(mask).tolist().index(np.ravel_multi_index((10, 10, 10), SHAPE))
    assert root_mean_square(values, mask, middle=False)[flat] == pytest.approx(1)
    assert root_mean_square(values, mask)[flat] == pytest.approx(np.sqrt((26 + 49) / 27))


def test_a_voxel_that_stands_alone_has_no_errors_around_it() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[5, 5, 5] = True
    assert root_mean_square(np.ones(SHAPE), mask, middle=False) == pytest.approx(0)


def test_a_true_map_is_told_better_from_its_neighborhoods_than_voxel_by_voxel_and_a_useless_one_is_not() -> None:
    rng = np.random.default_rng(0)
    k, j, i = np.indices(SHAPE)
    total = 0.1 + ((k // 6 + j // 6 + i // 6) % 2) + 0.02 * k
    error = total * rng.standard_normal(SHAPE)
    mask = np.ones(SHAPE, bool)
    found = local_figures(error, {"total": total, "edges": rng.uniform(1, 2, SHAPE)}, mask)
    assert found["rank_correlation_in_27_voxels_of_total"] > rank_correlation(error, total) + 0.2
    assert abs(found["rank_correlation_in_27_voxels_of_edges"]) < 0.1
    assert 0.2 < found["rank_correlation_of_the_errors_around"] < rank_correlation(error, total)


def test_tenths_go_from_the_lowest_to_the_highest_in_per_cent() -> None:
    order = np.arange(1000)
    assert tenths((order // 100 + 1) / 100, order) == pytest.approx(range(1, 11))
