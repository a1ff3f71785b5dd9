"""Motion correction: measured first, done only where it helps and was learned, and never silently."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from motion_support import a_head, a_severity_model, add_diffusion_bundle, features_of, make_motion_bundles, moving_head
from scipy import ndimage, stats
from SynthMRILib.bundles import METADATA, load_bundle
from SynthMRILib.cli import main
from SynthMRILib.errors import BundleError, InputError
from SynthMRILib.motion.block_severity import block_features
from SynthMRILib.motion.condition import UNKNOWN, condition_of, expected_change, log_severity, severity_of_log
from SynthMRILib.motion.decision import decide
from SynthMRILib.motion.severity import SeverityModel, conformal_quantile
from SynthMRILib.motion.strength import Strength
from SynthMRILib.simulation.motion import effective_displacement
from SynthMRILib.tasks import get_task
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume, write_volume

TASK = get_task("motion-correction")


@pytest.fixture
def a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bundle of motion correction; that of the severity is installed beside it."""
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    return make_motion_bundles(tmp_path / "models")


def run(volume: Volume, bundle, **values):
    parameters = TASK.parameters_class.from_dict({"device": "cpu", "method": "network", **values})
    return TASK.run({"input": volume}, bundle, parameters, lambda *_: None)


@pytest.mark.parametrize("severity", [0.0, 0.05, 0.7, 4.0])
def test_the_logarithm_of_a_severity_gives_it_back(severity):
    assert severity_of_log(log_severity(severity)) == pytest.approx(severity, abs=1e-9)
    assert severity_of_log(log_severity(severity, 0.2), 0.2) == pytest.approx(severity, abs=1e-9)


@pytest.mark.parametrize(("change", "channel"), [(None, UNKNOWN), (0.0, 0.0), (0.08, 0.5), (0.16, 1.0), (50.0, 4.0)])
def test_the_network_is_told_the_change_on_a_bounded_scale(change, channel):
    assert condition_of(change) == channel


@pytest.mark.parametrize("mm", [1.0, 2.0])
def test_the_change_that_is_expected_is_the_one_from_which_the_severity_comes(mm):
    still = ndimage.gaussian_filter(np.random.default_rng(3).random((32, 32, 32)), 2.0)
    still /= still.max()
    expected = []
    for voxels in (still, 0.5 + 0.5 * still):
        shifted = ndimage.shift(voxels, (0.5, 0, 0), order=3, mode="nearest")
        severity = effective_displacement(shifted, voxels, (mm, mm, mm))
        expected.append(expected_change(voxels, severity, (mm, mm, mm)))
        assert expected[-1] == pytest.approx(np.sqrt(np.mean((shifted - voxels) ** 2)), rel=1e-6)
    assert expected[0] == pytest.approx(2 * expected[1], rel=1e-6)


def test_a_bundle_whose_network_was_told_motion_in_another_way_is_refused(a_bundle):
    metadata = json.loads((a_bundle.folder / METADATA).read_text())
    del metadata["synthmri"]["told"]
    (a_bundle.folder / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="earlier version"):
        run(a_head(), load_bundle(a_bundle.folder))


def test_the_conformal_quantile_leaves_out_as_many_as_it_may():
    errors = np.arange(1.0, 20.0) * np.array([1, -1] * 9 + [1])
    assert conformal_quantile(errors, 0.9) == 18.0
    assert conformal_quantile(errors[:4], 0.9) == 4.0


def test_severity_rises_with_motion_it_was_not_fitted_to():
    results = [moving_head(size, start=0.25) for size in (0.3, 0.8, 1.5, 3.0)]
    estimates = [a_severity_model().estimate(features_of(r.moved)).severity_mm for r in results]
    assert stats.spearmanr(estimates, [r.effective_mm for r in results]).statistic > 0.9
    still = a_severity_model().estimate(features_of(results[0].still))
    assert still.severity_mm < a_severity_model().threshold_mm < estimates[1]
    assert still.low_mm <= still.severity_mm <= still.high_mm


def test_a_severity_model_survives_json_and_a_missing_one_is_refused():
    section = {"severity": json.loads(json.dumps(a_severity_model().as_dict()))}
    assert SeverityModel.from_section(section) == a_severity_model()
    with pytest.raises(BundleError, match="no severity model"):
        SeverityModel.from_section({})


