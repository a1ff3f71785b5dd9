"""Quality-control flags, and the summary that shows them."""

import csv
import json

import numpy as np
import pytest
from cohort_support import write_scan
from conftest import head_like
from SynthMRILib.cohort import quality
from SynthMRILib.cohort.cases import Case, Discovery, Skipped
from SynthMRILib.cohort.records import Record
from SynthMRILib.cohort.settings import Settings
from SynthMRILib.cohort.summary import summarize, write_summary
from SynthMRILib.findings import Finding
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

SHAPE = (20, 22, 24)


def a_head(change=lambda voxels: voxels) -> Volume:
    return Volume(change(head_like(SHAPE)), Grid.from_spacing(SHAPE, (1, 1, 1)))


def doubled(volume: Volume) -> Volume:
    """Twice the voxels along every axis, with the same block means."""
    voxels = volume.voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return volume.with_voxels(voxels, volume.grid.upsampled(2))


def flags(source: Volume, output: Volume, task: str = "super-resolution") -> list[str]:
    return quality.flags_of([], quality.measure(task, source, output))


def test_a_result_that_averages_to_its_input_has_no_flag():
    measures = quality.measure("super-resolution", a_head(), doubled(a_head()))
    assert measures["consistency"] == measures["mean_ratio"] == measures["finite_share"] == 1
    assert quality.flags_of([], measures) == []


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda v: v * 1.06, ["mean-shifted"]),
        (lambda v: v * 1.04, []),
        (lambda v: v[::-1] * 1.0, ["differs-from-input"]),
        (lambda v: np.where(v > 400, np.nan, v), ["output-not-finite"]),
    ],
)
def test_a_result_is_flagged_for(change, expected):
    assert flags(a_head(), doubled(a_head(change))) == expected


def test_results_on_another_grid_or_of_another_contrast_are_not_compared():
    elsewhere = doubled(a_head())
    elsewhere = elsewhere.with_voxels(elsewhere.voxels, Grid.from_spacing(elsewhere.shape, (1, 1, 1)))
    assert set(quality.measure("super-resolution", a_head(), elsewhere)) == {"finite_share", "head_share"}
    assert set(quality.measure("synthetic-dir", a_head(), a_head())) == {"finite_share", "head_share"}


def test_warnings_about_the_input_become_flags():
    findings = [Finding("warning", "thick-slices", "Thick."), Finding("info", "small", "Small.")]
    findings += [Finding("warning", "experimental", "Holds for all.")]
    assert quality.flags_of(findings, {"head_share": 0.99}) == ["input:thick-slices", "unusual-field-of-view"]


def test_the_modified_z_score_is_that_of_its_definition():
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    scores = quality.modified_z_scores(values)
    median = np.median(values)
    assert scores == pytest.approx([0.6745 * (v - median) / np.median(np.abs(values - median)) for v in values])
    assert scores[8] > 3.5 > abs(scores[0])
    assert not quality.modified_z_scores([1, 1, 1, 1, 1, 1, 1, 1, 9.0]).any()
    assert not quality.modified_z_scores([1, 2, 90.0]).any()


def a_summary(tmp_path):
    names = [f"case{n}" for n in range(10)]
    ratios = [1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.2]
    records = {n: Record(n, "done", "k", quality={"mean_ratio": r}, flags=["x"]) for n, r in zip(names, ratios)}
    records["case7"] = Record("case7", "failed", "k", error='It is "bad", really.')
    cases = [Case(name, {}, "", name) for name in names]
    discovery = Discovery("folder", cases, [Skipped("notes.txt", "no volume file")])
    settings = Settings("super-resolution", {"method": "bspline"}, tmp_path)
    return summarize(discovery, records, settings, done_before=3, seconds=10.0)


def test_the_summary_counts_cases_and_flags_what_differs_from_the_cohort(tmp_path):
    summary = a_summary(tmp_path)
    assert {n: summary[n] for n in ("cases", "done", "done_before", "failed", "waiting", "flagged")} == {
        "cases": 10,
        "done": 8,
        "done_before": 3,
        "failed": 1,
        "waiting": 1,
        "flagged": 8,
    }
    assert summary["flags"] == {"x": 8, "outlier:mean_ratio": 1}
    assert summary["rows"][8]["flags"] == ["x", "outlier:mean_ratio"]
    assert summary["failures"] == [{"case": "case7", "error": 'It is "bad", really.'}]
    assert summary["skipped"] == [{"name": "notes.txt", "reason": "no volume file"}]
    assert summary["cases_per_hour"] == 3600 * 5 / 10


def test_the_summary_is_a_table_and_a_record(tmp_path):
    write_summary(a_summary(tmp_path), tmp_path)
    rows = list(csv.DictReader((tmp_path / "summary.csv").open(encoding="utf-8")))
    assert [row["state"] for row in rows] == ["done"] * 7 + ["failed", "done", "waiting"]
    assert rows[7]["error"] == 'It is "bad", really.' and rows[8]["flags"] == "x outlier:mean_ratio"
    record = json.loads((tmp_path / "summary.json").read_text())
    assert "rows" not in record and record["notice"].startswith("Synthetic")


def test_the_measures_of_an_interpolated_scan_are_near_one(tmp_path):
    from SynthMRILib.evaluation.baselines import upsample

    source = read_volume(write_scan(tmp_path / "a.nii", size=32))
    measures = quality.measure("super-resolution", source, upsample(source, 2, "bspline"))
    assert 0.9 < measures["consistency"] < 1 and measures["mean_ratio"] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "provenance, flags",
    [
        ({}, []),
        ({"gate": None, "quality": None}, []),
        ({"gate": {"verdict": "inside"}, "quality": {"flag": "green"}}, []),
        ({"gate": {"verdict": "outside"}, "quality": {"flag": "unknown"}}, ["outside-calibration"]),
        ({"gate": {"verdict": "outside"}, "quality": {"flag": "red"}}, ["outside-calibration", "confidence:red"]),
    ],
)
def test_what_a_task_says_of_its_own_result_becomes_a_flag(provenance, flags):
    assert quality.flags_of_record(provenance) == flags
