"""The hybrid of synthetic DIR: a network that sees the dictionary fit and only adds to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dir_phantom import Phantom, simulated_phantom
from simulation_phantoms import small_head
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import main
from SynthMRILib.dir_synthesis import dictionary
from SynthMRILib.dir_synthesis.network import CORTEX, FIT_CHANNELS, floored
from SynthMRILib.dir_synthesis.tissue_fit import GRAY, RIM, fit_tissues
from SynthMRILib.errors import InputError
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.training import dir_examinations, dir_packing, facts
from SynthMRILib.training.configuration import training_class
from SynthMRILib.training.dir_hybrid_samples import HybridSampler
from SynthMRILib.training.dir_samples import SUBSETS, SampleConfig
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.volume import Grid, Volume

TASK = get_task("synthetic-dir")
Parameters = TASK.parameters_class
NETWORK = {"features": [8, 8], "convolutions": 1, "dropout": 0.2, "fold": 2}
ARGUMENTS = {**NETWORK, "channels": 9, "residual": True, "base": 6}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return simulated_phantom()


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Bundle:
    """A hybrid whose last layer is zero, as training begins."""
    network = ResidualUNet(**ARGUMENTS).eval()
    description = BundleDescription(
        title="Untrained hybrid",
        task="synthetic-dir",
        description="Adds nothing.",
        network_name="ResidualUNet",
        network_arguments=ARGUMENTS,
        expects={},
        training={},
        validation={},
        inputs=("flair", "t1", "t2"),
        section={"hybrid": True},
    )
    return load_bundle(write_bundle(tmp_path_factory.mktemp("models") / "hybrid", network, description))


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    """One packed head."""
    path = tmp_path_factory.mktemp("heads") / "heads.safetensors"
    head = dir_packing.simulate(small_head(), np.random.default_rng(5), "head_01", [])
    dir_packing.write_heads(path, [head])
    return path


@pytest.fixture(scope="module")
def cache(heads) -> Path:
    output = heads.with_name("examinations.safetensors")
    words = ["--heads", str(heads), "--output", str(output), "--versions", "2", "--subsets", "7"]
    assert main(["pack-examinations", *words]) == 0
    return output


def settings(cache: Path) -> dict:
    training = {"cache": str(cache), "validation_cache": str(cache), "network": NETWORK, "hybrid": True, "batch": 2}
    return {"patches": {"size": 16}, "training": {**training, "contrast_weight": 0.2, "validation_blocks": 2}}


@pytest.mark.parametrize("names", [("flair", "t1", "t2"), ("flair", "t2"), ("t1",)])
def test_a_hybrid_that_adds_nothing_gives_the_dictionary_dir(phantom, untrained, names):
    inputs = {name: phantom.volumes[name] for name in names}
    made = TASK.run(inputs, untrained, Parameters(registered=True), no_progress)
    prepared = TASK.prepare(inputs, untrained, Parameters(registered=True), no_progress)
    fit = prepared.voxels[-len(FIT_CHANNELS)]
    assert prepared.voxels.shape[0] == 9 and prepared.images == 3
    placed = TASK.finish(prepared, fit, Parameters()).voxels
    assert made.outputs["output"].voxels == pytest.approx(placed, abs=1e-3 * CORTEX)
    assert set(made.provenance["dictionary"]["calibration"]) == set(names)


def test_a_hybrid_sees_what_the_dictionary_method_gives(phantom, untrained):
    inputs = {name: phantom.volumes[name] for name in ("flair", "t1")}
    made = TASK.run(inputs, untrained, Parameters(registered=True), no_progress).outputs["output"].voxels
    alone = TASK.run(inputs, None, Parameters(registered=True, method="dictionary"), no_progress)
    expected = np.where(phantom.brain, floored(alone.outputs["output"].voxels / CORTEX) * CORTEX, 0)
    assert made == pytest.approx(expected, abs=1e-3 * CORTEX)


def test_a_tissue_without_a_voxel_is_taken_from_the_fit(phantom):
    contrasts = {"t2": phantom.volumes["t2"].voxels}
    tissues = fit_tissues(contrasts, phantom.brain, spacing=(1, 1, 1))
    bare = replace(tissues, labels=np.where(tissues.labels == GRAY, RIM, tissues.labels))
    found = dictionary.core_intensities("t2", contrasts["t2"], bare)
    assert found[GRAY] == pytest.approx(tissues.means["t2"][GRAY])
    fit = dictionary.synthesize(contrasts, phantom.brain, bare, spacing=(1, 1, 1))
    assert np.isfinite(fit.dir_signal).all() and np.isfinite(fit.spread).all() and fit.dir_signal.max() > 0


def test_thick_slices_are_fitted_on_the_grid_of_the_network(phantom, untrained):
    thick = Grid((16, 56, 52), np.diag([1.0, 1.0, 3.0, 1.0]) @ phantom.grid.ijk_to_ras)
    inputs = {name: Volume(v.voxels.reshape(16, 3, 56, 52).mean(1), thick) for name, v in phantom.volumes.items()}
    prepared = TASK.prepare(inputs, untrained, Parameters(registered=True), no_progress)
    assert prepared.volume.spacing == pytest.approx((1, 1, 1))
    inside = prepared.voxels[3] > 0
    fit = prepared.voxels[-3:]
    assert (fit[0][inside] > 0).all() and not fit[:, ~inside].any()
    assert fit[2].min() >= 0 and fit[2].max() <= 1


def test_packed_channels_are_those_that_the_task_prepares(heads, cache, untrained):
    packed = dir_examinations.ExaminationCache(cache)
    config, rng = SampleConfig(), np.random.default_rng([0, 0, 0])
    examination = dir_examinations.degraded_head(dir_packing.HeadCache(heads), 0, rng, config)
    names = tuple(packed.entries[0].extra["subset"])
    grid = Grid(examination.brain.shape, np.eye(4))
    inputs = {name: Volume(examination.contrasts[name], grid) for name in names}
    inputs["mask"] = Volume(examination.brain.astype(np.float32), grid)
    seen = TASK.prepare(inputs, untrained, Parameters(registered=True), no_progress).voxels
    block, target, maps = packed.blocks(0, (0, 0, 0), max(seen.shape))
    inner = tuple(slice(0, n) for n in seen.shape[1:])
    assert block[(slice(None), *inner)] == pytest.approx(seen, abs=5e-3)
    assert not target[0][maps[1] == 0].any() and target.max() > 0.5


def test_a_sample_depends_on_its_number_alone_and_missing_inputs_are_empty(cache):
    packed = dir_examinations.ExaminationCache(cache)
    samplers = [HybridSampler(packed, SampleConfig(size=16), seed=4) for _ in range(2)]
    chosen = next(s for s in samplers[0].subsets if len(s) == 2)
    first, again = (sampler.sample(7, subset=chosen) for sampler in samplers)
    assert (first.channels == again.channels).all() and (first.target == again.target).all()
    assert first.channels.shape == (9, 16, 16, 16)
    missing = next(n for n, role in enumerate(dir_packing.INPUTS) if role not in chosen)
    assert not first.channels[missing].any() and not first.channels[3 + missing].any()
    assert not first.channels[:, first.brain[0] == 0].any()


def test_several_files_are_read_as_one(cache):
    packed, joined = dir_examinations.ExaminationCache(cache), dir_examinations.Examinations([cache, cache])
    last = len(packed) - 1
    assert len(joined.entries) == 2 * len(packed)
    for index in (last, last + len(packed)):
        assert joined.entries[index] == packed.entries[last] and joined.shape(index) == packed.shape(last)
        expected = packed.blocks(last, (10, 12, 14), 16)
        assert all((a == b).all() for a, b in zip(joined.blocks(index, (10, 12, 14), 16), expected))


def test_a_hybrid_trains_on_several_files_and_names_their_subjects(cache):
    config = settings(cache)
    config["training"]["cache"] = [str(cache), str(cache)]
    training = training_class("synthetic-dir", config).from_config(config)
    assert len(training.sampler.cache.entries) == 2 * len(dir_examinations.ExaminationCache(cache))
    found = facts.training_facts(config, training, steps=1, seconds=1.0)
    assert found["subjects"]["cache"] == ["head_01"] and "cache" not in found["settings"]
    assert sum("training" in statement for statement in facts.data_statements(config, training, None)) > 0


def test_a_list_of_caches_is_refused_where_one_is_read(cache):
    config = settings(cache)
    config["training"] |= {"cache": [str(cache), str(cache)], "hybrid": False}
    with pytest.raises(InputError, match="one file of packed heads"):
        training_class("synthetic-dir", config).from_config(config)
    with pytest.raises(InputError, match="one file, not a list"):
        training_class("denoising", {}).from_config({"training": {"cache": [str(cache)], "validation_cache": "x"}})


def test_the_fit_does_not_know_a_further_change_of_contrast(cache):
    packed = dir_examinations.Examinations(cache)
    plain, other = (HybridSampler(packed, SampleConfig(size=16, retone=r), seed=4) for r in (0.0, 0.4))
    chosen = max(plain.subsets, key=len)
    first, again = (sampler.sample(7, subset=chosen).channels for sampler in (plain, other))
    given = [dir_packing.INPUTS.index(role) for role in chosen]
    assert (first[3:] == again[3:]).all() and all((first[n] != again[n]).any() for n in given)
    assert not again[:3][first[3:6] == 0].any()
    missing = HybridSampler(packed, SampleConfig(size=16, fit_missing=1.0), seed=4).sample(7, subset=chosen)
    assert not missing.channels[6:].any() and (missing.channels[:6] == first[:6]).all()


def test_every_version_is_packed_for_all_inputs_and_others():
    drawn = [dir_examinations.drawn_subsets(np.random.default_rng(n), 3) for n in range(60)]
    assert all(len(set(subsets)) == 3 and subsets[0] == ("flair", "t1", "t2") for subsets in drawn)
    assert {subset for subsets in drawn for subset in subsets} == set(SUBSETS)


def test_training_of_a_hybrid_starts_at_the_dictionary_and_improves_on_it(cache):
    torch.manual_seed(1)
    training = training_class("synthetic-dir", settings(cache)).from_config(settings(cache))
    assert training.section == {"hybrid": True}
    network = training.build_network().train()
    sample = training.sampler.sample(0)
    with torch.inference_mode():
        mean = network(torch.from_numpy(sample.channels)[None])[0]
    assert mean.numpy()[0] == pytest.approx(sample.channels[6:7])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batch = training.batch(0, 0, 1)
    losses = []
    for _ in range(20):
        loss, figures = training.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    assert set(figures) == {"fidelity", "similarity", "lesion", "contrast", "likelihood"}
    assert any(name.startswith("rms_") for name in training.validate(network.eval()))


def test_heads_that_cannot_be_fitted_are_refused(tmp_path, heads):
    cache = dir_packing.HeadCache(heads)
    volumes, maps = cache.head(0)
    path = tmp_path / "flat.safetensors"
    flat = np.ones_like(volumes)
    dir_packing.write_heads(path, [dir_packing.PackedHead(cache.entries[0], flat, maps)])
    with pytest.raises(InputError, match="could be fitted"):
        dir_examinations.pack_examinations(
            path,
            tmp_path / "out.safetensors",
            versions=1,
            subsets=1,
            seed=0,
            config=SampleConfig(noise=(0.0,) * 3, flow=0.0, bias=0.0),
            report=lambda _: None,
        )
