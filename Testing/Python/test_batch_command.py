"""`synthmri batch` on this machine, with real processes: outputs, failures, kills and what is left after them."""

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from bundle_support import make_bundle
from cohort_support import (
    BSPLINE,
    check_complete,
    done_in,
    end_of,
    log_of,
    records_of,
    start_batch,
    wait_until,
    write_cohort,
    write_scan,
)
from SynthMRILib import cli
from SynthMRILib.cohort.cases import Case
from SynthMRILib.cohort.events import Running
from SynthMRILib.cohort.records import Record
from SynthMRILib.cohort.settings import make_settings
from SynthMRILib.cohort.steps import run_case
from SynthMRILib.commands.batch import BatchProgress, readable, task_values
from SynthMRILib.errors import InputError
from SynthMRILib.volume_io import read_volume


def run(source: Path, output: Path, *words: object) -> int:
    options = ["--input", source, "--output", output, *words]
    return cli.main(["batch", "super-resolution", *map(str, options)])


def contents(output: Path, names: list[str]) -> dict[str, tuple[int, bytes]]:
    """When each of these cases' volumes was written, and its bytes."""
    files = [output / f"{name}_desc-superresolution.nii.gz" for name in names]
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def test_failed_scans_stop_nothing_and_are_named(tmp_path, capsys):
    write_cohort(tmp_path / "in", 2)
    write_scan(tmp_path / "in" / "flat.nii", size=12)
    (tmp_path / "in" / "empty.nii").write_bytes(b"")
    assert run(tmp_path / "in", tmp_path / "out", *BSPLINE) == 1
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "synthmri: empty: 'empty.nii' is empty; export it again.",
        "synthmri: flat: The volume (12 x 12 x 12) has fewer than 16 voxels along an axis; choose a larger one.",
    ]
    assert told.out.startswith("4 cases: 2 done, 2 failed,") and "not for diagnosis" in told.out
    rows = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))
    assert [(row["case"], row["state"]) for row in rows][:2] == [("empty", "failed"), ("flat", "failed")]
    (tmp_path / "in" / "empty.nii").unlink()
    write_scan(tmp_path / "in" / "flat.nii")
    before = contents(tmp_path / "out", ["scan00", "scan01"])
    assert run(tmp_path / "in", tmp_path / "out", *BSPLINE, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["cases"], summary["done"], summary["done_before"]) == (3, 3, 2)
    assert contents(tmp_path / "out", ["scan00", "scan01"]) == before


def test_a_data_set_becomes_derivatives_that_tell_how_they_were_made_and_no_path(tmp_path):
    study = tmp_path / "JaneDoe" / "study"
    write_scan(study / "sub-01" / "anat" / "sub-01_T1w.nii.gz", spacing=(1, 1, 4))
    (study / "dataset_description.json").write_text('{"Name": "JaneDoe", "DatasetDOI": "doi:10.1/x"}')
    assert run(study, tmp_path / "out", *BSPLINE) == 0
    output = tmp_path / "out"
    description = json.loads((output / "dataset_description.json").read_text())
    assert (description["DatasetType"], description["GeneratedBy"][0]["Name"]) == ("derivative", "SynthMRI")
    assert description["SourceDatasets"] == [{"DOI": "doi:10.1/x"}]
    assert {"manifest/", "summary.csv", "summary.json"} <= set((output / ".bidsignore").read_text().splitlines())
    anat = output / "sub-01" / "anat"
    assert sorted(file.name for file in anat.iterdir()) == [
        "sub-01_desc-superresolution_T1w.json",
        "sub-01_desc-superresolution_T1w.nii.gz",
    ]
    sidecar = json.loads((anat / "sub-01_desc-superresolution_T1w.json").read_text())
    assert sidecar["synthetic"] and sidecar["task"] == "super-resolution" and sidecar["parameters"]["factor"] == 2
    assert "input:thick-slices" in records_of(output)["sub-01_T1w"]["flags"]
    texts = [file.read_text() for file in output.rglob("*") if file.is_file() and file.suffix in (".json", ".csv")]
    assert not [text for text in texts if "JaneDoe" in text or str(tmp_path) in text]


