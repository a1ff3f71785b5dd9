"""Figures of uncertainty that noise of single voxels spoils less: of neighborhoods, and by tenths of the voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from Benchmarks.uncertainty_quality import areas, lesions_of, local_figures, root_mean_square, tenths
from SynthMRILib.uncertainty.calibration import rank_correlation
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

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


def test_areas_tell_large_errors_and_lesions_apart(tmp_path: Path) -> None:
    error, total = np.array([0.01, 0.02, 0.06, 0.2]), np.array([1.0, 2.0, 3.0, 4.0])
    assert areas(error, {"total": total}, None) == {"error_above_tolerance": {"total": 1.0}}
    assert lesions_of(tmp_path / "T1.nii.gz", np.ones(SHAPE, bool)) is None
    voxels = np.zeros((25, 24, 24), np.float32)
    voxels[0, 0, 0] = voxels[24] = 1
    write_volume(Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0))), tmp_path / "lesions.nii.gz")
    mask = np.ones(SHAPE, bool)
    lesion = lesions_of(tmp_path / "T1.nii.gz", mask)
    assert lesion.sum() == 1 and lesion[0], "the reference was cropped to an even size"
    assert areas(error, {"total": total}, np.array([True, False, False, False]))["lesion"] == {"total": 0.0}
