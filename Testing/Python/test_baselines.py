"""Interpolations put values where the grid says they lie, in any orientation, and behave at the border."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.baselines import BASELINES, upsample
from SynthMRILib.volume import Grid, Volume

SHAPE = (24, 26, 28)
#: Voxels that no filter reaches from the border.
INNER = (slice(14, -14),) * 3
#: Largest error of a smooth function [of an amplitude of about 1]; linear interpolation flattens crests.
TOLERANCE = {"trilinear": 0.02, "bspline": 2e-4, "sinc": 5e-3}
#: Largest displacement [fine voxels]. A windowed sinc places even and odd voxels a little off, in opposite directions.
SHIFT = {"trilinear": 2e-3, "bspline": 2e-5, "sinc": 2e-2}


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rodrigues' formula."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def grid_of(directions: np.ndarray, spacing: tuple[float, float, float]) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = directions @ np.diag(spacing)
    matrix[:3, 3] = (-31.0, 12.5, 7.0)
    return Grid(SHAPE, matrix)


ORIENTATIONS = {
    "RAS": grid_of(np.eye(3), (2, 2, 2)),
    "LPS": grid_of(np.diag([-1, -1, 1]), (2, 2, 2)),
    "left-handed": grid_of(np.diag([1, 1, -1]), (2, 2, 2)),
    "sagittal": grid_of(np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]), (1.5, 2, 2.5)),
    "oblique": grid_of(rotation((1, 2, -0.5), 27), (2, 1.8, 2.2)),
}


def smooth_volume(grid: Grid) -> Volume:
    """A function of the position in the scanner [mm] whose shortest period is over 30 voxels."""
    k, j, i = np.indices(grid.shape)
    x, y, z = np.moveaxis(grid.index_to_ras(np.stack([i, j, k], axis=-1)), -1, 0)
    return Volume(2 + np.sin(0.09 * x + 0.3) * np.cos(0.03 * y) + 0.5 * np.sin(0.08 * z - 0.05 * y), grid)


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("grid", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_a_smooth_function_of_position_is_found_again_on_the_fine_grid(kind, grid):
    fine = upsample(smooth_volume(grid), 2, kind)
    exact = smooth_volume(grid.upsampled(2))
    assert fine.grid.matches(exact.grid)
    assert np.abs(fine.voxels - exact.voxels)[INNER].max() < TOLERANCE[kind]
    assert np.abs(shift_between(fine.voxels, exact.voxels)).max() < SHIFT[kind]


def shift_between(fine: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Displacement along (k, j, i) [fine voxels] that explains the error best, beside blurring.

    A displacement answers to the slope, blurring to the curvature; half a voxel is what confused grids give.
    """
    exact = exact.astype(np.float64)
    slopes = [np.gradient(exact, axis=axis) for axis in range(3)]
    curvatures = [np.gradient(slope, axis=axis) for axis, slope in enumerate(slopes)]
    columns = np.stack([part[INNER].ravel() for part in slopes + curvatures], axis=1)
    return np.linalg.lstsq(columns, (fine - exact)[INNER].ravel(), rcond=None)[0][:3]


def test_the_measured_shift_is_that_of_confused_grids_when_grids_are_confused():
    grid = ORIENTATIONS["oblique"]
    wrong = ndimage.zoom(smooth_volume(grid).voxels, 2, order=3, mode="reflect")  # corner centers on corner centers
    exact = smooth_volume(grid.upsampled(2)).voxels
    assert np.abs(shift_between(wrong, exact)).max() > 0.05


@pytest.mark.parametrize("factor", [1, 3, 4])
@pytest.mark.parametrize("kind", BASELINES)
def test_other_factors_keep_positions_too(kind, factor):
    grid = ORIENTATIONS["oblique"]
    fine = upsample(smooth_volume(grid), factor, kind)
    exact = smooth_volume(grid.upsampled(factor)).voxels
    edge = (slice(7 * factor, -7 * factor),) * 3
    assert np.abs(fine.voxels - exact)[edge].max() < TOLERANCE[kind]


