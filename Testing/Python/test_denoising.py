"""Denoising: the noise found is told to the network, clean volumes come back as they are, bad wishes are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import placed_grid
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.denoising import LEVEL_UNIT
from SynthMRILib.errors import BundleError, InputError
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.denoising import DenoisingParameters, level_to_remove
from SynthMRILib.tasks.uncertainty import UncertaintyParameters
from SynthMRILib.training.cache import Cache, Entry, prepared, write_cache
from SynthMRILib.training.denoising import NoisyBlocks
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.training.noisy_patches import NoiseConfig, NoisyPatchConfig, NoisyPatchSampler
from SynthMRILib.training.patches import PatchConfig
from SynthMRILib.training.run import train
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume, write_volume
from test_noise_level import a_head, with_noise

TASK = get_task("denoising")
ARGUMENTS = {"channels": 2, "features": [4, 6], "convolutions": 1, "gated": True, "dropout": 0.2}
SPACING = (1.0, 1.1, 0.9)


@pytest.fixture
def a_bundle(tmp_path: Path) -> Bundle:
    """A gated network with random weights."""
    torch.manual_seed(0)
    network = ResidualUNet(**ARGUMENTS)
    torch.nn.init.normal_(network.exit.weight, std=0.05)
    description = BundleDescription(
        title="Test denoising",
        task="denoising",
        description="Random weights for tests.",
        network_name="ResidualUNet",
        network_arguments=ARGUMENTS,
        expects={},
        training={},
        validation={},
        section={"noise": {"accepted_least": 0.02, "accepted_most": 0.02, "most": 0.18}},
    )
    return load_bundle(write_bundle(tmp_path / "Models" / "denoising", network, description))


def a_volume(level: float) -> Volume:
    """A head of 400 at its brightest with even noise, in air."""
    voxels = 400 * with_noise(a_head(), level) if level else 400 * a_head()
    return Volume(voxels, placed_grid(voxels.shape, spacing=SPACING, rotation=(5, 10, -20), origin=(3, -4, 5)))


def run(volume: Volume, bundle: Bundle, **values: float) -> Volume:
    parameters = DenoisingParameters.from_dict({"device": "cpu", "precision": "float32", **values})
    return TASK.run({"input": volume}, bundle, parameters, no_progress).outputs["output"]


def test_the_result_lies_on_the_grid_of_the_input_and_differs(a_bundle: Bundle) -> None:
    volume = a_volume(0.08)
    output = run(volume, a_bundle)
    assert output.grid.matches(volume.grid)
    assert not np.array_equal(output.voxels, volume.voxels)
    assert output.voxels.min() >= 0


@pytest.mark.parametrize(
    ("level", "values"), [(0.0, {}), (0.0, {"strength": 2.0}), (0.08, {"strength": 0.0}), (0.012, {})]
)
def test_a_clean_volume_and_strength_zero_come_back_bit_for_bit(
    a_bundle: Bundle, level: float, values: dict[str, float]
) -> None:
    volume = a_volume(level)
    assert np.array_equal(run(volume, a_bundle, **values).voxels, volume.voxels)


def test_more_strength_takes_away_more(a_bundle: Bundle) -> None:
    volume = a_volume(0.08)
    changes = [np.abs(run(volume, a_bundle, strength=s).voxels - volume.voxels).mean() for s in (0.3, 1.0, 2.0)]
    assert changes[0] < changes[1] < changes[2]


def test_tiles_give_the_whole_result(a_bundle: Bundle) -> None:
    volume = a_volume(0.08)
    whole, tiled = run(volume, a_bundle, tile=4096).voxels, run(volume, a_bundle, tile=40).voxels
    assert np.abs(whole - tiled).max() <= 1e-4 * 400


def test_the_noise_is_shown_before_and_after_a_run(a_bundle: Bundle) -> None:
    volume = a_volume(0.06)
    findings = {f.code: f for f in TASK.check({"input": volume}, a_bundle, DenoisingParameters())}
    assert findings["noise-level"].severity == "info"
    assert "%" in findings["noise-level"].message
    result = TASK.run({"input": volume}, a_bundle, DenoisingParameters(device="cpu"), no_progress)
    for facts in (result.measurements, result.provenance):
        assert facts["noise"]["median_percent"] == pytest.approx(6, rel=0.15)
        assert 0 < facts["noise"]["removed_median_percent"] < facts["noise"]["median_percent"]


LEVELS = {"accepted_share": 0.5, "accepted_least": 0.03, "accepted_most": 0.05}
REMOVED = {
    "the accepted level stays at strength 1": (0.05, {"strength": 1.0}, 0.04),
    "nothing stays at strength 2": (0.05, {"strength": 2.0}, 0.05),
    "a share between the limits": (0.08, {}, 0.069282),
    "no more than the upper limit": (0.13, {}, 0.12),
    "half of what strength 1 removes": (0.05, {"strength": 0.5}, 0.02),
    "less than is accepted is left alone": (0.02, {"strength": 1.0}, 0.0),
    "at low field all of it and a bit more": (0.02, {"preset": "low-field"}, 0.023),
}


@pytest.mark.parametrize("case", REMOVED)
def test_variances_subtract(case: str) -> None:
    sigma, values, expected = REMOVED[case]
    parameters = DenoisingParameters.from_dict(values)
    assert level_to_remove(np.array([sigma], np.float32), LEVELS, parameters) == pytest.approx([expected], rel=1e-4)


BAD = {
    "strength": ({"strength": 3.0}, "strength must lie between 0 and 2"),
    "noise": ({"noise": -1.0}, "noise level must lie between 0"),
    "preset": ({"preset": "magic"}, "Unknown preset 'magic'"),
    "tile": ({"tile": -2}, "tile size must be positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_wishes_get_one_sentence(a_bundle: Bundle, case: str) -> None:
    values, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence):
        run(a_volume(0.05), a_bundle, **values)


def test_noise_beyond_training_is_warned_of(a_bundle: Bundle) -> None:
    findings = TASK.check({"input": a_volume(0.05)}, a_bundle, DenoisingParameters(noise=25.0))
    assert [f.code for f in findings if f.severity == "warning"] == ["noise-beyond-training"]


def test_without_a_bundle_the_task_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "none"))
    with pytest.raises(BundleError, match="No bundle for denoising"):
        TASK.run({"input": a_volume(0.05)}, None, DenoisingParameters(), no_progress)


def test_the_uncertainty_of_denoising_is_zero_where_nothing_was_taken_away(a_bundle: Bundle) -> None:
    task = get_task("uncertainty")
    parameters = UncertaintyParameters(task="denoising", samples=3, device="cpu")
    noisy = task.run({"input": a_volume(0.08)}, a_bundle, parameters, no_progress).outputs
    assert noisy["total"].voxels.max() > 0
    clean = task.run({"input": a_volume(0.0)}, a_bundle, parameters, no_progress).outputs
    assert clean["total"].voxels.max() == 0


def test_the_command_says_how_much_noise_it_found(
    a_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    volume = a_volume(0.06)
    write_volume(volume, tmp_path / "in.nrrd")
    words = ["denoising", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd"), "--strength", "1.5"]
    assert cli.main([*words, "--bundle", str(a_bundle.folder)]) == 0
    shown = capsys.readouterr().out
    assert "Noise: " in shown
    assert "not for diagnosis" in shown
    assert read_volume(tmp_path / "out.nrrd").grid.matches(volume.grid, tolerance=1e-4)


def test_a_batch_denoises_a_folder(a_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_volume(a_volume(0.06), tmp_path / "in" / "one.nii.gz", synthetic=False)
    words = ["batch", "denoising", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert cli.main([*words, "--bundle", str(a_bundle.folder), "--set", "strength=2"]) == 0
    assert list((tmp_path / "out").rglob("*denoising*.nii.gz"))


@pytest.fixture
def a_cache(tmp_path: Path) -> Path:
    volumes = [
        (Entry(f"subject{n}", "t1w", source, stripped=bool(n)), prepared(a_head()))
        for n, source in enumerate(("real", "simulated"))
    ]
    write_cache(tmp_path / "cache.safetensors", volumes)
    return tmp_path / "cache.safetensors"


def a_config(cache: Path, steps: int) -> dict:
    return {
        "loop": {"steps": steps, "validate_every": 15, "checkpoint_every": 15, "warmup": 2, "learning_rate": 3e-3},
        "patches": {"size": 4},
        "noise": {"least": 0.03, "most": 0.1},
        "training": {
            "cache": str(cache),
            "validation_cache": str(cache),
            "network": {"features": [6, 8], "convolutions": 1},
            "batch": 2,
            "validation_levels": [0.06],
            "validation_size": 24,
        },
        "bundle": {"section": {"noise": {"most": 0.1}}},
    }


def test_training_takes_away_noise_and_leaves_a_bundle_that_runs(a_cache: Path, tmp_path: Path) -> None:
    config, output = a_config(a_cache, 45), tmp_path / "run"
    train("denoising", config, output, launch={"accelerator": "cpu", "devices": 1}, report=lambda _: None)
    lines = [json.loads(line) for line in (output / "training.jsonl").read_text().splitlines()]
    gains = [line["gain_db_real_t1w_6_percent"] for line in lines if line["event"] == "validation"]
    assert gains[-1] > 0.5
    bundle = load_bundle(output / "bundle")
    assert bundle.section["noise"] == {"most": 0.1}
    assert not np.array_equal(run(a_volume(0.08), bundle).voxels, a_volume(0.08).voxels)


def a_sampler(cache: Path, **noise: float) -> NoisyPatchSampler:
    return NoisyPatchSampler(Cache(cache), NoisyPatchConfig(PatchConfig(size=8), NoiseConfig(**noise)), seed=3)


def test_noisy_samples_depend_on_their_number_alone(a_cache: Path) -> None:
    one, other = a_sampler(a_cache), a_sampler(a_cache)
    for n in (5, 0):
        for first, second in zip(one.noisy_sample(n), other.noisy_sample(n)):
            assert np.array_equal(first, second)


def test_the_noise_of_a_sample_is_what_the_network_is_told(a_cache: Path) -> None:
    sampler = a_sampler(a_cache, least=0.05, most=0.051, varying=0.0, error=0.0, untouched=0.0)
    inputs, target = sampler.noisy_sample(1)
    bright = target > 0.4
    assert (inputs[0] - target)[bright].std() == pytest.approx(0.05, rel=0.15)
    assert inputs[1][bright].mean() / LEVEL_UNIT == pytest.approx(0.05, rel=0.05)


def test_a_sample_without_noise_is_its_target(a_cache: Path) -> None:
    inputs, target = a_sampler(a_cache, untouched=1.0).noisy_sample(0)
    assert np.abs(inputs[0] - np.maximum(target, 0)).max() < 1e-6


def test_validation_without_a_network_gains_nothing(a_cache: Path) -> None:
    blocks = NoisyBlocks(Cache(a_cache), levels=(0.05,), size=24)
    gains = blocks.gains(ResidualUNet(**{**ARGUMENTS, "dropout": 0.0}).eval())
    assert set(gains) == {"gain_db_real_t1w_5_percent", "gain_db_simulated_t1w_5_percent"}
    assert all(abs(gain) < 0.3 for gain in gains.values())
