"""Grids and volumes: the arithmetic of where a voxel lies, for any orientation."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import placed_grid
from hypothesis import given
from hypothesis import strategies as st
from SynthMRILib.volume import Grid, Volume

angles = st.floats(-180, 180)
positions = st.floats(-400, 400)
spacings = st.floats(0.05, 12)


@st.composite
def grids(draw) -> Grid:
    """Any orientation, either handedness, 0.05 to 12 mm."""
    return placed_grid(
        draw(st.tuples(*[st.integers(1, 300)] * 3)),
        spacing=draw(st.tuples(spacings, spacings, spacings)),
        rotation=draw(st.tuples(angles, angles, angles)),
        origin=draw(st.tuples(positions, positions, positions)),
        left_handed=draw(st.booleans()),
    )


def edges(grid: Grid) -> np.ndarray:
    """RAS positions [mm] of the two opposite outer edges of the field of view."""
    return grid.index_to_ras([[-0.5] * 3, np.array(grid.size) - 0.5])


@given(grids(), st.tuples(*[st.floats(-50, 350)] * 3))
def test_a_position_and_its_index_are_each_others_inverse(grid, index):
    np.testing.assert_allclose(grid.ras_to_index(grid.index_to_ras(index)), index, atol=1e-6)


@given(grids())
def test_a_grid_is_its_directions_spacing_and_origin(grid):
    matrix = np.column_stack([grid.directions * np.array(grid.spacing), grid.origin])
    np.testing.assert_allclose(matrix, grid.ijk_to_ras[:3], atol=1e-9)
    np.testing.assert_allclose(grid.directions.T @ grid.directions, np.eye(3), atol=1e-9)


@given(grids(), st.integers(1, 6))
def test_an_upsampled_grid_covers_the_same_field_of_view(grid, factor):
    finer = grid.upsampled(factor)
    assert finer.shape == tuple(n * factor for n in grid.shape)
    np.testing.assert_allclose(edges(finer), edges(grid), atol=1e-6)
    np.testing.assert_allclose(np.array(finer.spacing) * factor, grid.spacing, rtol=1e-9)
    np.testing.assert_allclose(finer.extent, grid.extent, rtol=1e-9)


@given(grids(), st.integers(1, 6))
def test_downsampling_undoes_upsampling(grid, factor):
    assert grid.upsampled(factor).downsampled(factor).matches(grid)


@given(grids(), st.tuples(*[st.floats(0.2, 5)] * 3))
def test_a_scaled_grid_keeps_its_first_edge_and_its_directions(grid, factor):
    scaled = grid.scaled(factor, grid.shape)
    np.testing.assert_allclose(edges(scaled)[0], edges(grid)[0], atol=1e-6)
    np.testing.assert_allclose(scaled.directions, grid.directions, atol=1e-9)
    np.testing.assert_allclose(scaled.spacing, np.array(grid.spacing) / factor, rtol=1e-9)


@given(grids(), st.integers(2, 5))
def test_a_downsampled_grid_loses_less_than_one_of_its_voxels_at_the_end(grid, factor):
    if min(grid.shape) < factor:
        return
    coarser = grid.downsampled(factor)
    lost = (np.array(grid.extent) - coarser.extent) / coarser.spacing
    assert (lost > -1e-9).all()
    assert (lost < 1).all()
    np.testing.assert_allclose(edges(coarser)[0], edges(grid)[0], atol=1e-6)


@given(grids(), st.integers(0, 2), st.floats(1e-4, 5))
def test_grids_match_only_within_the_tolerance(grid, axis, shift):
    moved = grid.ijk_to_ras.copy()
    moved[axis, 3] += shift
    other = Grid(grid.shape, moved)
    assert grid.matches(grid)
    assert not grid.matches(other)
    assert grid.matches(other, tolerance=1.01 * shift + 1e-9)
    assert not grid.matches(Grid((*grid.shape[:2], grid.shape[2] + 1), grid.ijk_to_ras))


def test_arrays_are_indexed_backwards_from_coordinates():
    grid = placed_grid((4, 3, 2), spacing=(1, 10, 100), origin=(5, 0, 0))
    assert grid.size == (2, 3, 4)
    np.testing.assert_allclose(grid.index_to_ras([1, 2, 3]), [6, 20, 300])


def test_the_matrix_of_a_grid_cannot_be_changed():
    grid = Grid.from_spacing((2, 2, 2), (1, 1, 1))
    with pytest.raises(ValueError, match="read-only"):
        grid.ijk_to_ras[0, 0] = 2


def test_a_grid_needs_a_matrix_of_four_rows_and_columns():
    with pytest.raises(ValueError, match="4x4"):
        Grid((2, 2, 2), np.eye(3))


def test_voxels_must_fit_their_grid():
    with pytest.raises(ValueError, match=r"\(2, 2, 3\)"):
        Volume(np.zeros((2, 2, 3)), Grid.from_spacing((2, 2, 2), (1, 1, 1)))


def test_other_voxels_on_the_same_grid_keep_the_header_but_do_not_share_it(a_volume):
    other = a_volume.with_voxels(a_volume.voxels * 2)
    other.header["Modality"] = "CT"
    assert a_volume.header["Modality"] == "MR"
    assert other.grid is a_volume.grid
    assert other.voxels.dtype == np.float32
