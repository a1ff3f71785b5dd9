"""Stochastic passes and test-time augmentation: exact moments at any intensity, early stops, one seed one map."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import make_bundle
from conftest import head_like, placed_grid
from scipy import ndimage
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import NetworkInput, TaskResult
from SynthMRILib.tasks.uncertainty import UncertaintyParameters, network_task_names
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.uncertainty.augmentation import FAMILIES, Spread, apply, draw, left_right_axis, moved, reached, undo
from SynthMRILib.uncertainty.sampling import pass_mask, pilot_block
from SynthMRILib.volume import Volume

TASK = get_task("uncertainty")


@pytest.fixture(scope="module")
def a_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "test-network")


@pytest.fixture(scope="module")
def denoising_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A network of two inputs on the grid of its input."""
    torch.manual_seed(0)
    arguments = {"channels": 2, "features": [4, 8], "convolutions": 1, "gated": True, "dropout": 0.2}
    network = ResidualUNet(**arguments).eval()
    torch.nn.init.normal_(network.exit.weight, std=0.02)
    description = BundleDescription(
        title="Test",
        task="denoising",
        description="Random weights for tests; of no use for anything else.",
        network_name="ResidualUNet",
        network_arguments=arguments,
        expects={"contrasts": "any"},
        training={"steps": 0},
        validation={},
        limits=["It was never trained."],
    )
    return load_bundle(write_bundle(tmp_path_factory.mktemp("models") / "denoising", network, description))


def run(volume: Volume, bundle: Bundle, **values: object) -> TaskResult:
    parameters = UncertaintyParameters(task=bundle.task, device="cpu", precision="float32", **values)
    return TASK.run({"input": volume}, bundle, parameters, no_progress)


@pytest.mark.parametrize("highest", [1.0, 4000.0])
def test_variances_equal_a_float64_reference_at_any_intensity(a_volume: Volume, a_bundle: Bundle, highest) -> None:
    volume = a_volume.with_voxels(a_volume.voxels * (highest / a_volume.voxels.max()))
    outputs = run(volume, a_bundle, samples=6, seed=3).outputs
    task = get_task("super-resolution")
    prepared = task.prepare({"input": volume}, a_bundle, task.parameters_class(), no_progress)
    network, block = a_bundle.build_network(), torch.from_numpy(prepared.voxels)[None, None]
    with torch.inference_mode():
        features = network.forward_features(block)
        masks = (pass_mask(network, block, number=n, seed=3) for n in range(6))
        passes = np.stack([network.forward_head(features, block, mask)[0][0, 0].double().numpy() for mask in masks])
    inside = outputs["total"].voxels > 0
    expected = passes.var(axis=0, ddof=1)[inside] * prepared.unit**2
    found = outputs["epistemic"].voxels[inside].astype(np.float64) ** 2
    assert outputs["epistemic"].voxels.min() >= 0 and expected.max() > 0
    assert found[expected > 1e-6 * expected.max()] == pytest.approx(
        expected[expected > 1e-6 * expected.max()], rel=1e-5
    )


def test_every_network_task_has_an_uncertainty() -> None:
    assert {"super-resolution", "denoising", "synthetic-dir", "motion-correction"} <= set(network_task_names())


def test_another_task_with_several_channels_is_judged_alike(a_volume: Volume, denoising_bundle: Bundle) -> None:
    rng = np.random.default_rng(0)
    noisy = a_volume.with_voxels(np.abs(a_volume.voxels + 30 * rng.normal(size=a_volume.shape)))
    result = run(noisy, denoising_bundle, samples=4, consistency=True, options={"strength": 2.0})
    assert result.outputs["total"].grid.matches(noisy.grid)
    assert result.outputs["total"].voxels.max() > 0 and result.provenance["parameters"]["task"] == "denoising"
    difference = np.abs(result.outputs["output"].voxels - noisy.voxels)
    assert result.outputs["consistency"].voxels == pytest.approx(difference, abs=1e-2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "uncertainty"}, "not computed by one network"),
        ({"task": "painting"}, "Unknown task"),
        ({"options": {"colour": 1}}, "Unknown parameter 'colour'"),
        ({"tolerance": 0.9}, "tolerance must lie between"),
        ({"augmentations": 2}, "augmentations must be 0, or 4"),
    ],
)
def test_senseless_wishes_get_one_sentence(a_volume: Volume, a_bundle: Bundle, values, words) -> None:
    with pytest.raises(InputError, match=words):
        TASK.run({"input": a_volume}, a_bundle, UncertaintyParameters(**values), no_progress)


def test_passes_end_early_alike_whatever_the_tiles(a_volume: Volume, a_bundle: Bundle) -> None:
    every = run(a_volume, a_bundle, samples=16)
    assert every.provenance["passes"] == 16
    tolerance = 1.5 * every.provenance["total_relative_standard_error"]
    whole, tiled = (run(a_volume, a_bundle, samples=16, tolerance=tolerance, tile=tile) for tile in (500, 9))
    assert 5 <= whole.provenance["passes"] == tiled.provenance["passes"] < 16
    assert whole.provenance["total_relative_standard_error"] < 2 * tolerance
    fixed = run(a_volume, a_bundle, samples=whole.provenance["passes"]).outputs["epistemic"].voxels
    assert np.array_equal(whole.outputs["epistemic"].voxels, fixed)


def test_the_block_that_decides_surrounds_the_middle_of_the_signal() -> None:
    voxels = np.zeros((2, 60, 100, 50), dtype=np.float32)
    voxels[0, 10:20, 70:90, 20:30] = 1
    block = pilot_block(voxels)
    assert block.shape == (2, 40, 40, 40) and block.sum() == voxels.sum()


