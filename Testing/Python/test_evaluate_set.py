"""`synthmri evaluate set`: known sets get the figures they should have, small ones are refused with a reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import head_like, placed_grid
from scipy import ndimage
from SynthMRILib import cli
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import write_volume

SHAPE = (26, 28, 30)
SMALL = ["--size", "26", "--spacing", "2", "--slices", "4", "--pairs", "6", "--features", "hand-made"]


def write_set(folder: Path, *, seed: int, count: int = 12, blur: float = 0.0) -> Path:
    """Heads of different size, texture and noise; `blur` [voxels] takes detail away."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    for number in range(count):
        spacing = tuple(random.uniform(1.7, 2.3, 3))
        texture = 40 * ndimage.gaussian_filter(random.standard_normal(SHAPE), 1) / 0.2
        voxels = np.abs(head_like(SHAPE) * (1 + 0.001 * texture) + 4 * random.standard_normal(SHAPE))
        voxels = ndimage.gaussian_filter(voxels, blur) if blur else voxels
        write_volume(Volume(voxels, placed_grid(SHAPE, spacing=spacing)), folder / f"s{seed}_{number:02d}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    made = {"real": write_set(folder / "real", seed=1), "same": write_set(folder / "same", seed=2)}
    return made | {"blurred": write_set(folder / "blurred", seed=3, blur=1.2)}


def compared(capsys, *arguments) -> dict:
    assert cli.main(["evaluate", "set", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_set_of_the_same_kind_is_nearer_than_a_blurred_one(sets, capsys):
    same, blurred = (compared(capsys, sets["real"], sets[name], *SMALL) for name in ("same", "blurred"))
    for plane in ("axial", "coronal", "sagittal"):
        for figure in ("frechet_distance", "kernel_distance"):
            near, far = (record["fidelity"][figure][plane] for record in (same, blurred))
            assert near["value"] < far["value"] and far["low"] > near["value"]
        assert blurred["fidelity"]["precision"][plane]["value"] < same["fidelity"]["precision"][plane]["value"]
    assert same["discrepancy"]["of_features"]["low"] < 0 < blurred["discrepancy"]["of_features"]["low"]
    pairs = blurred["variety"]["ms_ssim_of_pairs"]
    assert pairs["difference"] == pairs["synthetic"]["value"] - pairs["real"]["value"] > 0
    assert same["volumes"] == {"real": 12, "synthetic": 12} and same["features"]["name"] == "hand-made"
    assert same["memorization"]["copies"] == []
    assert "biased upward" in same["warnings"][0]


def test_the_same_command_gives_the_same_figures(sets, capsys, tmp_path):
    arguments = (sets["real"], sets["same"], *SMALL)
    first = compared(capsys, *arguments, "--output", tmp_path / "record.json")
    assert first == compared(capsys, *arguments) == json.loads((tmp_path / "record.json").read_text())


def test_a_copied_volume_is_named(sets, capsys, tmp_path):
    folder = tmp_path / "with_copy"
    folder.mkdir()
    for file in sets["same"].glob("*.nii.gz"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "generated.nii.gz").write_bytes((sets["real"] / "s1_03.nii.gz").read_bytes())
    record = compared(capsys, sets["real"], folder, *SMALL)
    (copy,) = record["memorization"]["copies"]
    assert (copy["synthetic"], copy["real"]) == ("generated", "s1_03")
    assert cli.main(["evaluate", "set", str(sets["real"]), str(folder), *SMALL]) == 0
    assert "COPY: 'generated' is nearly 's1_03'" in capsys.readouterr().out


def test_the_text_has_a_row_for_every_figure_and_says_what_was_not_measured(sets, capsys):
    assert cli.main(["evaluate", "set", str(sets["real"]), str(sets["same"]), *SMALL]) == 0
    text = capsys.readouterr().out
    for title in ("Frechet distance, axial", "kernel distance (KID), coronal", "precision, sagittal", "recall, axial"):
        assert title in text
    for title in (
        "MS-SSIM of pairs (2 scales), synthetic",
        "size of the mean",
        "MMD^2 of voxels",
        "nearest real volume",
    ):
        assert title in text
    assert "utility" in text and "not measured: no labels" in text and "seconds a volume" in text


def test_labels_add_the_utility_test_and_a_batch_its_seconds(sets, capsys, tmp_path):
    rows = [(file.stem.removesuffix(".nii"), "ab"[n % 2]) for s in ("real", "same") for n, file in files(sets[s])]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "label"), *rows])
    folder = tmp_path / "batch"
    folder.mkdir()
    for _, file in files(sets["same"]):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "summary.json").write_text(json.dumps({"rows": [{"run": 2.0}, {"run": 4.0}, {"run": None}]}))
    record = compared(capsys, sets["real"], folder, *SMALL, "--labels", tmp_path / "labels.csv")
    assert set(record["utility"]) == {"real", "with synthetic", "with classical augmentation", "synthetic alone"}
    for arm in record["utility"].values():
        assert 0 <= arm["balanced_accuracy"] <= 1
    assert record["efficiency"] == {"median_seconds_per_volume": 3.0, "volumes": 2}


