"""Pairs with and without motion: packed from a cache, drawn as patches, and trained on to a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import described
from motion_support import a_head
from scipy import stats
from SynthMRILib.bundles import load_bundle, network_class
from SynthMRILib.errors import InputError
from SynthMRILib.motion.condition import expected_change
from SynthMRILib.sharpness import blend
from SynthMRILib.simulation import motion
from SynthMRILib.simulation.records import sample_generator
from SynthMRILib.training.cache import Cache, Entry, prepared, write_cache
from SynthMRILib.training.export import write_bundle
from SynthMRILib.training.growing import grown
from SynthMRILib.training.motion_adversarial import MotionAdversarialTraining
from SynthMRILib.training.motion_correction import relative_error
from SynthMRILib.training.motion_diffusion import MotionDiffusionConfig, MotionDiffusionTraining
from SynthMRILib.training.motion_pairs import (
    SLAB,
    MotionPairRecord,
    apply,
    draw,
    draw_jumps,
    pack_motion,
    turns,
    upper_part,
)
from SynthMRILib.training.motion_patches import MotionPatchConfig, MotionPatchSampler
from SynthMRILib.training.run import train
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume


@pytest.fixture(scope="module")
def a_pair_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three packed pairs of a small head, from a label map on disk as `synthmri pack-motion` finds it."""
    folder = tmp_path_factory.mktemp("motion")
    head = a_head()
    (folder / "label_maps").mkdir()
    write_volume(head, folder / "label_maps" / "head_01.nii.gz")
    volumes = [(Entry("head_01", c, "simulated", c == "flair"), prepared(head.voxels)) for c in ("t1w", "flair")]
    write_cache(folder / "source.safetensors", volumes)
    output = folder / "pairs.safetensors"
    said: list[str] = []
    pack_motion(folder / "source.safetensors", folder, output, part="train", pairs=3, seed=4, report=said.append)
    assert len(said) == 3
    return output


def test_a_pair_differs_by_motion_alone_and_says_how_much(a_pair_cache):
    cache = Cache(a_pair_cache)
    assert [entry.extra["moved"] for entry in cache.entries] == [True, False] * 3
    errors, severities = [], []
    for n in (0, 2, 4):
        moved, still = (cache.volume(index).astype(np.float32) for index in (n, n + 1))
        assert moved.shape == still.shape
        assert not np.array_equal(moved, still)
        errors.append(float(np.square(moved - still).mean()))
        severities.append(cache.entries[n].extra["severity_mm"])
    assert min(errors) > 0
    assert len(set(severities)) == 3
    assert all(0.2 < s < 5.0 for s in severities)


def test_the_wanted_severity_is_reached():
    head = a_head()
    for severity in (0.5, 2.0):
        record = motion.draw(sample_generator(3), sequence="mprage", severity=1.0)
        aimed = motion.scaled_to(record, head, severity_mm=severity)
        assert motion.apply(aimed, head).severity_mm == pytest.approx(severity, rel=0.05)


def test_a_pair_record_survives_json_and_is_applied_alike():
    record = draw(sample_generator(5), contrast="t1w", thick=False)
    again = MotionPairRecord.from_dict(record.as_dict())
    assert again == record
    first, second = (apply(r, a_head(), stripped=True).moved.voxels for r in (record, again))
    assert np.array_equal(first, second)


def test_a_volume_stripped_again_after_the_scan_has_no_ghosts_in_air():
    records = (draw(sample_generator(n), contrast="t1w", thick=False) for n in range(50))
    record = next(r for r in records if r.masked and r.motion.order.sequence != "tse-2d")
    moved = apply(record, a_head(), stripped=True).moved.voxels
    assert (moved[0] == 0).all()
    assert (apply(record, a_head(), stripped=False).moved.voxels[0] > 0).any()


def test_only_the_top_of_a_tall_head_is_kept():
    upside_down = np.diag([1.0, 1.0, -1.0, 1.0])
    tall = Volume(np.arange(200.0)[:, None, None] * np.ones((1, 8, 8)), Grid((200, 8, 8), upside_down))
    assert upper_part(tall).voxels[:, 0, 0].tolist() == list(range(150))
    assert SLAB < 150


