"""Autofocus: poses of the head are found in the volume, undone, and told; a still head is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from motion_support import a_head, make_motion_bundles, moving_head, shifted_groups, two_poses
from scipy import ndimage
from SynthMRILib.cli import main
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.motion.autofocus import SLAB, autofocus, slab
from SynthMRILib.motion.decision import Decision
from SynthMRILib.motion.severity import SeverityEstimate
from SynthMRILib.motion.view_groups import Lines, Spokes
from SynthMRILib.simulation import motion
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import NetworkInput
from SynthMRILib.tasks.motion_correction import NOTHING_FOUND, decided, in_words
from SynthMRILib.volume import Grid
from SynthMRILib.volume_io import read_volume, write_volume

TASK = get_task("motion-correction")
SHAPE = (44, 48, 46)
STEP_MM = (0.0, 1.5, 2.0)
"""Of `moving_head(2.5)`: R, A, S; its grid has the axes k, j, i = S, A, R."""


@pytest.fixture
def bundles(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    return make_motion_bundles(tmp_path / "models")


def textured(head):
    """With patches of lower signal."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(head.shape), 1.2) > 0
    return head.with_voxels(head.voxels * np.where(blobs, 1.0, 0.7).astype(np.float32))


def run(volume, bundle=None, **values):
    return TASK.run({"input": volume}, bundle, TASK.parameters_class(device="cpu", **values), lambda *_: None)


