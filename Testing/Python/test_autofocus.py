"""Autofocus: shifts between lines of k-space are found in the volume, undone, and told; a still head is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from motion_support import a_head, make_motion_bundles, moving_head, two_poses
from scipy import fft, ndimage
from SynthMRILib.cli import main
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.motion.autofocus import SLAB, autofocus, slab
from SynthMRILib.motion.decision import Decision
from SynthMRILib.motion.displaced_lines import CENTER, DisplacedLines, sharpened
from SynthMRILib.motion.severity import SeverityEstimate
from SynthMRILib.simulation import motion
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import NetworkInput
from SynthMRILib.tasks.motion_correction import NOTHING_FOUND, decided
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


def run(volume, bundle=None, **values):
    return TASK.run({"input": volume}, bundle, TASK.parameters_class(device="cpu", **values), lambda *_: None)


def shifted_lines(voxels, shift):
    """The volume whose lines along axis 0 beyond a third of the largest frequency are moved by `shift` [voxels]."""
    nu = np.meshgrid(*(fft.fftfreq(n) for n in voxels.shape), indexing="ij")
    ramp = np.exp(-2j * np.pi * sum(n * s for n, s in zip(nu, shift)))
    return fft.ifftn(fft.fftn(voxels) * np.where(np.abs(nu[0]) > 1 / 6, ramp, 1)).real.astype(np.float32)


def test_a_step_of_the_head_is_found_and_undone_and_its_size_told():
    result = moving_head(2.5, shape=SHAPE)
    focused = autofocus(result.moved.voxels, result.moved.grid)
    assert focused.axis == 1, "lines of phase encoding follow A"
    assert focused.entropy_after < focused.entropy_before
    assert focused.voxels.dtype == np.float32 and focused.voxels.min() >= 0
    still = result.still.voxels
    assert psnr(still, focused.voxels) > psnr(still, result.moved.voxels) + 2.0
    outer = focused.shifts_mm[len(focused.shifts_mm) // 2 :]
    assert np.abs(outer.mean(axis=0) + STEP_MM[::-1]).max() < 0.5
    assert focused.as_dict()["shift_largest_mm"] == pytest.approx(np.hypot(*STEP_MM[1:]), abs=0.7)


def test_a_still_head_is_returned_as_it_is():
    still = moving_head(2.5, shape=SHAPE).still
    focused = autofocus(still.voxels, still.grid)
    assert focused.axis is None and not focused.found
    assert focused.voxels is still.voxels
    assert focused.as_dict()["shift_rms_mm"] == 0


@pytest.mark.parametrize("axis", [0, 2])
def test_the_axis_along_which_lines_were_moved_is_found(axis):
    still = moving_head(2.5, shape=SHAPE).still
    moved = np.moveaxis(shifted_lines(np.moveaxis(still.voxels, axis, 0), (0.7, -0.9, 0.4)), 0, axis)
    focused = autofocus(np.maximum(moved, 0), still.grid)
    assert focused.axis == axis
    assert psnr(still.voxels, focused.voxels) > psnr(still.voxels, moved) + 3.0


def test_the_surroundings_of_a_stripped_volume_stay_exactly_zero():
    moved = moving_head(2.5, shape=SHAPE).moved
    inside = ndimage.binary_dilation(moved.voxels > 100, iterations=2)
    focused = autofocus(np.where(inside, moved.voxels, 0), moved.grid)
    assert focused.found
    assert (focused.voxels[~inside] == 0).all() and focused.voxels[inside].any()


def test_shifts_are_undone_exactly_where_they_are_known():
    voxels = a_head((45, 49, 47)).voxels  # odd: a shift is not defined at the Nyquist frequency
    lines = DisplacedLines(shifted_lines(voxels, (0.7, -0.9, 0.4)))
    beyond = np.arange(len(lines.shifts)) / lines.lines > 1 / 6
    lines.shifts[beyond] = (-0.7, 0.9, -0.4)
    assert np.abs(lines.corrected() - voxels).max() < 1e-3 * voxels.max()
    center = lines.corrected(~beyond)
    assert (
        np.abs(fft.fftn(center)[lines.distance > len(lines.shifts) / 2]).max() < 1e-3 * np.abs(fft.fftn(center)).max()
    )


def test_blocks_hold_every_line_beyond_the_center_once():
    lines = DisplacedLines(a_head(SHAPE).voxels)
    held = np.concatenate(lines.blocks())
    number = np.arange(len(lines.shifts))
    assert held.tolist() == number[(number / lines.lines > CENTER) & (number > 1)].tolist()


def test_sharpening_makes_a_ramp_a_step_and_leaves_flat_regions():
    ramp = np.clip(np.arange(24.0) - 8.5, 0, 7)[:, None, None] * np.ones((1, 5, 5))
    made = sharpened(ramp, 0.07)
    assert set(np.unique(made[:, 2, 2])) <= {0.0, 0.5, 6.5, 7.0} and (np.diff(made[:, 2, 2]) > 1).sum() == 1
    assert np.array_equal(sharpened(np.full((9, 9, 9), 3.0), 0.2), np.full((9, 9, 9), 3.0))


def test_shifts_are_looked_for_in_the_middle_of_the_head_and_short_axes_are_left_out():
    mask = np.zeros((40, 200, 90), dtype=bool)
    mask[:, 150:, :] = True
    assert slab(mask, 2) == (slice(None), slice(200 - SLAB, 200), slice(None))
    assert slab(mask[:, 150:], 1) == (slice(None), slice(None), slice(0, 96))
    thin = moving_head(2.5, shape=SHAPE).moved.voxels[:, :20]
    assert autofocus(thin, Grid.from_spacing(thin.shape, (1, 1, 1)), axes=(1,)).axis is None
    assert autofocus(np.zeros(SHAPE, np.float32), Grid.from_spacing(SHAPE, (1, 1, 1))).axis is None


@pytest.mark.usefixtures("bundles")
def test_the_task_brings_into_focus_without_a_bundle_of_its_own_and_tells_the_shifts():
    result = moving_head(2.5, shape=SHAPE)
    found = run(result.moved)
    assert found.measurements["decision"] == "corrected"
    assert found.provenance["bundle"] is None
    assert found.provenance["autofocus"]["axis_kji"] == 1
    assert (
        "Autofocus undid shifts of" in found.measurements["message"] and "along axis j" in found.measurements["message"]
    )
    assert (
        psnr(result.still.voxels, found.outputs["output"].voxels) > psnr(result.still.voxels, result.moved.voxels) + 2
    )
    left = run(result.still)
    assert left.measurements["decision"] == "unchanged"
    assert "found no shifts" in left.measurements["message"]
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
    assert "Autofocus undid shifts" in capsys.readouterr().out
    assert not np.array_equal(read_volume(tmp_path / "out.nii.gz").voxels, moved.voxels)