@pytest.mark.parametrize(
    ("severity_mm", "strangeness", "spacing", "kind", "said"),
    [
        (1.0, 0.5, 1.0, "corrected", ""),
        (0.1, 0.5, 1.0, "unchanged", "0.3 mm from which correction helps"),
        (9.0, 0.5, 1.0, "flagged", "6 mm that were learned from"),
        (1.0, 1.5, 1.0, "flagged", "contrast is unlike"),
        (1.0, 0.5, 8.0, "flagged", "voxels of 8 x 8 x 8 mm"),
    ],
)
def test_a_volume_is_corrected_left_alone_or_flagged(severity_mm, strangeness, spacing, kind, said):
    estimate = replace(
        a_severity_model().estimate(features_of(a_head())), severity_mm=severity_mm, strangeness=strangeness
    )
    decision = decide(estimate, (spacing,) * 3, None, force=False)
    assert decision.kind == kind
    assert said in decision.reason
    assert decide(estimate, (spacing,) * 3, None, force=True).correct


def test_little_motion_comes_back_bit_for_bit(a_bundle):
    volume = a_head()
    result = run(volume, a_bundle)
    assert result.measurements["decision"] == "unchanged"
    assert result.outputs["output"].voxels.tobytes() == volume.voxels.tobytes()
    assert "left unchanged" in result.measurements["message"]
    assert result.provenance["motion"]["decision"] == "unchanged"


def test_motion_is_corrected_and_its_severity_told_before_and_after(a_bundle):
    moved = moving_head(2.0).moved
    result = run(moved, a_bundle)
    assert result.measurements["decision"] == "corrected"
    assert result.outputs["output"].grid.matches(moved.grid)
    assert not np.array_equal(result.outputs["output"].voxels, moved.voxels)
    before, after = (result.measurements[f"severity_{when}"] for when in ("before", "after"))
    assert before["severity_mm"] > 0.3
    assert before == after, "a smoother volume only looks as if it had less motion"
    assert "What the network took away is not counted" in result.measurements["message"]
    known = run(moved, with_strength(a_bundle, left_share=0.9)).measurements
    for name in ("severity_mm", "low_mm", "high_mm"):
        assert known["severity_after"][name] == pytest.approx(0.9 * before[name], abs=1e-3)
    assert "counted as 10 %, its mean on other volumes" in known["message"]
    assert [f["code"] for f in result.measurements["findings"]] == ["motion-corrected"]


def test_a_strange_contrast_is_flagged_and_left_alone_unless_forced(a_bundle):
    moved = moving_head(2.0).moved
    strange = moved.with_voxels(np.where(moved.voxels > 100, 900 + 0.1 * moved.voxels, 0))
    result = run(strange, a_bundle)
    assert result.measurements["decision"] == "flagged"
    assert result.measurements["findings"][0]["severity"] == "warning"
    assert np.array_equal(result.outputs["output"].voxels, strange.voxels)
    forced = run(strange, a_bundle, force=True)
    assert forced.measurements["decision"] == "corrected"
    assert "Caution" in forced.measurements["message"]


@pytest.mark.usefixtures("a_bundle")
def test_measuring_changes_nothing_and_needs_no_correction_bundle():
    moved = moving_head(2.0).moved
    result = run(moved, None, method="measure")
    assert result.measurements["decision"] == "measured"
    assert result.provenance["bundle"] is None
    assert np.array_equal(result.outputs["output"].voxels, moved.voxels)


def test_an_unknown_method_and_a_missing_severity_bundle_are_told(a_bundle, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="Choose one of: autofocus, network, both, diffusion, measure"):
        run(a_head(), a_bundle, method="magic")
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    with pytest.raises(BundleError, match="motion cannot be measured"):
        run(a_head(), a_bundle)


@pytest.mark.usefixtures("a_bundle")
def test_the_command_writes_the_volume_and_says_what_it_found(tmp_path, capsys):
    write_volume(moving_head(2.0).moved, tmp_path / "in.nii.gz")
    words = [str(tmp_path / "in.nii.gz"), str(tmp_path / "out.nii.gz"), "--method", "network", "--device", "cpu"]
    assert main(["motion-correction", *words]) == 0
    assert "mm after correction" in capsys.readouterr().out
    assert read_volume(tmp_path / "out.nii.gz").shape == moving_head(2.0).moved.shape