def test_a_step_of_the_head_is_found_and_undone_and_its_size_told():
    result = moving_head(2.5, shape=SHAPE)
    focused = autofocus(result.moved.voxels, result.moved.grid)
    assert (focused.kind, focused.axis) == ("lines", 1), "lines of phase encoding follow A"
    assert focused.entropy_after < focused.entropy_before
    assert focused.voxels.dtype == np.float32 and focused.voxels.min() >= 0
    still = result.still.voxels
    assert psnr(still, focused.voxels) > psnr(still, result.moved.voxels) + 2.0
    outer = focused.shifts_mm[len(focused.shifts_mm) // 2 :]
    assert np.abs(outer.mean(axis=0) + STEP_MM[::-1]).max() < 0.5
    assert focused.as_dict()["shift_largest_mm"] == pytest.approx(np.hypot(*STEP_MM[1:]), abs=0.7)
    assert focused.undone_mm == pytest.approx(result.effective_mm, rel=0.3)


def test_a_still_head_is_returned_as_it_is():
    still = moving_head(2.5, shape=SHAPE).still
    focused = autofocus(still.voxels, still.grid)
    assert focused.axis is None and not focused.found
    assert focused.voxels is still.voxels
    assert focused.as_dict()["shift_rms_mm"] == focused.as_dict()["turn_largest_deg"] == focused.undone_mm == 0


@pytest.mark.parametrize("axis", [0, 2])
def test_the_axis_along_which_lines_were_moved_is_found(axis):
    still = moving_head(2.5, shape=SHAPE).still
    moved = np.moveaxis(shifted_groups(np.moveaxis(still.voxels, axis, 0), Lines, (0.7, -0.9, 0.4)), 0, axis)
    focused = autofocus(np.maximum(moved, 0), still.grid)
    assert (focused.kind, focused.axis) == ("lines", axis)
    assert psnr(still.voxels, focused.voxels) > psnr(still.voxels, moved) + 3.0


def test_spokes_that_were_acquired_in_other_poses_are_found():
    still = textured(a_head((60, 66, 62)))
    moved = shifted_groups(still.voxels, Spokes, (1.2, -1.3, 0.4))
    focused = autofocus(np.maximum(moved, 0), still.grid)
    assert (focused.kind, focused.axis) == ("spokes", 2)
    assert psnr(still.voxels, focused.voxels) > psnr(still.voxels, moved) + 1.0
    assert np.abs(focused.shifts_mm.mean(axis=0)).max() < 1e-6, "all spokes go through the center, which stays"
    assert np.abs(focused.shifts_mm).max() > 0.5


def test_turns_of_the_head_are_found_and_undone():
    result = motion.apply(two_poses((0, 0.5, 0.8, 1.5, 0, 2.5)), textured(a_head((66, 72, 68))))
    focused = autofocus(result.moved.voxels, result.moved.grid)
    assert (focused.kind, focused.axis) == ("lines", 1)
    assert focused.turns_deg.max() == pytest.approx(np.hypot(1.5, 2.5), rel=0.5)
    before = psnr(result.still.voxels, result.moved.voxels)
    assert psnr(result.still.voxels, focused.voxels) > before + 2.0
    assert "and turns of up to" in in_words(focused.as_dict(), Decision("corrected"), result.moved.grid)


def test_the_surroundings_of_a_stripped_volume_stay_exactly_zero():
    moved = moving_head(2.5, shape=SHAPE).moved
    inside = ndimage.binary_dilation(moved.voxels > 100, iterations=2)
    focused = autofocus(np.where(inside, moved.voxels, 0), moved.grid)
    assert focused.found
    assert (focused.voxels[~inside] == 0).all() and focused.voxels[inside].any()


def test_shifts_are_looked_for_in_the_middle_of_the_head_and_short_axes_are_left_out():
    mask = np.zeros((40, 200, 90), dtype=bool)
    mask[:, 150:, :] = True
    everything = slice(None)
    assert slab(mask, 2, "lines") == (everything, slice(200 - SLAB, 200), everything)
    assert slab(mask[:, 150:], 1, "lines") == (everything, everything, slice(0, 96))
    assert slab(mask, 1, "spokes") == (everything, slice(200 - SLAB, 200), everything)
    thin = moving_head(2.5, shape=SHAPE).moved.voxels[:, :20, :20]
    assert not autofocus(thin, Grid.from_spacing(thin.shape, (1, 1, 1)), axes=(1,)).found
    assert autofocus(np.zeros(SHAPE, np.float32), Grid.from_spacing(SHAPE, (1, 1, 1))).axis is None


@pytest.mark.usefixtures("bundles")
def test_what_autofocus_finds_counts_as_motion_whether_or_not_it_is_undone():
    result = moving_head(2.5, shape=SHAPE)
    corrected, measured = run(result.moved), run(result.moved, method="measure")
    before, after = (corrected.measurements[f"severity_{when}"] for when in ("before", "after"))
    undone = corrected.measurements["autofocus"]["undone_mm"]
    assert undone > 0.1
    for name in ("severity_mm", "low_mm", "high_mm"):
        assert before[name] == pytest.approx(np.hypot(after[name], undone), abs=1e-3)
    assert measured.measurements["severity_before"] == before
    assert np.array_equal(measured.outputs["output"].voxels, result.moved.voxels)
    assert "Autofocus found head shifts" in measured.measurements["message"]


@pytest.mark.usefixtures("bundles")
def test_the_task_brings_into_focus_without_a_bundle_of_its_own_and_tells_the_shifts():
    result = moving_head(2.5, shape=SHAPE)
    found = run(result.moved)
    assert found.measurements["decision"] == "corrected"
    assert found.provenance["bundle"] is None
    assert found.provenance["autofocus"]["axis_kji"] == 1
    assert (
        "Autofocus undid head shifts of" in found.measurements["message"]
        and "between lines of k-space (phase encoding from back to front)" in found.measurements["message"]
    )
    assert (
        psnr(result.still.voxels, found.outputs["output"].voxels) > psnr(result.still.voxels, result.moved.voxels) + 2
    )
    left = run(result.still)
    assert left.measurements["decision"] == "unchanged"
    assert "found no shifts or turns" in left.measurements["message"]
    assert left.outputs["output"].voxels.tobytes() == result.still.voxels.tobytes()


def test_the_network_is_given_what_autofocus_made(bundles):
    moved = moving_head(2.5, shape=SHAPE).moved
    alone = run(moved)
    both = run(moved, bundles, method="both", force=True)
    assert both.provenance["autofocus"] == alone.provenance["autofocus"]
    assert both.provenance["bundle"] is not None
    changed = np.abs(both.outputs["output"].voxels - alone.outputs["output"].voxels).mean()
    assert 0 < changed < np.abs(both.outputs["output"].voxels - moved.voxels).mean()


@pytest.mark.usefixtures("bundles")
def test_a_strange_contrast_is_told_whatever_autofocus_does():
    result = moving_head(2.0)
    strange = result.still.with_voxels(np.where(result.still.voxels > 100, 900 + 0.1 * result.still.voxels, 0))
    found = run(strange)
    assert found.measurements["decision"] == "flagged"
    assert "unlike the volumes that were learned from" in found.measurements["message"]
    assert np.array_equal(found.outputs["output"].voxels, strange.voxels)


def test_what_is_said_of_autofocus_follows_what_it_found_and_how_familiar_the_volume_is():
    familiar = SeverityEstimate(0.8, 0.4, 1.2, 0.9, 0.3, 6.0, 0.5, "level_50")
    strange = replace(familiar, strangeness=2.0)
    prepared = NetworkInput(np.zeros((2, 2, 2)), a_head(SHAPE), 1.0)
    parameters = TASK.parameters_class()
    said = {
        (focused, name): decided(severity, prepared, None, parameters, focused=focused)
        for focused in (True, False)
        for name, severity in (("familiar", familiar), ("strange", strange))
    }
    assert said[True, "familiar"] == Decision("corrected")
    assert said[False, "familiar"] == Decision("unchanged", NOTHING_FOUND)
    assert said[True, "strange"].kind == "corrected"
    assert said[True, "strange"].reason.startswith("these estimates may be wrong, because its contrast is unlike")
    assert said[False, "strange"].kind == "flagged"


def test_what_autofocus_changed_goes_to_the_network_below_the_threshold_too(bundles):
    slight = SeverityEstimate(0.2, 0.1, 0.4, 0.9, 0.3, 6.0, 0.5, "level_50")
    prepared = NetworkInput(np.zeros((2, 2, 2)), a_head(SHAPE), 1.0)
    parameters = TASK.parameters_class(method="both")
    kinds = [decided(slight, prepared, bundles, parameters, focused=focused).kind for focused in (True, False)]
    assert kinds == ["corrected", "unchanged"]


def test_autofocus_counts_where_the_network_would_leave_the_volume_alone(bundles):
    moved = moving_head(2.5, shape=SHAPE).moved
    weak = {**bundles.section, "strength": {"none_mm": 90.0, "full_mm": 99.0, "largest": 1.0}}
    found = run(moved, replace(bundles, metadata={**bundles.metadata, "synthmri": weak}), method="both")
    assert found.measurements["decision"] == "corrected"
    assert "the network was not applied: less than the 90 mm" in found.measurements["message"]
    assert np.array_equal(found.outputs["output"].voxels, run(moved).outputs["output"].voxels)


@pytest.mark.usefixtures("bundles")
def test_the_command_uses_autofocus_unless_told_otherwise(tmp_path, capsys):
    moved = motion.apply(two_poses((0, 1.5, 2.0, 0, 0, 0)), a_head(SHAPE)).moved
    write_volume(moved, tmp_path / "in.nii.gz")
    done = main(["motion-correction", str(tmp_path / "in.nii.gz"), str(tmp_path / "out.nii.gz"), "--device", "cpu"])
    assert done == 0
    assert "Autofocus undid head shifts" in capsys.readouterr().out
    assert not np.array_equal(read_volume(tmp_path / "out.nii.gz").voxels, moved.voxels)
