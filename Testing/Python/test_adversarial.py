"""The adversarial training: it resumes after a kill with all its players, and says when it goes wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import make_bundle
from SynthMRILib.bundles import load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.spectrum import detail_power_db, radial_power
from SynthMRILib.training.adversarial import Game, GameConfig
from SynthMRILib.training.cache import Entry, prepared, write_cache
from SynthMRILib.training.collapse import MEMORY, TrainingCollapsed, Watch
from SynthMRILib.training.perceptual import PerceptualTraining
from SynthMRILib.training.run import train

LIBRARY = Path(__file__).resolve().parents[2] / "SynthMRI"


@pytest.fixture
def a_config(tmp_path: Path) -> dict:
    """A tiny game from a tiny bundle on two small volumes of smooth noise."""
    volumes = []
    for n in range(2):
        rng = np.random.default_rng(n)
        frequencies = np.meshgrid(*(np.fft.fftfreq(size) for size in (40, 44, 48)), indexing="ij")
        smooth = np.fft.fftn(rng.normal(size=(40, 44, 48))) * np.exp(-60 * sum(f**2 for f in frequencies))
        volumes.append((Entry(f"subject{n}", "t1w", "real", stripped=False), prepared(np.abs(np.fft.ifftn(smooth)))))
    write_cache(tmp_path / "cache.safetensors", volumes, data=["Noise made for a test."])
    make_bundle(tmp_path / "start")
    return {
        "loop": {"steps": 10, "validate_every": 10, "checkpoint_every": 2, "log_every": 1, "warmup": 2},
        "patches": {"size": 8},
        "start": str(tmp_path / "start"),
        "training": {
            "cache": str(tmp_path / "cache.safetensors"),
            "validation_cache": str(tmp_path / "cache.safetensors"),
            "batch": 2,
            "validation_blocks": 1,
            "validation_size": 32,
            "wavelet_weight": 0.5,
            "game": {
                "critic_features": [4, 4, 8],
                "features": "joint",
                "feature_widths": [4, 4],
                "noise_steps": 8,
            },
        },
    }


def run_training(config: dict, output: Path) -> dict:
    launch = {"accelerator": "cpu", "devices": 1}
    train("super-resolution-perceptual", config, output, launch=launch, report=lambda _: None)
    return torch.load(output / "checkpoint.pt", weights_only=True)


def tensors(part: dict | list | torch.Tensor, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint by its path."""
    if isinstance(part, torch.Tensor):
        return {name: part}
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return {k: v for key, item in items for k, v in tensors(item, f"{name}/{key}").items()}


def test_a_killed_game_ends_with_the_weights_of_an_unbroken_one(a_config: dict, tmp_path: Path) -> None:
    unbroken = tensors(run_training(a_config, tmp_path / "unbroken"))
    (tmp_path / "config.json").write_text(json.dumps(a_config))
    command = [sys.executable, "-m", "SynthMRILib.cli", "train", "super-resolution-perceptual", "--accelerator", "cpu"]
    command += ["--config", str(tmp_path / "config.json"), "--output", str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in child.stdout:
        if json.loads(line)["step"] >= 5:
            child.send_signal(signal.SIGKILL)
            break
    assert child.wait(60) == -signal.SIGKILL
    child.stdout.close()
    assert 2 <= torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["step"] < 10
    resumed = tensors(run_training(a_config, tmp_path / "killed"))
    assert {name.split("/")[2] for name in unbroken if name.startswith("/opponents")} == {"critic", "features"}
    assert resumed.keys() == unbroken.keys()
    for name, tensor in unbroken.items():
        assert torch.equal(tensor, resumed[name]), name


def test_the_bundle_is_a_super_resolution_network_that_names_its_partner(a_config: dict, tmp_path: Path) -> None:
    a_config["loop"]["steps"] = 2
    run_training(a_config, tmp_path / "run")
    bundle, start = load_bundle(tmp_path / "run" / "bundle"), load_bundle(tmp_path / "start")
    assert bundle.task == "super-resolution"
    assert bundle.section["network"] == start.section["network"]
    assert bundle.section["fidelity_partner"] == {"name": "start", "sha256": start.weights_sha256}
    assert bundle.section["training"]["started_from"] == {"name": "start", "sha256": start.weights_sha256, "steps": 0}
    assert bundle.section["priority"] < 0
    assert {"gain_db_real_t1w", "detail_db_real_t1w"} <= bundle.section["validation"].keys()
    one, other = (b.build_network().state_dict()["exit.weight"] for b in (bundle, start))
    assert not torch.equal(one, other)
    assert (one - other).abs().max() < 0.01


def test_a_bundle_of_another_task_is_no_start(a_config: dict, tmp_path: Path) -> None:
    make_bundle(tmp_path / "other", task="synthetic-dir")
    a_config["start"] = str(tmp_path / "other")
    with pytest.raises(InputError, match="no RRDBNet for super-resolution"):
        PerceptualTraining.from_config(a_config)


@pytest.mark.parametrize("name", ["critic", "objective", "features"])
def test_unknown_rules_are_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=f"no {name} 'magic'; it knows: "):
        GameConfig(**{name: "magic"})


