"""Synthetic DIR by a network: scaling, simulated heads, samples, losses, and the task with a small random network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dir_phantom import Phantom, simulated_phantom
from simulation_phantoms import small_head
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import main
from SynthMRILib.dir_synthesis import dictionary, mixing
from SynthMRILib.dir_synthesis.network import floored
from SynthMRILib.dir_synthesis.scaling import PLACES, ContrastScale
from SynthMRILib.dir_synthesis.tissue_fit import fit_tissues
from SynthMRILib.errors import InputError
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.simulation.protocols import protocol_signal
from SynthMRILib.simulation.relaxation import RelaxationRecord, table
from SynthMRILib.simulation.tissue import TISSUE_INDEX
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.uncertainty import UncertaintyParameters
from SynthMRILib.training import dir_packing
from SynthMRILib.training.configuration import training_class
from SynthMRILib.training.dir_samples import SUBSETS, DirSampler, SampleConfig, toned
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

TASK = get_task("synthetic-dir")
Parameters = TASK.parameters_class
ARGUMENTS = {"features": [6, 8], "convolutions": 1, "dropout": 0.2, "channels": 6, "residual": False}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return simulated_phantom()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with one label map for training, one for validation, and the lesion mask of one patient."""
    folder = tmp_path_factory.mktemp("data")
    labels = small_head()
    lesion = np.zeros(labels.shape, dtype=np.float32)
    lesion[20:23, 20:24, 20:23] = 1
    for name, voxels in (
        ("label_maps/head_01", labels),
        ("label_maps/head_13", labels),
        ("lesion_masks_mni/patient02", lesion),
        ("lesion_masks_mni/patient19", lesion),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        write_volume(Volume(voxels, Grid(labels.shape, np.eye(4))), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def caches(data, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("caches")
    paths = {part: folder / f"{part}.safetensors" for part in ("train", "validate")}
    for part, path in paths.items():
        words = ["pack-heads", "--data", str(data), "--output", str(path), "--part", part, "--heads-per-map", "1"]
        assert main(words) == 0
    return paths


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    torch.manual_seed(0)
    network = ResidualUNet(**ARGUMENTS).eval()
    torch.nn.init.normal_(network.exit.weight, std=0.3)
    description = BundleDescription(
        title="Test network",
        task="synthetic-dir",
        description="Random weights.",
        network_name="ResidualUNet",
        network_arguments=ARGUMENTS,
        expects={},
        training={},
        validation={},
        inputs=("flair", "t1", "t2"),
        experimental=True,
    )
    return load_bundle(write_bundle(tmp_path_factory.mktemp("models") / "dir-test", network, description))


@pytest.mark.parametrize(
    "contrast, fluid, white", [("flair", 48.0, 100.0), ("t1", 90.0, 400.0), ("t2", 900.0, 250.0), ("flair", 1.0, 100.0)]
)
def test_fluid_and_white_matter_come_to_fixed_places_and_order_is_kept(contrast, fluid, white):
    scale = ContrastScale(contrast, fluid, white)
    at_white = scale.apply(np.array([white]))[0]
    assert at_white == pytest.approx(PLACES[contrast][1])
    if fluid > 0.1 * white:
        assert scale.apply(np.array([fluid]))[0] == pytest.approx(PLACES[contrast][0])
    values = scale.apply(np.linspace(0, 3 * max(fluid, white), 200))
    assert values[0] == 0 and (np.diff(values) > 0).all()


@pytest.mark.parametrize("contrast", PLACES)
def test_tissues_that_cannot_be_told_apart_are_scaled_by_white_matter_alone(contrast):
    scale = ContrastScale(contrast, 100.0, 100.0)
    assert scale.apply(np.array([50.0, 200.0])) == pytest.approx(np.array([0.5, 2.0]) * PLACES[contrast][1])


@pytest.mark.parametrize("role, fluid, tone", [("flair", 0.3, -0.7), ("t1", 0.3, 0.95), ("t2", 4.0, -0.9)])
def test_a_tone_keeps_fluid_white_matter_and_order(role, fluid, tone):
    kept = toned(role, np.array([fluid, 1.0], dtype=np.float32), fluid, tone)
    assert kept == pytest.approx([fluid, 1.0], abs=1e-6)
    ramp = toned(role, np.linspace(0.01, 5, 300, dtype=np.float32), fluid, tone)
    assert (np.diff(ramp) > 0).all()


def test_the_target_nulls_nominal_white_matter_and_fluid():
    tissues = table(RelaxationRecord({}), field_strength=3.0)
    signal = np.abs(protocol_signal(dir_packing.target_protocol(), tissues, np.zeros(1)))[:, 0]
    cortex = signal[TISSUE_INDEX["cortex"]]
    assert cortex == pytest.approx(dir_packing.nominal_cortex(), rel=0.2)
    assert all(signal[TISSUE_INDEX[name]] < 0.02 * cortex for name in ("white-matter", "csf"))


def test_outlines_of_reported_subjects_are_not_used(data):
    assert len(dir_packing.real_outlines(data)) == 1


def test_packed_heads_hold_all_contrasts_of_one_anatomy(caches):
    cache = dir_packing.HeadCache(caches["train"])
    assert [entry.subject for entry in cache.entries] == ["head_01"]
    volumes, maps = cache.head(0)
    assert volumes.shape == (4, *cache.shape(0)) and maps.shape == (3, *cache.shape(0))
    depth = dir_packing.unpacked_depth(maps[2])
    assert -8 <= depth.min() < 0 < depth.max()
    assert set(cache.entries[0].extra["landmarks"]) == {"flair", "t1", "t2"}
    middle = tuple(n // 2 - 8 for n in cache.shape(0))
    block, _ = cache.blocks(0, middle, 16)
    assert block == pytest.approx(volumes[(slice(None), *(slice(m, m + 16) for m in middle))].astype(np.float32))
    beyond, marks = cache.blocks(0, (1000, 0, 0), 8)
    assert not beyond.any() and (marks[2] == 255).all()


def test_a_test_head_is_never_packed(data, tmp_path):
    with pytest.raises(InputError, match="cannot be packed"):
        dir_packing.pack_heads(data, tmp_path / "x", part="test", heads_per_map=1, seed=0, report=lambda _: None)


def test_a_sample_depends_on_its_number_alone_and_missing_inputs_are_empty(caches):
    cache = dir_packing.HeadCache(caches["train"])
    first, again = (
        DirSampler(cache, SampleConfig(size=16), seed=4).sample(7, subset=("flair", "t2")) for _ in range(2)
    )
    assert (first.channels == again.channels).all() and (first.target == again.target).all()
    assert first.channels.shape == (6, 16, 16, 16) and np.isfinite(first.channels).all()
    assert not first.channels[1].any() and not first.channels[4].any()
    assert (first.channels[3] == first.brain[0]).all() and (first.channels[5] == first.brain[0]).all()
    outside = first.brain[0] == 0
    assert not first.channels[:, outside].any() and not first.target[0][outside].any()


def test_every_subset_of_the_inputs_is_drawn(caches):
    sampler = DirSampler(dir_packing.HeadCache(caches["train"]), SampleConfig(size=16), seed=0)
    drawn = {sampler.draw(np.random.default_rng([0, n])).subset for n in range(200)}
    assert drawn == set(SUBSETS) and len(SUBSETS) == 7


def test_training_lowers_its_loss_on_one_batch(caches):
    torch.manual_seed(1)
    config = {
        "patches": {"size": 16},
        "training": {
            "cache": str(caches["train"]),
            "validation_cache": str(caches["validate"]),
            "network": {"features": [6, 8], "convolutions": 1},
            "batch": 2,
            "validation_blocks": 1,
            "validation_size": 16,
        },
    }
    training = training_class("synthetic-dir", config).from_config(config)
    network = training.build_network().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    batch = training.batch(0, 0, 1)
    losses = []
    for _ in range(12):
        loss, figures = training.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert set(figures) == {"fidelity", "similarity", "lesion", "contrast", "likelihood"}
    assert "rms_flair_t1_t2" in training.validate(network.eval())


def test_a_patchgan_plays_against_the_network(caches):
    rules = {"critic": "patch", "objective": "patch", "features": "none", "critic_features": [4, 6]}
    config = {
        "patches": {"size": 16},
        "training": {
            "cache": str(caches["train"]),
            "validation_cache": str(caches["validate"]),
            "network": {"features": [6, 8], "convolutions": 1},
            "batch": 2,
            "game": rules,
            "validation_blocks": 1,
            "validation_size": 16,
        },
    }
    training = training_class("synthetic-dir", config).from_config(config)
    network = training.build_network().train()
    (name, critic), *others = training.opponents().items()
    batch = training.batch(0, 0, 1)
    loss, figures = training.loss(network, batch)
    loss.backward()
    against, told = training.opponent_loss(name, critic, batch)
    against.backward()
    assert not others
    assert {"fidelity", "adversarial"} <= set(figures) and "told_apart" in told
    assert all(p.grad is not None for p in critic.parameters())


def test_real_examinations_join_the_heads_with_their_dictionary_dir_and_without_a_mask(phantom, data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    patient = folder / "ms_cross_sectional" / "patient07"
    patient.mkdir(parents=True)
    for name, file in (("flair", "FLAIR"), ("t1", "T1"), ("t2", "T2")):
        write_volume(phantom.volumes[name], patient / f"{file}.nii.gz")
    output = tmp_path / "train.safetensors"
    words = ["pack-heads", "--data", str(folder), "--output", str(output), "--heads-per-map", "1", "--real"]
    assert main(words) == 0
    cache = dir_packing.HeadCache(output)
    assert [(e.subject, e.source) for e in cache.entries] == [("head_01", "simulated"), ("patient07", "real")]
    volumes, maps = cache.head(1)
    brain = dir_packing.unpacked_depth(maps[2]) < 0
    white = volumes[1][brain & (np.abs(volumes[1] - 1) < 0.05)]
    assert white.size > 0.1 * np.count_nonzero(brain)
    assert 0.8 < np.percentile(volumes[3][brain], 90) < 2
    sampler = DirSampler(cache, SampleConfig(size=16, real_share=1.0, noise=(0.4,) * 3, noise_free=0.0), seed=0)
    drawn = [sampler.draw(np.random.default_rng([0, n])) for n in range(40)]
    assert {record.head for record in drawn} == {1}
    assert max(plan.noise for record in drawn for plan in record.inputs.values()) <= 0.2
    sample = sampler.make(drawn[0], ("flair", "t1", "t2"))
    assert (sample.target[sample.brain == 0] == 0).all()


@pytest.mark.parametrize("names", [("flair", "t1", "t2"), ("flair",), ("t1", "t2")])
def test_the_network_takes_any_subset_and_answers_on_the_grid_of_the_first(phantom, bundle, names):
    inputs = {name: phantom.volumes[name] for name in names}
    result = TASK.run(inputs, bundle, Parameters(registered=True), no_progress)
    output, record = result.outputs["output"], result.provenance
    assert output.grid.matches(phantom.grid) and np.isfinite(output.voxels).all() and output.voxels.min() >= 0
    assert output.voxels[phantom.brain].any() and not output.voxels[~phantom.brain].any()
    assert record["parameters"]["method"] == "network" and record["contrasts"] == sorted(names)
    assert record["units"] == "a.u." and record["bundle"]["name"] == bundle.name
    json.dumps(record, allow_nan=False)


@pytest.mark.parametrize(("names", "share"), [(("flair", "t1", "t2"), 0.5), (("flair",), 0.5), (("t1", "t2"), 0.7)])
def test_the_combined_dir_is_the_mean_of_network_and_dictionary(phantom, bundle, names, share):
    inputs = {name: phantom.volumes[name] for name in names}
    result = TASK.run(inputs, bundle, Parameters(registered=True, method="combined"), no_progress)
    alone = TASK.run(inputs, bundle, Parameters(registered=True, method="network"), no_progress)
    tissues = fit_tissues({n: v.voxels for n, v in inputs.items()}, phantom.brain, spacing=phantom.grid.spacing)
    contrasts = {n: v.voxels for n, v in inputs.items()}
    fit = dictionary.synthesize(contrasts, phantom.brain, tissues, spacing=phantom.grid.spacing).dir_signal
    made, output = alone.outputs["output"].voxels, result.outputs["output"].voxels
    expected = mixing.mixed(made, fit, mixing.common_levels(made, fit, tissues.labels, share=share), share=share)
    assert output[phantom.brain].any() and not output[~phantom.brain].any()
    assert output[phantom.brain] == pytest.approx(expected[phantom.brain], abs=0.4)
    assert result.provenance["dictionary_share"] == share and result.provenance["dictionary"]["calibration"]
    json.dumps(result.provenance, allow_nan=False)


@pytest.mark.parametrize("method", ["dictionary", "arithmetic"])
def test_what_no_network_made_has_no_uncertainty(phantom, bundle, method):
    options = {"registered": True, "method": method}
    parameters = UncertaintyParameters(task="synthetic-dir", samples=3, options=options)
    with pytest.raises(InputError, match=r"no bundle.*hoose the method 'network'"):
        get_task("uncertainty").run(phantom.volumes, bundle, parameters, no_progress)


def test_the_combined_dir_has_no_use_for_a_hybrid(phantom, bundle):
    parameters = Parameters(registered=True, method="combined")
    hybrid = replace(bundle, metadata={**bundle.metadata, "synthmri": {**bundle.section, "hybrid": True}})
    assert "bundle-hybrid" in {f.code for f in TASK.check(phantom.volumes, hybrid, parameters)}


def test_thick_slices_are_computed_on_a_grid_of_1_mm_and_put_back(phantom, bundle):
    thick = Grid((16, 56, 52), np.diag([1.0, 1.0, 3.0, 1.0]) @ phantom.grid.ijk_to_ras)
    inputs = {name: Volume(v.voxels.reshape(16, 3, 56, 52).mean(1), thick) for name, v in phantom.volumes.items()}
    prepared = TASK.prepare(inputs, bundle, Parameters(registered=True), no_progress)
    assert prepared.volume.spacing == pytest.approx((1, 1, 1)) and prepared.images == 3
    output = TASK.finish(prepared, np.ones(prepared.volume.shape, dtype=np.float32), Parameters())
    assert output.grid.matches(thick)
    inner = inputs["flair"].voxels > 0
    assert np.median(output.voxels[inner]) == pytest.approx(prepared.unit, rel=1e-3)


def test_the_floor_keeps_order_and_cuts_nothing_to_zero():
    values = floored(np.linspace(-0.2, 2, 400, dtype=np.float32))
    assert values.min() > 0 and (np.diff(values) > 0).all()
    assert values[-1] == pytest.approx(2, abs=1e-4)


def test_the_network_has_an_uncertainty_through_the_common_task(phantom, bundle):
    inputs = {name: phantom.volumes[name] for name in ("flair", "t1")}
    parameters = UncertaintyParameters(task="synthetic-dir", samples=3, options={"registered": True})
    result = get_task("uncertainty").run(inputs, bundle, parameters, no_progress)
    total = result.outputs["total"]
    assert total.grid.matches(phantom.grid) and total.voxels[phantom.brain].min() > 0
    assert not total.voxels[~phantom.brain].any()


def test_a_bundle_for_another_method_or_task_is_refused(phantom, bundle):
    findings = TASK.check(phantom.volumes, bundle, Parameters(method="dictionary"))
    assert "bundle-task" in {f.code for f in findings if f.severity == "error"}
    assert "inputs-without-flair" in {f.code for f in TASK.check({"t1": phantom.volumes["t1"]}, bundle, Parameters())}


def test_without_a_trustworthy_bundle_the_dictionary_is_the_default(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    inputs = {name: phantom.volumes[name] for name in ("flair", "t1")}
    result = TASK.run(inputs, None, Parameters(registered=True), no_progress)
    assert result.provenance["parameters"]["method"] == "dictionary"
