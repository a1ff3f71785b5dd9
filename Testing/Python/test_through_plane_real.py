"""The benchmark on real thick slices: what is left out is no input, and slices of a smooth head are foretold."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import through_plane_real
from conftest import placed_grid
from SynthMRILib.errors import InputError
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import write_volume


def a_scan(slices: int = 34) -> Volume:
    """Smooth tissue in slices of 3 mm along the last axis of the array, in an oblique position."""
    grid = placed_grid((24, 26, slices), spacing=(3.0, 1.0, 1.0))
    k, j, i = (
        np.linspace(-1, 1, n).reshape([-1 if a == axis else 1 for a in range(3)]) for axis, n in enumerate(grid.shape)
    )
    return Volume((500 + 200 * np.cos(2 * k) * np.cos(3 * j) + 150 * np.sin(2 * i)).astype(np.float32), grid)


def test_every_second_slice_is_left_out_and_the_others_stay_where_they_are() -> None:
    scan = through_plane_real.middle(a_scan(), 2, 20)
    assert scan.shape == (20, 20, 33)
    thin = through_plane_real.thinned(scan, 2)
    assert thin.shape == (20, 20, 17)
    assert thin.spacing == pytest.approx((6.0, 1.0, 1.0))
    np.testing.assert_array_equal(thin.voxels, scan.voxels[:, :, ::2])
    np.testing.assert_allclose(
        thin.grid.index_to_ras(np.array([2.0, 3, 4])), scan.grid.index_to_ras(np.array([4.0, 3, 4]))
    )


def test_the_record_holds_a_row_a_method_and_the_opening(tmp_path: Path) -> None:
    (tmp_path / "data" / "someone").mkdir(parents=True)
    write_volume(a_scan(), tmp_path / "data" / "someone" / "study1_T1W.nii.gz")
    words = [str(tmp_path / "data"), "--patient", "someone", "--split", "test", "--edge", "24"]
    assert through_plane_real.main([*words, "--documentation", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "figures" / "through_plane_real.json").read_text())
    scan = record["scans"]["someone/study1_T1W"]
    assert (scan["slice_axis"], scan["slices"]) == ("i", 33)
    rows = {row["method"]: row for row in scan["rows"]}
    assert set(rows) == {"bspline", "total-variation"}
    assert min(row["psnr"] for row in rows.values()) > 25
    assert max(row["residual_percent"] for row in rows.values()) < 3
    (opening,) = csv.DictReader((tmp_path / "evaluations.csv").open())
    assert opening["subject"] == "someone/study1_T1W"


def test_a_scan_of_few_slices_is_refused() -> None:
    with pytest.raises(InputError, match="too short"):
        through_plane_real.middle(a_scan(slices=30), 2, 20)