@pytest.mark.parametrize(
    ("groups", "expected"),
    [([0, 0, 1], [0, 2, 1, 2, 0]), ([0, 0, 0], [0, 1, 2, 0, 1]), ([2], [0] * 5)],
)
def test_volumes_take_turns(groups, expected):
    chosen = turns(groups, 5)
    assert [groups[n] for n in chosen] == [groups[n] for n in expected]
    assert set(chosen) == set(expected)


def test_a_sample_depends_on_its_number_alone_and_is_told_a_change_near_the_truth(a_pair_cache):
    sampler = MotionPatchSampler(Cache(a_pair_cache), MotionPatchConfig(size=16), seed=1)
    samples = [sampler.sample(n) for n in range(40)]
    assert np.array_equal(samples[7].moved, sampler.sample(7).moved)
    clean = [s for s in samples if s.severity_mm == 0]
    assert clean
    assert all(np.array_equal(s.moved, s.still) for s in clean)
    told = [s for s in samples if s.told is not None]
    assert 0 < len(told) < len(samples)
    changed = [np.sqrt(np.mean((s.moved - s.still) ** 2)) for s in told]
    assert stats.spearmanr([s.told for s in told], changed).statistic > 0.5
    rng = np.random.default_rng(0)
    record = replace(sampler.draw(rng), told=1.0, scale=1.5, bias=(0.0,) * 6, amount=0.7)
    index, sample = 2 * record.pair, sampler.make(record)
    extra = sampler.cache.entries[index].extra
    whole = sampler.cache.volume(index).astype(np.float32)
    change = expected_change(whole, 0.7 * extra["severity_mm"], tuple(extra["spacing_kji"][::-1]))
    assert sample.told == pytest.approx(1.5 * change)


@pytest.mark.parametrize(
    ("task", "network", "figure"),
    [
        ("motion-correction", {"features": [4, 8], "convolutions": 1}, "gain_db_over_input_all"),
        ("motion-correction-gan", {"features": [4, 8], "convolutions": 1, "fold": 2}, "gain_db_over_input_all"),
        ("motion-severity", {"features": [4, 4], "convolutions": 1, "hidden": 4}, "rank_correlation_of_patches"),
    ],
)
def test_a_short_training_gives_a_bundle_of_the_task(a_pair_cache, tmp_path, task, network, figure):
    data = {"cache": str(a_pair_cache), "validation_cache": str(a_pair_cache), "network": network, "batch": 2}
    small = {"validation_patches": 4, "thickness": 8} if task == "motion-severity" else {"validation_size": 24}
    if task == "motion-correction-gan":
        small["game"] = {"critic": "residual", "objective": "patch", "features": "none", "critic_features": [4, 4]}
    config = {
        "loop": {"steps": 2, "validate_every": 2, "checkpoint_every": 2, "log_every": 1},
        "patches": {"size": 24},
        "training": {**data, **small},
    }
    train(task, config, tmp_path / "run", launch={"accelerator": "cpu", "devices": 1}, report=lambda _: None)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.task == task.removesuffix("-gan")
    assert bundle.experimental
    assert figure in bundle.section["validation"]
    with torch.inference_mode():
        channels = 1 if task == "motion-severity" else 2
        mean, log_variance = bundle.build_network()(torch.rand(1, channels, 16, 16, 16))
    assert torch.isfinite(mean).all()
    assert torch.isfinite(log_variance).all()


def test_trained_on_against_a_critic_a_network_becomes_the_perceptual_end_of_its_start(a_pair_cache, tmp_path):
    data = {"cache": str(a_pair_cache), "validation_cache": str(a_pair_cache), "batch": 2, "validation_size": 24}
    config = {
        "loop": {"steps": 2, "validate_every": 2, "checkpoint_every": 2, "log_every": 1},
        "patches": {"size": 24},
        "training": {**data, "network": {"features": [4, 8], "convolutions": 1}},
    }
    launch = {"accelerator": "cpu", "devices": 1}
    train("motion-correction", config, tmp_path / "plain", launch=launch, report=lambda _: None)
    fidelity = load_bundle(tmp_path / "plain" / "bundle")
    game = {"critic": "residual", "objective": "patch", "features": "none", "critic_features": [4, 4]}
    config = {**config, "start": str(fidelity.folder), "training": {**config["training"], "game": game}}
    train("motion-correction-gan", config, tmp_path / "sharp", launch=launch, report=lambda _: None)
    perceptual = load_bundle(tmp_path / "sharp" / "bundle")
    assert {"detail_db_corrected", "detail_error_moved"} <= set(perceptual.section["validation"])
    half = blend(fidelity, perceptual, 0.5).weights()
    for name, ends in fidelity.weights().items():
        assert torch.allclose(half[name], (ends + perceptual.weights()[name]) / 2, atol=1e-6)
    changed = {**config["training"], "network": {"features": [4, 4], "convolutions": 1}}
    other = MotionAdversarialTraining.from_config({**config, "training": changed})
    assert other.partner is None and "fidelity_partner" not in other.section


