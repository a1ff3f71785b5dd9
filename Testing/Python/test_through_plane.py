"""Thick slices: any spacing to any other on the same axes; interpolation, said to be one, without a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import head_like, placed_grid
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.slice_profile import Acquisition
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.through_plane import ThroughPlaneParameters
from SynthMRILib.tasks.uncertainty import UncertaintyParameters
from SynthMRILib.through_plane.resampling import distance_to_slices, grid_of_spacing, resampled, thick_axis
from SynthMRILib.training.cache import Cache, Entry, prepared, write_cache
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.training.patches import PatchConfig
from SynthMRILib.training.run import train
from SynthMRILib.training.thick_slices import SliceConfig, ThickSliceConfig, ThickSliceSampler, sharp_first
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

TASK = get_task("through-plane")
ARGUMENTS = {"channels": 4, "features": [4, 6], "convolutions": 1, "dropout": 0.2}
ORIENTATIONS = {"axial": (4.0, 1), "coronal": (4.0, 2), "sagittal": (3.0, 0)}


@pytest.fixture
def a_bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    network = ResidualUNet(**ARGUMENTS)
    torch.nn.init.normal_(network.exit.weight, std=0.004)
    description = BundleDescription(
        title="Test through-plane",
        task="through-plane",
        description="Random weights for tests.",
        network_name="ResidualUNet",
        network_arguments=ARGUMENTS,
        expects={},
        training={},
        validation={},
    )
    return load_bundle(write_bundle(tmp_path / "Models" / "through-plane", network, description))


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "none"))


def thick_volume(thickness: float = 4.0, axis: int = 0) -> tuple[Volume, Volume]:
    """A sharp 1 mm volume on an oblique grid, and what a scan in thick slices along an array axis shows of it."""
    grid = placed_grid((64, 64, 64), spacing=(1, 1, 1), rotation=(8, -12, 25), origin=(-20, 14, 9))
    sharp = Volume(head_like(grid.shape), grid)
    spacing = [1.0, 1.0, 1.0]
    spacing[2 - axis] = thickness
    coarse = grid_of_spacing(grid, tuple(spacing))
    return sharp, Volume(Acquisition.between(grid, coarse).apply(sharp.voxels), coarse)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 0.7), (2.0, 1.5, 3.0), (1.0, 1.0, 4.0)])
def test_a_new_grid_keeps_axes_and_middle(spacing: tuple[float, float, float]) -> None:
    grid = placed_grid((20, 30, 40), spacing=(0.9, 0.9, 4.0), rotation=(8, -12, 25), left_handed=True)
    new = grid_of_spacing(grid, spacing)
    assert new.spacing == pytest.approx(spacing)
    assert new.directions == pytest.approx(grid.directions, abs=1e-9)
    for part in (grid, new):
        part_middle = part.index_to_ras((np.array(part.size) - 1) / 2)
        assert part_middle == pytest.approx(grid.index_to_ras((np.array(grid.size) - 1) / 2), abs=1e-9)
    assert np.abs(np.array(new.extent) - grid.extent).max() <= max(spacing) / 2 + 1e-9


def test_resampling_keeps_physical_positions() -> None:
    grid = placed_grid((24, 24, 24), spacing=(1, 1, 3), rotation=(8, -12, 25), origin=(-20, 14, 9))
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1)
    ramp = grid.index_to_ras(ijk)[..., 1].transpose(2, 1, 0) + 1000
    fine = resampled(Volume(ramp, grid), grid_of_spacing(grid, (0.5, 1.5, 1.0)))
    inner = np.array([20, 8, 40])
    expected = fine.grid.index_to_ras(inner)[1] + 1000
    assert fine.voxels[tuple(inner[::-1])] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_thick_slices_come_back_on_a_fine_grid_in_every_orientation(orientation: str, a_bundle: Bundle) -> None:
    thickness, axis = ORIENTATIONS[orientation]
    sharp, thick = thick_volume(thickness, axis)
    assert thick_axis(thick.grid, sharp.grid) == axis
    parameters = ThroughPlaneParameters(spacing=[1.0, 1.0, 1.0], device="cpu", precision="float32")
    result = TASK.run({"input": thick}, a_bundle, parameters, no_progress)
    output = result.outputs["output"]
    assert output.spacing == pytest.approx((1, 1, 1))
    assert result.provenance["slices"] == {"axis": "kji"[axis], "distance_voxels": thickness}
    inner = (slice(16, 48),) * 3
    spline = resampled(thick, output.grid).voxels[inner]
    assert np.corrcoef(output.voxels[inner].ravel(), spline.ravel())[0, 1] > 0.9
    assert not np.array_equal(output.voxels[inner], spline)


@pytest.mark.usefixtures("nothing_installed")
def test_without_a_network_total_variation_serves_and_a_warning_says_so() -> None:
    sharp, thick = thick_volume()
    parameters = ThroughPlaneParameters(spacing=[1, 1, 1], profile="box", residual=True)
    result = TASK.run({"input": thick}, None, parameters, no_progress)
    assert result.measurements["findings"][0]["code"] == "no-network"
    assert result.provenance["method_used"] == "total-variation"
    output, spline = result.outputs["output"], resampled(thick, result.outputs["output"].grid)
    assert psnr(sharp.voxels, output.voxels) > psnr(sharp.voxels, spline.voxels) + 0.5
    assert result.outputs["residual"].grid.matches(thick.grid)
    assert result.measurements["consistency"]["rms_percent"] < 1


def test_the_automatic_spacing_is_isotropic() -> None:
    volume = Volume(head_like((16, 40, 40)), Grid.from_spacing((16, 40, 40), (0.8, 0.8, 4.0)))
    output = TASK.run({"input": volume}, None, ThroughPlaneParameters(method="bspline"), no_progress).outputs["output"]
    assert output.spacing == pytest.approx((0.8, 0.8, 0.8))


def test_a_spacing_of_zero_is_the_automatic_one() -> None:
    volume = Volume(head_like((16, 40, 40)), Grid.from_spacing((16, 40, 40), (0.8, 0.8, 4.0)))
    parameters = ThroughPlaneParameters(method="bspline", spacing=[0, 0, 2])
    assert TASK.run({"input": volume}, None, parameters, no_progress).outputs["output"].spacing == pytest.approx(
        (0.8, 0.8, 2)
    )


BAD = {
    "two lengths": ({"spacing": [1.0, 1.0]}, "three lengths"),
    "a word as a length": ({"spacing": ["a", 1.0, 1.0]}, "not a x 1 x 1"),
    "a tiny spacing": ({"spacing": [1.0, 1.0, 0.01]}, "between 0.1 and 10 mm"),
    "a gap as large as the distance": ({"gap": 4.0, "spacing": [1, 1, 1]}, "must be smaller than the distance"),
    "a negative gap": ({"gap": -1.0}, "must not be negative"),
    "an unknown method": ({"method": "magic"}, "Unknown method 'magic'"),
    "an unknown profile": ({"profile": "sharp"}, "Unknown slice profile 'sharp'"),
    "a tile below zero": ({"tile": -1}, "tile size must be positive"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_wishes_get_one_sentence(case: str) -> None:
    values, sentence = BAD[case]
    with pytest.raises(InputError, match=sentence):
        TASK.run(
            {"input": thick_volume()[1]}, None, ThroughPlaneParameters(**{"method": "bspline", **values}), no_progress
        )


def test_slices_beyond_training_and_thin_ones_are_told(a_bundle: Bundle) -> None:
    _, thick = thick_volume()
    spacings = ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0], [1.0, 1.0, 4.0])
    told = {
        bundle: [
            [f.code for f in TASK.check({"input": thick}, bundle, ThroughPlaneParameters(spacing=s))] for s in spacings
        ]
        for bundle in (a_bundle, None)
    }
    assert told[a_bundle] == [["slices-thick"], [], ["slices-thin"]]
    assert told[None] == [[], [], ["slices-thin"]], "total variation was not trained"


def test_memory_is_that_of_what_will_run(a_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("SynthMRILib.through_plane.request.total_memory", lambda: 1e5)
    inputs, parameters = {"input": thick_volume()[1]}, ThroughPlaneParameters(spacing=[1.0, 1.0, 1.0])
    assert [f.code for f in TASK.check(inputs, None, parameters)] == ["slices-memory"], (
        "total variation, as none is there"
    )
    assert "slices-memory" not in [f.code for f in TASK.check(inputs, a_bundle, parameters)]


def test_the_distance_to_slices_is_zero_at_their_centers() -> None:
    assert distance_to_slices(np.array([0, 0.25, 0.5, 1.0, 1.75])) == pytest.approx([0, 0.5, 1, 0, 0.5])


def test_the_command_takes_a_spacing(a_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    _, thick = thick_volume()
    write_volume(thick, tmp_path / "in.nrrd")
    words = ["super-resolution", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd"), "--spacing", "1", "1", "2"]
    assert cli.main([*words, "--gap", "0.5", "--bundle", str(a_bundle.folder)]) == 0
    assert "not for diagnosis" in capsys.readouterr().out
    assert read_volume(tmp_path / "out.nrrd").spacing == pytest.approx((1, 1, 2), abs=1e-4)


def test_its_uncertainty_lies_on_the_new_grid(a_bundle: Bundle) -> None:
    sharp, thick = thick_volume(4.0, 1)
    options = {"spacing": [1.0, 1.0, 1.0]}
    parameters = UncertaintyParameters(task="through-plane", options=options, samples=2, device="cpu")
    outputs = get_task("uncertainty").run({"input": thick}, a_bundle, parameters, no_progress).outputs
    assert outputs["total"].grid.matches(sharp.grid, tolerance=1e-4)
    assert outputs["total"].voxels.max() > 0


def test_the_command_for_uncertainty_takes_a_spacing(a_bundle: Bundle, tmp_path: Path) -> None:
    _, thick = thick_volume()
    write_volume(thick, tmp_path / "in.nrrd")
    words = ["uncertainty", "through-plane", tmp_path / "in.nrrd", "--output", tmp_path / "maps", "--samples", 2]
    words += ["--spacing", 2, 2, 2, "--gap", 1, "--bundle", a_bundle.folder, "--device", "cpu"]
    assert cli.main([str(word) for word in words]) == 0
    assert read_volume(tmp_path / "maps" / "total.nii.gz").spacing == pytest.approx((2, 2, 2), abs=1e-4)


@pytest.mark.usefixtures("nothing_installed")
def test_uncertainty_without_a_network_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_volume(thick_volume()[1], tmp_path / "in.nrrd")
    words = ["uncertainty", "through-plane", str(tmp_path / "in.nrrd"), "--output", str(tmp_path / "maps")]
    assert cli.main(words) == 2
    assert "No bundle for through-plane is installed" in capsys.readouterr().err


@pytest.fixture
def a_cache(tmp_path: Path) -> Path:
    volumes = [
        (Entry(f"subject{n}", "t1w", source, stripped=False), prepared(head_like((40, 44, 48))))
        for n, source in enumerate(("real", "simulated"))
    ]
    write_cache(tmp_path / "cache.safetensors", volumes)
    return tmp_path / "cache.safetensors"


def test_training_beats_interpolation_and_leaves_a_bundle_that_runs(a_cache: Path, tmp_path: Path) -> None:
    config = {
        "loop": {"steps": 40, "validate_every": 20, "checkpoint_every": 20, "warmup": 2, "learning_rate": 5e-3},
        "patches": {"size": 8, "noise_free": 1.0},
        "slices": {"least": 3.9, "most": 4.1, "gap": 0.0, "gaussian": 1.0},
        "training": {
            "cache": str(a_cache),
            "validation_cache": str(a_cache),
            "network": {"features": [6, 8], "convolutions": 1},
            "batch": 2,
            "validation_size": 32,
        },
    }
    output = tmp_path / "run"
    train("through-plane", config, output, launch={"accelerator": "cpu", "devices": 1}, report=lambda _: None)
    lines = [json.loads(line) for line in (output / "training.jsonl").read_text().splitlines()]
    gains = [line["gain_db_simulated_t1w"] for line in lines if line["event"] == "validation"]
    assert gains[-1] > gains[0]
    bundle = load_bundle(output / "bundle")
    parameters = ThroughPlaneParameters(spacing=[1, 1, 1], device="cpu")
    assert (
        TASK.run({"input": thick_volume()[1]}, bundle, parameters, no_progress).provenance["method_used"] == "network"
    )


def test_thick_samples_depend_on_their_number_alone(a_cache: Path) -> None:
    config = ThickSliceConfig(PatchConfig(size=8), SliceConfig())
    one, other = (ThickSliceSampler(Cache(a_cache), config, seed=1) for _ in range(2))
    for n in (3, 0):
        for first, second in zip(one.thick_sample(n), other.thick_sample(n)):
            assert np.array_equal(first, second)


def test_an_axis_acquired_in_thick_slices_never_becomes_the_thick_one() -> None:
    slices = SliceConfig()
    rng = np.random.default_rng(0)
    real = Entry("patient07", "t1w", "real", stripped=True)
    assert all(sharp_first((0, 1, 2), real, slices, rng)[0] != 0 for _ in range(8))
    assert sorted(sharp_first((0, 2, 1), real, slices, rng)) == [0, 1, 2]
    assert sharp_first((2, 0, 1), real, slices, rng) == (2, 0, 1)
    assert sharp_first((0, 1, 2), Entry("patient07", "flair", "real", stripped=True), slices, rng) == (0, 1, 2)
    assert sharp_first((0, 1, 2), Entry("head_01", "t1w", "simulated", stripped=True), slices, rng) == (0, 1, 2)
