"""Critics and feature network: shapes, what a score sees, and that samples of a batch do not mix."""

from __future__ import annotations

import pytest
import torch
from SynthMRILib.networks.critics import PatchCritic, ResNetCritic
from SynthMRILib.networks.features import ResNetFeatures, frozen_features
from SynthMRILib.networks.wavelet_critic import WaveletCritic
from torch import nn

CRITICS = {
    "residual": (lambda: ResNetCritic(features=(4, 6, 8, 8)), (2, 1, 2, 2, 2)),
    "patch": (lambda: PatchCritic(features=(4, 6)), (2, 1, 6, 6, 6)),
    "wavelet": (lambda: WaveletCritic(features=(4, 8, 8)), (2, 1, 32, 32, 32)),
    "features": (lambda: ResNetFeatures(features=(4, 6, 8, 8)), (2, 8, 2, 2, 2)),
}


@pytest.fixture(params=CRITICS)
def a_case(request: pytest.FixtureRequest) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    make, shape = CRITICS[request.param]
    return make(), shape


def test_scores_have_their_shape_and_every_weight_learns(a_case: tuple[nn.Module, tuple[int, ...]]) -> None:
    network, shape = a_case
    scores = network(torch.rand(2, 1, 32, 32, 32))
    assert scores.shape == shape
    (scores**2).sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_samples_of_a_batch_do_not_mix(a_case: tuple[nn.Module, tuple[int, ...]]) -> None:
    network, _ = a_case
    x = torch.rand(2, 1, 32, 32, 32)
    together = network(x)
    assert torch.allclose(together[:1], network(x[:1]), atol=1e-5)


def test_critics_go_through_sizes_that_are_not_powers_of_two(a_case: tuple[nn.Module, tuple[int, ...]]) -> None:
    assert torch.isfinite(a_case[0](torch.rand(1, 1, 48, 40, 24))).all()


def test_a_score_of_the_patch_critic_sees_its_patch_alone() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(features=(4, 6))
    for module in critic.modules():
        if isinstance(module, nn.InstanceNorm3d):
            module.forward = lambda x: x
    assert critic.patch == 34
    x = torch.rand(1, 1, 60, 16, 16, requires_grad=True)
    scores = critic(x)
    scores[0, 0, scores.shape[2] // 2].sum().backward()
    seen = x.grad[0, 0].abs().sum((1, 2)).nonzero().flatten()
    assert int(seen.max() - seen.min()) + 1 == critic.patch


def test_frozen_features_depend_on_their_seed_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, same, other = (frozen_features(features=(4, 4, 4, 4), seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.stem.weight, same.stem.weight)
    assert not torch.equal(one.stem.weight, other.stem.weight)
    assert not any(p.requires_grad for p in one.parameters())
