"""Uncertainty of motion correction and synthetic DIR: networks without dropout, the share of a change, calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import described
from conftest import placed_grid
from dir_phantom import simulated_phantom
from motion_support import add_diffusion_bundle, make_motion_bundles, moving_head
from simulation_phantoms import small_head
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.dir_synthesis import mixing
from SynthMRILib.errors import InputError
from SynthMRILib.motion.condition import TOLD
from SynthMRILib.networks.filter_bank import FilterBank
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import NetworkInput
from SynthMRILib.tasks.uncertainty import UncertaintyParameters, calibration_for, with_strength
from SynthMRILib.training import dir_packing
from SynthMRILib.training.cache import Entry, write_cache
from SynthMRILib.training.export import write_bundle
from SynthMRILib.uncertainty.block_sampling import block_at, box_in
from SynthMRILib.uncertainty.calibration import Calibration
from SynthMRILib.uncertainty.findings import global_hints
from SynthMRILib.uncertainty.fitting import calibrate_bundle, gather
from SynthMRILib.uncertainty.paired_cases import packed_cases
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

TASK = get_task("uncertainty")
FAST = {"device": "cpu", "precision": "float32", "samples": 2}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models with a small motion-correction bundle with dropout and a severity bundle."""
    make_motion_bundles(tmp_path / "models")
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def filters(installed: Path) -> Bundle:
    """A motion-correction bundle of fixed filters: a variance output, but no dropout."""
    torch.manual_seed(0)
    network = FilterBank()
    torch.nn.init.normal_(network.taps, std=0.01)
    torch.nn.init.normal_(network.log_variance, mean=-6.0)
    return load_bundle(
        write_bundle(installed / "filters", network.eval(), described("motion-correction", "FilterBank", {}, TOLD))
    )


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three packed pairs of different subjects."""
    volumes = []
    for n, size in enumerate((1.5, 2.0, 2.5)):
        made = moving_head(size)
        extra = {"severity_mm": made.severity_mm, "spacing_kji": [2.0, 2.0, 2.0]}
        for voxels in (made.moved.voxels, made.still.voxels):
            entry = Entry(f"head_{13 + n}", "t1w", "simulated", False, extra)
            volumes.append((entry, (voxels / 900).astype(np.float16)))
    path = tmp_path_factory.mktemp("pairs") / "pairs.safetensors"
    write_cache(path, volumes, data=["made for tests"])
    return path


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One packed head for synthetic DIR."""
    rng = np.random.default_rng(0)
    labels = small_head((64, 72, 68))
    labels[labels == 515] = 24
    packed = dir_packing.simulate(labels, rng, "head_13", [])
    path = tmp_path_factory.mktemp("heads") / "heads.safetensors"
    dir_packing.write_heads(path, [packed])
    return path


@pytest.fixture
def dir_bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    arguments = {"features": [6, 8], "convolutions": 1, "dropout": 0.2, "channels": 6, "residual": False}
    network = ResidualUNet(**arguments).eval()
    torch.nn.init.normal_(network.exit.weight, std=0.05)
    return load_bundle(write_bundle(tmp_path / "dir", network, described("synthetic-dir", "ResidualUNet", arguments)))


def parameters(task: str, **options: object) -> UncertaintyParameters:
    return UncertaintyParameters(task=task, options=options, **FAST)


def test_a_network_without_dropout_says_what_its_variance_output_says(filters: Bundle) -> None:
    moved = moving_head(2.0).moved
    result = TASK.run({"input": moved}, filters, parameters("motion-correction", force=True), no_progress)
    assert result.outputs["epistemic"].voxels.max() == 0
    assert result.outputs["aleatoric"].voxels == pytest.approx(result.outputs["total"].voxels)
    assert result.outputs["total"].voxels.max() > 0
    assert result.provenance["passes"] == 1 and result.provenance["dropout"] is False
    said = next(
        f.message
        for f in TASK.check({"input": moved}, filters, parameters("motion-correction"))
        if f.code == "judged-method"
    )
    assert "by the method 'network'" in said and "'autofocus'" in said
    assert global_hints(result.provenance)[0] == said
    early = UncertaintyParameters(task="motion-correction", options={"force": True}, **FAST, tolerance=0.1)
    assert TASK.run({"input": moved}, filters, early, no_progress).provenance["passes"] == 1


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("size_mm", [0.5, 2.5])
def test_the_mean_is_what_motion_correction_gives(filters: Bundle, force: bool, size_mm: float) -> None:
    """Severity, decision and strength are those of the task, so that the maps speak of its very result."""
    filters.section["strength"] = {"none_mm": 0.2, "full_mm": 6.0, "largest": 0.8}
    inputs = {"input": moving_head(size_mm).moved}
    task = get_task("motion-correction")
    values = {"device": "cpu", "precision": "float32", "method": "network", "force": force}
    wanted = task.run(inputs, filters, task.parameters_class(**values), no_progress)
    found = TASK.run(inputs, filters, parameters("motion-correction", force=force), no_progress)
    assert found.outputs["output"].voxels == pytest.approx(wanted.outputs["output"].voxels, abs=0.01)
    decision = wanted.measurements["decision"]
    assert found.provenance["motion"]["decision"] == decision
    if decision != "corrected":
        assert np.array_equal(found.outputs["output"].voxels, inputs["input"].voxels)
        assert found.outputs["total"].voxels.max() > 0