def test_thick_slices_of_a_cohort_become_thin_without_a_network(tmp_path, capsys, monkeypatch):
    """A gap that only some cases allow fails those alone; the settings themselves are not refused for it."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "none"))
    write_scan(tmp_path / "in" / "thick.nii", spacing=(1, 1, 4))
    write_scan(tmp_path / "in" / "thin.nii", spacing=(1, 1, 1.2))
    words = ["--input", tmp_path / "in", "--output", tmp_path / "out", "--set", "spacing=[1, 1, 2]", "--set", "gap=1.5"]
    assert cli.main(["batch", "through-plane", *map(str, words)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "synthmri: thin: The gap (1.5 mm) must be smaller than the distance of slices (1 mm)."
    ]
    output = read_volume(tmp_path / "out" / "thick_desc-throughplane.nii.gz")
    assert output.spacing == pytest.approx((1, 1, 2)) and output.shape == (40, 20, 20)
    record = records_of(tmp_path / "out")["thick"]
    assert record["facts"]["measurements"]["method_used"] == "total-variation"


def test_a_batch_of_thick_slices_remembers_the_network_that_it_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    make_bundle(tmp_path / "models" / "thin", task="through-plane")
    settings = [
        make_settings("through-plane", {"method": method}, output=tmp_path / "out")
        for method in ("network", "total-variation")
    ]
    assert settings[0].bundle_facts["name"] == "thin" and settings[1].bundle is None


def test_a_data_set_of_another_program_is_not_written_into(tmp_path, capsys):
    write_scan(tmp_path / "in" / "sub-01" / "anat" / "sub-01_T1w.nii")
    (tmp_path / "in" / "dataset_description.json").write_text("{}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset_description.json").write_text('{"Name": "raw"}')
    assert run(tmp_path / "in", tmp_path / "out", *BSPLINE) == 2
    assert "is a data set of its own" in capsys.readouterr().err


def test_a_batch_with_a_network_gives_what_single_runs_give(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = write_cohort(tmp_path / "in", 2)
    bundle = make_bundle(tmp_path / "untrained").folder
    options = ("--bundle", bundle, "--device", "cpu")
    assert run(tmp_path / "in", tmp_path / "out", *options) == 0
    check_complete(tmp_path / "out", names)
    single = tmp_path / "single.nii.gz"
    words = ["super-resolution", tmp_path / "in" / "scan01.nii", single, *options]
    assert cli.main([str(word) for word in words]) == 0
    batch = read_volume(tmp_path / "out" / "scan01_desc-superresolution.nii.gz")
    assert (batch.voxels == read_volume(single).voxels).all() and batch.grid.matches(read_volume(single).grid)
    settings = make_settings("super-resolution", {"device": "cpu"}, output=tmp_path / "worker", bundle=str(bundle))
    record = run_case(Case("a", {"input": tmp_path / "in" / "scan01.nii"}, "", "a", key="k"), settings)
    assert (read_volume(settings.output / record.outputs["output"]).voxels == batch.voxels).all()
    altered = replace(settings, bundle_facts={**settings.bundle_facts, "sha256": "0" * 64})
    record = run_case(Case("b", {"input": tmp_path / "in" / "scan01.nii"}, "", "b", key="k"), altered)
    assert record.error == "The bundle 'untrained' of this machine has other weights; install the same one."


def test_a_killed_batch_goes_on_and_nothing_is_lost_twice_or_half(tmp_path):
    names = write_cohort(tmp_path / "in", 12, size=32)
    output = tmp_path / "out"
    process = start_batch(tmp_path / "in", output, *BSPLINE, "--workers", 2)
    wait_until(lambda: len(done_in(output)) >= 2, process)
    process.send_signal(signal.SIGKILL)
    end_of(process)
    kept = done_in(output)
    assert 2 <= len(kept) < len(names), "it was killed in the middle"
    assert [read_volume(file) for file in output.glob("*.nii.gz")], "what is there is whole"
    before = contents(output, kept)
    (output / ".synthmri-left").mkdir()
    status, told, errors = end_of(start_batch(tmp_path / "in", output, *BSPLINE, "--workers", 2))
    assert (status, errors) == (0, "")
    assert "12 cases: 12 done (" in told and "before)" in told
    check_complete(output, names)
    assert contents(output, kept) == before
    assert max(log_of(output, "done").values()) == 1


def test_an_interrupted_batch_says_how_to_go_on_and_leaves_no_process(tmp_path):
    names = write_cohort(tmp_path / "in", 12, size=32)
    output = tmp_path / "out"
    process = start_batch(tmp_path / "in", output, *BSPLINE)
    wait_until(lambda: len(done_in(output)) >= 1, process)
    process.send_signal(signal.SIGINT)
    status, told, errors = end_of(process)
    assert (status, told) == (2, "")
    assert errors.startswith("synthmri: Stopped: ") and errors.endswith("the same command goes on with the others.\n")
    assert json.loads((output / "summary.json").read_text())["waiting"] > 0
    assert not list(output.rglob(".synthmri-*"))
    assert end_of(start_batch(tmp_path / "in", output, *BSPLINE))[0] == 0
    check_complete(output, names)


def test_a_lost_computing_process_costs_one_more_attempt(tmp_path):
    names = write_cohort(tmp_path / "in", 8, size=32)
    output = tmp_path / "out"
    process = start_batch(tmp_path / "in", output, *BSPLINE)
    wait_until(lambda: len(done_in(output)) >= 1, process)
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    for child in " ".join(file.read_text() for file in children).split():
        os.kill(int(child), signal.SIGKILL)
    assert end_of(process)[0] == 0
    check_complete(output, names)
    assert sum(log_of(output, "retried").values()) <= 1


@pytest.mark.parametrize(
    "words, message",
    [
        (["--set", "method"], "--set method: write NAME=VALUE with a NAME of device, factor, keep_acquired,"),
        (["--set", "colour=red"], "--set colour=red: write NAME=VALUE"),
        (["--set", "factor=two"], "--set factor=two: the value must be like 2."),
        (["--set", "factor=3", *BSPLINE], "Factor 3 is not available. Choose factor 2."),
        (["--set", "keep_acquired=true", *BSPLINE], "Acquired"),
        (["--device", "nonsense", *BSPLINE], "Unknown device 'nonsense'."),
        (["--workers", "0"], "The number of workers must be at least 1, not 0."),
        (["--bundle", "nowhere"], "There is no bundle 'nowhere'."),
        ([*BSPLINE, "--scheduler", "tcp://127.0.0.1:9"], "No Dask scheduler answers at 'tcp://127.0.0.1:9';"),
        ([*BSPLINE, "--scheduler", "nonsense://"], "No Dask scheduler answers at 'nonsense://';"),
    ],
)
def test_what_cannot_be_started_is_said_in_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("SynthMRILib.cohort.cluster.CONNECT_SECONDS", 1)
    write_scan(tmp_path / "in" / "a.nii")
    assert run(tmp_path / "in", tmp_path / "out", *words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"synthmri: {message}") and told.count("\n") == 1


def test_the_uncertainty_of_a_task_takes_the_bundle_of_that_task(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    for task in ("super-resolution", "denoising"):
        make_bundle(tmp_path / "models" / task, task=task)
    chosen = make_settings("uncertainty", {"task": "denoising"}, output=tmp_path / "out")
    assert chosen.bundle_facts["name"] == "denoising"


def test_an_output_folder_that_cannot_be_made_is_said(tmp_path, capsys):
    write_scan(tmp_path / "in" / "a.nii")
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "in", tmp_path / "file" / "out", *BSPLINE) == 2
    assert "Nothing can be written into 'out'" in capsys.readouterr().err


def test_parameters_have_the_type_the_task_gives_them():
    assert task_values("super-resolution", ["method=bspline", "factor=2", "seed=7"]) == {
        "method": "bspline",
        "factor": 2,
        "seed": 7,
    }
    with pytest.raises(InputError, match="the value must be like 0"):
        task_values("super-resolution", ["seed=1.5"])


def test_progress_tells_cases_failures_and_time_left():
    progress = BatchProgress()
    progress.begin(12, 2)
    assert progress.line(5.0) == "2 of 12 cases"
    progress.note(Record("a", "done", "k"))
    progress.note(Record("b", "failed", "k"))
    progress.note(Running(0.5))
    assert progress.line(100.0) == "4 of 12 cases, 1 failed, 5 min left"
    assert [readable(s) for s in (3.4, 600, 7200)] == ["3 s", "10 min", "2.0 h"]
