"""The noise schedule, the conditional diffusion network and how samples are drawn."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from SynthMRILib.bundles import load_bundle
from SynthMRILib.errors import ResourceError
from SynthMRILib.inference.diffusion import SamplingPlan, sample, sample_volume, slices_with_neighbors, stripe_index
from SynthMRILib.networks.diffusion import ConditionalDiffusion
from SynthMRILib.networks.noise_schedule import NoiseSchedule
from SynthMRILib.training.export import BundleDescription, write_bundle
from torch import Tensor, nn

ARGUMENTS = {"encoder_features": [4, 8], "features": [8, 16], "attention": [0, 0], "groups": 4}


@pytest.fixture(scope="module")
def schedule() -> NoiseSchedule:
    return NoiseSchedule()


@pytest.fixture
def a_network() -> ConditionalDiffusion:
    torch.manual_seed(0)
    return ConditionalDiffusion(**ARGUMENTS).eval()


def samples(seed: int) -> Tensor:
    return torch.rand((3, 1, 4, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_schedule_begins_and_ends_where_it_should(schedule: NoiseSchedule) -> None:
    assert schedule.added[1].item() == pytest.approx(1e-4)
    assert schedule.added[1000].item() == pytest.approx(0.02)
    assert schedule.kept[0].item() == 1
    assert schedule.kept[1000].item() == pytest.approx(4.04e-5, rel=1e-2)


def test_noise_taken_out_gives_the_clean_samples_back(schedule: NoiseSchedule) -> None:
    clean, noise, t = samples(0), samples(1), torch.tensor([1, 400, 1000])
    noisy = schedule.noisy(clean, noise, t)
    assert (schedule.clean(noisy, noise, t) - clean).abs().max() < 1e-9


def test_posterior_mean_is_the_mean_that_the_noise_implies(schedule: NoiseSchedule) -> None:
    clean, noise, t = samples(0), samples(1), torch.tensor([2, 400, 1000])
    noisy = schedule.noisy(clean, noise, t)
    added, kept = schedule.added[t].view(-1, 1, 1, 1), schedule.kept[t].view(-1, 1, 1, 1)
    implied = (noisy - added / (1 - kept).sqrt() * noise) / (1 - added).sqrt()
    assert (schedule.posterior_mean(clean, noisy, t) - implied).abs().max() < 1e-9


@pytest.mark.parametrize("t", [2, 17, 500, 1000])
def test_ddim_with_eta_1_has_the_variance_of_the_posterior(schedule: NoiseSchedule, t: int) -> None:
    assert schedule.spread(t, t - 1, eta=1.0) ** 2 == pytest.approx(schedule.posterior_variance(t), rel=1e-9)
    assert schedule.spread(t, t - 1, eta=0.0) == 0


def test_a_step_back_with_the_true_noise_goes_down_the_same_path(schedule: NoiseSchedule) -> None:
    clean, noise = samples(0), samples(1)
    noisy = schedule.noisy(clean, noise, torch.full((3,), 700))
    earlier = schedule.step_back(noisy, noise, 700, 300)
    assert (earlier - schedule.noisy(clean, noise, torch.full((3,), 300))).abs().max() < 1e-9
    assert (schedule.step_back(noisy, noise, 700, 0) - clean).abs().max() < 1e-9


@pytest.mark.parametrize(("count", "start"), [(10, None), (50, 400), (20, 7)])
def test_steps_fall_from_the_start_to_the_clean_volume(schedule: NoiseSchedule, count: int, start: int | None) -> None:
    steps = schedule.subset(count, start=start)
    assert steps[0] == (start or 1000)
    assert steps[-2:] == [1, 0]
    assert all(a > b for a, b in pairwise(steps))
    assert len(steps) == min(count, start or 1000) + 1


@pytest.mark.parametrize("shape", [(8, 8), (7, 10)])
def test_the_network_sees_slices_of_any_size_the_time_and_the_condition(
    a_network: ConditionalDiffusion, shape: tuple[int, int]
) -> None:
    for module in (
        a_network.unet.out[2].conv,
        *[m.conv2.conv for m in a_network.unet.modules() if hasattr(m, "conv2")],
    ):
        nn.init.normal_(module.weight, std=0.2)
    x, condition = torch.randn(2, 1, *shape), torch.rand(2, 1, *shape)
    early, late = torch.full((2,), 5), torch.full((2,), 900)
    noise = a_network(x, early, a_network.encode_condition(condition))
    assert noise.shape == x.shape
    assert not torch.allclose(noise, a_network(x, late, a_network.encode_condition(condition)))
    assert not torch.allclose(noise, a_network(x, early, a_network.encode_condition(1 - condition)))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_folded_network_takes_any_size_and_looks_at_its_condition(dimensions: int) -> None:
    torch.manual_seed(0)
    network = ConditionalDiffusion(**ARGUMENTS, dimensions=dimensions, fold=2, condition_channels=2).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    shape = (9, 10, 7)[:dimensions]
    noisy, condition = torch.rand(1, 1, *shape), torch.rand(1, 2, *shape)
    encoded = network.encode_condition(condition)
    seen = network(noisy, torch.tensor([5]), encoded)
    assert seen.shape == noisy.shape
    assert torch.equal(seen, network(noisy, torch.tensor([5]), condition=condition))
    assert not torch.equal(seen, network(noisy, torch.tensor([5]), condition=condition.flip(-1)))


def test_three_dimensions_work_as_two_do() -> None:
    network = ConditionalDiffusion(**ARGUMENTS, dimensions=3).eval()
    x = torch.randn(1, 1, 5, 6, 7)
    assert network(x, torch.tensor([3]), network.encode_condition(x)).shape == x.shape


def test_without_monai_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(ResourceError, match="pip install 'monai"):
        ConditionalDiffusion(**ARGUMENTS)


class KnowsTheAnswer(ConditionalDiffusion):
    """Sees all the noise there is between a sample and its condition."""

    def encode_condition(self, condition: Tensor) -> Tensor:
        return condition

    def forward(self, noisy: Tensor, t: Tensor, encoded: Tensor) -> Tensor:
        kept = self.schedule.kept_at(t, noisy)
        return (noisy - kept.sqrt() * encoded) / (1 - kept).sqrt()


@pytest.mark.parametrize("plan", [SamplingPlan(steps=10), SamplingPlan(steps=50, eta=1.0), SamplingPlan(start=0.3)])
def test_a_network_that_knows_the_answer_samples_the_answer(plan: SamplingPlan) -> None:
    condition = torch.rand(2, 1, 6, 8)
    made = sample(KnowsTheAnswer(**ARGUMENTS), condition, plan, estimate=torch.rand(2, 1, 6, 8))
    assert (made - condition).abs().max() < 1e-4


def test_a_seed_gives_its_sample_and_another_seed_another(a_network: ConditionalDiffusion) -> None:
    condition = torch.rand(2, 1, 8, 8)
    one, same, other = (sample(a_network, condition, SamplingPlan(steps=4, seed=s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_equal_slices_get_equal_samples_because_noise_is_shared(a_network: ConditionalDiffusion) -> None:
    volume = np.broadcast_to(np.random.default_rng(0).random((8, 8), dtype=np.float32), (1, 5, 8, 8))
    made = sample_volume(a_network, volume, SamplingPlan(steps=4, eta=1.0), batch=2)
    assert np.abs(made - made[:1]).max() < 1e-4
    assert made.std() > 0.05


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_taken_across_the_axis_that_was_asked_for(axis: int) -> None:
    volume = np.random.default_rng(0).random((1, 4, 6, 8), dtype=np.float32)
    made = sample_volume(KnowsTheAnswer(**ARGUMENTS), volume, SamplingPlan(steps=5), axis=axis)
    assert np.abs(made - volume[0]).max() < 1e-4


def test_an_early_start_stays_near_the_estimate(a_network: ConditionalDiffusion) -> None:
    estimate = np.random.default_rng(0).random((2, 8, 8), dtype=np.float32)
    near, far = (
        sample_volume(a_network, estimate[None], SamplingPlan(steps=5, start=start), estimate=estimate)
        for start in (0.02, 0.9)
    )
    assert np.abs(near - estimate).mean() < 0.05 < np.abs(far - estimate).mean()


def test_the_stripe_index_sees_stripes_across_the_slices_alone() -> None:
    k, j, i = np.meshgrid(*[np.linspace(0, 1, 24)] * 3, indexing="ij")
    smooth = (0.5 + 0.3 * np.sin(3 * k + 2 * j + i)).astype(np.float32)
    striped = smooth * (1 + 0.05 * (-1.0) ** np.arange(24))[:, None, None].astype(np.float32)
    assert stripe_index(smooth, 0) < 0.005
    assert stripe_index(striped, 0) == pytest.approx(0.1, rel=0.1)
    assert stripe_index(striped, 1) < 0.005
    assert stripe_index(np.zeros((4, 4, 4)), 0) == 0


def test_neighbors_of_the_first_and_last_slice_are_repeated() -> None:
    volumes = np.arange(8, dtype=np.float32).reshape(2, 4, 1, 1)
    seen = slices_with_neighbors(volumes, slice(0, 4), 1)[..., 0, 0]
    assert seen.tolist() == [
        [0, 0, 1, 4, 4, 5],
        [0, 1, 2, 4, 5, 6],
        [1, 2, 3, 5, 6, 7],
        [2, 3, 3, 6, 7, 7],
    ]


def test_a_bundle_holds_a_diffusion_network(a_network: ConditionalDiffusion, tmp_path: Path) -> None:
    description = BundleDescription(
        title="Test",
        task="motion-correction",
        description="Random weights.",
        network_name="ConditionalDiffusion",
        network_arguments=ARGUMENTS,
        expects={},
        training={},
        validation={},
    )
    bundle = load_bundle(write_bundle(tmp_path / "bundle", a_network, description))
    assert bundle.metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "noise"}
    loaded = bundle.build_network()
    assert torch.allclose(loaded.noisy_encoder[0].first.weight, a_network.noisy_encoder[0].first.weight, atol=1e-3)
    assert loaded.schedule.steps == 1000
