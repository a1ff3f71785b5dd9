"""Low-resolution inputs lie where the grid says, hold what the model says, and refuse what cannot be halved."""

import numpy as np
import pytest
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.degrade import DEGRADATIONS, crop_to_multiple, degrade
from SynthMRILib.volume import Grid, Volume

N = 48
INNER = (slice(4, -4),) * 3


def wave_volume(grid: Grid, *, periods: int = 2) -> Volume:
    """Waves with a whole number of periods in N voxels of 1 mm, so that they are also periodic for the FFT."""
    k, j, i = np.indices(grid.shape)
    x, y, z = np.moveaxis(grid.index_to_ras(np.stack([i, j, k], axis=-1)), -1, 0)
    omega = 2 * np.pi * periods / N
    voxels = 3 + np.sin(omega * x + 0.4) + 0.5 * np.cos(omega * y + 0.1 * np.pi) + 0.7 * np.sin(2 * omega * z + 0.9)
    return Volume(voxels, grid)


def attenuation(kind: str, omega: float) -> float:
    """What a model does to the amplitude of a wave of `omega` radians a voxel."""
    sigma = 2 / 2.354820045
    return {"kspace": 1.0, "mean": np.cos(omega / 2), "gaussian": np.exp(-(omega**2) * sigma**2 / 2)}[kind]


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_wave_keeps_its_phase_at_the_coarse_voxel_centers_and_loses_the_amplitude_of_the_model(kind):
    reference = wave_volume(Grid.from_spacing((N, N, N), (1, 1, 1)))
    coarse = degrade(reference, kind)
    exact = wave_volume(reference.grid.downsampled(2)).voxels.astype(np.float64)
    k, j, i = np.indices(coarse.shape)
    x, y, z = np.moveaxis(coarse.grid.index_to_ras(np.stack([i, j, k], axis=-1)), -1, 0)
    omega = 2 * np.pi * 2 / N
    low, high = attenuation(kind, omega), attenuation(kind, 2 * omega)
    expected = (
        3
        + low * np.sin(omega * x + 0.4)
        + low * 0.5 * np.cos(omega * y + 0.1 * np.pi)
        + high * 0.7 * np.sin(2 * omega * z + 0.9)
    )
    assert coarse.grid.matches(reference.grid.downsampled(2))
    assert np.abs(coarse.voxels - expected)[INNER].max() < 2e-4
    if kind == "kspace":
        assert np.abs(coarse.voxels - exact).max() < 1e-5


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_constant_stays_what_it_is_up_to_the_border(kind):
    reference = Volume(np.full((12, 10, 14), 7.0), Grid.from_spacing((12, 10, 14), (1, 1, 2)))
    assert np.abs(degrade(reference, kind).voxels - 7.0).max() < 1e-5


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_volume_turned_round_gives_the_result_turned_round(kind, factor):
    voxels = np.random.default_rng(4).random((12, 18, 24))
    grid = Grid.from_spacing(voxels.shape, (1, 1, 1))
    there = degrade(Volume(voxels, grid), kind, factor=factor).voxels
    back = degrade(Volume(voxels[::-1, ::-1, ::-1], grid), kind, factor=factor).voxels[::-1, ::-1, ::-1]
    assert np.abs(there - back).max() < 1e-6


def test_block_mean_is_the_mean_of_the_eight_voxels():
    voxels = np.arange(64.0).reshape(4, 4, 4)
    coarse = degrade(Volume(voxels, Grid.from_spacing((4, 4, 4), (1, 1, 1))), "mean")
    assert coarse.voxels[0, 0, 0] == np.mean(voxels[:2, :2, :2])
    assert coarse.voxels[1, 0, 1] == np.mean(voxels[2:, :2, 2:])


def test_k_space_truncation_removes_what_the_coarse_grid_cannot_carry_and_has_no_sign():
    k = np.arange(16)
    fast = np.broadcast_to(np.cos(2 * np.pi * 6 * k / 16)[:, None, None], (16, 16, 16))  # 6 of at most 4 periods
    slow = np.broadcast_to(np.cos(2 * np.pi * 2 * k / 16)[:, None, None], (16, 16, 16))
    grid = Grid.from_spacing((16, 16, 16), (1, 1, 1))
    assert np.abs(degrade(Volume(fast, grid), "kspace").voxels).max() < 1e-6
    assert degrade(Volume(slow, grid), "kspace").voxels.min() >= 0


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_odd_sizes_lose_their_last_voxel_and_nothing_moves(kind):
    voxels = np.random.default_rng(5).random((9, 11, 12))
    matrix = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]])
    reference = Volume(voxels, Grid(voxels.shape, matrix), {"modality": "MR"})
    cropped = crop_to_multiple(reference)
    assert cropped.shape == (8, 10, 12)
    assert np.array_equal(cropped.voxels, reference.voxels[:8, :10])
    coarse = degrade(reference, kind)
    assert coarse.grid.matches(reference.grid.downsampled(2)) and coarse.grid.matches(cropped.grid.downsampled(2))
    assert np.array_equal(coarse.voxels, degrade(cropped, kind).voxels)
    assert coarse.header == {"modality": "MR"}


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [((8, 8, 8), "box", "Unknown degradation 'box'"), ((8, 1, 8), "mean", "cannot be made 2 times coarser")],
)
def test_bad_input_is_refused_with_a_sentence(shape, kind, words):
    with pytest.raises(InputError, match=words):
        degrade(Volume(np.ones(shape), Grid.from_spacing(shape, (1, 1, 1))), kind)
