"""Sampled volumes as a source of uncertainty: the spread is that of the samples, and that of a known distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bundle_support import make_bundle
from conftest import placed_grid
from SynthMRILib.errors import InputError
from SynthMRILib.inference.diffusion import SamplingPlan, sample_volume
from SynthMRILib.networks.diffusion import ConditionalDiffusion
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.super_resolution import SuperResolution
from SynthMRILib.tasks.uncertainty import UncertaintyParameters
from SynthMRILib.uncertainty.sampled_volumes import diffusion_sampler, sampled_maps, volumes_needed
from SynthMRILib.volume import Volume
from torch import Tensor

ARGUMENTS = {"encoder_features": [4, 8], "features": [8, 16], "attention": [0, 0], "groups": 4}
SPREAD = 0.06


class KnowsThePosterior(ConditionalDiffusion):
    """Predicts the noise as one who knows that the truth is the condition with an error of deviation SPREAD."""

    def encode_condition(self, condition: Tensor) -> Tensor:
        return condition

    def forward(self, noisy: Tensor, t: Tensor, encoded: Tensor) -> Tensor:
        kept = self.schedule.kept_at(t, noisy)
        variance = kept * (2 * SPREAD) ** 2 + 1 - kept
        return (1 - kept).sqrt() * (noisy - kept.sqrt() * encoded) / variance


def a_condition() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.8, (1, 3, 16, 20)).astype(np.float32)


def spread_of(plan: SamplingPlan, samples: int) -> tuple[dict[str, np.ndarray], dict]:
    draw = diffusion_sampler(KnowsThePosterior(**ARGUMENTS), a_condition(), plan)
    return sampled_maps(draw, samples=samples, seed=3, progress=no_progress)


@pytest.mark.parametrize(
    ("steps", "eta", "share"), [(200, 0.0, 0.95), (50, 0.0, 0.82), (20, 0.0, 0.59), (20, 1.0, 0.51)]
)
def test_the_spread_is_that_of_the_posterior_but_few_steps_understate_it(steps, eta, share) -> None:
    maps, facts = spread_of(SamplingPlan(steps=steps, eta=eta), 6)
    assert np.sqrt(np.mean(maps["aleatoric"] ** 2)) / SPREAD == pytest.approx(share, abs=0.05)
    assert np.abs(maps["mean"] - a_condition()[0]).mean() < 3 * SPREAD / 6**0.5
    assert maps["standard-error"] == pytest.approx(maps["aleatoric"] / 6**0.5) and maps["epistemic"].max() == 0
    assert facts["passes"] == 6 and facts["total_relative_standard_error"] == pytest.approx(0.316, abs=1e-3)


@pytest.mark.parametrize("highest", [1.0, 4000.0])
def test_moments_equal_float64_of_all_samples_at_any_intensity(highest: float) -> None:
    torch.manual_seed(0)
    network, plan = ConditionalDiffusion(**ARGUMENTS).eval(), SamplingPlan(steps=3, eta=1.0)
    plain = diffusion_sampler(network, a_condition(), plan, batch=2)
    maps, _ = sampled_maps(lambda seed, p: highest * plain(seed, p), samples=5, seed=2, progress=no_progress)
    seeds = [1_000_003 * 2 + n for n in range(5)]
    plans = [SamplingPlan(steps=3, eta=1.0, seed=seed) for seed in seeds]
    every = np.stack([highest * sample_volume(network, a_condition(), p, batch=2) for p in plans]).astype(np.float64)
    assert maps["aleatoric"] == pytest.approx(every.std(axis=0, ddof=1), rel=1e-5)
    assert maps["mean"] == pytest.approx(every.mean(axis=0), rel=1e-5, abs=1e-6 * highest)
    again, _ = sampled_maps(lambda seed, p: highest * plain(seed, p), samples=5, seed=2, progress=no_progress)
    assert np.array_equal(maps["aleatoric"], again["aleatoric"])


def test_a_tolerance_says_how_many_volumes_are_enough() -> None:
    assert volumes_needed(0.5) == 3 and volumes_needed(0.1) == 51
    rng = np.random.default_rng(0)
    for tolerance, passes in ((0.25, 9), (0.05, 30)):
        draw = lambda seed, progress: rng.normal(1, 0.1, (4, 4, 4))  # noqa: ARG005, E731
        _, facts = sampled_maps(draw, samples=30, seed=0, tolerance=tolerance, progress=no_progress)
        assert facts["passes"] == passes


def test_a_sample_that_is_not_finite_is_told() -> None:
    with pytest.raises(InputError, match="Sample 1 is not finite"):
        sampled_maps(lambda *_: np.full((2, 2, 2), np.nan), samples=3, seed=0, progress=no_progress)


def test_a_task_that_samples_gets_the_maps_of_its_samples(tmp_path, monkeypatch) -> None:
    """A method `sampler` is all that a task needs; augmentation, which samples have no use for, is refused."""
    bundle = make_bundle(tmp_path / "network")
    shape = (16, 18, 20)
    volume = Volume(np.random.default_rng(0).uniform(100, 900, shape), placed_grid(shape, spacing=(2, 2, 2)))

    def sampler(task, prepared, bundle, parameters):  # noqa: ARG001
        fine = prepared.voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)[None]
        return diffusion_sampler(KnowsThePosterior(**ARGUMENTS), fine, SamplingPlan(steps=100))

    monkeypatch.setattr(SuperResolution, "sampler", sampler, raising=False)
    task, parameters = get_task("uncertainty"), UncertaintyParameters(samples=8)
    result = task.run({"input": volume}, bundle, parameters, no_progress)
    unit = np.percentile(volume.voxels, 99.5)
    assert result.outputs["total"].shape == (32, 36, 40) and result.provenance["passes"] == 8
    assert np.sqrt(np.mean(result.outputs["total"].voxels ** 2)) / unit == pytest.approx(SPREAD, rel=0.25)
    with pytest.raises(InputError, match="no test-time augmentation"):
        task.run({"input": volume}, bundle, UncertaintyParameters(samples=2, augmentations=4), no_progress)
