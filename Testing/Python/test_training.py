"""Training: reproducible samples, resuming after a kill, and a bundle at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from SynthMRILib.bundles import load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.training import compact
from SynthMRILib.training.cache import Cache, Entry, crop_to_head, prepared, write_cache
from SynthMRILib.training.loop import LoopConfig, learning_rate
from SynthMRILib.training.losses import charbonnier, foreground_weight, gaussian_likelihood
from SynthMRILib.training.patches import PatchConfig, PatchSampler, add_rician_noise
from SynthMRILib.training.pictures import Board, Slice
from SynthMRILib.training.resampling import halving_matrix, resample, zoom_inputs, zoom_matrix
from SynthMRILib.training.run import check_batch, train

LIBRARY = Path(__file__).resolve().parents[2] / "SynthMRI"


@pytest.fixture
def a_cache(tmp_path: Path) -> Path:
    """Two small volumes of smooth random blobs."""
    volumes = []
    for n, source in enumerate(("real", "simulated")):
        rng = np.random.default_rng(n)
        x = np.abs(np.fft.ifftn(np.fft.fftn(rng.normal(size=(40, 44, 48))) * blur((40, 44, 48)))).astype(np.float32)
        volumes.append((Entry(f"subject{n}", "t1w", source, stripped=False), prepared(x)))
    write_cache(tmp_path / "cache.safetensors", volumes)
    return tmp_path / "cache.safetensors"


def blur(shape: tuple[int, ...]) -> np.ndarray:
    frequencies = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    return np.exp(-100 * sum(f**2 for f in frequencies))


def a_config(cache: Path, steps: int) -> dict:
    return {
        "loop": {"steps": steps, "validate_every": 4, "checkpoint_every": 2, "log_every": 1, "warmup": 2},
        "patches": {"size": 8},
        "training": {
            "cache": str(cache),
            "validation_cache": str(cache),
            "network": {"features": 4, "growth": 2, "convolutions": 2, "dense_blocks": 1},
            "batch": 2,
            "validation_blocks": 1,
            "validation_size": 24,
        },
    }


def run_training(config: dict, output: Path) -> dict[str, torch.Tensor]:
    state = train(
        "super-resolution", config, output, launch={"accelerator": "cpu", "devices": 1}, report=lambda _: None
    )
    return state.average.state_dict()


def test_the_cache_gives_back_volumes_and_blocks(a_cache: Path) -> None:
    cache = Cache(a_cache)
    volume = cache.volume(0)
    assert cache.entries[1].source == "simulated"
    assert np.array_equal(cache.block(0, (3, 4, 5), 8), volume[3:11, 4:12, 5:13].astype(np.float32))
    outside = cache.block(0, (-4, 0, 0), 8)
    assert (outside[:4] == 0).all()
    assert np.array_equal(outside[4:], volume[:4, :8, :8].astype(np.float32))


def test_a_missing_cache_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="synthmri pack-training"):
        Cache(tmp_path / "nothing.safetensors")


def test_cropping_keeps_the_head_and_a_margin() -> None:
    voxels = np.zeros((30, 30, 30), np.float32)
    voxels[10:20, 12:18, 5:25] = 1
    assert crop_to_head(voxels, margin=2).shape == (14, 10, 24)


def test_samples_depend_on_their_number_alone(a_cache: Path) -> None:
    samplers = [PatchSampler(Cache(a_cache), PatchConfig(size=8), seed=5) for _ in range(2)]
    for n in (7, 0, 3):
        for one, other in zip(samplers[0].sample(n), samplers[1].sample(n)):
            assert np.array_equal(one, other)
    assert not np.array_equal(samplers[0].sample(1)[0], samplers[0].sample(2)[0])


def test_a_record_makes_the_same_pair_again(a_cache: Path) -> None:
    sampler = PatchSampler(Cache(a_cache), PatchConfig(size=8), seed=0)
    record = sampler.draw(np.random.default_rng(1))
    copy = type(record)(**json.loads(json.dumps(record.as_dict())))
    assert np.array_equal(sampler.make(record)[0], sampler.make(copy)[0])


@pytest.mark.parametrize("kind", ["mean", "gaussian", "kspace"])
def test_halving_keeps_positions_and_means(kind: str) -> None:
    matrix = halving_matrix(16, kind, 4)
    ramp = np.arange(matrix.shape[1], dtype=np.float32)
    assert matrix @ ramp == pytest.approx(2.0 * (np.arange(16) + 2) + 0.5, abs=1e-3)


def test_mean_is_the_mean_of_two_voxels() -> None:
    patch = np.random.default_rng(0).random((24, 24, 24), dtype=np.float32)
    low = resample(patch, (halving_matrix(8, "mean", 4),) * 3)
    inner = patch[4:-4, 4:-4, 4:-4]
    assert low == pytest.approx(inner.reshape(8, 2, 8, 2, 8, 2).mean((1, 3, 5)), abs=1e-6)


@pytest.mark.parametrize("zoom", [0.5, 0.77, 1.0, 1.9])
def test_zoom_keeps_the_middle_and_the_slope(zoom: float) -> None:
    matrix = zoom_matrix(20, zoom)
    ramp = np.arange(zoom_inputs(20, zoom)) - (zoom_inputs(20, zoom) - 1) / 2
    tolerance = 1e-3 if zoom >= 1 else 0.05
    assert matrix @ ramp == pytest.approx((np.arange(20) - 9.5) / zoom, abs=tolerance)


def test_rician_noise_has_its_known_mean() -> None:
    air = add_rician_noise(np.zeros((40, 40, 40), np.float32), 0.1, seed=0)
    assert air.mean() == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)
    bright = add_rician_noise(np.ones((40, 40, 40), np.float32), 0.02, seed=0)
    assert bright.std() == pytest.approx(0.02, rel=0.03)


def test_charbonnier_is_squared_near_zero_and_absolute_far_off() -> None:
    one = torch.ones(1, 1, 2, 2, 2)
    assert charbonnier(one * 1e-3, one * 0, one, epsilon=0.02).item() == pytest.approx(1e-6 / 0.04, rel=0.01)
    assert charbonnier(one * 10, one * 0, one, epsilon=0.02).item() == pytest.approx(10, rel=0.01)


def test_likelihood_is_least_at_the_true_variance() -> None:
    torch.manual_seed(0)
    target, weight = 0.3 * torch.randn(1, 1, 40, 40, 40), torch.ones(1, 1, 40, 40, 40)
    candidates = torch.log(torch.tensor([0.03, 0.09, 0.27]))
    losses = [gaussian_likelihood(target * 0, v.expand_as(target), target, weight).item() for v in candidates]
    assert int(np.argmin(losses)) == 1


def test_likelihood_leaves_the_mean_alone() -> None:
    prediction = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    variance = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    target = 2 * torch.ones(1, 1, 2, 2, 2)
    gaussian_likelihood(prediction, variance, target, foreground_weight(target)).backward()
    assert prediction.grad is None
    assert variance.grad.abs().sum() > 0


def test_learning_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = LoopConfig(steps=100, warmup=10, decay=0.3, learning_rate=1.0)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(50, config) == 1.0
    assert learning_rate(99, config) < 0.01


def test_training_raises_the_gain_on_held_out_volumes(a_cache: Path, tmp_path: Path) -> None:
    config = a_config(a_cache, 30)
    config["loop"]["learning_rate"] = 3e-3
    run_training(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "training.jsonl").read_text().splitlines()]
    gains = [line["gain_db_real_t1w"] for line in lines if line["event"] == "validation"]
    assert len(gains) == 8
    assert gains[-1] > gains[0]


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(a_cache: Path, tmp_path: Path) -> None:
    config = a_config(a_cache, 12)
    unbroken = run_training(config, tmp_path / "unbroken")
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "SynthMRILib.cli", "train", "super-resolution", "--accelerator", "cpu"]
    command += ["--config", str(tmp_path / "config.json"), "--output", str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in child.stdout:
        if json.loads(line)["step"] >= 5:
            child.send_signal(signal.SIGKILL)
            break
    assert child.wait(30) == -signal.SIGKILL
    child.stdout.close()
    steps = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["step"]
    assert 2 <= steps < 12
    resumed = run_training(config, tmp_path / "killed")
    for name, tensor in unbroken.items():
        assert torch.equal(tensor, resumed[name]), name


def losses_of(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "training.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["event"] == "train"]


LAUNCHES = {
    "fabric": (["-m", "SynthMRILib.cli"], ["--devices", "2"]),
    "torchrun": (["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "SynthMRILib.cli"], []),
}


def in_processes(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run a launcher; once more where another program took the free port that it had found before it could."""
    for _ in range(2):
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)
        if "address already in use" not in finished.stderr.lower():
            break
    return finished


