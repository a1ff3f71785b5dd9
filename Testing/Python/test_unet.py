"""The residual U-Net: what it computes, how far it sees, and that tiles make no difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from SynthMRILib.inference.runner import make_plan, run_tiles, with_conditions
from SynthMRILib.networks.unet import AMPLIFIED, ResidualUNet, detailed, folded, unfolded
from SynthMRILib.progress import no_progress


def a_network(**arguments) -> ResidualUNet:
    torch.manual_seed(0)
    network = ResidualUNet(**{"features": (4, 6, 8), "convolutions": 1, **arguments})
    torch.nn.init.normal_(network.exit.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 6, 7), (1, 9, 12)])
def test_output_has_the_shape_of_the_input(shape: tuple[int, int, int], fold: int) -> None:
    mean, log_variance = a_network(channels=2, fold=fold)(torch.rand(2, 2, *shape))
    assert mean.shape == log_variance.shape == (2, 1, *shape)


@pytest.mark.parametrize("features", [(4, 6), (4, 6, 8)])
@pytest.mark.parametrize(
    ("convolutions", "fold", "details"), [(1, 1, False), (2, 1, False), (1, 2, False), (1, 2, True)]
)
def test_receptive_field_lies_within_the_stated_radius(
    features: tuple[int, ...], convolutions: int, fold: int, details: bool
) -> None:
    network = a_network(features=features, convolutions=convolutions, fold=fold, details=details)
    radius = network.receptive_field_radius
    size, reached = 2 * radius + 9, 0
    for middle in range(radius + 2, radius + 2 + network.stride):
        x = torch.rand(1, 1, size, 12, 12, requires_grad=True)
        sum(part[0, 0, middle].sum() for part in network(x)).backward()
        seen = x.grad[0, 0].abs().sum((1, 2)).nonzero().flatten() - middle
        reached = max(reached, -int(seen.min()), int(seen.max()))
    assert radius - network.stride <= reached <= radius


@pytest.mark.parametrize("shape", [(40, 21, 18), (61, 8, 9)])
@pytest.mark.parametrize(("tile", "fold", "details"), [(7, 1, False), (16, 1, False), (16, 2, True)])
def test_tiled_result_equals_the_whole_volume(shape: tuple[int, int, int], tile: int, fold: int, details: bool) -> None:
    network = a_network(channels=3, fold=fold, details=details)
    voxels = np.random.default_rng(0).random((2, *shape), dtype=np.float32)

    def run(edge: int) -> np.ndarray:
        plan = make_plan(shape, network, dtype=torch.float32, tile=edge, available=8_000_000_000)
        return run_tiles(
            network,
            voxels,
            plan,
            device=torch.device("cpu"),
            dtype=torch.float32,
            forward=lambda net, x: net(x)[0][0],
            outputs=1,
            progress=no_progress,
            conditions=(0.5,),
        )

    whole = run(1000)
    assert np.abs(whole - run(tile)).max() <= 1e-4 * np.ptp(whole)


def test_head_on_shared_features_gives_the_whole_pass_and_training_draws_dropout() -> None:
    network, x = a_network(), torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(network.forward_head(network.forward_features(x), x)[0], network(x)[0])
    network.train()
    assert not torch.equal(network(x)[0], network(x)[0])


def test_an_untrained_residual_network_hardly_changes_its_first_channel() -> None:
    x = torch.rand(1, 2, 8, 8, 8)
    network = ResidualUNet(channels=2, features=(4, 6))
    assert (network.eval()(x)[0] - x[:, :1]).abs().max() < 0.1


def test_conditions_become_constant_channels() -> None:
    block = with_conditions(torch.rand(1, 2, 3, 4, 5), (0.25, 7.0))
    assert block.shape == (1, 4, 3, 4, 5)
    assert block[0, 2].unique().tolist() == [0.25]
    assert block[0, 3].unique().tolist() == [7.0]


def test_folding_voxels_into_channels_and_back_changes_nothing() -> None:
    x = torch.rand(2, 3, 4, 6, 8)
    packed = folded(x, 2)
    assert packed.shape == (2, 24, 2, 3, 4)
    assert torch.equal(unfolded(packed, 2), x)


def test_a_folded_network_returns_its_input_before_it_has_learned() -> None:
    x = torch.rand(1, 2, 8, 8, 8)
    assert torch.equal(ResidualUNet(channels=2, features=(8, 8), fold=2).eval()(x)[0], x[:, :1])


def test_details_are_what_box_filters_take_away() -> None:
    x = torch.rand(1, 1, 12, 12, 12)
    fine, coarse = detailed(x)[0, :, 6, 6, 6] / AMPLIFIED
    smooth = torch.nn.functional.avg_pool3d(x, 3, stride=1, padding=1)
    assert torch.isclose(fine, (x - smooth)[0, 0, 6, 6, 6])
    assert torch.isclose(coarse, smooth[0, 0, 6, 6, 6] - smooth[0, 0, 3:10, 3:10, 3:10].mean(), atol=1e-6)
