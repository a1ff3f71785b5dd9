"""The peer DCSRN: it fits the same training and the same inference as our own network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from SynthMRILib.bundles import NETWORKS, network_class
from SynthMRILib.networks.dcsrn import DCSRN

QUEUE = Path(__file__).resolve().parents[1] / "Benchmarks" / "queue"


@pytest.fixture
def a_network() -> DCSRN:
    torch.manual_seed(0)
    network = DCSRN(features=6, growth=4, convolutions=4, dropout=0.2)
    torch.nn.init.normal_(network.exit.weight, std=0.1)
    return network.eval()


def test_untrained_it_is_the_interpolation_with_little_added() -> None:
    x = torch.full((1, 1, 6, 6, 6), 0.5)
    mean, log_variance = DCSRN()(x)
    assert mean.shape == log_variance.shape == (1, 1, 12, 12, 12)
    assert (mean - 0.5).abs().max() < 0.1


def test_what_it_sees_lies_within_its_receptive_field(a_network: DCSRN) -> None:
    radius = a_network.receptive_field_radius
    x = torch.rand(1, 1, *(2 * radius + 5,) * 3, requires_grad=True)
    middle = radius + 2
    for offset in (0, 1):  # both fine voxels in a coarse one
        x.grad = None
        a_network(x)[0][(..., *(2 * middle + offset,) * 3)].backward()
        seen = x.grad[0, 0].abs().sum((1, 2)).nonzero().flatten() - middle
        assert radius - 1 <= max(-int(seen.min()), int(seen.max())) <= radius


def test_head_on_shared_features_gives_the_whole_pass(a_network: DCSRN) -> None:
    x = torch.rand(1, 1, 5, 5, 5)
    features = a_network.forward_features(x)
    assert torch.equal(a_network.forward_head(features, x)[0], a_network(x)[0])
    mask = a_network.draw_mask(x, torch.Generator().manual_seed(1))
    assert not torch.equal(a_network.forward_head(features, x, mask)[0], a_network(x)[0])


@pytest.mark.parametrize("name", ["super_resolution_x2", "peer_esrgan_3d", "peer_dcsrn"])
def test_each_configuration_of_the_comparison_builds_a_network_that_bundles_may_name(name: str) -> None:
    training = json.loads((QUEUE / f"{name}.json").read_text(encoding="utf-8"))["training"]
    architecture = training.get("architecture", "RRDBNet")
    assert architecture in NETWORKS
    network = network_class(architecture)(**training["network"])
    assert network.scale == 2
