"""Gate, quality light, findings, lesions, blend: every word traces to a number."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import head_like, placed_grid
from SynthMRILib.errors import InputError
from SynthMRILib.uncertainty.blending import gated_blend, resampled
from SynthMRILib.uncertainty.calibration import area_under_roc, average_precision
from SynthMRILib.uncertainty.combination import SIGNALS, WEIGHTS, combined, fit_weights, surroundings, usual_levels
from SynthMRILib.uncertainty.findings import find_clusters
from SynthMRILib.uncertainty.fitting import gate_of
from SynthMRILib.uncertainty.gate import Gate, judge, reference_ranges, widened
from SynthMRILib.uncertainty.lesions import lesion_uncertainty, point_uncertainty
from SynthMRILib.uncertainty.limits import high_limit, limit_of, limit_rule, scale_end
from SynthMRILib.uncertainty.measures import cut_sides, extent_mm, histogram, histogram_distance, measure, signal_mask
from SynthMRILib.uncertainty.places import place_of
from SynthMRILib.uncertainty.points import read_points
from SynthMRILib.uncertainty.quality import quality_flag
from SynthMRILib.volume import Grid, Volume

FIGURES = Path(__file__).resolve().parents[2] / "Documentation" / "figures"
SHAPE = (30, 30, 30)
#: Left-handed and centered: R falls with i, so that low i is the patient's right.
CENTERED = Grid(SHAPE, np.array([[-1.0, 0, 0, 15], [0, 1, 0, -15], [0, 0, 1, -15], [0, 0, 0, 1]]))


def a_head(noise: float = 0.0, *, spacing: float = 1.0, seed: int = 0) -> Volume:
    voxels = head_like((40, 44, 48))
    noisy = voxels + noise * np.random.default_rng(seed).normal(size=voxels.shape)
    return Volume(np.where(voxels > 0, noisy, 0), placed_grid(voxels.shape, spacing=(spacing,) * 3))


@pytest.fixture
def reference() -> dict:
    measured = [measure(a_head(noise, seed=n)) for n, noise in enumerate((4, 5, 6, 8))]
    return {"input": reference_ranges(measured, ["t1w", "t1w", "t2w", "flair"])}


@pytest.fixture
def an_image() -> Volume:
    return Volume(np.full(SHAPE, 100.0), CENTERED)


def test_a_volume_like_those_of_the_calibration_is_inside(reference: dict) -> None:
    gate = judge({"input": a_head(5, seed=9)}, reference)
    assert gate.verdict == "inside" and gate.reasons == ()
    assert gate.nearest["input"] in ("t1w", "t2w", "flair")


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (a_head(5, spacing=3.0), ["voxel edge (3 mm) is above the 1 mm of the 4 volumes"]),
        (a_head(5, spacing=0.4), ["smallest voxel edge (0.4 mm) is below"]),
        (a_head(60), ["noise level", "above"]),
        (Volume(a_head(5).voxels ** 3, a_head().grid), ["intensity histogram", "above"]),
        (Volume(a_head(5).voxels[12:28], placed_grid((16, 44, 48), spacing=(1, 1, 1))), ["cut off (2) is above"]),
    ],
    ids=["coarse", "fine", "noisy", "another contrast", "cut off"],
)
def test_what_differs_from_the_calibration_is_named_with_its_numbers(reference, volume, words) -> None:
    gate = judge({"input": volume}, reference)
    assert gate.verdict == "outside"
    assert all(word in " ".join(gate.reasons) for word in words), gate.reasons


def test_less_motion_and_fewer_cut_sides_than_in_calibration_are_no_reason_for_distrust(reference: dict) -> None:
    ranges = reference["input"]["ranges"] | {"cut_sides": [6.0, 6.0], "motion_severity_mm": [0.5, 1.0]}
    known = {"input": {**reference["input"], "ranges": ranges}}
    assert judge({"input": a_head(5, seed=9)}, known, more={"input": {"motion_severity_mm": 0.1}}).verdict == "inside"
    worse = judge({"input": a_head(5, seed=9)}, known, more={"input": {"motion_severity_mm": 3.0}})
    assert worse.verdict == "outside" and "motion severity" in worse.reasons[0]


def test_without_reference_ranges_nothing_is_claimed() -> None:
    gate = judge({"input": a_head()}, None)
    assert gate.verdict == "unknown" and "no reference ranges" in gate.reasons[0]
    assert gate.measured["input"]["spacing_largest_mm"] == 1.0
    json.dumps(gate.as_dict())


def test_a_range_is_widened_at_both_ends() -> None:
    assert widened(2.0, 4.0) == pytest.approx((1.3, 4.9))


def test_extent_is_that_of_the_signal_in_patient_axes() -> None:
    voxels = np.zeros((20, 30, 40))
    voxels[5:10, 4:20, 2:30] = 100
    grid = placed_grid(voxels.shape, spacing=(0.5, 1.0, 2.0))
    assert extent_mm(Volume(voxels, grid), voxels > 0) == pytest.approx((14, 16, 10))
    assert cut_sides(voxels > 0) == 0
    assert cut_sides(voxels[5:10] > 0) == 2


def test_noise_in_air_is_no_signal() -> None:
    still, rng = np.pad(head_like((40, 44, 48)), 10), np.random.default_rng(0)
    parts = 12 * rng.standard_normal((2, *still.shape))
    noisy = Volume(np.hypot(still + parts[0], parts[1]), placed_grid(still.shape, spacing=(1, 1, 1)))
    clean = measure(Volume(still, noisy.grid))
    found = measure(noisy)
    assert found["cut_sides"] == clean["cut_sides"] and found["extent_largest_mm"] < clean["extent_largest_mm"] + 14
    naive = histogram(noisy.voxels, signal_mask(noisy.voxels))
    assert histogram_distance(found["histogram"], clean["histogram"]) < 0.5 * histogram_distance(
        naive, clean["histogram"]
    )


def a_sample(subject: str, **volumes: Volume) -> SimpleNamespace:
    return SimpleNamespace(
        subject=subject, contrast="+".join(volumes), measured={r: measure(v) for r, v in volumes.items()}
    )


def test_ranges_know_every_input_and_compare_histograms_with_those_of_other_subjects() -> None:
    """The same FLAIR takes part in cases with and without T1w: it counts once, and is not its own neighbor."""
    heads = [Volume(a_head().voxels ** power, a_head().grid) for power in (1.0, 1.1, 1.2)]
    samples = [
        a_sample("one", flair=heads[0], t1=heads[1]),
        a_sample("one", flair=heads[0]),
        a_sample("two", flair=heads[2]),
    ]
    ranges = gate_of(samples)
    assert {role: ranges[role]["volumes"] for role in ranges} == {"flair": 2, "t1": 1}
    assert ranges["flair"]["ranges"]["histogram_distance"][1] > 0.01
    assert [entry["contrast"] for entry in ranges["t1"]["histograms"]] == ["t1"]


def test_the_limit_of_a_bundle_is_what_a_twentieth_of_a_usual_volume_exceeds() -> None:
    assert high_limit({"percentile_95_total_percent": [4.0, 9.14, 20.0]}) == 9.1
    assert high_limit(None) == high_limit({}) == 5
    assert [scale_end(limit) for limit in (4, 5, 9.1, 11, 21, 60)] == [10, 10, 20, 30, 50, 100]
    provenance = {"calibration": {"high_limit_percent": 9.1}}
    assert limit_of(provenance) == 9.1 and "5 % of the voxels" in limit_rule(provenance)
    assert limit_of({"calibration": None}) == 5 and "usual" not in limit_rule({})


INSIDE, OUTSIDE = Gate("inside", (), {}, {}), Gate("outside", ("Too noisy.",), {}, {})
LEVELS = {"percentile_95_total_percent": [2.0, 4.0, 3.0]}


@pytest.mark.parametrize(
    ("value", "levels", "gate", "flag"),
    [
        (3.9, LEVELS, INSIDE, "green"),
        (4.5, LEVELS, INSIDE, "amber"),
        (3.9, LEVELS, OUTSIDE, "amber"),
        (6.1, LEVELS, INSIDE, "red"),
        (6.1, LEVELS, OUTSIDE, "red"),
        (1.0, None, INSIDE, "unknown"),
    ],
)
def test_the_light_follows_its_printed_rule(value: float, levels, gate: Gate, flag: str) -> None:
    quality = quality_flag({"percentile_95_total_percent": value}, levels, gate)
    assert quality.flag == flag and quality.needs_acknowledgement == (flag == "red")
    assert (quality.reasons == ()) == (flag == "green")
    assert flag in quality.sentence() and "1.5 times the highest" in quality.as_dict()["rule"]
    if flag in ("amber", "red") and gate is INSIDE:
        assert f"({value:.3g} % of the signal) is above the highest of 3 volumes (4)" in quality.sentence()


def test_findings_say_where_what_and_why(an_image: Volume) -> None:
    total = np.ones(SHAPE)
    total[6:10, 12:16, 3:7] = 20
    total[27:30, 12:16, 20:24] = 18
    labels = Volume(np.full(SHAPE, 10.0), CENTERED)
    labels.voxels[:, :, :15] = 49
    residual = np.full(SHAPE, 0.5, dtype=np.float32)
    residual[6:10, 12:16, 3:7] = 9
    right, left = find_clusters(Volume(total, CENTERED), an_image, segmentation=labels, residual=residual)
    assert (right.side, right.place, right.slice) == ("right", "right thalamus (100 %)", "axial slice 7 of 30")
    assert "departs from the acquired volume by 9.0 % of the signal" in right.sentence()
    assert (left.side, left.place) == ("left", "left thalamus (100 %)")
    assert "border of the field of view" in left.sentence() and "departs" not in left.sentence()


def test_a_place_without_a_label_has_no_name(an_image: Volume) -> None:
    empty = Volume(np.zeros(SHAPE), CENTERED)
    assert place_of(empty, np.array([[0.0, 0, 0]])) == ""
    assert place_of(Volume(np.full(SHAPE, 999.0), CENTERED), np.array([[0.0, 0, 0]])) == "label 999 (100 %)"
    assert find_clusters(empty, an_image) == []


def test_lesions_are_ranked_among_the_voxels_with_signal(an_image: Volume) -> None:
    total = Volume(np.linspace(0, 10, 27000).reshape(SHAPE), CENTERED)
    coarse = Grid((15, 15, 15), CENTERED.downsampled(2).ijk_to_ras)
    mask = np.zeros(coarse.shape)
    mask[1, 5:8, 5:8] = 1
    mask[14, 5:8, 5:8] = 1
    low, high = lesion_uncertainty(total, an_image, Volume(mask, coarse))
    assert (low.grade, high.grade) == ("low", "high")
    assert low.volume_mm3 == high.volume_mm3 == 72
    assert low.rank_percent == pytest.approx(10, abs=2)
    assert "Not a diagnosis" in low.sentence() and "low model variance" in low.sentence()
    with pytest.raises(InputError, match="no lesion"):
        lesion_uncertainty(total, an_image, Volume(np.zeros(SHAPE), CENTERED))


def test_points_are_judged_by_the_ball_around_them(an_image: Volume) -> None:
    total = np.ones(SHAPE)
    total[15, 15, 15] = 50
    (entry,) = point_uncertainty(Volume(total, CENTERED), an_image, [(0.0, 0.0, 0.0)])
    assert entry.volume_mm3 == pytest.approx(4 / 3 * np.pi * 27, rel=0.1)
    assert entry.position_ras == pytest.approx((0, 0, 0), abs=1e-6) and entry.median_percent == pytest.approx(1)
    with pytest.raises(InputError, match="Point 2 lies outside"):
        point_uncertainty(Volume(total, CENTERED), an_image, [(0, 0, 0), (90, 0, 0)])


@pytest.mark.parametrize(("system", "first"), [("LPS", (-1.0, -2.0, 3.0)), ("RAS", (1.0, 2.0, 3.0))])
def test_points_come_from_markups_of_slicer(tmp_path: Path, system: str, first: tuple) -> None:
    path = tmp_path / "points.mrk.json"
    markups = [{"coordinateSystem": system, "controlPoints": [{"position": [1, 2, 3]}]}]
    path.write_text(json.dumps({"markups": markups}))
    assert read_points(path) == [first]


def test_points_come_from_a_table_and_bad_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("R,A,S\n# a comment\n1,2,3\n-4.5, 5, 6, more\n")
    assert read_points(path) == [(1, 2, 3), (-4.5, 5, 6)]
    path.write_bytes(b"\xef\xbb\xbfR,A,S\n1,2,3\n")
    assert read_points(path) == [(1, 2, 3)], "as spreadsheets write it"
    path.write_bytes("R,A,S\n1,2,3\n".encode("utf-16"))
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_points(path)
    for text, words in (("R,A,S\n", "holds no point"), ("1,2\n", "not R, A, S")):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_points(path)
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(InputError, match="not a markups file"):
        read_points(tmp_path / "no.json")


def test_the_blend_is_synthetic_where_sure_and_acquired_where_not() -> None:
    fine = placed_grid((12, 14, 16), spacing=(1, 1, 1), rotation=(10, 20, 30), origin=(5, 6, 7))
    acquired = Volume(np.full((6, 7, 8), 80.0), fine.downsampled(2))
    synthetic = Volume(np.full((12, 14, 16), 100.0), fine)
    total = np.zeros((12, 14, 16))
    total[4:8] = 5
    total[8:] = 20
    blend = gated_blend(synthetic, acquired, Volume(total, fine)).voxels
    assert blend[:4] == pytest.approx(100) and blend[4:8] == pytest.approx(90) and blend[8:] == pytest.approx(80)
    with pytest.raises(InputError, match="grid"):
        gated_blend(synthetic, acquired, acquired)


def test_resampling_keeps_positions_on_any_grid() -> None:
    fine = placed_grid((20, 22, 24), spacing=(1, 1.2, 0.8), rotation=(10, -20, 30), origin=(5, 6, 7))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in fine.shape], indexing="ij"), -1)[..., ::-1]
    r, a, s = np.moveaxis(fine.index_to_ras(index), -1, 0)
    coarse = fine.downsampled(2)
    found = resampled(Volume(2 * r - a + 3 * s + 500, fine), Volume(np.zeros(coarse.shape), coarse))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in coarse.shape], indexing="ij"), -1)[..., ::-1]
    r, a, s = np.moveaxis(coarse.index_to_ras(index), -1, 0)
    assert found == pytest.approx(2 * r - a + 3 * s + 500, rel=1e-4)


def test_areas_know_perfect_from_useless_and_count_ties_half() -> None:
    positive = np.array([0, 0, 1, 1], dtype=bool)
    assert area_under_roc(positive, np.array([1.0, 2, 3, 4])) == 1
    assert area_under_roc(positive, np.array([4.0, 3, 2, 1])) == 0
    assert area_under_roc(positive, np.ones(4)) == 0.5
    assert area_under_roc(np.zeros(4, dtype=bool), np.ones(4)) is None
    assert average_precision(positive, np.array([1.0, 2, 3, 4])) == 1
    assert average_precision(positive, np.array([4.0, 1, 3, 2])) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(np.zeros(4, dtype=bool), np.ones(4)) is None


def test_the_combination_is_one_at_usual_levels_and_rises_where_the_total_stands_out() -> None:
    usual = {name: np.linspace(0, 1, 101) for name in SIGNALS}
    levels = usual_levels(usual)
    assert levels == pytest.approx(dict.fromkeys(usual, 0.95))
    at = {name: np.array([0.95]) for name in usual}
    assert combined(at, levels) == pytest.approx(1.0)
    raised = {name: combined({**at, name: np.array([1.9])}, levels)[0] for name in at}
    assert raised["total"] > 1 > raised["surroundings"]
    assert all(raised[name] >= 1 for name in ("epistemic", "augmentation", "residual"))
    with pytest.raises(ValueError, match="usual level"):
        combined({"total": np.array([1.0])}, {"total": 0.0})


def test_the_fit_finds_what_tells_failures_and_never_takes_a_signal_for_the_opposite() -> None:
    rng = np.random.default_rng(0)
    signals = {name: rng.lognormal(size=20_000) for name in SIGNALS}
    logit = 2 * np.log(signals["total"]) - np.log(signals["surroundings"]) - np.log(signals["residual"]) - 2
    failed = rng.random(20_000) < 1 / (1 + np.exp(-logit))
    weights = fit_weights([signals], [failed], usual_levels(signals))
    assert weights["total"] > 1 and weights["surroundings"] < -0.5
    assert weights["residual"] == 0 and weights["epistemic"] < 0.1 and weights["augmentation"] < 0.1
    score = combined(signals, usual_levels(signals), weights)
    assert area_under_roc(failed, score) > area_under_roc(failed, signals["total"]) + 0.02


def test_the_surroundings_are_a_geometric_mean_that_a_zero_does_not_clear() -> None:
    total = np.full((40, 40, 40), 2.0, np.float32)
    assert surroundings(total) == pytest.approx(total)
    total[20, 20, 20] = 0
    assert 1.9 < surroundings(total)[20, 20, 20] < 2
    assert surroundings(np.zeros((8, 8, 8), np.float32)).max() < 1e-30


def test_the_combination_has_the_exponents_of_its_record_and_was_no_worse_than_its_members_on_heads_left_out() -> None:
    record = json.loads((FIGURES / "failure_combination.json").read_text(encoding="utf-8"))
    assert record["weights"] == WEIGHTS
    left_out = record["auroc_left_out"]
    assert left_out["combination"] == max(left_out.values())


def test_a_region_too_large_to_go_to_is_taken_apart_at_a_higher_limit(an_image: Volume) -> None:
    total = np.full(SHAPE, 6.0)
    total[4:8, 4:8, 4:8] = 9
    total[20:25, 20:25, 20:25] = 12
    large, small = find_clusters(Volume(total, CENTERED), an_image)
    assert (large.volume_mm3, small.volume_mm3) == (125, 64)
    assert large.limit_percent == small.limit_percent == 7.5 and "(above 7.5 % of the signal)" in large.sentence()


def test_clusters_are_those_above_the_limit_of_the_bundle(an_image: Volume) -> None:
    total = np.full(SHAPE, 6.0)
    total[4:8, 4:8, 4:8] = 9
    total[20:25, 20:25, 20:25] = 12
    (only,) = find_clusters(Volume(total, CENTERED), an_image, limit=10.0)
    assert only.volume_mm3 == 125 and only.limit_percent == 10 and "above" not in only.sentence()


def test_the_document_names_the_limit_of_every_shipped_bundle() -> None:
    root = FIGURES.parents[1]
    words = (root / "Documentation" / "uncertainty.md").read_text(encoding="utf-8")
    limits = {}
    for path in (root / "Resources" / "Models").glob("*/configs/metadata.json"):
        section = json.loads(path.read_text(encoding="utf-8"))["synthmri"]
        for key in (key for key in section if key.startswith("calibration") and section[key]):
            quality = section[key]["quality"]
            limits[f"{path.parts[-3]} {key}"] = high_limit(quality)
            assert np.median(quality["high_uncertainty_percent"]) == pytest.approx(5, abs=2.5), "of this limit, rounded"
    assert limits and all(f"{limit:g} %" in words for limit in limits.values()), limits
