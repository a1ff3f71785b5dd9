"""The README's figures come from records, and the check tells when they do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import readme_figures
from SynthMRILib.evaluation.super_resolution import evaluate
from SynthMRILib.volume import Grid, Volume

ROOT = Path(__file__).resolve().parents[2]
README = "# Title\n<!-- figures: begin -->\nbefore\n<!-- figures: end -->\nThe end.\n"


@pytest.fixture(scope="module")
def record() -> dict:
    """A record as the benchmark writes it, of a small phantom without a bundle."""
    voxels = np.random.default_rng(0).gamma(2.0, 40.0, (24, 26, 28))
    made = evaluate(Volume(voxels, Grid.from_spacing(voxels.shape, (1, 1, 1))), degradations=["mean", "kspace"])
    facts = {"subject": "phantom", "split": "test", "commit": "0123456789abcdef", "command": "measure it"}
    return {**made, **facts, "contrasts": {"T1": {"rows": made.pop("rows")}}}


@pytest.fixture
def checkout(tmp_path: Path, record: dict) -> Path:
    (tmp_path / "Documentation" / "figures").mkdir(parents=True)
    (tmp_path / "Resources" / "Models").mkdir(parents=True)
    (tmp_path / "Documentation" / "figures" / "phantom.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    return tmp_path


def run(checkout: Path, *options: str) -> int:
    return readme_figures.main(["--checkout", str(checkout), *options])


def test_the_block_holds_every_figure_of_the_record_and_nothing_around_it_changes(checkout: Path, record: dict):
    assert run(checkout) == 0
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Title\n") and text.endswith("The end.\n") and "before" not in text
    assert "Test subject phantom" in text and record["caveat"] in text and "`measure it`" in text
    for row in record["contrasts"]["T1"]["rows"]:
        assert f"{row['psnr']:.2f}" in text and f"{row['ssim']:.4f}" in text
    assert text.count("| T1 | ") == 2


def test_the_check_passes_only_when_block_records_and_weights_agree(checkout: Path, capsys: pytest.CaptureFixture):
    assert run(checkout, "--check") == 1 and "differ from the records" in capsys.readouterr().err
    run(checkout)
    assert run(checkout, "--check") == 0
    file = checkout / "Documentation" / "figures" / "phantom.json"
    stale = {**json.loads(file.read_text(encoding="utf-8")), "bundles": {"some-bundle": "ab" * 32}}
    file.write_text(json.dumps(stale), encoding="utf-8")
    run(checkout)
    assert run(checkout, "--check") == 1 and "some-bundle" in capsys.readouterr().err


def test_code_with_uncommitted_changes_is_told(checkout: Path, record: dict):
    run(checkout)
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert "Measured at commit 0123456789ab by `measure it`." in text
    file = checkout / "Documentation" / "figures" / "phantom.json"
    file.write_text(json.dumps({**record, "commit": 4 * "0123456789" + "+changes"}), encoding="utf-8")
    assert run(checkout, "--check") == 1
    run(checkout)
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert "Measured at commit 012345678901 with uncommitted changes by `measure it`." in text


@pytest.mark.parametrize("split", ["train", "validate"])
def test_only_test_subjects_are_shown(checkout: Path, record: dict, split: str):
    file = checkout / "Documentation" / "figures" / "phantom.json"
    file.write_text(json.dumps({**record, "split": split}), encoding="utf-8")
    run(checkout)
    assert readme_figures.NOTHING in (checkout / "README.md").read_text(encoding="utf-8")


def test_the_readme_of_this_repository_agrees_with_its_records():
    script = ROOT / "Testing" / "Benchmarks" / "readme_figures.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "SynthMRI")}
    done = subprocess.run(
        [sys.executable, script, "--check"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_cost_of_a_run_has_a_row_for_each_variant(checkout: Path) -> None:
    run_facts = {"shape_kji": [4, 5, 6], "tiles_kji": [1, 2, 1], "seconds": 1.25, "peak_memory_bytes": 2_500_000_000}
    cost = {
        "commit": "0123456789abcdef",
        "command": "measure the cost",
        "machine": {"threads": 2, "instructions": "AVX2"},
        "variants": {"one": {**run_facts, "peak_memory_bytes_by_estimate": 3_000_000_000}},
    }
    path = checkout / "Documentation" / "figures" / "super_resolution_cost.json"
    path.write_text(json.dumps(cost), encoding="utf-8")
    assert run(checkout) == 0
    text = (checkout / "README.md").read_text(encoding="utf-8")
    assert "| one | 4 x 5 x 6 | 1 x 2 x 1 | 1.2 | 2.5 (3.0) |  |" in text and "`measure the cost`" in text
