"""Finetuning: from a bundle and a user's own volumes to a new bundle that says whether it is better."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from bundle_support import make_bundle
from conftest import head_like
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.evaluation.bootstrap import gain_in_decibels, mean_of
from SynthMRILib.evaluation.degrade import degrade
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import InputRole
from SynthMRILib.training.before_after import sentence, summary
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.training.finetuning import carried_over
from SynthMRILib.training.pair_packing import PairCache, scale_to
from SynthMRILib.training.paired import PairedTraining
from SynthMRILib.training.pairs import find_pairs
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

ROLES = get_task("super-resolution").roles
SHAPE = (48, 48, 48)


@pytest.fixture
def a_bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "Models" / "start", title="A start")


def sharp_volume(seed: int) -> Volume:
    """A head of 48 voxels along each axis, another for each seed."""
    rng = np.random.default_rng(seed)
    voxels = head_like(SHAPE)
    voxels *= 1 + 0.1 * np.sin(np.arange(SHAPE[2]) * rng.uniform(0.3, 0.9))
    return Volume(voxels + rng.normal(0, 3, SHAPE) * (voxels > 0), Grid.from_spacing(SHAPE, (1, 1, 1)))


def write_pair(root: Path, subject: str, seed: int, *, gain: float = 1.0, shift: float = 0.0) -> None:
    """A sharp target in other units than its input, which is half as fine."""
    folder = root / subject / "anat"
    folder.mkdir(parents=True)
    target = sharp_volume(seed)
    coarse = degrade(target, "mean")
    matrix = target.grid.ijk_to_ras.copy()
    matrix[0, 3] += shift
    moved = Volume(gain * target.voxels, Grid(SHAPE, matrix))
    write_volume(coarse, folder / f"{subject}_desc-input_T1w.nii.gz", synthetic=False)
    write_volume(moved, folder / f"{subject}_desc-target_T1w.nii.gz", synthetic=False)


def run_finetune(bundle: Bundle, pairs: Path, output: Path, *words: str) -> int:
    options = ["--steps", "4", "--batch", "2", "--accelerator", "cpu", "--held-out", "0.3", *words]
    command = ["finetune", "super-resolution", "--bundle", bundle.folder, "--pairs", pairs, "--output", output]
    return cli.main([*map(str, command), *options])


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_pairs_make_a_new_bundle_with_figures_before_and_after(a_bundle: Bundle, tmp_path: Path, capsys) -> None:
    for n in range(5):
        write_pair(tmp_path / "pairs", f"sub-{n:02}", n, gain=3.0)
    before = files_in(a_bundle.folder)
    assert run_finetune(a_bundle, tmp_path / "pairs", tmp_path / "out", "--license", "CC0", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert files_in(a_bundle.folder) == before
    new = load_bundle(tmp_path / "out" / "bundle")
    assert new.weights_sha256 != a_bundle.weights_sha256
    assert new.task == "super-resolution" and new.experimental
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert len(split["validate"]) == 2 and len(split["train"]) == 3
    assert [row["subject"] for row in outcome["rows"]] == ["own 1", "own 2"]
    change = np.mean([row["after"]["psnr"] - row["before"]["psnr"] for row in outcome["rows"]])
    assert outcome["change_db"] == pytest.approx(change, abs=2e-3)
    card = new.card_path.read_text()
    assert f"| t1w: PSNR after [dB] | {outcome['figures']['t1w: PSNR after [dB]']} |" in card
    assert "Own data of whoever trained this network, 3 subjects: CC0. (training)" in card
    assert "Through the bundle 'A start'" in card
    assert "sub-0" not in card and "sub-0" not in json.dumps(new.metadata)
    assert not (tmp_path / "out" / "draft").exists()
    report = json.loads((tmp_path / "out" / "train.report.json").read_text())
    assert [v["subject"] for v in report["volumes"]] == split["train"]


def test_sharp_volumes_alone_will_do_for_super_resolution(a_bundle: Bundle, tmp_path: Path, capsys) -> None:
    for n in range(4):
        (tmp_path / "sharp").mkdir(exist_ok=True)
        write_volume(sharp_volume(n), tmp_path / "sharp" / f"sub-{n:02}_T1w.nii.gz", synthetic=False)
    assert run_finetune(a_bundle, tmp_path / "sharp", tmp_path / "out") == 0
    assert "held-out subjects gained" in capsys.readouterr().out
    card = load_bundle(tmp_path / "out" / "bundle").card_path.read_text()
    assert "Low-resolution inputs were simulated" in card
    assert run_finetune(a_bundle, tmp_path / "sharp", tmp_path / "out") == 2
    assert "finished bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ({"count": 3}, "has 3 subjects that can be used; finetuning needs at least 4"),
        ({"count": 5, "shift": 3.0}, r"has 0 subjects .* grids of input \(24 x 24 x 24\) and target"),
        ({"count": 0}, "holds no pairs"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(pairs, sentence, a_bundle: Bundle, tmp_path: Path, capsys) -> None:
    (tmp_path / "pairs").mkdir()
    for n in range(pairs["count"]):
        write_pair(tmp_path / "pairs", f"sub-{n:02}", n, shift=pairs.get("shift", 0.0))
    assert run_finetune(a_bundle, tmp_path / "pairs", tmp_path / "out") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "bundle").exists()
    assert re.search(sentence, error), error


def test_a_network_that_is_told_more_than_the_volume_is_finetuned_with_what_its_task_tells_it(tmp_path: Path) -> None:
    arguments = {"channels": 2, "features": [4, 6], "convolutions": 1, "dropout": 0.2}
    description = BundleDescription(
        title="A denoiser",
        task="denoising",
        description="Random weights for tests.",
        network_name="ResidualUNet",
        network_arguments=arguments,
        expects={},
        training={},
        validation={},
        section={"noise": {"accepted_least": 0.02, "accepted_most": 0.02, "most": 0.18}},
    )
    bundle = load_bundle(write_bundle(tmp_path / "Models" / "noise", ResidualUNet(**arguments), description))
    for n in range(4):
        target = sharp_volume(n)
        noise = np.random.default_rng(100 + n).normal(0, 20, (2, *SHAPE))
        folder = tmp_path / "pairs" / f"p{n}"
        folder.mkdir(parents=True)
        noisy = target.with_voxels(np.hypot(target.voxels + noise[0], noise[1]))
        write_volume(noisy, folder / "FLAIR_input.nii.gz", synthetic=False)
        write_volume(target, folder / "FLAIR_target.nii.gz", synthetic=False)
    words = ["finetune", "denoising", "--bundle", str(bundle.folder), "--pairs", str(tmp_path / "pairs")]
    assert cli.main([*words, "--output", str(tmp_path / "out"), "--steps", "1", "--accelerator", "cpu"]) == 0
    inputs, target = PairCache(tmp_path / "out" / "train.safetensors").blocks(0, (8, 8, 8), 16)
    assert inputs.shape == (2, 16, 16, 16) and target.shape == (16, 16, 16)
    assert np.corrcoef(inputs[0].ravel(), target.ravel())[0, 1] > 0.5
    new = load_bundle(tmp_path / "out" / "bundle")
    assert new.section["noise"] == bundle.section["noise"]


def test_a_bundle_of_another_task_and_an_output_inside_the_bundle_are_refused(
    a_bundle: Bundle, tmp_path: Path, capsys
) -> None:
    other = make_bundle(tmp_path / "Models" / "other", task="denoising")
    assert run_finetune(other, tmp_path, tmp_path / "out") == 2
    assert "made for denoising, not for super-resolution" in capsys.readouterr().err
    assert run_finetune(a_bundle, tmp_path, a_bundle.folder / "out") == 2
    assert "inside the bundle" in capsys.readouterr().err


def test_inputs_of_a_task_with_several_are_told_apart_by_contrast(tmp_path: Path) -> None:
    roles = tuple(InputRole(name, name, required, "") for name, required in (("flair", True), ("t1", False)))
    for subject, names in {"a": ("input_FLAIR", "input_T1", "target_DIR"), "b": ("input_T1", "target_DIR")}.items():
        for name in names:
            (tmp_path / subject).mkdir(exist_ok=True)
            (tmp_path / subject / f"{name}.nii").write_bytes(b"x")
    found = find_pairs(tmp_path, roles, output=tmp_path / "out", alone=False)
    assert [(f.subject, f.contrast, sorted(f.others)) for f in found.files] == [("a", "dir", ["flair", "t1"])]
    assert [(item.subject, item.kind) for item in found.left_out] == [("b", "no input")]


def test_pairs_can_be_listed(tmp_path: Path) -> None:
    rows = [["subject", "contrast", "path", "target"], ["p1", "T1", "a.nii", "b.nii"], ["p2", "T1", "", "b.nii"]]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    found = find_pairs(tmp_path / "list.csv", ROLES, output=tmp_path / "out", alone=True)
    assert [(f.subject, f.path.name, f.others["input"].name) for f in found.files] == [("p1", "b.nii", "a.nii")]
    assert [item.place for item in found.left_out] == ["line 3"]


def test_the_target_is_brought_to_the_units_of_the_input() -> None:
    target = sharp_volume(0)
    coarse = degrade(target, "mean").voxels / 500
    assert scale_to(5 * target.voxels, coarse) == pytest.approx(1 / 2500, rel=1e-3)


def test_samples_of_pairs_stay_aligned_and_depend_on_their_number_alone(a_bundle: Bundle, tmp_path: Path) -> None:
    for n in range(4):
        write_pair(tmp_path / "pairs", f"sub-{n:02}", n)
    assert run_finetune(a_bundle, tmp_path / "pairs", tmp_path / "out", "--steps", "1") == 0
    pairs = PairCache(tmp_path / "out" / "train.safetensors")
    assert pairs.scale == 2
    training = PairedTraining.from_config(json.loads((tmp_path / "out" / "config.json").read_text()))
    for number in range(6):
        inputs, target = training.sample(number)
        blocks = target[0].reshape(24, 2, 24, 2, 24, 2).mean((1, 3, 5))
        assert np.abs(blocks - inputs[0]).max() < 0.02
        again = training.sample(number)
        assert np.array_equal(again[0], inputs) and np.array_equal(again[1], target)
    assert not np.array_equal(training.sample(0)[0], training.sample(1)[0])


def test_intervals_hold_the_value_and_shrink_with_more_blocks() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(1, 2, 400)
    few, many = (gain_in_decibels(before[:n], before[:n] / rng.uniform(1, 3, n)) for n in (10, 400))
    assert few.low < few.value < few.high
    assert many.high - many.low < few.high - few.low
    assert gain_in_decibels([2.0], [1.0]).value == pytest.approx(3.0103, abs=1e-4)
    assert np.isnan(gain_in_decibels([2.0], [1.0]).low)
    assert mean_of([1, 2, 3]).value == 2


def test_the_outcome_says_when_nothing_was_gained() -> None:
    rows = [
        {"subject": name, "contrast": "t1w", "before": {"psnr": 30.0, "ssim": 0.9}, "after": {"psnr": p, "ssim": 0.9}}
        for name, p in (("a", 29.0), ("b", 30.5))
    ]
    outcome = summary(rows)
    assert outcome["change_db"] == -0.25
    assert outcome["sentence"].startswith("Not better than before: 1 of 2 held-out subjects gained, -0.25 dB")
    assert sentence(0.4, 2, ["a", "b"]).startswith("Better than before")


def test_what_was_measured_with_the_first_weights_is_not_carried_over():
    strength = {"none_mm": 0.1, "full_mm": 0.2, "largest": 0.7, "left_share": 0.96}
    kept = carried_over({"spacing_mm": [0.6, 2.0], "validation": {"gain": 1.0}, "strength": strength})
    assert kept == {"spacing_mm": [0.6, 2.0], "strength": {"none_mm": 0.1, "full_mm": 0.2, "largest": 0.7}}
