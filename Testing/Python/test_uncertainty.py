"""Uncertainty: exact moments, calibrated intervals, findings that trace to numbers."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import a_network, make_bundle
from conftest import head_like, placed_grid
from scipy import ndimage
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.uncertainty import UncertaintyParameters
from SynthMRILib.uncertainty.calibration import (
    Calibration,
    coverage,
    fit_multipliers,
    rank_correlation,
    sparsification_area,
)
from SynthMRILib.uncertainty.calibration_cases import Case, halved, listed
from SynthMRILib.uncertainty.findings import find_clusters
from SynthMRILib.uncertainty.fitting import calibrate_bundle, sample_blocks, sample_case
from SynthMRILib.uncertainty.sampling import DropoutPasses, RunningMoments, pass_mask
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume


@pytest.fixture(scope="module")
def a_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "test-network")


def run(volume: Volume, bundle: Bundle, **values: object) -> dict[str, Volume]:
    return get_task("uncertainty").run({"input": volume}, bundle, UncertaintyParameters(**values), no_progress).outputs


@pytest.mark.parametrize("level", [0.5, 1000.0, 4000.0])
def test_running_moments_equal_float64_at_any_intensity(level: float) -> None:
    samples = level + 0.05 * np.random.default_rng(0).normal(size=(20, 500))
    moments = RunningMoments()
    for sample in samples:
        moments.add(torch.from_numpy(sample))
    variance = moments.variance().numpy()
    assert variance.min() > 0
    assert variance == pytest.approx(samples.var(axis=0, ddof=1), rel=1e-5)
    assert moments.mean.numpy() == pytest.approx(samples.mean(axis=0))


def test_a_single_sample_has_no_variance() -> None:
    moments = RunningMoments()
    moments.add(torch.ones(3))
    assert moments.variance().tolist() == [0, 0, 0]


def test_shared_features_give_what_whole_passes_give() -> None:
    network, block = a_network(), torch.rand(1, 1, 6, 6, 6)
    channels = DropoutPasses(samples=5, seed=2)(network, block)
    passes = [
        network.forward_head(network.forward_features(block), block, pass_mask(network, block, number=n, seed=2))
        for n in range(5)
    ]
    means = torch.stack([mean[0, 0] for mean, _ in passes]).double()
    variances = torch.stack([log_variance[0, 0].exp() for _, log_variance in passes]).double()
    assert torch.allclose(channels[0], means.mean(0))
    assert torch.allclose(channels[1], means.std(0))
    assert torch.allclose(channels[2], variances.mean(0).sqrt())


def test_tiles_share_the_mask_of_each_pass(an_oblique_volume: Volume, a_bundle: Bundle) -> None:
    whole, tiled = (run(an_oblique_volume, a_bundle, samples=3, tile=tile) for tile in (500, 9))
    for role, volume in whole.items():
        assert np.abs(volume.voxels - tiled[role].voxels).max() <= 1e-4 * np.ptp(whole["output"].voxels), role


def test_one_seed_gives_one_map_and_another_seed_another(a_volume: Volume, a_bundle: Bundle) -> None:
    one, same, other = (run(a_volume, a_bundle, samples=3, seed=s)["epistemic"].voxels for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_total_joins_both_parts_and_is_never_negative(a_volume: Volume, a_bundle: Bundle) -> None:
    maps = {role: v.voxels for role, v in run(a_volume, a_bundle, samples=3).items()}
    assert maps["total"] == pytest.approx(np.hypot(maps["epistemic"], maps["aleatoric"]), rel=1e-5)
    assert all(maps[role].min() >= 0 for role in ("total", "epistemic", "aleatoric"))
    assert maps["epistemic"].max() > 0


def test_maps_are_in_the_units_of_the_input(a_volume: Volume, a_bundle: Bundle) -> None:
    one = run(a_volume, a_bundle, samples=3)["total"].voxels
    ten = run(a_volume.with_voxels(10 * a_volume.voxels), a_bundle, samples=3)["total"].voxels
    assert ten == pytest.approx(10 * one, rel=1e-3)


def test_multipliers_hold_their_levels_whatever_the_shape_of_the_errors() -> None:
    rng = np.random.default_rng(0)
    total = rng.uniform(0.5, 2, 20000)
    for draw in (rng.normal, rng.laplace):
        error, fresh = total * draw(size=20000), total * draw(size=20000)
        for level, share in coverage(fresh, total, fit_multipliers(error, total)).items():
            assert share == pytest.approx(level, abs=1.5)


def test_rank_correlation_and_sparsification_know_good_from_useless() -> None:
    rng = np.random.default_rng(0)
    total = rng.uniform(0.1, 2, 5000)
    error = total * rng.normal(size=5000)
    assert rank_correlation(error, total) > 0.4
    assert abs(rank_correlation(error, rng.permutation(total))) < 0.05
    assert sparsification_area(error, np.abs(error)) == 0
    assert sparsification_area(error, total) < sparsification_area(error, rng.permutation(total))


def test_calibration_of_other_weights_is_not_used(a_bundle: Bundle) -> None:
    record = Calibration("other", {50: 0.5, 68: 1.0, 90: 2.0, 95: 3.0}, {}).as_dict()
    assert Calibration.from_bundle({"sha256": a_bundle.weights_sha256, "calibration": record}) is None
    assert Calibration.from_bundle({"sha256": "other", "calibration": record}).scale == 1.0


def test_an_uncalibrated_bundle_says_so(a_volume: Volume, a_bundle: Bundle) -> None:
    findings = get_task("uncertainty").check({"input": a_volume}, a_bundle, UncertaintyParameters())
    assert "uncalibrated" in [f.code for f in findings]


@pytest.mark.parametrize("samples", [1, 0, -3, 201])
def test_a_senseless_number_of_passes_is_refused(a_volume: Volume, a_bundle: Bundle, samples: int) -> None:
    with pytest.raises(InputError, match="between 2 and 200"):
        run(a_volume, a_bundle, samples=samples)


def test_clusters_are_found_where_they_were_put() -> None:
    grid = Grid((30, 30, 30), np.array([[-1.0, 0, 0, 15], [0, 1, 0, -15], [0, 0, 1, -15], [0, 0, 0, 1]]))
    image = Volume(np.full(grid.shape, 100.0), grid)
    total = np.ones(grid.shape)
    total[5:9, 6:10, 2:6] = 20
    total[7, 7, 4] = 30
    total[20, 20, 20] = 50
    clusters = find_clusters(Volume(total, grid), image)
    assert len(clusters) == 1
    assert clusters[0].volume_mm3 == pytest.approx(64)
    assert clusters[0].voxel_ijk == (4, 7, 7)
    assert clusters[0].position_ras == pytest.approx((11, -8, -8))
    assert clusters[0].side == "right"
    assert "64 mm3" in clusters[0].sentence()
    assert "30 % of the signal" in clusters[0].sentence().replace("30.0", "30")


def test_commands_calibrate_a_copy_and_write_calibrated_maps(
    a_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    a_head = Volume(head_like((32, 34, 36)), placed_grid((32, 34, 36), spacing=(1, 1, 1)))
    write_volume(a_head, tmp_path / "in.nrrd")
    before = (a_bundle.folder / "configs" / "metadata.json").read_bytes()
    common = ["--bundle", str(a_bundle.folder), "--samples", "3"]
    arguments = ["calibrate", "super-resolution", *common, "--reference", str(tmp_path / "in.nrrd")]
    assert cli.main([*arguments, "--output", str(tmp_path / "calibrated")]) == 0
    assert (a_bundle.folder / "configs" / "metadata.json").read_bytes() == before
    calibration = Calibration.from_bundle(load_bundle(tmp_path / "calibrated").section)
    assert calibration.multipliers[50] < calibration.multipliers[68] < calibration.multipliers[95]
    folder = tmp_path / "maps"
    (tmp_path / "points.csv").write_text("R,A,S\n10,12,14\n")
    arguments = ["uncertainty", "super-resolution", str(tmp_path / "in.nrrd"), "--samples", "3", "--seed", "4"]
    arguments += ["--points", str(tmp_path / "points.csv"), "--blend"]
    assert cli.main([*arguments, "--bundle", str(tmp_path / "calibrated"), "--output", str(folder)]) == 0
    assert "not for diagnosis" in capsys.readouterr().out
    record = json.loads((folder / "findings.json").read_text())
    assert record["calibrated"] is True
    assert record["interval_multipliers"]["68"] == 1.0
    assert record["gate"]["verdict"] in ("inside", "outside") and record["quality"]["flag"] != "unknown"
    assert record["lesions"][0]["grade"] in ("low", "intermediate", "high") and "cluster" not in record["confidence"]
    page = (folder / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 1 and "not for diagnosis" in page
    assert record["quality"]["flag"] in page and escape(record["quality"]["rule"]) in page
    assert "in.nrrd" not in page and str(tmp_path) not in page and str(tmp_path) not in json.dumps(record)
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    blend = read_volume(folder / "blend.nii.gz")
    assert blend.grid.matches(read_volume(folder / "mean.nii.gz").grid, tolerance=1e-3)
    raw = run(a_head, a_bundle, samples=3, seed=4)["total"].voxels
    written = read_volume(folder / "total.nii.gz").voxels
    assert written == pytest.approx(raw * np.float32(calibration.scale), rel=1e-4)


def test_calibration_needs_volumes_and_a_new_folder(a_bundle: Bundle, tmp_path: Path, capsys) -> None:
    arguments = ["calibrate", "super-resolution", "--bundle", str(a_bundle.folder), "--output", str(tmp_path)]
    assert cli.main(arguments) == 2
    assert "--reference" in capsys.readouterr().err
    assert cli.main([*arguments, "--reference", "x.nii"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_blend_with_another_contrast_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_volume(Volume(head_like((20, 22, 24)), placed_grid((20, 22, 24), spacing=(1, 1, 1))), tmp_path / "flair.nrrd")
    arguments = ["uncertainty", "synthetic-dir", "--flair", str(tmp_path / "flair.nrrd"), "--blend"]
    assert cli.main([*arguments, "--output", str(tmp_path / "maps")]) != 0
    told = capsys.readouterr().err
    assert "another contrast" in told and "--blend" in told
    assert not (tmp_path / "maps").exists()


def test_lesions_and_points_beside_the_volume_are_refused_before_any_work(
    a_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (20, 22, 24)
    grid, mask = placed_grid(shape, spacing=(1, 1, 1)), np.zeros(shape, np.float32)
    write_volume(Volume(head_like(shape), grid), tmp_path / "in.nrrd")
    write_volume(Volume(mask, grid), tmp_path / "empty.nrrd")
    mask[5, 5, 5] = 1
    away = Grid.from_spacing(shape, (1, 1, 1)).ijk_to_ras + np.array([[0, 0, 0, 500.0]] * 3 + [[0] * 4])
    write_volume(Volume(mask, Grid(shape, away)), tmp_path / "away.nrrd")
    (tmp_path / "points.csv").write_text("900,0,0\n")
    monkeypatch.setattr(type(get_task("uncertainty")), "run", lambda *_: pytest.fail("the work began"))
    words = ["uncertainty", "super-resolution", str(tmp_path / "in.nrrd"), "--bundle", str(a_bundle.folder)]
    for option, name, reason in (
        ("--lesions", "empty.nrrd", "holds no lesion"),
        ("--lesions", "away.nrrd", "holds no lesion"),
        ("--points", "points.csv", "Point 1 lies outside"),
    ):
        assert cli.main([*words, option, str(tmp_path / name), "--output", str(tmp_path / "maps")]) == 2
        assert reason in capsys.readouterr().err


def test_blocks_of_each_volume_calibrate_like_all_of_it(a_bundle: Bundle) -> None:
    shape = (64, 68, 70)
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.5)
    truth = Volume(300 + 500 * texture, placed_grid(shape, spacing=(1, 1, 1)))
    case = Case("one", "t1w", lambda: halved(truth))
    whole = sample_case(a_bundle, case, samples=2)
    blocks = sample_blocks(a_bundle, case, samples=2, blocks=3)
    for level in (50, 68, 90, 95):
        multipliers = (fit_multipliers(s.error, s.total)[level] for s in (whole, blocks))
        assert next(multipliers) == pytest.approx(next(multipliers), rel=0.2)
    assert blocks.measured == whole.measured
    assert blocks.residual["relative_residual"] == pytest.approx(whole.residual["relative_residual"], rel=0.3)
    highest = (np.percentile(s.total[s.signal], 95) / s.reference for s in (whole, blocks))
    assert next(highest) == pytest.approx(next(highest), rel=0.2)
    for name, values in whole.terms.items():
        assert np.median(blocks.terms[name]) == pytest.approx(np.median(values), abs=0.3), name


def test_a_list_of_cases_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    truth = Volume(head_like((20, 22, 24)), placed_grid((20, 22, 24), spacing=(1, 1, 1)))
    write_volume(truth, tmp_path / "truth.nrrd")
    entries = [
        {"name": "half", "contrast": "t2w", "reference": "truth.nrrd"},
        {"reference": "truth.nrrd", "inputs": {"flair": "truth.nrrd"}, "options": {"strength": 2.0}},
    ]
    (tmp_path / "cases.json").write_text(json.dumps(entries))
    half, pair = listed(tmp_path / "cases.json")
    assert (half.name, half.contrast, pair.name, pair.options) == ("half", "t2w", "case 2", {"strength": 2.0})
    assert half.read()[0]["input"].shape == (10, 11, 12)
    assert np.array_equal(pair.read()[0]["flair"].voxels, truth.voxels)
    for text in ("no", '["x"]', '[{"inputs": {}}]'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match="not a list of cases"):
            listed(tmp_path / "bad.json")


def test_intervals_are_kept_when_only_ranges_are_measured_anew(a_bundle: Bundle, tmp_path: Path) -> None:
    truth = Volume(head_like((36, 36, 36)), placed_grid((36, 36, 36), spacing=(1, 1, 1)))
    cases = [Case(name, "t1w", lambda: halved(truth)) for name in ("one", "two")]
    common = {"samples": 2, "report": str}
    with pytest.raises(InputError, match="no intervals"):
        calibrate_bundle(a_bundle, cases, output=tmp_path / "none", keep_intervals=True, **common)
    first = calibrate_bundle(a_bundle, cases, output=tmp_path / "first", **common)
    again = calibrate_bundle(
        load_bundle(tmp_path / "first"), cases, output=tmp_path / "again", keep_intervals=True, blocks=1, **common
    )
    assert again.multipliers == first.multipliers and again.facts["volumes"] == first.facts["volumes"]
    assert (first.facts["reference_blocks"], again.facts["reference_blocks"]) == ("all", 1)
    assert again.gate["input"]["volumes"] == 2 and len(again.quality["relative_residual"]) == 2