@pytest.mark.parametrize("kind", ["trilinear", "bspline"])
def test_a_ramp_stays_a_ramp(kind):
    grid = ORIENTATIONS["oblique"]
    k, j, i = np.indices(SHAPE)
    fine = upsample(Volume(3.0 * i - 2.0 * j + 0.5 * k, grid), 2, kind)
    k, j, i = (np.indices(fine.shape) + 0.5) / 2 - 0.5
    assert np.abs(fine.voxels - (3.0 * i - 2.0 * j + 0.5 * k))[INNER].max() < 1e-3


@pytest.mark.parametrize(("kind", "theirs"), [("trilinear", sitk.sitkLinear), ("bspline", sitk.sitkBSpline3)])
def test_noise_is_interpolated_as_simpleitk_does_it(kind, theirs):
    voxels = np.random.default_rng(6).normal(size=SHAPE).astype(np.float32)
    image = sitk.GetImageFromArray(voxels)
    target = sitk.Image([2 * n for n in SHAPE[::-1]], sitk.sitkFloat32)
    target.SetSpacing((0.5, 0.5, 0.5))
    target.SetOrigin((-0.25, -0.25, -0.25))
    expected = sitk.GetArrayFromImage(sitk.Resample(image, target, sitk.Transform(), theirs))
    fine = upsample(Volume(voxels, Grid.from_spacing(SHAPE, (1, 1, 1))), 2, kind)
    inner = (slice(20, -20),) * 3 if kind == "bspline" else (slice(2, -2),) * 3
    assert np.abs(fine.voxels - expected)[inner].max() < 1e-4


@pytest.mark.parametrize("kind", BASELINES)
def test_a_constant_stays_what_it_is_up_to_the_border(kind):
    fine = upsample(Volume(np.full((7, 6, 8), 9.0), Grid.from_spacing((7, 6, 8), (1, 1, 1))), 2, kind)
    assert np.abs(fine.voxels - 9.0).max() < 1e-5


@pytest.mark.parametrize("kind", BASELINES)
def test_a_volume_turned_round_gives_the_result_turned_round(kind):
    voxels = np.random.default_rng(7).random((7, 9, 8))
    grid = Grid.from_spacing(voxels.shape, (1, 1, 1))
    there = upsample(Volume(voxels, grid), 2, kind).voxels
    back = upsample(Volume(voxels[::-1, ::-1, ::-1], grid), 2, kind).voxels[::-1, ::-1, ::-1]
    assert np.abs(there - back).max() < 1e-6


@pytest.mark.parametrize("kind", BASELINES)
def test_overshoot_goes_below_zero_only_where_the_input_does(kind):
    voxels = np.zeros((12, 12, 12))
    voxels[4:8, 4:8, 4:8] = 1.0
    grid = Grid.from_spacing(voxels.shape, (1, 1, 1))
    assert upsample(Volume(voxels, grid), 2, kind).voxels.min() == 0.0
    assert upsample(Volume(voxels - 0.5, grid), 2, kind).voxels.min() <= -0.5


def test_a_slice_of_one_voxel_is_repeated():
    voxels = np.random.default_rng(8).random((1, 6, 6))
    for kind in BASELINES:
        fine = upsample(Volume(voxels, Grid.from_spacing(voxels.shape, (1, 1, 5))), 2, kind)
        assert fine.shape == (2, 12, 12)
        assert np.abs(fine.voxels[0] - fine.voxels[1]).max() < 1e-6


@pytest.mark.parametrize(("factor", "kind", "words"), [(2, "nearest", "Unknown interp"), (0, "sinc", "whole number")])
def test_bad_input_is_refused_with_a_sentence(factor, kind, words):
    with pytest.raises(InputError, match=words):
        upsample(smooth_volume(ORIENTATIONS["RAS"]), factor, kind)
