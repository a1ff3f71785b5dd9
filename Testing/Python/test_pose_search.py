"""The search for poses: groups of samples, parts of a head, and what a pose does to them."""

from __future__ import annotations

import numpy as np
import pytest
from motion_support import a_head, moving_head, shifted_groups, shifted_share, two_poses
from scipy import fft, ndimage
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.motion.head_parts import ARM_MM, displacement_matrix, windows
from SynthMRILib.motion.pose_search import RIGID, SHIFTS, PoseSearch, sharpened
from SynthMRILib.motion.view_groups import CENTER, Lines, Spokes
from SynthMRILib.simulation import motion
from SynthMRILib.simulation.rigid import rotation_matrix

SHAPE = (44, 48, 46)
ODD = (45, 49, 47)
"""A shift is not defined at the Nyquist frequency, which only even lengths have."""


@pytest.mark.parametrize("kind", [Lines, Spokes])
def test_shifts_are_undone_exactly_where_they_are_known(kind):
    voxels = a_head(ODD).voxels
    search = PoseSearch(shifted_groups(voxels, kind, (0.7, -0.9, 0.4)), (2.0, 2.0, 2.0), kind(ODD))
    third = search.groups.number // 3
    moved = slice(third) if kind is Spokes else slice(third, search.groups.number)
    search.poses[:, :SHIFTS] = shifted_share(search.groups)[:, None] * (-1.4, 1.8, -0.8)
    assert np.abs(search.corrected() - voxels).max() < 1e-3 * voxels.max()
    search.poses[:] = 0
    weight = np.ones(len(search.poses))
    weight[moved] = 0
    spectrum = np.abs(fft.fftn(search.corrected(weight)))
    taken_away = np.isin(search.groups.of(ODD), np.arange(search.groups.number)[moved])
    assert spectrum[taken_away].max() < 1e-3 * spectrum.max() < spectrum[~taken_away].max()


def test_blocks_hold_every_line_beyond_the_center_once():
    lines = Lines(SHAPE)
    number = np.arange(lines.number)
    held = np.concatenate(lines.blocks())
    assert held.tolist() == number[(number / lines.lines > CENTER) & (number > 1)].tolist()


def test_spokes_hold_samples_of_opposite_sign_together_and_leave_the_center_alone():
    spokes = Spokes(ODD)
    group = spokes.of(ODD)
    assert np.array_equal(np.roll(np.flip(group), 1, axis=(0, 1)), group)
    assert group[0, 0] == spokes.number and group[3, 3] == pytest.approx(spokes.number / 4, abs=2)
    assert np.concatenate(spokes.blocks()).tolist() == list(range(spokes.number))
    assert set(np.unique(group)) == set(range(spokes.number + 1))


@pytest.mark.parametrize(("length", "number"), [(40, 1), (40, 2), (41, 3), (97, 4)])
def test_windows_of_parts_add_up_to_one(length, number):
    weights = windows(length, number)
    assert weights.shape == (number, length)
    assert np.allclose(weights.sum(axis=0), 1) and weights.min() >= 0
    assert (np.diff(weights.argmax(axis=1)) > 0).all()


def test_a_pose_displaces_a_part_as_the_rotation_does():
    spacing, offset, turn = np.array([2.0, 1.0, 1.5]), np.array([10.0, -20.0, 8.0]), np.array([0.3, -0.2, 0.4])
    pose = np.concatenate([[0.5, -0.3, 0.1], np.deg2rad(turn) * ARM_MM])
    point = offset * spacing
    expected = (rotation_matrix(turn) @ point - point + pose[:SHIFTS]) / spacing
    assert np.allclose(displacement_matrix(offset, spacing) @ pose, expected, atol=2e-3)


def test_parts_without_turns_make_the_volume_again():
    voxels = a_head(SHAPE).voxels
    search = PoseSearch(voxels, (2.0, 2.0, 2.0), Lines(SHAPE), parts=(2, 3, 1))
    assert len(search.parts) == 6
    assert np.allclose(search.corrected(), voxels, atol=1e-3 * voxels.max())


def test_turns_are_only_found_with_several_parts():
    result = motion.apply(two_poses((0, 0, 0, 1.0, 1.0, 1.0)), a_head((60, 66, 62)))
    still, moved = (np.ascontiguousarray(np.moveaxis(v.voxels, 1, 0)) for v in (result.still, result.moved))
    shifts = PoseSearch(moved, (2.0, 2.0, 2.0), Lines(moved.shape))
    shifts.outward(20.0)
    shifts.refine(20.0)
    gains = []
    for parts in ((1, 1, 1), (2, 2, 2)):
        search = PoseSearch(moved, (2.0, 2.0, 2.0), Lines(moved.shape), parts=parts, poses=shifts.poses)
        search.refine(10.0, numbers=RIGID)
        gains.append(psnr(still, search.corrected()) - psnr(still, moved))
    assert gains[1] > gains[0] + 0.3
    assert np.abs(search.turns_deg[len(search.poses) // 2 :]).max() == pytest.approx(1.0, abs=0.7)


def test_spokes_do_not_lie_one_outside_the_other():
    with pytest.raises(TypeError, match="only lines"):
        PoseSearch(a_head(SHAPE).voxels, (2.0, 2.0, 2.0), Spokes(SHAPE)).outward(10.0)


def test_nothing_is_found_in_a_volume_without_anything_in_it():
    search = PoseSearch(np.zeros(SHAPE, np.float32), (2.0, 2.0, 2.0), Spokes(SHAPE), center=np.zeros(3))
    search.refine(10.0)
    assert not search.poses.any()


def test_a_still_head_hardly_moves():
    still = moving_head(2.5, shape=SHAPE).still.voxels
    search = PoseSearch(still, (2.0, 2.0, 2.0), Spokes(SHAPE))
    search.refine(20.0)
    assert psnr(still, search.corrected()) > 35


def test_sharpening_makes_a_ramp_a_step_and_leaves_flat_regions():
    ramp = np.clip(np.arange(24.0) - 8.5, 0, 7)[:, None, None] * np.ones((1, 5, 5))
    made = sharpened(ramp, 0.07)
    assert set(np.unique(made[:, 2, 2])) <= {0.0, 0.5, 6.5, 7.0} and (np.diff(made[:, 2, 2]) > 1).sum() == 1
    assert np.array_equal(sharpened(np.full((9, 9, 9), 3.0), 0.2), np.full((9, 9, 9), 3.0))
    assert ndimage.sobel(made, axis=0).max() > ndimage.sobel(ramp, axis=0).max()


def test_the_true_volume_tells_how_much_could_be_gained():
    result = moving_head(2.5, shape=SHAPE)
    still, head = (np.ascontiguousarray(np.moveaxis(v.voxels, 1, 0)) for v in (result.still, result.moved))
    gains = []
    for truth in (None, still):
        search = PoseSearch(head, (2.0, 2.0, 2.0), Lines(head.shape))
        search.refine(20.0) if truth is None else search.fit_to(truth, 1.0)
        gains.append(psnr(still, search.corrected()) - psnr(still, head))
    assert gains[1] > gains[0] and gains[1] > 1