def test_a_short_training_of_the_diffusion_model_gives_a_bundle_that_says_how_it_samples(a_pair_cache, tmp_path):
    small = {"encoder_features": [4, 8], "features": [8, 16], "attention": [0, 0], "groups": 4}
    config = {
        "loop": {"steps": 2, "validate_every": 2, "checkpoint_every": 2, "log_every": 1},
        "patches": {"size": 16},
        "training": {
            "cache": str(a_pair_cache),
            "validation_cache": str(a_pair_cache),
            "network": small,
            "blocks": 1,
            "slices": 2,
            "highest": 0.5,
            "validation_slices": 2,
        },
    }
    train("motion-diffusion", config, tmp_path / "run", launch={"accelerator": "cpu"}, report=lambda _: None)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.experimental
    assert bundle.section["neighbors"] == 1
    assert bundle.section["highest"] == 0.5
    assert bundle.section["validation"]["noise_error"] > 0
    assert bundle.build_network().condition_encoder[0].first.in_channels == 3


def test_diffusion_samples_are_slices_with_their_neighbors_and_depend_on_the_step_alone(a_pair_cache):
    config = {"cache": a_pair_cache, "validation_cache": a_pair_cache, "slices": 3, "blocks": 2, "highest": 0.2}
    config |= {
        "patches": MotionPatchConfig(size=16),
        "validation_slices": 1,
        "network": {"features": [8, 8], "attention": [0, 0]},
    }
    training = MotionDiffusionTraining(MotionDiffusionConfig(**config))
    condition, still, steps, noise = training.batch(5, 0, 1)
    assert condition.shape == (6, 3, 16, 16)
    assert still.shape == noise.shape == (6, 1, 16, 16)
    assert 1 <= int(steps.min()) <= int(steps.max()) <= 200
    assert all(torch.equal(a, b) for a, b in zip(training.batch(5, 0, 1), (condition, still, steps, noise)))
    other = training.batch(5, 1, 2)
    assert not torch.equal(other[0], condition[:3])
    assert other[0].shape == (3, 3, 16, 16)


def test_the_loss_counts_a_slight_motion_as_much_as_a_severe_one():
    still, weight = torch.rand(2, 1, 8, 8, 8), torch.ones(2, 1, 8, 8, 8)
    error = torch.randn(1, 1, 8, 8, 8)
    moved = still + torch.cat([0.01 * error, 1.0 * error])
    halved = still + 0.5 * (moved - still)
    assert relative_error(moved, moved, still, weight, floor=0.0).item() == pytest.approx(1.0)
    assert relative_error(halved, moved, still, weight, floor=0.0).item() == pytest.approx(0.25)
    assert relative_error(halved[:1], moved[:1], still[:1], weight[:1], floor=1e-4).item() < 0.2


@pytest.mark.parametrize("field", ["noisy", "bent"])
def test_noise_and_contrast_are_added_with_motion_and_without_alike(a_pair_cache, field):
    samplers = [
        MotionPatchSampler(Cache(a_pair_cache), MotionPatchConfig(size=16, clean=1.0, **{field: share}), seed=1)
        for share in (0.0, 1.0)
    ]
    plain, changed = (sampler.sample(3) for sampler in samplers)
    assert np.array_equal(changed.moved, changed.still)
    assert not np.array_equal(changed.still, plain.still)


def test_a_family_of_traces_is_drawn_and_heads_that_only_shift_are_among_them():
    records = [draw(sample_generator(n), contrast="t1w", thick=False).motion.trace for n in range(60)]
    assert {r.turning for r in records} == {True, False}
    kinds = {event.event for r in records for event in r.events}
    assert {"step", "nod"} <= kinds
    assert any(r.smooth == 1.0 and not r.events for r in records)


