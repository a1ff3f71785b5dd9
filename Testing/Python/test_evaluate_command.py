"""`synthmri evaluate super-resolution` from the files to the table, the JSON, the record and the refusals."""

import csv
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundle_support import make_bundle
from scipy import ndimage
from SynthMRILib import cli
from SynthMRILib.bundles import find_bundles, load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.evaluation.degrade import crop_to_multiple, degrade
from SynthMRILib.evaluation.metrics import METRICS, all_metrics
from SynthMRILib.inference.precision import precision_name, resolve_precision
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.volume_io import read_volume

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ["trilinear", "bspline", "sinc"]


def write_image(path: Path, voxels: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(voxels.astype(np.float32))
    image.SetOrigin((-20.0, 31.0, 5.0))
    image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def reference(tmp_path) -> Path:
    """An ellipsoid with structure in it, one axis odd; the name is what must not be told."""
    k, j, i = np.indices((40, 43, 38))
    inside = ((k - 20) / 16) ** 2 + ((j - 21) / 18) ** 2 + ((i - 19) / 15) ** 2 < 1
    texture = ndimage.gaussian_filter(np.random.default_rng(9).random(inside.shape), 1.2)
    return write_image(tmp_path / "JaneDoe.nii.gz", np.where(inside, 100 + 2000 * (texture - 0.5), 0))


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A real bundle whose network was never trained."""
    return make_bundle(tmp_path / "untrained").folder


def run(*words: object) -> int:
    return cli.main(["evaluate", "super-resolution", *map(str, words)])


def test_the_json_has_every_figure_and_names_neither_file_nor_folder(reference, bundle, capsys):
    assert run("--reference", reference, "--bundle", bundle, "--device", "cpu", "--json") == 0
    text = capsys.readouterr().out
    assert "JaneDoe" not in text and str(reference.parent) not in text
    record = json.loads(text)
    sha256 = load_bundle(bundle).weights_sha256
    assert record["bundles"] == {"untrained": sha256}
    kept = "untrained, acquired kept"
    each = [*BASELINES, "untrained"]
    assert [r["method"] for r in record["rows"]] == [*each, *each, kept, *each]
    assert [r["degradation"] for r in record["rows"]] == ["mean"] * 4 + ["kspace"] * 5 + ["gaussian"] * 4
    network_precision = precision_name(resolve_precision("auto", torch.device("cpu")))
    for row in record["rows"]:
        assert row["bundle_sha256"] == (sha256 if row["method"] in ("untrained", kept) else None)
        assert row["precision"] == (network_precision if row["method"] in ("untrained", kept) else "float32")
        assert row["device"] == "cpu" and row["seconds"] >= 0
        assert all(np.isfinite(row[name]) for name in METRICS)
    assert [r["tiles_kji"] for r in record["rows"] if r["bundle_sha256"]] == [[1, 1, 1]] * 4
    rows = {(r["degradation"], r["method"]): r for r in record["rows"]}
    assert rows["kspace", kept]["psnr"] != rows["kspace", "untrained"]["psnr"]
    assert re.fullmatch("[0-9a-f]{64}", record["reference"]["sha256"])
    assert record["reference"]["evaluated_shape_kji"] == [40, 42, 38]
    assert record["mask"]["rule"].startswith("reference above 2 %") and record["mask"]["voxels"] > 18000
    assert record["data_range"]["value"] > 100 and "percentile" in record["data_range"]["rule"]
    assert record["command"] == (
        "synthmri evaluate super-resolution --reference FILE --degrade mean --degrade kspace --degrade gaussian "
        "--bundle untrained --device cpu --precision auto --tile 0"
    )


def test_a_row_holds_the_figures_of_what_the_task_makes_of_the_simulated_input(reference, bundle, capsys):
    run("--reference", reference, "--bundle", bundle, "--degrade", "mean", "--device", "cpu", "--json")
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    target = crop_to_multiple(read_volume(reference))
    task = get_task("super-resolution")
    parameters = task.parameters_class(device="cpu")
    result = task.run({"input": degrade(target, "mean")}, load_bundle(bundle), parameters, no_progress)
    expected = all_metrics(target.voxels, result.outputs["output"].voxels)
    assert {name: rows["untrained"][name] for name in METRICS} == pytest.approx(expected)
    assert rows["bspline"]["psnr"] > rows["trilinear"]["psnr"]


def test_without_a_name_all_installed_bundles_are_scored(reference, capsys):
    assert run("--reference", reference, "--degrade", "mean", "--json") == 0
    installed = [bundle.name for bundle in find_bundles("super-resolution")]
    assert [row["method"] for row in json.loads(capsys.readouterr().out)["rows"]] == [*BASELINES, *installed]


def test_the_table_shows_all_methods_marks_the_best_and_states_mask_and_caveat(reference, bundle, capsys):
    assert run("--reference", reference, "--degrade", "kspace", "--bundle", bundle) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["input", "method", "PSNR", "[dB]"]
    assert [line.split()[:2] for line in lines[1:5]] == [["kspace", kind] for kind in [*BASELINES, "untrained"]]
    assert sum(line.count("*") for line in lines[1:5]) >= len(METRICS)
    text = "\n".join(lines)
    assert "holes filled" in text and "simulated" in text and "not for diagnosis" in text
    assert max(map(len, lines[:5])) <= 100


def test_a_mask_decides_which_voxels_count(reference, bundle, tmp_path, capsys):
    image = sitk.ReadImage(str(reference))
    voxels = np.zeros(sitk.GetArrayFromImage(image).shape)
    voxels[10:14, 10:15, 8:13] = 1
    mask = write_image(tmp_path / "mask.nii.gz", voxels)
    assert run("--reference", reference, "--mask", mask, "--degrade", "mean", "--bundle", bundle, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["mask"]["rule"] == "file" and record["mask"]["voxels"] == 100
    assert re.fullmatch("[0-9a-f]{64}", record["mask"]["sha256"])
    assert "--mask FILE" in record["command"]


def test_the_output_file_is_written_and_only_replaced_when_asked(reference, bundle, tmp_path, capsys):
    output = tmp_path / "figures.json"
    words = ("--reference", reference, "--degrade", "mean", "--bundle", bundle, "--output", output)
    assert run(*words) == 0
    assert [r["method"] for r in json.loads(output.read_text())["rows"]] == [*BASELINES, "untrained"]
    before = output.read_text()
    assert run(*words) == 2
    assert "exists already" in capsys.readouterr().err and output.read_text() == before
    assert run(*words, "--overwrite") == 0


def test_a_record_is_appended_to_the_table_of_the_checkout(reference, bundle, tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    (checkout / "Documentation").mkdir(parents=True)
    (checkout / "SynthMRI" / "SynthMRILib").mkdir(parents=True)
    monkeypatch.chdir(checkout / "SynthMRI")
    for _ in range(2):
        words = ("--degrade", "mean", "--bundle", bundle, "--record", "subject07/T1")
        assert run("--reference", reference, *words) == 0
    with (checkout / "Documentation" / "evaluations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["subject"] for row in rows] == ["subject07/T1"] * 2
    assert tuple(rows[0]) == records.COLUMNS


def empty_volume(folder: Path) -> tuple[object, ...]:
    return ("--reference", write_image(folder / "zero.nii.gz", np.zeros((8, 8, 8))))


def mask_elsewhere(folder: Path) -> tuple[object, ...]:
    volume = write_image(folder / "volume.nii.gz", np.ones((8, 8, 8)))
    return ("--reference", volume, "--mask", write_image(folder / "mask.nii.gz", np.ones((8, 8, 9))))


def empty_mask(folder: Path) -> tuple[object, ...]:
    volume = write_image(folder / "volume.nii.gz", np.ones((8, 8, 8)))
    return ("--reference", volume, "--mask", write_image(folder / "mask.nii.gz", np.zeros((8, 8, 8))))


def good_volume(*words: object):
    return lambda folder: ("--reference", write_image(folder / "volume.nii.gz", np.ones((8, 8, 8))), *words)


BAD = {
    "no such file": (lambda folder: ("--reference", folder / "missing.nii.gz"), "missing.nii.gz"),
    "no signal": (empty_volume, "no positive signal"),
    "mask on another grid": (mask_elsewhere, "not lie on the grid"),
    "empty mask": (empty_mask, "mask is empty"),
    "unknown degradation": (good_volume("--degrade", "box"), "Unknown degradation 'box'"),
    "unknown bundle": (good_volume("--bundle", "nonesuch"), "no bundle 'nonesuch'"),
    "negative tile": (good_volume("--tile", "-3"), "tile"),
    "no folder for the output": (good_volume("--output", "/nonexistent/folder/x.json"), "does not exist"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_input_ends_with_status_2_and_one_sentence(case, tmp_path, capsys):
    words, sentence = case
    assert run(*words(tmp_path)) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err and len(shown.err.splitlines()) == 1 and shown.out == ""


@pytest.mark.parametrize(
    ("words", "sentence"), [([], "--reference"), (["--reference", "x", "--tile", "big"], "invalid int value: 'big'")]
)
def test_wrong_arguments_end_with_status_2_and_one_line_without_the_usage(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and sentence in error and len(error.splitlines()) == 1


def test_a_bundle_of_another_task_is_refused(reference, bundle, capsys):
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["synthmri"]["task"] = "denoising"
    path.write_text(json.dumps(metadata))
    assert run("--reference", reference, "--bundle", bundle) == 2
    assert "is for denoising" in capsys.readouterr().err


def test_record_outside_a_checkout_is_refused_before_the_work(reference, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--reference", reference, "--record", "subject07") == 2
    assert "inside one" in capsys.readouterr().err


def benchmark(*words: object) -> int:
    """Run the benchmark as a script would, without another process that imports torch again."""
    script = runpy.run_path(str(ROOT / "Testing" / "Benchmarks" / "super_resolution_quality.py"))
    return script["main"]([str(word) for word in words])


def test_the_benchmark_writes_one_record_a_subject_and_a_line_for_every_opening(reference, bundle, tmp_path):
    subject = tmp_path / "subject07"
    subject.mkdir()
    for contrast in ("T1", "FLAIR"):
        (subject / f"{contrast}.nii.gz").write_bytes(reference.read_bytes())
    documentation = tmp_path / "Documentation"
    documentation.mkdir()
    words = ("--split", "train", "--degrade", "mean", "--bundle", bundle, "--documentation", documentation)
    assert benchmark(subject, *words) == 0
    figures = json.loads((documentation / "figures" / "super_resolution_subject07.json").read_text())
    assert figures["subject"] == "subject07" and figures["split"] == "train"
    assert list(figures["contrasts"]) == ["FLAIR", "T1"]
    assert [row["method"] for row in figures["contrasts"]["T1"]["rows"]] == [*BASELINES, "untrained"]
    assert figures["command"].startswith(
        "python Testing/Benchmarks/super_resolution_quality.py subject07 --split train"
    )
    assert dict(records.hashes_in(figures)) == figures["bundles"] == {"untrained": load_bundle(bundle).weights_sha256}
    with (documentation / "evaluations.csv").open() as file:
        assert [row["subject"] for row in csv.DictReader(file)] == ["subject07/T1", "subject07/FLAIR"]


def test_the_benchmark_refuses_a_folder_without_volumes(tmp_path, capsys):
    assert benchmark(tmp_path, "--split", "train", "--documentation", tmp_path) == 2
    assert "holds none of T1.nii.gz" in capsys.readouterr().err