@pytest.mark.parametrize("critic", ["wavelet", "residual", "patch"])
@pytest.mark.parametrize("objective", ["relativistic", "patch"])
def test_every_critic_learns_to_tell_under_every_objective(critic: str, objective: str) -> None:
    torch.manual_seed(0)
    game = Game(GameConfig(critic=critic, critic_features=(4, 8), objective=objective, features="none", noise=0.0))
    network = game.opponents()["critic"]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for step in range(20):
        real = torch.rand(2, 1, 12, 12, 12)
        generated = torch.nn.functional.avg_pool3d(real, 3, 1, 1).requires_grad_(True)
        of_generator, _ = game.generator_loss(generated, real, step)
        of_generator.backward()
        assert generated.grad.abs().sum() > 0
        assert all(p.grad is None for p in network.parameters()) or step > 0
        loss, _ = game.opponent_loss("critic", network)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * math.log(2)


TROUBLES = {
    "a critic that always tells": ({"critic_loss": 0.02}, "far below ln 2"),
    "a critic that is lost": ({"critic_loss": 3.0}, "far above ln 2"),
    "features that are all alike": ({"feature_variance_left": 0.05}, "collapsing"),
    "outputs that hardly vary": ({"variation": 0.01}, "generator is collapsing"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_a_trouble_is_told_once_when_it_lasts(case: str) -> None:
    figures, words = TROUBLES[case]
    watch = Watch()
    told = [watch.see(figures) for _ in range(3 * MEMORY)]
    assert not any(told[: MEMORY - 1])
    assert len(told[MEMORY - 1]) == 1
    assert words in told[MEMORY - 1][0]
    assert not any(told[MEMORY:])


def test_what_is_sound_is_not_spoken_of_and_a_number_that_is_none_at_once() -> None:
    watch = Watch()
    sound = {"critic_loss": 0.69, "feature_variance_left": 0.9, "variation": 0.95, "loss": 0.02}
    assert not any(watch.see(sound) for _ in range(2 * MEMORY))
    assert watch.see({**sound, "detail": math.nan}) == ["'detail' is nan: lower the learning rate."]


def test_a_loss_that_is_no_number_ends_the_run_with_a_line_in_the_log(a_config: dict, tmp_path: Path) -> None:
    a_config["training"]["pixel_weight"] = math.inf
    with pytest.raises(TrainingCollapsed, match="lower the learning rate"):
        run_training(a_config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "training.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["warning"]
    assert "lower the learning rate" in lines[0]["message"]


def test_white_noise_has_a_flat_spectrum_and_half_of_it_lacks_6_db() -> None:
    noise = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
    _, power = radial_power(noise)
    assert power[4:].max() / power[4:].min() < 1.5
    assert detail_power_db(noise, noise) == 0
    assert detail_power_db(noise, 0.5 * noise) == pytest.approx(-6.02, abs=0.01)


def test_a_wave_has_its_power_at_its_frequency() -> None:
    wave = np.sin(2 * np.pi * 0.3 * np.arange(60, dtype=np.float32))[:, None, None] * np.ones((1, 40, 40), np.float32)
    frequencies, power = radial_power(wave)
    assert frequencies[np.argmax(power)] == pytest.approx(0.3, abs=0.03)