def test_sudden_moves_alone_are_drawn_one_to_three_in_a_scan_line_by_line():
    records = [draw_jumps(sample_generator(n), contrast="flair") for n in range(20)]
    events = [record.motion.trace.events for record in records]
    assert {len(e) for e in events} == {1, 2, 3} and {one.event for e in events for one in e} == {"step"}
    assert {record.motion.order.sequence for record in records} == {"mprage"}
    assert MotionPairRecord.from_dict(records[0].as_dict()) == records[0]


def test_a_network_may_start_from_a_smaller_one_and_begins_as_that(a_pair_cache, tmp_path):
    small = {"features": [4, 6], "convolutions": 1, "gated": True}
    trained = network_class("ResidualUNet")(channels=2, **small)
    torch.nn.init.normal_(trained.exit.weight, std=0.1)
    write_bundle(tmp_path / "start", trained, described("motion-correction", "ResidualUNet", {"channels": 2, **small}))
    config = {
        "start": str(tmp_path / "start"),
        "loop": {"steps": 1, "validate_every": 1, "checkpoint_every": 1, "learning_rate": 0.0},
        "patches": {"size": 24},
        "training": {
            **dict.fromkeys(("cache", "validation_cache"), str(a_pair_cache)),
            "network": {**small, "features": [6, 8, 8]},
            "batch": 2,
            "validation_size": 24,
        },
    }
    launch = {"accelerator": "cpu"}
    with pytest.raises(InputError, match="another network"):
        train("motion-correction", config, tmp_path / "refused", launch=launch, report=lambda _: None)
    train("motion-correction", {**config, "grow": True}, tmp_path / "run", launch=launch, report=lambda _: None)
    before, after = (load_bundle(tmp_path / n).build_network().eval() for n in ("start", "run/bundle"))
    x = torch.rand(1, 2, 16, 12, 20)
    with torch.no_grad():
        assert torch.allclose(before(x)[0], after(x)[0], atol=2e-3)
        assert (before(x)[0] - x[:, :1]).abs().max() > 0.05
    smaller = {**config["training"], "network": {**small, "features": [4, 5]}}
    with pytest.raises(InputError, match="cannot grow"):
        changed = {**config, "grow": True, "training": smaller}
        train("motion-correction", changed, tmp_path / "shrunk", launch=launch, report=lambda _: None)


def test_all_of_a_grown_network_learns():
    torch.manual_seed(1)
    small = network_class("ResidualUNet")(channels=2, features=(4, 6), convolutions=1)
    larger = network_class("ResidualUNet")(channels=2, features=(6, 8, 8), convolutions=1)
    larger.load_state_dict(grown(small, larger))
    optimizer = torch.optim.SGD(larger.parameters(), lr=0.05)
    before = {name: p.detach().clone() for name, p in larger.named_parameters()}
    for _ in range(3):
        mean, log_variance = larger(torch.rand(1, 2, 16, 16, 16))
        loss = ((mean - 3) ** 2).mean() + log_variance.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [name for name, p in larger.named_parameters() if torch.equal(p, before[name])] == []


def test_training_may_start_from_a_denoiser_whose_condition_and_change_are_weakened(a_pair_cache, tmp_path):
    network = {"features": [4, 8], "convolutions": 1, "gated": True}
    denoiser = network_class("ResidualUNet")(channels=2, **network)
    torch.nn.init.ones_(denoiser.exit.bias)
    write_bundle(tmp_path / "start", denoiser, described("denoising", "ResidualUNet", {"channels": 2, **network}))
    config = {
        "start": str(tmp_path / "start"),
        "loop": {"steps": 1, "validate_every": 1, "checkpoint_every": 1, "learning_rate": 0.0},
        "patches": {"size": 24},
        "training": {
            **dict.fromkeys(("cache", "validation_cache"), str(a_pair_cache)),
            "network": network,
            "batch": 2,
            "validation_size": 24,
            "start_share": 0.25,
        },
    }
    train("motion-correction", config, tmp_path / "run", launch={"accelerator": "cpu"}, report=lambda _: None)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    before, after = (b.build_network().state_dict() for b in (load_bundle(tmp_path / "start"), bundle))
    factors = {name: torch.ones(values.shape) for name, values in before.items()}
    factors["entry.weight"][:, 1] = factors["exit.weight"][0] = factors["exit.bias"][0] = 0.25
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert torch.allclose(after[name], factors[name] * values, rtol=2e-3, atol=1e-6), name
    assert bundle.task == "motion-correction" and bundle.section["training"]["started_from"]["name"] == "start"
