"""The estimate of severity that knows what autofocus sees: its features, its regression, and how the task uses it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from motion_support import a_head, a_severity_model, features_of, make_motion_bundles, moving_head
from scipy import ndimage, stats
from SynthMRILib.bundles import METADATA, load_bundle
from SynthMRILib.errors import BundleError
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion.agreement import EDGES, agreement_curves, agreement_features
from SynthMRILib.motion.autofocus import FirstLook, autofocus, first_look
from SynthMRILib.motion.block_severity import SLIGHT, change_features
from SynthMRILib.motion.condition import log_severity, severity_of_log
from SynthMRILib.motion.estimate import asked_features, estimate_severity, focused_features
from SynthMRILib.motion.features import image_features
from SynthMRILib.motion.focused_severity import (
    NAMES,
    NAMES_WITH_NETWORK,
    OFFSET_MM,
    SECTION,
    SECTION_WITH_NETWORK,
    FocusedSeverityModel,
    fit_chance,
    fit_focused,
)
from SynthMRILib.motion.severity import before_and_left
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from torch import nn

TASK = get_task("motion-correction")
SHAPE = (44, 48, 46)
SPACING = (2.0, 2.0, 2.0)
SIZES_MM = (0.6, 1.2, 2.5)


def voxels_of(volume) -> np.ndarray:
    """In network units."""
    return IntensityScale.fit(volume.voxels).apply(volume.voxels)


def focused_of(volume) -> dict[str, float]:
    voxels = voxels_of(volume)
    return image_features(voxels) | focused_features(voxels, volume.grid.spacing, first_look(voxels, volume.grid))


@pytest.fixture(scope="module")
def examples():
    """Features and severities of small heads with and without motion."""
    results = [moving_head(size, shape=SHAPE) for size in SIZES_MM]
    rows = [focused_of(volume) for result in results for volume in (result.moved, result.still)]
    return rows, [severity for result in results for severity in (result.effective_mm, 0.0)]


def test_outer_lines_agree_less_with_what_is_foretold_the_more_a_head_moved():
    results = [moving_head(size, shape=SHAPE) for size in SIZES_MM]
    volumes = [results[0].still, *(result.moved for result in results)]
    rows = [agreement_features(volume.voxels, volume.grid.spacing) for volume in volumes]
    falling = [row["agreement_start_least"] for row in rows]
    assert falling == sorted(falling, reverse=True) and falling[0] - falling[-1] > 0.1
    for row in rows:
        assert row["agreement_start_least"] <= row["agreement_start_most"] <= 0
        assert row["agreement_lost_second"] <= row["agreement_lost_most"]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sudden_move_is_seen_in_the_curve_of_its_axis_from_its_frequency_on(axis):
    """All lines beyond a frequency are those of another noise: they are not foretold by the inner ones any more."""
    rng = np.random.default_rng(axis)
    voxels = (ndimage.gaussian_filter(rng.standard_normal((64, 60, 72)), 2.5) > 0.01).astype(np.float32)
    spectrum = np.fft.fftn(voxels)
    beyond = np.abs(np.fft.fftfreq(voxels.shape[axis])) > 0.3
    other = np.fft.fftn(np.roll(voxels, (9, 14, 11), (0, 1, 2)))
    broken = spectrum.copy()
    part = tuple(beyond if a == axis else slice(None) for a in range(3))
    broken[part] = other[part]
    before, after = (agreement_curves(np.fft.ifftn(s).real) for s in (spectrum, broken))
    middle = 0.5 * (EDGES[1:] + EDGES[:-1])
    curve, was = after[axis].correlation, before[axis].correlation
    assert np.abs(curve - was)[middle < 0.27].max() < 0.1
    assert curve[middle > 0.33].mean() < 0.3 * was[middle > 0.33].mean()
    first, second = (agreement_features(np.fft.ifftn(s).real, (1.0, 1.0, 1.0)) for s in (spectrum, broken))
    assert second["agreement_lost_most"] > first["agreement_lost_most"] + 0.2
    assert sum(c.energy.sum() for c in before) == pytest.approx(sum(c.energy.sum() for c in after), rel=0.1)


def test_agreement_knows_no_unit_and_is_finite_where_there_is_nothing_to_foretell():
    voxels = a_head().voxels
    for name, value in agreement_features(1000 * voxels, SPACING).items():
        assert value == pytest.approx(agreement_features(voxels, SPACING)[name], abs=1e-3)
    for empty in (np.zeros((8, 9, 10), np.float32), np.ones((3, 40, 40), np.float32)):
        assert np.isfinite(list(agreement_features(empty, SPACING).values())).all()


def test_a_first_look_sees_more_in_a_head_that_moved_than_in_one_that_lay_still():
    result = moving_head(2.5, shape=SHAPE)
    moved, still = (first_look(volume.voxels, volume.grid) for volume in (result.moved, result.still))
    assert moved.fall > max(still.fall, 0) and moved.fall - moved.second > still.fall - still.second
    assert autofocus(result.moved.voxels, result.moved.grid).look == moved
    assert autofocus(result.still.voxels, result.still.grid).look == still, "also where nothing is found"
    assert first_look(np.zeros(SHAPE, np.float32), result.still.grid) == FirstLook(0.0, 0.0)


def test_what_was_seen_is_spread_evenly_and_keeps_its_sign():
    values = [FirstLook(fall, 0.5).features()["focus_fall"] for fall in (-4e-3, 0.0, 1e-3, 4e-3)]
    assert values == pytest.approx([-2, 0, 1, 2])
    assert FirstLook(4e-3, 3e-3).features()["focus_ahead"] == pytest.approx(1)
    assert FirstLook(-1e-3, 0.0).features()["focus_ahead"] == 0


def test_the_regression_finds_a_bent_dependence_and_the_trend_goes_on_beyond_its_examples():
    rng = np.random.default_rng(3)
    rows = [dict(zip("ab", map(float, rng.uniform(-1, 1, 2)))) for _ in range(150)]
    severity = lambda row: float(np.exp(row["a"] + 0.7 * row["b"] ** 2))  # noqa: E731
    model = fit_focused(rows, [severity(row) for row in rows], names=("a", "b"))
    others = [dict(zip("ab", map(float, rng.uniform(-0.9, 0.9, 2)))) for _ in range(50)]
    found = [severity_of_log(model.logarithm(row), OFFSET_MM) for row in others]
    assert stats.spearmanr(found, [severity(row) for row in others]).statistic > 0.98
    beyond = [model.logarithm({"a": a, "b": 0.0}) for a in (1.0, 1.5, 2.0)]
    assert beyond == sorted(beyond) and beyond[0] > model.logarithm({"a": 0.0, "b": 0.0})


def test_volumes_without_motion_do_not_hide_what_tells_more_motion_from_less():
    """One feature tells whether there was motion, the other how much; still volumes have any value of the latter."""
    rng = np.random.default_rng(5)

    def draw(moved: int) -> dict[str, float]:
        return {"whether": float(moved + 0.1 * rng.standard_normal()), "much": float(rng.uniform(-1, 1))}

    rows = [draw(n % 2) for n in range(120)]
    severities = [float(np.exp(row["much"])) * (n % 2) for n, row in enumerate(rows)]
    model = fit_focused(rows, severities, names=("whether", "much"))
    assert model.weights[::2] == (0.0,) * 60, "how much is learned from volumes with motion alone"
    others = [draw(1) for _ in range(40)]
    found = [severity_of_log(model.logarithm(row), OFFSET_MM) for row in others]
    assert stats.spearmanr(found, [row["much"] for row in others]).statistic > 0.95
    still = [severity_of_log(model.logarithm(draw(0)), OFFSET_MM) for _ in range(40)]
    assert max(still) < 0.1 < 0.3 < min(found)
    row = draw(0)
    none, amount = log_severity(0.0, OFFSET_MM), model.logarithm(row, focused=True)
    assert none < model.logarithm(row) < amount, "what autofocus has changed had moved"
    doubtful = replace(model, chance=(10.0, model.motion(row)))
    assert doubtful.logarithm(row) == pytest.approx((none + amount) / 2), "where it is as likely as not"


def test_the_probability_of_motion_is_that_of_the_volumes_it_was_fitted_to():
    rng = np.random.default_rng(2)
    told = rng.uniform(-0.2, 1.2, 4000)
    moved = rng.uniform(size=told.size) < 1 / (1 + np.exp(-9 * (told - 0.4)))
    steep, middle = fit_chance(told, moved)
    assert steep == pytest.approx(9, abs=0.8) and middle == pytest.approx(0.4, abs=0.02)
    parted = fit_chance(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert parted[0] == 50 and 0.2 < parted[1] < 0.8, "never a step"


def test_a_model_survives_json_and_a_broken_one_is_refused(examples):
    model = replace(fit_focused(*examples), quantile=0.4, coverage=0.9, threshold_mm=0.3)
    section = json.loads(json.dumps({SECTION: model.as_dict()}))
    assert FocusedSeverityModel.from_section(section) == model
    assert model.names == NAMES
    assert FocusedSeverityModel.from_section({}) is None, "a bundle need not hold one"
    earlier = json.loads(json.dumps(section))
    earlier[SECTION]["names"][0] = "focus_shift"
    whole = section[SECTION]
    short = [{SECTION: {**whole, n: whole[n][:-1]}} for n in ("weights", "motion_weights", "chance", "left")]
    before = {SECTION: {n: v for n, v in whole.items() if not n.startswith("motion")}}
    for broken in (*short, before, earlier, {SECTION: {}}, {SECTION: 3}):
        with pytest.raises(BundleError, match="Install it again"):
            FocusedSeverityModel.from_section(broken)


def test_the_estimate_of_the_image_alone_gets_another_severity_interval_and_threshold(examples):
    model = replace(fit_focused(*examples), quantile=0.4, coverage=0.8, threshold_mm=0.27)
    quick = a_severity_model().estimate(features_of(a_head()))
    better = model.improved(quick, examples[0][0])
    assert better.severity_mm == pytest.approx(severity_of_log(model.logarithm(examples[0][0]), OFFSET_MM))
    assert better.low_mm < better.severity_mm < better.high_mm
    assert (better.coverage, better.threshold_mm) == (0.8, 0.27)
    assert (better.strangeness, better.largest_mm) == (quick.strangeness, quick.largest_mm)


def test_the_task_uses_what_autofocus_sees_where_the_bundle_knows_what_it_means(examples, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    make_motion_bundles(tmp_path / "models")
    moved = moving_head(1.2, shape=SHAPE).moved
    voxels = IntensityScale.fit(moved.voxels).apply(moved.voxels)
    parameters = TASK.parameters_class(device="cpu", method="measure")
    look = first_look(voxels, moved.grid)
    assert estimate_severity(voxels, parameters, no_progress, grid=moved.grid, look=look) == estimate_severity(
        voxels, parameters, no_progress
    ), "the bundle does not know"
    bundle = load_bundle(tmp_path / "models" / "motion-severity")
    metadata = json.loads((bundle.folder / METADATA).read_text())
    line = {"left": (0.5, 0.2), "left_quantile": 0.7}
    model = replace(fit_focused(*examples), quantile=0.4, coverage=0.9, threshold_mm=0.3, **line)
    metadata["synthmri"][SECTION] = model.as_dict()
    (bundle.folder / METADATA).write_text(json.dumps(metadata))
    told = estimate_severity(voxels, parameters, no_progress, grid=moved.grid, look=look)
    assert told.severity_mm == pytest.approx(severity_of_log(model.logarithm(focused_of(moved)), OFFSET_MM), abs=1e-6)
    still = moving_head(1.2, shape=SHAPE).still
    voxels = IntensityScale.fit(still.voxels).apply(still.voxels)
    measured = TASK.run({"input": still}, None, parameters, no_progress).measurements
    assert (
        measured["severity_before"] == estimate_severity(voxels, parameters, no_progress, grid=still.grid).as_dict()
    ), "nothing is found"
    network = load_bundle(tmp_path / "models" / "motion-correction")
    both = TASK.run({"input": still}, network, replace(parameters, method="both"), no_progress).measurements
    assert both["decision"] == "unchanged" and both["severity_after"] == both["severity_before"]
    assert both["severity_before"] == measured["severity_before"]
    found = autofocus(IntensityScale.fit(moved.voxels).apply(moved.voxels), moved.grid)
    assert found.found
    look = first_look(found.voxels, moved.grid)
    left = estimate_severity(found.voxels, parameters, no_progress, grid=moved.grid, look=look, focused=True)
    seen = image_features(found.voxels) | focused_features(found.voxels, moved.grid.spacing, look)
    log = replace(model, left=(1.0, 0.0)).logarithm(seen, focused=True)
    assert log_severity(left.severity_mm, OFFSET_MM) == pytest.approx(0.5 * log + 0.2, abs=1e-6)
    assert log_severity(left.high_mm, OFFSET_MM) == pytest.approx(0.5 * log + 0.9, abs=1e-6)
    corrected = TASK.run({"input": moved}, None, replace(parameters, method="autofocus"), no_progress).measurements
    look = first_look(voxels_of(moved), moved.grid)
    first = estimate_severity(voxels_of(moved), parameters, no_progress, grid=moved.grid, look=look)
    before, after = before_and_left(first, left, found.undone_mm)
    assert corrected["severity_before"] == before.as_dict() and corrected["severity_after"] == after.as_dict()
    assert first.looked and first.network_sha256 == ""


def test_the_severity_before_is_told_by_the_volume_before_and_after():
    first = a_severity_model().estimate(features_of(a_head()))
    first = replace(first, severity_mm=0.8, looked=True)
    left = replace(first, severity_mm=0.3, low_mm=0.15, high_mm=0.6)
    before, after = before_and_left(first, left, 0.4)
    assert before.severity_mm == pytest.approx(np.sqrt(0.8 * 0.5))
    assert after.severity_mm / before.severity_mm == pytest.approx(0.3 / 0.5), "what is left is the same share"
    assert after.low_mm / after.severity_mm == pytest.approx(0.5) and after.high_mm / after.severity_mm == 2
    assert before_and_left(first, first, 0.0) == (first, first)
    blind = replace(first, looked=False)
    assert before_and_left(blind, left, 0.4) == (left.with_undone(0.4), left)


def test_what_a_network_would_change_is_asked_of_the_blocks_with_head_and_told_of_slight_motion():
    smoothing, result = Smoothing(), moving_head(1.2)
    taller = np.zeros((150, *result.moved.voxels.shape[1:]), np.float32)
    taller[:36] = voxels_of(result.moved)
    alone = change_features(smoothing, taller[:64])
    assert smoothing.told == {SLIGHT}
    assert change_features(smoothing, taller) == pytest.approx(alone), "blocks without head do not count"
    assert np.isfinite(list(change_features(smoothing, np.zeros((20, 30, 70), np.float32)).values())).all()
    doubled = change_features(smoothing, 2 * taller[:64])
    assert doubled["change_size"] - alone["change_size"] == pytest.approx(np.log(2), abs=0.05)
    assert doubled["change_low"] == pytest.approx(alone["change_low"], abs=0.05), "a displacement has no unit"


class Smoothing(nn.Module):
    """A network that smoothes, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d(3, 1, 1, count_include_pad=False)
        self.none, self.told = nn.Parameter(torch.zeros(1)), set()

    def forward(self, channels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.told |= set(channels[:, 1].unique().tolist())
        return self.pool(channels[:, :1]), torch.zeros_like(channels[:, :1])


def test_the_model_with_a_network_serves_where_its_very_weights_are_installed(examples, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    network = make_motion_bundles(tmp_path / "models")
    volume = moving_head(1.2, shape=SHAPE).moved
    parameters = TASK.parameters_class(device="cpu", precision="float32")
    asked = [features | {"change_low": n / 3, "change_size": -n / 2} for n, features in enumerate(examples[0])]
    plain = replace(fit_focused(*examples), threshold_mm=0.3)
    fitted = fit_focused(asked, examples[1], names=NAMES_WITH_NETWORK)
    bundle = load_bundle(tmp_path / "models" / "motion-severity")
    metadata = json.loads((bundle.folder / METADATA).read_text())
    told = {}
    for name, weights in (("installed", network.weights_sha256), ("others", 64 * "0")):
        model = replace(fitted, network_sha256=weights, threshold_mm=0.2)
        metadata["synthmri"] |= {SECTION: plain.as_dict(), SECTION_WITH_NETWORK: model.as_dict()}
        (bundle.folder / METADATA).write_text(json.dumps(metadata))
        told[name] = estimate_severity(voxels_of(volume), parameters, no_progress, grid=volume.grid)
    assert (told["installed"].network_sha256, told["others"].network_sha256) == (network.weights_sha256, "")
    assert (told["installed"].threshold_mm, told["others"].threshold_mm) == (0.2, 0.3)
    features = focused_of(volume) | asked_features(network, voxels_of(volume), parameters)
    severity_mm = severity_of_log(fitted.logarithm(features), OFFSET_MM)
    assert told["installed"].severity_mm == pytest.approx(severity_mm, abs=1e-6)
    metadata["synthmri"][SECTION_WITH_NETWORK] = fitted.as_dict()
    with pytest.raises(BundleError, match="Install it again"):
        FocusedSeverityModel.from_section(metadata["synthmri"], SECTION_WITH_NETWORK)


def test_the_shipped_estimate_was_fitted_with_the_shipped_network():
    """Others would silently get the estimate without one."""
    models = Path(__file__).resolve().parents[2] / "Resources" / "Models"
    section = load_bundle(models / "motion-severity").section
    model = FocusedSeverityModel.from_section(section, SECTION_WITH_NETWORK)
    assert model.network_sha256 == load_bundle(models / "motion-correction").weights_sha256
    assert model.names == NAMES_WITH_NETWORK