MEMORY = """
import resource, sys
import numpy as np
from SynthMRILib.bundles import load_bundle
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks.uncertainty import TASK, UncertaintyParameters
from SynthMRILib.volume import Grid, Volume

voxels = np.random.default_rng(0).uniform(100, 900, (24, 24, 24))
volume = Volume(voxels, Grid.from_spacing(voxels.shape, (1, 1, 1)))
for samples in (3, 43):
    parameters = UncertaintyParameters(samples=samples, device="cpu", precision="float32")
    TASK.run({"input": volume}, load_bundle(sys.argv[1]), parameters, no_progress)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_passes(a_bundle: Bundle) -> None:
    here = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), str(here.parents[1] / "SynthMRI")])
    }
    command = [sys.executable, "-c", MEMORY, str(a_bundle.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    few, many = (int(line) * 1024 for line in done.stdout.split()[-2:])
    one_pass_in_float64 = 8 * 48**3
    assert many - few < 4 * one_pass_in_float64, "40 passes kept would be seen"


@pytest.fixture
def prepared() -> NetworkInput:
    shape = (24, 26, 30)
    smooth = ndimage.gaussian_filter(head_like(shape) / 400, 2)
    grid = placed_grid(shape, spacing=(1.0, 1.1, 1.3), rotation=(5, -8, 12))
    return NetworkInput(smooth, Volume(smooth, grid), 400.0)


@pytest.mark.parametrize("factor", [1, 2])
def test_moving_and_moving_back_gives_the_volume_again(prepared: NetworkInput, factor: int) -> None:
    fine = ndimage.zoom(prepared.voxels, factor, order=3, grid_mode=True, mode="nearest")
    for mirrored in (False, True):
        record = replace(draw(0, seed=1, noise=0.01), mirrored=mirrored)
        held = reached(record, fine.shape, prepared)
        back = moved(moved(fine, record, prepared), record, prepared, back=True)
        assert held.mean() > 0.25 and np.abs(back - fine)[held].max() < 0.02
        assert np.abs(moved(fine, record, prepared) - fine).max() > 0.05


def test_moving_a_coarse_input_moves_its_fine_result_alike(prepared: NetworkInput) -> None:
    fine = ndimage.zoom(prepared.voxels, 2, order=3, grid_mode=True, mode="nearest")
    record = draw(0, seed=1, noise=0.0)
    coarse = moved(fine, record, prepared).reshape(24, 2, 26, 2, 30, 2).mean(axis=(1, 3, 5))
    inner = (slice(4, -4),) * 3
    assert np.abs(coarse - moved(prepared.voxels, record, prepared))[inner].max() < 0.01


def test_contrast_changes_are_undone_and_spare_what_is_no_image(prepared: NetworkInput) -> None:
    both = np.stack([prepared.voxels, np.ones_like(prepared.voxels)])
    two = NetworkInput(both, prepared.volume, 1.0, images=1)
    record = draw(1, seed=4, noise=0.0)
    changed = apply(record, two)
    assert np.array_equal(changed[1], both[1]) and np.abs(changed[0] - both[0]).max() > 0.02
    assert undo(record, changed[0], two) == pytest.approx(np.maximum(both[0], 0), abs=1e-5)
    other = NetworkInput(both, prepared.volume, 1.0, same_contrast=False)
    assert np.array_equal(undo(record, changed[0], other), changed[0])


def test_an_augmentation_depends_on_seed_and_number_alone() -> None:
    assert draw(3, seed=1, noise=0.1) == draw(3, seed=1, noise=0.1)
    assert draw(3, seed=1, noise=0.1) != draw(3, seed=2, noise=0.1)
    assert [draw(n, seed=0, noise=0).family for n in range(4)] == [*FAMILIES, *FAMILIES]


def test_only_left_and_right_are_mirrored() -> None:
    volume = Volume(np.ones((4, 5, 6)), placed_grid((4, 5, 6), spacing=(1, 1, 1), rotation=(0, 0, 88)))
    assert left_right_axis(NetworkInput(volume.voxels, volume, 1.0)) == 1


def test_spread_counts_only_where_a_pass_counts() -> None:
    rng = np.random.default_rng(0)
    values, counts = 1000 + rng.normal(size=(9, 50)), rng.random((9, 50)) < 0.7
    spread = Spread()
    for value, count in zip(values, counts):
        spread.add(value, count)
    masked = np.ma.masked_array(values, ~counts)
    assert spread.deviation() == pytest.approx(np.asarray(masked.std(axis=0, ddof=1)), rel=1e-5)


def test_augmentation_is_a_switch_of_its_own_and_one_seed_gives_one_map(a_volume: Volume, a_bundle: Bundle) -> None:
    plain = run(a_volume, a_bundle, samples=3)
    one, same, other = (run(a_volume, a_bundle, samples=3, augmentations=4, seed=s) for s in (1, 1, 2))
    roles = {"augmentation-spatial", "augmentation-intensity"}
    assert roles <= set(one.outputs) and not roles & set(plain.outputs)
    assert "augmentation_passes" not in plain.provenance and one.provenance["augmentation_passes"] == 4
    for role in roles:
        assert np.array_equal(one.outputs[role].voxels, same.outputs[role].voxels)
        assert not np.array_equal(one.outputs[role].voxels, other.outputs[role].voxels)
        assert one.outputs[role].voxels.min() >= 0 and one.outputs[role].grid.matches(one.outputs["output"].grid)