@pytest.mark.parametrize("launch", LAUNCHES)
def test_two_processes_follow_the_loss_curve_of_one(launch: str, a_cache: Path, tmp_path: Path) -> None:
    config = a_config(a_cache, 6)
    config["training"]["network"]["dropout"] = 0.0
    (tmp_path / "config.json").write_text(json.dumps(config))
    alone = run_training(config, tmp_path / "one")
    start, options = LAUNCHES[launch]
    command = [sys.executable, *start, "train", "super-resolution", "--accelerator", "cpu", *options]
    command += ["--config", str(tmp_path / "config.json"), "--output", str(tmp_path / "two")]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    finished = in_processes(command, environment)
    assert finished.returncode == 0, finished.stderr[-4000:]
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), rel=1e-3, abs=1e-5)
    together = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)["average"]
    for name, tensor in alone.items():
        assert torch.allclose(tensor, together[name], atol=2e-4), name


def test_a_batch_that_cannot_be_shared_out_evenly_is_refused() -> None:
    check_batch({"training": {"batch": 4}}, 2)
    with pytest.raises(InputError, match="A batch of 4 cannot be shared by 3 processes"):
        check_batch({"training": {"batch": 4}}, 3)


def test_a_run_leaves_curves_and_pictures(a_cache: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_training(a_config(a_cache, 4), tmp_path / "run")
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"scalars": 0})
    board.Reload()
    assert [event.value for event in board.Scalars("train/loss")] == pytest.approx(
        losses_of(tmp_path / "run"), rel=1e-4
    )
    picture = tmp_path / "run" / "samples" / "step_000004.png"
    assert board.Images("input | output | target")[0].encoded_image_string == picture.read_bytes()
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))
    assert image.shape == (2 * 24 + 4, 3 * 24 + 2 * 4)
    assert image.max() > 200


