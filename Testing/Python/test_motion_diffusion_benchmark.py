"""The benchmark of the diffusion model: which cases and ways to sample it takes, its means and floors, a small run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import motion_diffusion_quality as benchmark
from motion_support import a_head, add_diffusion_bundle, make_motion_bundles
from scipy import ndimage
from SynthMRILib.training.cache import Entry, write_cache


def pairs_of(severities: list[float]) -> list[Entry]:
    """Two entries a pair, as packed caches have them."""
    facts = [{"severity_mm": s, "displacement_mm": 2 * s, "spacing_kji": [1.0, 1.0, 1.0]} for s in severities]
    return [Entry("head_13", "t1w", "simulated", stripped=False, extra=extra) for extra in facts for _ in range(2)]


def test_cases_with_enough_motion_are_spread_over_the_file() -> None:
    entries = pairs_of([0.1, 1.0, 1.0, 0.2, 1.0, 1.0, 1.0])
    assert benchmark.chosen(entries, 0.75, 3) == [2, 8, 12]
    assert benchmark.chosen(entries, 0.75, 9) == [2, 4, 8, 10, 12]
    assert benchmark.chosen(entries, 5.0, 3) == []


def test_only_few_steps_are_also_started_from_what_the_network_made() -> None:
    names = [variant.name for variant in benchmark.grid([10, 50], [0.1])]
    assert names == [
        "10 steps, start 0.1 from input",
        "10 steps, start 0.1 from network",
        "50 steps, start 0.1 from input",
    ]


def a_row(**psnr_of: float) -> dict:
    others = dict.fromkeys(benchmark.DIGITS, 0.5)
    return {"methods": {method: {**others, "psnr": psnr} for method, psnr in psnr_of.items()}}


def test_gains_are_counted_from_the_input_case_by_case() -> None:
    found = benchmark.summary([a_row(input=20.0, network=20.1, a=21.0), a_row(input=30.0, network=30.1, a=29.5)])
    assert found["a"]["gain_db"] == pytest.approx(0.25)
    assert found["a"]["worst_gain_db"] == -0.5
    assert (found["a"]["cases_that_gained"], found["a"]["cases"]) == (1, 2)
    assert found["input"]["gain_db"] == 0


FLOORS = {
    "both kept": (1.0, 0.29, ["a"]),
    "gain too small": (0.99, 0.29, []),
    "no better than the network at edges": (2.0, 0.3, []),
}


@pytest.mark.parametrize("case", FLOORS.values(), ids=FLOORS)
def test_the_floors_ask_for_a_decibel_and_for_better_edges_than_the_network(case: tuple) -> None:
    gain, hfen, kept = case
    found = {
        "input": {"gain_db": 0.0, "hfen": 0.4},
        "network": {"gain_db": 9.0, "hfen": 0.3},
        "a": {"gain_db": gain, "hfen": hfen},
    }
    assert benchmark.floors(found) == {"kept_by": kept, "highest_gain": "a"}


def test_a_blurred_volume_has_less_detail_and_higher_errors_than_the_reference_itself() -> None:
    head = a_head()
    judge = benchmark.Judge(head.voxels, head.grid, None)
    same = judge.figures(head.voxels, 0.0)
    blurred = judge.figures(ndimage.gaussian_filter(head.voxels, 1.0), 0.0)
    assert (same["ssim"], same["hfen"], same["detail_power_db"]) == (1.0, 0.0, 0.0)
    assert blurred["ssim"] < 1 and blurred["hfen"] > 0.05 and blurred["detail_power_db"] < -3


def test_a_small_run_measures_every_way_and_names_both_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    make_motion_bundles(models)
    add_diffusion_bundle(models)
    monkeypatch.setenv("SYNTHMRI_MODELS", str(models))
    still = a_head().voxels
    moved = ndimage.gaussian_filter(still, 1.0)
    pair = zip(pairs_of([1.0]), (moved, still))
    write_cache(tmp_path / "cases.safetensors", [(entry, voxels.astype(np.float16)) for entry, voxels in pair])
    words = ["--steps", "2", "11", "--starts", "0.05", "--draws", "2", "--block", "32"]
    monkeypatch.setattr(sys, "argv", ["benchmark", str(tmp_path / "cases.safetensors"), *words])
    assert benchmark.main() == 0
    found = json.loads(capsys.readouterr().out)["summary"]
    assert list(found) == [
        "input",
        "network",
        "2 steps, start 0.05 from input",
        "2 steps, start 0.05 from input, mean of 2",
        "2 steps, start 0.05 from network",
        "2 steps, start 0.05 from network, mean of 2",
        "11 steps, start 0.05 from input",
    ]
    one, mean = found["2 steps, start 0.05 from input"], found["2 steps, start 0.05 from input, mean of 2"]
    assert mean["psnr"] > one["psnr"]
    assert all(values["cases"] == 1 for values in found.values())


def test_what_is_moved_as_a_whole_counts_as_equal_once_it_is_laid_onto_the_reference() -> None:
    head = a_head()
    shifted = ndimage.shift(head.voxels, (0, 0.5, 0), order=3)
    found = benchmark.alignment(head.voxels, shifted, head.grid, sampled=1.0)
    before = benchmark.Judge(head.voxels, head.grid, None).figures(shifted, 0.0)
    after = benchmark.Judge(head.voxels, head.grid, found).figures(shifted, 0.0)
    assert after["psnr"] > before["psnr"] + 5
    assert benchmark.alignment(head.voxels, head.voxels, head.grid, sampled=1.0) is None