def test_strength_rises_with_the_severity_from_nothing():
    strength = Strength.from_section({"strength": {"none_mm": 0.5, "full_mm": 1.5, "largest": 0.8}})
    assert [strength.at(s) for s in (0.0, 0.5, 1.0, 1.5, 9.0)] == pytest.approx([0.0, 0.0, 0.4, 0.8, 0.8])
    assert Strength.from_section({}).at(0.0) == 1.0
    with pytest.raises(BundleError, match="not readable"):
        Strength.from_section({"strength": {"none_mm": "much"}})


def with_strength(bundle, **values):
    """The same bundle, which corrects only so far."""
    section = {**bundle.section, "strength": values}
    return replace(bundle, metadata={**bundle.metadata, "synthmri": section})


def test_a_weaker_correction_changes_proportionally_less_and_below_its_limit_nothing(a_bundle):
    moved = moving_head(2.0).moved
    whole, half = (
        run(moved, with_strength(a_bundle, none_mm=0.0, full_mm=0.1, largest=largest)) for largest in (1.0, 0.5)
    )
    changes = [r.outputs["output"].voxels - moved.voxels for r in (whole, half)]
    inside = (whole.outputs["output"].voxels > 0) & (half.outputs["output"].voxels > 0)
    assert changes[1][inside] == pytest.approx(0.5 * changes[0][inside], abs=1e-2)
    assert half.measurements["strength"] == 0.5
    left = run(moved, with_strength(a_bundle, none_mm=5.0, full_mm=6.0, largest=1.0))
    assert left.measurements["decision"] == "unchanged"
    assert left.outputs["output"].voxels.tobytes() == moved.voxels.tobytes()


def test_what_a_correcting_network_would_change_tells_how_much_motion_there_is():
    voxels = (moving_head(2.0).moved.voxels / 900).astype(np.float32)
    little, much = (block_features(Dimming(share), voxels) for share in (0.05, 0.2))
    assert much["network_change"] - little["network_change"] == pytest.approx(np.log(4), abs=0.01)
    assert much["network_median"] - little["network_median"] == pytest.approx(np.log(4), abs=0.01)
    assert much["network_log_variance"] == -6.0
    air = block_features(Dimming(0.1), np.zeros((20, 20, 20), dtype=np.float32))
    assert np.isfinite(list(air.values())).all()


class Dimming(torch.nn.Module):
    """Takes a share of the brightness away, sure of it everywhere."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = torch.nn.Parameter(torch.tensor(share))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = x[:, :1] * (1 - self.share)
        return mean, torch.full_like(mean, -6.0)


def test_the_diffusion_model_samples_from_the_corrected_volume_and_says_it_is_experimental(a_bundle, tmp_path):
    moved = moving_head(2.0).moved
    with pytest.raises(InputError, match="No diffusion model"):
        run(moved, a_bundle, method="diffusion")
    add_diffusion_bundle(tmp_path / "models")
    found = TASK.check({"input": moved}, a_bundle, TASK.parameters_class(method="diffusion"))
    assert [f.code for f in found] == ["method-experimental"]
    near, far = (
        run(moved, a_bundle, method="diffusion", steps=2, draws=2, start=start, force=True) for start in (0.02, 0.4)
    )
    facts = near.measurements["diffusion"]
    assert facts["bundle"] == "motion-diffusion"
    assert 0 < facts["stripe_index"]["output"] < 1
    network = run(moved, a_bundle, force=True).outputs["output"].voxels
    distances = [np.abs(r.outputs["output"].voxels - network).mean() for r in (near, far)]
    assert 0 < distances[0] < distances[1]
    spreads = [r.outputs["spread"].voxels for r in (near, far)]
    assert 0 < spreads[0].mean() < spreads[1].mean()
    with pytest.raises(InputError, match=r"at most 0\.5 of the noise"):
        run(moved, a_bundle, method="diffusion", start=0.6, force=True)


def test_the_diffusion_model_needs_no_correction_network_when_it_starts_from_the_input(a_bundle, tmp_path):
    add_diffusion_bundle(tmp_path / "models")
    moved = moving_head(2.0).moved
    result = run(moved, a_bundle, method="diffusion", steps=1, start=0.05, from_network=False, force=True)
    assert result.provenance["bundle"] is None
    assert "spread" not in result.outputs
    assert not np.array_equal(result.outputs["output"].voxels, moved.voxels)


@pytest.mark.parametrize(("values", "said"), [({"steps": 0}, "1 to 1000 steps"), ({"start": 0.0}, "above 0")])
def test_a_sampling_that_makes_no_sense_is_refused(a_bundle, values, said):
    with pytest.raises(InputError, match=said):
        run(a_head(), a_bundle, method="diffusion", **values)