def test_without_tensorboard_there_are_pictures_and_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    board = Board(tmp_path)
    assert "TensorBoard is not installed" in board.missing
    board.curves("train", 1, {"loss": 1.0})
    plane = np.ones((6, 8))
    assert board.pictures(1, [Slice("t1w", plane[::2, ::2], plane, plane)]).is_file()
    assert not (tmp_path / "tensorboard").exists()


def test_a_checkpoint_that_would_be_large_is_rounded_and_resumes_to_the_same_weights(
    a_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_config(a_cache, 6)
    run_training(config, tmp_path / "plain")
    monkeypatch.setattr(compact, "LIMIT", 1000)
    unbroken = run_training(config, tmp_path / "unbroken")
    sizes = [(tmp_path / name / "checkpoint.pt").stat().st_size for name in ("plain", "unbroken")]
    parameters = sum(tensor.numel() for tensor in unbroken.values())
    assert sizes[0] - sizes[1] > 5 * parameters
    contents = torch.load(tmp_path / "unbroken" / "checkpoint.pt", weights_only=True)
    assert contents["network"]["exit.bias"].dtype == torch.float32
    assert contents["average"]["exit.bias"].dtype == torch.float16
    assert torch.equal(contents["average"]["exit.bias"].float(), unbroken["exit.bias"])


def test_a_run_with_a_small_checkpoint_can_be_broken_off(
    a_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "LIMIT", 1000)
    config = a_config(a_cache, 6)
    config["loop"]["decay"] = 0.0
    unbroken = run_training(config, tmp_path / "unbroken")
    first = {**config, "loop": {**config["loop"], "steps": 4}}
    run_training(first, tmp_path / "broken")
    resumed = run_training(config, tmp_path / "broken")
    for name, tensor in unbroken.items():
        assert torch.equal(tensor, resumed[name]), name


def test_unknown_settings_are_named(a_cache: Path, tmp_path: Path) -> None:
    config = a_config(a_cache, 1)
    config["loop"]["stepz"] = 3
    with pytest.raises(InputError, match="'loop' has no 'stepz'"):
        run_training(config, tmp_path / "run")


def test_the_result_of_training_is_a_bundle_with_its_card(a_cache: Path, tmp_path: Path) -> None:
    config = a_config(a_cache, 4)
    config["bundle"] = {"title": "A small one", "limits": ["Four steps are few."]}
    weights = run_training(config, tmp_path / "run")
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.title == "A small one"
    assert bundle.experimental
    assert torch.allclose(bundle.build_network().state_dict()["exit.bias"], weights["exit.bias"], atol=1e-2)
    card = bundle.card_path.read_text(encoding="utf-8")
    assert "Four steps are few." in card
    assert "gain_db_real_t1w" in card
    assert "| same_zoom | 0.5 |" in card


def test_a_card_names_the_data_that_was_used_and_no_subject_of_a_user(a_cache: Path, tmp_path: Path) -> None:
    run_training(a_config(a_cache, 2), tmp_path / "run")
    bundle = load_bundle(tmp_path / "run" / "bundle")
    card = bundle.card_path.read_text(encoding="utf-8")
    assert "Own data of whoever trained this network, 2 subjects" in card
    assert "Lesjak" not in card and "SynthSeg" not in card
    assert "subject0" not in card and "subject0" not in json.dumps(bundle.metadata)
    assert bundle.section["training"]["subjects"]["cache"] == ["2 of whoever trained this network"]
    rows = bundle.section["validation_intervals"]
    assert [(row["source"], row["subject"]) for row in rows] == [
        ("real", "all"), ("real", "own 1"), ("simulated", "all"), ("simulated", "own 1")
    ]  # fmt: skip
    assert rows[0]["low"] <= rows[0]["gain_db"] <= rows[0]["high"]
    assert f"| real t1w | own 1 | {rows[1]['gain_db']:+.2f} |" in card