def test_what_is_left_of_a_change_counts_as_error() -> None:
    """If the network is right on average, total squared is the mean squared error of the result at any strength."""
    rng = np.random.default_rng(0)
    shape, sigma = (40, 40, 40), 0.05
    mean = rng.uniform(0.3, 0.6, shape).astype(np.float32)
    truth = mean + sigma * rng.standard_normal(shape)
    acquired = (mean + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    maps = {"mean": mean, "epistemic": np.full(shape, 0.03, np.float32), "aleatoric": np.full(shape, 0.04, np.float32)}
    prepared = NetworkInput(acquired, Volume(acquired, placed_grid(shape, spacing=(1, 1, 1))), 1.0)
    assert with_strength(maps, prepared) is maps
    for strength in (0.0, 0.3, 0.9):
        found = with_strength(maps, replace(prepared, strength=strength))
        total = np.hypot(found["epistemic"], found["aleatoric"])
        assert np.mean(total**2) == pytest.approx(np.mean((found["mean"] - truth) ** 2), rel=0.03)
        assert found["epistemic"] == pytest.approx(np.float32(strength * 0.03))
        assert found["mean"] == pytest.approx(acquired + strength * (mean - acquired), abs=1e-6)


@pytest.mark.parametrize("name", ["filters", "motion-correction"])
def test_motion_correction_is_calibrated_from_packed_pairs(
    filters: Bundle,  # noqa: ARG001
    installed: Path,
    pairs: Path,
    tmp_path: Path,
    capsys,
    name: str,
) -> None:
    """With dropout and without; the command writes the copy, and the uncertainty of the task then uses it."""
    arguments = ["calibrate", "motion-correction", "--bundle", str(installed / name), "--cache", str(pairs)]
    assert cli.main([*arguments, "--samples", "2", "--blocks", "2", "--output", str(tmp_path / "mine")]) == 0
    mine = load_bundle(tmp_path / "mine")
    calibration = Calibration.from_bundle(mine.section)
    assert json.loads(capsys.readouterr().out)["sha256"] == calibration.sha256 == mine.section["sha256"]
    assert len(calibration.facts["volumes"]) == 3 and "motion_severity_mm" in calibration.gate["input"]["ranges"]
    covered = [v["coverage_percent"]["68"] for v in calibration.facts["volumes"]]
    assert np.mean(covered) == pytest.approx(68, abs=6)
    case = packed_cases(pairs, "motion-correction")[1]
    result = TASK.run(case.read()[0], mine, parameters("motion-correction"), no_progress)
    assert result.provenance["calibration"]["interval_multipliers"] == calibration.relative()
    assert result.provenance["gate"]["verdict"] in ("inside", "outside")


def test_pairs_keep_subject_contrast_and_spacing_and_a_task_without_packing_is_told(
    pairs: Path, tmp_path: Path
) -> None:
    cases = packed_cases(pairs, "motion-correction")
    assert [c.subject for c in cases] == ["head_13", "head_14", "head_15"]
    inputs, truth, lesions = cases[2].read()
    assert inputs["input"].spacing == truth.spacing == (2.0, 2.0, 2.0) and lesions is None
    assert 900 * truth.voxels == pytest.approx(moving_head(2.5).still.voxels, abs=1.0)
    assert packed_cases(pairs, "motion-correction", source="real") == []
    with pytest.raises(InputError, match="no packed cache"):
        packed_cases(tmp_path / "none.safetensors", "synthetic-dir")
    with pytest.raises(InputError, match="cannot be made from its result"):
        packed_cases(pairs, "through-plane")


def test_a_case_that_the_task_refuses_is_left_out_and_named(filters: Bundle, pairs: Path) -> None:
    good = packed_cases(pairs, "motion-correction")[0]
    empty = good.read()[1].with_voxels(np.zeros(good.read()[1].shape))
    bad = replace(good, name="an empty one", read=lambda: ({"input": empty}, empty, None))
    lines: list[str] = []
    assert [s.name for s in gather(filters, [bad, good], samples=2, blocks=1, report=lines.append)] == [good.name]
    assert lines[0].startswith("an empty one: left out. ")
    with pytest.raises(InputError):
        gather(filters, [bad], samples=2, blocks=1, report=lines.append)


def test_synthetic_dir_is_calibrated_against_the_exact_dir_of_simulated_heads(
    heads: Path, dir_bundle: Bundle, tmp_path: Path
) -> None:
    cases = packed_cases(heads, "synthetic-dir")
    assert [sorted(c.read()[0]) for c in cases] == [["flair", "t1", "t2"], ["flair", "t1"], ["flair", "t2"], ["flair"]]
    known = dir_packing.HeadCache(heads).head(0)[0][dir_packing.VOLUMES.index("dir")].astype(np.float32)
    inputs, truth, _ = cases[0].read()
    inside = truth.voxels > 0
    assert np.corrcoef(truth.voxels[inside], known[inside])[0, 1] == pytest.approx(1)
    assert np.array_equal(inputs["flair"].voxels, cases[3].read()[0]["flair"].voxels)
    calibration = calibrate_bundle(dir_bundle, cases[:2], samples=2, output=tmp_path / "mine", report=str, blocks=2)
    assert {role: ranges["volumes"] for role, ranges in calibration.gate.items()} == {"flair": 1, "t1": 1, "t2": 1}
    result = TASK.run(inputs, load_bundle(tmp_path / "mine"), parameters("synthetic-dir", registered=True), no_progress)
    assert result.provenance["calibration"]["interval_multipliers"] == calibration.relative()
    assert result.outputs["total"].voxels[inside].min() > 0


def test_blocks_of_a_result_that_is_cut_to_the_brain_are_those_of_the_whole(dir_bundle: Bundle) -> None:
    phantom = simulated_phantom()
    task, wanted = get_task("synthetic-dir"), parameters("synthetic-dir", registered=True)
    prepared = task.prepare(phantom.volumes, dir_bundle, wanted.of_task(), no_progress)
    block = block_at(prepared, (4, 6, 8), edge=24)
    voxels = np.random.default_rng(0).uniform(0, 1, prepared.voxels.shape[1:]).astype(np.float32)
    whole = task.finish(prepared, voxels, wanted.of_task())
    part = task.finish(block, voxels[4:28, 6:30, 8:32], wanted.of_task())
    assert part.voxels[1:-1, 1:-1, 1:-1] == pytest.approx(
        whole.voxels[box_in(whole.grid, part.grid)][1:-1, 1:-1, 1:-1], abs=1e-3
    )


def test_a_grid_that_lies_elsewhere_is_refused() -> None:
    whole = placed_grid((20, 22, 24), spacing=(1, 1, 1))
    part = Grid((5, 5, 5), whole.ijk_to_ras @ np.array([[1, 0, 0, 3], [0, 1, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1.0]]))
    assert box_in(whole, part) == (slice(5, 10), slice(4, 9), slice(3, 8))
    between = Grid((5, 5, 5), part.ijk_to_ras + np.outer([0.4, 0, 0, 0], [0, 0, 0, 1]))
    for wrong in (between, Grid((30, 5, 5), part.ijk_to_ras)):
        with pytest.raises(InputError, match="does not lie on the grid"):
            box_in(whole, wrong)


def test_samples_of_a_diffusion_model_are_judged_by_their_spread(installed: Path, tmp_path: Path) -> None:
    """The command takes the method; the mean is that of the same samples, and nothing is called calibrated."""
    add_diffusion_bundle(installed)
    moved = moving_head(2.5).moved
    write_volume(moved, tmp_path / "moved.nrrd")
    words = ["uncertainty", "motion-correction", str(tmp_path / "moved.nrrd"), "--method", "diffusion", "--force"]
    words += ["--steps", "2", "--samples", "3", "--device", "cpu", "--precision", "float32"]
    assert cli.main([*words, "--output", str(tmp_path / "maps")]) == 0
    record = json.loads((tmp_path / "maps" / "findings.json").read_text())
    assert record["provenance"]["sampled"] is True and record["provenance"]["passes"] == 3
    assert record["calibrated"] is False
    spread = read_volume(tmp_path / "maps" / "total.nii.gz").voxels
    assert spread.max() > 0 and read_volume(tmp_path / "maps" / "epistemic.nii.gz").voxels.max() == 0
    task, bundle = get_task("motion-correction"), load_bundle(installed / "motion-correction")
    wanted = {"method": "diffusion", "force": True, "steps": 2, "device": "cpu", "precision": "float32"}
    prepared = task.prepare({"input": moved}, bundle, task.parameters_class(**wanted), no_progress)
    prepared = task.measured(prepared, bundle, task.parameters_class(**wanted), no_progress)
    draw = task.sampler(prepared, bundle, task.parameters_class(**wanted))
    single = task.run({"input": moved}, bundle, task.parameters_class(**wanted), no_progress).outputs["output"]
    assert draw(0, no_progress) * prepared.unit == pytest.approx(single.voxels, abs=0.05)
    assert task.sampler(replace(prepared, strength=0.0), bundle, task.parameters_class(**wanted)) is None


@pytest.fixture(scope="module")
def examination() -> dict[str, Volume]:
    return simulated_phantom().volumes


def test_the_mean_with_the_dictionary_is_what_synthetic_dir_gives(dir_bundle: Bundle, examination) -> None:
    """But for the mean over dropout passes; its deviation is no smaller than the distance of its halves demands."""
    options = {"registered": True, "method": "combined"}
    chosen = UncertaintyParameters(task="synthetic-dir", options=options, **{**FAST, "samples": 40})
    found = TASK.run(examination, dir_bundle, chosen, no_progress)
    task = get_task("synthetic-dir")
    volumes = {
        method: task.run(examination, bundle, task.parameters_class(**{**options, "method": method}), no_progress)
        for method, bundle in (("combined", dir_bundle), ("network", dir_bundle), ("dictionary", None))
    }
    voxels = {name: result.outputs["output"].voxels for name, result in volumes.items()}
    inside = voxels["combined"] > 0
    output, total = found.outputs["output"].voxels, found.outputs["total"].voxels
    assert np.abs(output - voxels["combined"])[inside].mean() < 0.05 * voxels["combined"][inside].mean()
    assert found.provenance["levels"].keys() == volumes["combined"].provenance["levels"].keys()
    assert found.provenance["dictionary_share"] == 0.5 and (total[inside] > 0).all()
    assert found.provenance["calibration"] is None


def test_a_mixture_has_the_variance_of_both_and_of_their_distance() -> None:
    network = {name: np.full((1, 1, 2), value, np.float32) for name, value in (("epistemic", 0.3), ("aleatoric", 0.4))}
    network["mean"] = np.array([[[0.2, 2.0]]], np.float32)
    other, spread = np.array([[[0.1, 1.0]]], np.float32), np.full((1, 1, 2), 0.2, np.float32)
    found = mixing.mixed_moments(network, other, spread, mixing.Levels(), share=0.7)
    apart = (network["mean"] - other) ** 2
    assert found["mean"] == pytest.approx(0.3 * network["mean"] + 0.7 * other)
    assert found["epistemic"] ** 2 == pytest.approx(0.3 * 0.09 + 0.21 * apart, rel=1e-4)
    assert found["aleatoric"] ** 2 == pytest.approx(np.full((1, 1, 2), 0.3 * 0.16 + 0.7 * 0.04), rel=1e-4)
    levels = mixing.Levels((2, 1), (0.5, 1.0), (0.5, 1.0), (0.25, 1.0))
    bent = mixing.mixed_moments({**network, "mean": other}, other, spread, levels, share=0.7)
    assert mixing.slope(np.array([0.2, 0.7, 3.0], np.float32), (0.5, 1.0), (0.25, 1.0)) == pytest.approx([0.5, 1.5, 1])
    assert bent["aleatoric"][0, 0, 0] ** 2 == pytest.approx(0.5**2 * (0.3 * 0.16 + 0.7 * 0.04), rel=1e-4)


def test_the_mean_with_the_dictionary_has_a_calibration_of_its_own(dir_bundle: Bundle, heads: Path, tmp_path) -> None:
    cases = packed_cases(heads, "synthetic-dir")[:1]
    made = calibrate_bundle(
        dir_bundle, cases, samples=2, blocks=1, output=tmp_path / "new", report=lambda _: None, method="combined"
    )
    bundle = load_bundle(tmp_path / "new")
    assert Calibration.from_bundle(bundle.section) is None
    assert Calibration.from_bundle(bundle.section, "combined") == made
    task = get_task("synthetic-dir")
    known = {m: calibration_for(task, bundle, task.parameters_class(method=m)) for m in ("network", "combined")}
    assert known == {"network": None, "combined": made}


def test_the_mean_with_the_dictionary_has_no_augmentation(dir_bundle: Bundle, examination) -> None:
    options = {"registered": True, "method": "combined"}
    chosen = UncertaintyParameters(task="synthetic-dir", options=options, **FAST, augmentations=4)
    assert "augmentations-mixed" in {f.code for f in TASK.check(examination, dir_bundle, chosen)}


def test_calibrate_names_the_methods_that_it_knows(dir_bundle: Bundle, heads: Path, tmp_path, capsys) -> None:
    words = ["calibrate", "synthetic-dir", "--bundle", str(dir_bundle.folder), "--cache", str(heads)]
    assert cli.main([*words, "--method", "dictionary", "--output", str(tmp_path / "new")]) != 0
    assert "it has: combined" in capsys.readouterr().err