def files(folder: Path) -> list[tuple[int, Path]]:
    return list(enumerate(sorted(folder.glob("*.nii.gz"))))


@pytest.mark.parametrize(
    "change, words",
    [
        (["MISSING", "same"], "no folder 'MISSING'"),
        (["few", "same"], "holds 3 volumes, and sets of fewer than 10 say nothing"),
        (["real", "real"], "is in both sets"),
        (["real", "same", "--pairs", "1"], "--pairs must be 2"),
        (["real", "same", "--size", "4"], "cannot be used"),
        (["real", "same", "--features", "no-such-bundle"], "no-such-bundle"),
        (["real", "same", "--features", "x.safetensors"], "--feature-network"),
        (["real", "same", "--features", "x.safetensors", "--feature-network", "resnet18"], "no file 'x.safetensors'"),
        (["real", "same", "--labels", "nothing.csv"], "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(sets, capsys, tmp_path, monkeypatch, change, words):
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "few", seed=9, count=3)
    places = {**sets, "few": tmp_path / "few"}
    first, second, *options = change
    arguments = [str(places.get(first, first)), str(places.get(second, second)), *SMALL, *options]
    assert cli.main(["evaluate", "set", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_features_with_more_numbers_than_slices_are_refused_a_frechet_distance(sets, capsys, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file
    from SynthMRILib.networks.slice_resnet import SliceResNet

    torch.manual_seed(0)
    weights = {n: t for n, t in SliceResNet(depth=18).state_dict().items() if not n.endswith("num_batches_tracked")}
    save_file({**weights, "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}, tmp_path / "r.safetensors")
    options = ["--features", tmp_path / "r.safetensors", "--feature-network", "resnet18"]
    record = compared(capsys, sets["real"], sets["same"], *SMALL, *options)
    assert record["features"]["name"] == "resnet18" and record["features"]["size"] == 512
    assert "48 slices cannot give the covariance of 512" in record["fidelity"]["frechet_distance"]["refused"]
    assert np.isfinite(record["fidelity"]["kernel_distance"]["axial"]["value"])
    assert cli.main(["evaluate", "set", *map(str, (sets["real"], sets["same"], *SMALL, *options[:3])), "resnet50"]) == 2
    assert "no weights that fit" in capsys.readouterr().err


@pytest.mark.parametrize("depth, parameters, size", [(18, 11_176_512, 512), (50, 23_508_032, 2048)])
def test_residual_networks_have_the_weights_they_are_known_by(depth, parameters, size):
    import torch
    from SynthMRILib.networks.slice_resnet import SliceResNet

    network = SliceResNet(depth=depth).eval()
    names = {name for name, _ in network.named_parameters()}
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert {"conv1.weight", "bn1.bias", "layer2.0.downsample.0.weight", "layer4.1.conv2.weight"} <= names
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 2, 32, 32)).shape == (1, 2, size)


def test_the_slice_encoder_is_trained_and_its_bundle_names_itself(tmp_path):
    """A few steps on simulated slices: the loop runs, the bundle loads, and features come out."""
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation.sets.features import feature_source
    from SynthMRILib.training.cache import Entry, write_cache
    from SynthMRILib.training.run import train

    entries = [
        (
            Entry(f"head_{n:02d}", ("t1w", "flair")[n % 2], "simulated", False),
            (head_like((48, 52, 44)) / 400).astype("f2"),
        )
        for n in range(4)
    ]
    write_cache(tmp_path / "cache.safetensors", entries)
    config = {
        "loop": {"steps": 2, "validate_every": 2, "checkpoint_every": 2},
        "training": {
            "cache": str(tmp_path / "cache.safetensors"),
            "validation_cache": str(tmp_path / "cache.safetensors"),
            "batch": 4,
            "validation_slices": 8,
            "network": {"features": [4, 8], "size": 6},
        },
    }
    launch = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    train("slice-features", config, tmp_path / "run", launch=launch, report=lambda _line: None)
    bundle = load_bundle(str(tmp_path / "run" / "bundle"))
    source = feature_source(str(tmp_path / "run" / "bundle"))
    assert source.sha256 == bundle.weights_sha256
    assert source.of(np.random.default_rng(0).random((3, 2, 32, 32), dtype=np.float32)).shape == (3, 2, 6)


def test_degradations_change_a_slice_each_in_its_own_way():
    from SynthMRILib.training.slice_features import DEGRADATIONS, SIZE, centered

    cut = centered(head_like((30, 80, 70))[15] / 400)
    random = np.random.default_rng(0)
    changed = [degrade(cut, random) for degrade in DEGRADATIONS]
    assert all(c.shape == (SIZE, SIZE) for c in changed)
    np.testing.assert_array_equal(changed[0], cut)
    assert all(np.abs(c - cut).max() > 0.02 for c in changed[1:])


def test_the_shipped_network_is_the_default_where_it_is_there(monkeypatch, tmp_path):
    from SynthMRILib.evaluation.sets.features import feature_source

    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    assert feature_source(None).name == "hand-made"
