"""Tiles with a halo give the result of the whole volume."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from SynthMRILib.errors import Cancelled, InputError, ResourceError
from SynthMRILib.inference.runner import make_plan, run_tiles
from SynthMRILib.inference.tiling import choose_parts, make_tiles, parts_of_size, times_computed
from SynthMRILib.networks.rrdb import RRDBNet
from SynthMRILib.progress import no_progress

GIGABYTE = 1_000_000_000


@pytest.fixture
def a_network() -> RRDBNet:
    torch.manual_seed(1)
    network = RRDBNet(features=8, growth=4, convolutions=2, dense_blocks=1)
    torch.nn.init.normal_(network.exit.weight, std=0.1)
    return network.eval()


def run(network: RRDBNet, voxels: np.ndarray, tile: int, progress=no_progress) -> np.ndarray:
    plan = make_plan(voxels.shape, network, dtype=torch.float32, tile=tile, available=8 * GIGABYTE)
    return run_tiles(
        network,
        voxels,
        plan,
        device=torch.device("cpu"),
        dtype=torch.float32,
        forward=lambda net, x: net(x)[0][0],
        outputs=1,
        progress=progress,
    )[0]


@pytest.mark.parametrize("shape", [(20, 25, 31), (8, 40, 9), (1, 17, 16)])
@pytest.mark.parametrize("tile", [7, 12])
def test_tiled_result_equals_the_whole_volume(a_network: RRDBNet, shape: tuple[int, int, int], tile: int) -> None:
    voxels = np.random.default_rng(0).random(shape, dtype=np.float32)
    whole, tiled = run(a_network, voxels, 1000), run(a_network, voxels, tile)
    assert np.abs(whole - tiled).max() <= 1e-4 * np.ptp(whole)


def test_a_tile_smaller_than_the_halo_is_refused_before_it_takes_forever(a_network: RRDBNet) -> None:
    voxels = np.ones((40, 40, 40), dtype=np.float32)
    assert a_network.receptive_field_radius == 6
    for tile in (1, 2):
        with pytest.raises(InputError, match=r"times over, because it sees 6 .* choose 6 or more, or 0 for automatic"):
            run(a_network, voxels, tile)
    assert run(a_network, voxels[:4, :4, :4], 4).shape == (8, 8, 8), "one tile needs no halo"


@pytest.mark.parametrize(("shape", "tile"), [((40, 31, 22), 7), ((20, 20, 20), 1), ((9, 9, 9), 9)])
def test_how_often_a_voxel_is_computed_is_counted_without_making_the_tiles(shape, tile) -> None:
    parts = parts_of_size(shape, tile)
    tiles = make_tiles(shape, parts, halo=5)
    assert times_computed(shape, parts, 5) == pytest.approx(sum(t.voxels for t in tiles) / np.prod(shape))


def test_a_halo_too_small_would_be_noticed(a_network: RRDBNet) -> None:
    voxels = np.random.default_rng(0).random((20, 20, 20), dtype=np.float32)
    whole = run(a_network, voxels, 1000)
    a_network.receptive_field_radius = 1
    assert np.abs(whole - run(a_network, voxels, 7)).max() > 1e-4 * np.ptp(whole)


def test_zero_background_stays_zero_and_is_not_computed(a_network: RRDBNet) -> None:
    voxels = np.zeros((40, 24, 24), dtype=np.float32)
    voxels[2:8, 4:20, 4:20] = 1.0
    seen: list[str] = []
    tiled = run(a_network, voxels, 12, lambda _, message: seen.append(message))
    assert np.array_equal(tiled[2 * 9 :], np.zeros_like(tiled[2 * 9 :]))
    assert seen[-1].endswith("of 4")
    assert np.abs(tiled - run(a_network, voxels, 1000)).max() <= 1e-4


def test_progress_rises_to_one(a_network: RRDBNet) -> None:
    fractions: list[float] = []
    run(a_network, np.ones((16, 16, 16), np.float32), 8, lambda fraction, _: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 8


def test_cancelling_from_progress_stops_the_run(a_network: RRDBNet) -> None:
    def cancel(fraction: float, message: str) -> None:
        raise Cancelled(f"{message} at {fraction}")

    with pytest.raises(Cancelled):
        run(a_network, np.ones((16, 16, 16), np.float32), 8, cancel)
    assert not any(m._forward_hooks for m in a_network.modules())


@pytest.mark.parametrize("shape", [(182, 218, 182), (36, 320, 320), (16, 16, 2048)])
@pytest.mark.parametrize("largest", [400_000, 1_500_000])
def test_chosen_division_respects_the_limit_and_covers_the_volume(shape: tuple[int, int, int], largest: int) -> None:
    tiles = make_tiles(shape, choose_parts(shape, 12, largest), 12)
    assert max(t.voxels for t in tiles) <= largest * 1.02
    covered = np.zeros(shape, dtype=np.uint8)
    for tile in tiles:
        covered[tile.write] += 1
    assert (covered == 1).all()


def test_whole_volume_is_one_tile_when_it_fits() -> None:
    assert choose_parts((91, 109, 91), 12, 10_000_000) == (1, 1, 1)
    assert parts_of_size((91, 109, 91), 64) == (2, 2, 2)


def test_too_little_memory_is_said_before_the_run(a_network: RRDBNet) -> None:
    with pytest.raises(ResourceError, match=r"needs about .* GB .* machine has 0\.1 GB"):
        make_plan((400, 400, 400), a_network, dtype=torch.float32, tile=0, available=GIGABYTE // 10)
