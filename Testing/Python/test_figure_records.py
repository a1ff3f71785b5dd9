"""Figures are traceable: commit, subject and bundle are recorded, and stale figures are found."""

import csv
import json
import subprocess
from pathlib import Path

import pytest
from Benchmarks import readme_figures
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.metrics import METRICS
from SynthMRILib.evaluation.records import (
    append_opening,
    current_commit,
    find_checkout,
    hashes_in,
    stale_figures,
    unsound_commits,
)

ROOT = Path(__file__).resolve().parents[2]


def test_the_figures_of_every_shipped_bundle_were_made_with_its_very_weights():
    assert stale_figures(ROOT / "Documentation" / "figures", ROOT / "Resources" / "Models") == []


@pytest.fixture
def shipped(tmp_path) -> tuple[Path, Path]:
    """A models folder with the bundle "sharp" of hash aaaa, and an empty folder of figures."""
    configs = tmp_path / "Models" / "sharp" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text(json.dumps({"synthmri": {"sha256": "aaaa"}}))
    (tmp_path / "figures").mkdir()
    return tmp_path / "figures", tmp_path / "Models"


FIGURES = {
    "the same hash": ({"bundles": {"sharp": "aaaa"}}, []),
    "no bundle at all": ({"bundles": {}, "rows": [{"method": "bspline", "bundle_sha256": None}]}, []),
    "another hash": ({"bundles": {"sharp": "bbbb"}}, ["other weights of bundle 'sharp'"]),
    "another hash in a row": ({"rows": [{"bundle": "sharp", "bundle_sha256": "bbbb"}]}, ["other weights"]),
    "another hash in provenance": ({"a": [{"bundle": {"name": "sharp", "sha256": "bbbb"}}]}, ["other weights"]),
    "a bundle not shipped": ({"bundles": {"old": "aaaa"}}, ["'old', which is not shipped"]),
}


@pytest.mark.parametrize("case", FIGURES.values(), ids=FIGURES)
def test_figures_of_other_weights_are_found(case, shipped):
    figures, models = shipped
    record, expected = case
    (figures / "quality.json").write_text(json.dumps(record))
    found = stale_figures(figures, models)
    assert len(found) == len(expected)
    assert all(words in sentence and "quality.json" in sentence for words, sentence in zip(expected, found))


def test_hashes_are_found_at_any_depth():
    record = {"a": [{"b": {"bundles": {"x": "1"}}}], "c": {"bundle": {"name": "y", "sha256": "2"}}}
    assert set(hashes_in(record)) == {("x", "1"), ("y", "2")}


def record_of(bundles: dict[str, str]) -> dict:
    methods = ["bspline", *bundles]
    rows = [{"degradation": "mean", "method": m, **dict.fromkeys(METRICS, 0.123456789), "psnr": None} for m in methods]
    return {"task": "super-resolution", "bundles": bundles, "rows": rows}


def test_every_opening_adds_a_line_for_each_bundle_and_never_replaces_one(tmp_path):
    table = tmp_path / "evaluations.csv"
    append_opening(table, subject="subject07", commit="c0ffee", record=record_of({"sharp": "aaaa", "soft": "bbbb"}))
    before = table.read_text()
    append_opening(table, subject="subject08", commit="c0ffee", record=record_of({}))
    assert table.read_text().startswith(before)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["subject"], r["bundle"], r["bundle_sha256"]) for r in rows] == [
        ("subject07", "sharp", "aaaa"),
        ("subject07", "soft", "bbbb"),
        ("subject08", "", ""),
    ]
    assert json.loads(rows[0]["figures"])["mean"] == {**dict.fromkeys(METRICS, 0.123457), "psnr": None}


def test_figures_with_the_acquired_frequencies_kept_have_a_name_of_their_own(tmp_path):
    record = record_of({"sharp": "aaaa"})
    record["rows"].append({"degradation": "kspace", "method": "sharp, acquired kept", **dict.fromkeys(METRICS, 2.0)})
    append_opening(tmp_path / "table.csv", subject="subject07", commit="c0ffee", record=record)
    with (tmp_path / "table.csv").open() as file:
        (row,) = csv.DictReader(file)
    figures = json.loads(row["figures"])
    assert set(figures) == {"mean", "kspace, acquired kept"} and figures["kspace, acquired kept"]["psnr"] == 2.0


def test_an_opening_may_name_the_file_that_holds_its_figures(tmp_path):
    table = tmp_path / "evaluations.csv"
    opening = {"task": "lesion preservation", "bundles": {"sharp": "aaaa"}, "record": "lesions.json"}
    append_opening(table, subject="subject07/FLAIR", commit="c0ffee", record=opening)
    with table.open() as file:
        (row,) = csv.DictReader(file)
    assert json.loads(row["figures"]) == {"record": "lesions.json"}


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_commits_that_cannot_be_had_are_listed(tmp_path, capsys):
    figures = tmp_path / "Documentation" / "figures"
    figures.mkdir(parents=True)
    (tmp_path / "README.md").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "README.md")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (figures / "sound.json").write_text(json.dumps({"commit": commit}))
    (figures / "changed.json").write_text(json.dumps({"parts": [{"commit": f"{commit}+changes"}]}))
    (figures / "gone.json").write_text(json.dumps({"part": {"commit": 40 * "a"}}))
    expected = [
        f"changed.json: commit {commit[:12]} has uncommitted changes.",
        f"gone.json: commit {12 * 'a'} is not in the history.",
    ]
    assert unsound_commits(tmp_path) == expected
    assert readme_figures.main(["--checkout", str(tmp_path), "--commits"]) == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_the_commit_says_when_code_was_changed_but_not_when_only_records_were(tmp_path):
    assert current_commit(tmp_path) == "unknown"
    git(tmp_path, "init", "-q")
    (tmp_path / "Documentation").mkdir()
    for name in ("code.py", "Documentation/evaluations.csv"):
        (tmp_path / name).write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "Documentation" / "evaluations.csv").write_text("two")
    assert current_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("two")
    assert current_commit(tmp_path) == commit + "+changes"


def test_a_checkout_is_found_from_any_folder_in_it(tmp_path):
    assert find_checkout(ROOT / "Testing" / "Python") == ROOT
    with pytest.raises(InputError, match="inside one"):
        find_checkout(tmp_path)
