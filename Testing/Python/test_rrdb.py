"""The super-resolution network: what it computes and how far it sees."""

from __future__ import annotations

import pytest
import torch
from SynthMRILib.networks.rrdb import RRDBNet, voxel_shuffle

SMALL = {"features": 8, "growth": 4, "convolutions": 3, "dense_blocks": 2, "blocks": 1}


@pytest.fixture
def a_network() -> RRDBNet:
    torch.manual_seed(0)
    network = RRDBNet(**SMALL)
    torch.nn.init.normal_(network.exit.weight, std=0.1)
    return network.eval()


def test_voxel_shuffle_moves_each_channel_to_its_place() -> None:
    x = torch.arange(8.0).view(1, 8, 1, 1, 1)
    assert voxel_shuffle(x, 2)[0, 0].flatten().tolist() == list(range(8))


def test_mean_and_log_variance_have_twice_the_voxels(a_network: RRDBNet) -> None:
    mean, log_variance = a_network(torch.rand(2, 1, 5, 6, 7))
    assert mean.shape == log_variance.shape == (2, 1, 10, 12, 14)


def test_scale_one_keeps_the_grid() -> None:
    assert RRDBNet(**SMALL, scale=1)(torch.rand(1, 1, 5, 6, 7))[0].shape == (1, 1, 5, 6, 7)


def test_receptive_field_radius_is_the_one_measured_by_gradient(a_network: RRDBNet) -> None:
    radius, size = a_network.receptive_field_radius, 2 * a_network.receptive_field_radius + 5
    x = torch.rand(1, 1, size, size, size, requires_grad=True)
    middle = size // 2
    mean, log_variance = a_network(x)
    (mean[..., 2 * middle, 2 * middle, 2 * middle] + log_variance[..., 2 * middle, 2 * middle, 2 * middle]).backward()
    seen = x.grad[0, 0].abs().sum((1, 2)).nonzero().flatten() - middle
    assert max(-int(seen.min()), int(seen.max())) == radius


def test_default_network_sees_at_most_24_voxels_far() -> None:
    assert RRDBNet().receptive_field_radius <= 24


def test_evaluation_is_deterministic_and_training_draws_dropout(a_network: RRDBNet) -> None:
    x = torch.rand(1, 1, 4, 4, 4)
    assert torch.equal(a_network(x)[0], a_network(x)[0])
    a_network.train()
    assert not torch.equal(a_network(x)[0], a_network(x)[0])


def test_head_on_shared_features_gives_the_whole_pass(a_network: RRDBNet) -> None:
    x = torch.rand(1, 1, 4, 4, 4)
    assert torch.equal(a_network.forward_head(a_network.forward_features(x), x)[0], a_network(x)[0])


def test_mask_of_a_seed_is_always_the_same_and_keeps_the_mean(a_network: RRDBNet) -> None:
    x = torch.rand(1, 1, 4, 4, 4)
    masks = [a_network.draw_mask(x, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*masks)
    many = torch.stack([a_network.draw_mask(x, torch.Generator().manual_seed(n)) for n in range(400)])
    assert many.mean().item() == pytest.approx(1.0, abs=0.05)
