"""The benchmark of sharpness: what it records of a subject, and that it names both bundles."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import sharpness_quality
from conftest import head_like, placed_grid
from SynthMRILib.bundles import Bundle
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import write_volume
from test_sharpness import a_pair  # noqa: F401


@pytest.fixture
def a_subject(tmp_path: Path) -> Path:
    folder = tmp_path / "subject1"
    folder.mkdir()
    grid = placed_grid((36, 40, 38), spacing=(1, 1, 1))
    write_volume(Volume(head_like(grid.shape), grid), folder / "T1.nii.gz")
    return folder


def test_a_subject_is_scored_at_both_ends_and_between(
    a_subject: Path,
    a_pair: tuple[Bundle, Bundle],  # noqa: F811
    tmp_path: Path,
) -> None:
    documentation = tmp_path / "documentation"
    words = [str(a_subject), "--split", "test", "--crop", "32", "--documentation", str(documentation)]
    (documentation).mkdir()
    assert sharpness_quality.main(words) == 0
    record = json.loads((documentation / "figures" / "super_resolution_sharpness_subject1.json").read_text())
    assert record["bundles"] == {bundle.name: bundle.weights_sha256 for bundle in a_pair}
    assert str(tmp_path) not in record["command"]
    rows = record["volumes"]["T1"]["rows"]
    assert [(row["method"], row.get("sharpness")) for row in rows] == [
        ("bspline", None),
        ("smooth", 0.0),
        ("mixed", 0.5),
        ("sharp", 1.0),
    ]
    assert rows[1]["psnr"] != rows[3]["psnr"]
    openings = list(csv.DictReader((documentation / "evaluations.csv").open()))
    assert [line["bundle"] for line in openings] == ["smooth", "sharp"]


def test_the_floor_asks_for_detail_and_allows_half_a_decibel() -> None:
    spline = {"psnr": 25.0, "hfen": 0.2, "haarpsi": 0.8}
    sharp = {"psnr": 24.6, "hfen": 0.1, "haarpsi": 0.9}
    assert sharpness_quality.floor_of([spline, sharp]) == {"haarpsi": True, "hfen": True, "psnr": True}
    missed = {"psnr": 24.4, "hfen": 0.3, "haarpsi": 0.7}
    assert sharpness_quality.floor_of([spline, missed]) == {"haarpsi": False, "hfen": False, "psnr": False}


def test_the_middle_of_a_volume_stays_where_it_is() -> None:
    grid = placed_grid((9, 12, 11), spacing=(1, 2, 3), rotation=(10, 20, 30), origin=(5, 6, 7))
    volume = Volume(np.random.default_rng(0).random(grid.shape, dtype=np.float32), grid)
    block = sharpness_quality.middle(volume, 6)
    assert block.shape == (6, 6, 6)
    assert np.array_equal(block.voxels, volume.voxels[1:7, 3:9, 2:8])
    assert block.grid.index_to_ras([0, 0, 0]) == pytest.approx(volume.grid.index_to_ras([2, 3, 1]))
