"""Motion through k-space: exact where it can be, physical on any voxels, and labelled by how bad it is."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import fft
from simulation_phantoms import textured_ball
from SynthMRILib.errors import ResourceError
from SynthMRILib.simulation import motion, rigid, torchio_motion, traces, view_orders
from SynthMRILib.simulation.moving_k_space import moving_k_space, moving_slices, slow_k_space
from SynthMRILib.simulation.records import Record
from SynthMRILib.simulation.traces import EventRecord, TraceRecord
from SynthMRILib.simulation.view_orders import ViewOrderRecord
from SynthMRILib.volume import Grid, Volume

ORDERS = (
    ViewOrderRecord("mprage", "linear", "A", "R"),
    ViewOrderRecord("mprage", "centric", "A", "R", acceleration=2),
    ViewOrderRecord("tse-3d", "sweep", "A", "R", seconds=4.0, train=60),
    ViewOrderRecord("tse-3d", "interleaved", "A", "S", seconds=4.0, train=60),
    ViewOrderRecord("tse-2d", "linear", "R", "S", seconds=3.0, train=8, passes=2),
)
ANISOTROPIC = (1.0, 1.6, 2.4)


def ids(order):
    return f"{order.sequence}-{order.order}"


@pytest.fixture(scope="module")
def an_object():
    return textured_ball((24, 32, 48), ANISOTROPIC)


def same_pose(order, pose):
    return np.tile(pose, (len(order.times), 1))


@pytest.mark.parametrize("order", ORDERS, ids=ids)
def test_every_view_is_acquired_once_and_in_time(order, an_object):
    views = view_orders.apply(order, an_object.grid)
    assert views.shots.shape == tuple(an_object.shape[a] for a in views.axes[1:])
    assert np.array_equal(np.unique(views.shots), np.arange(len(views.times)))
    assert views.times.min() == 0
    assert views.times.max() < views.duration


@pytest.mark.parametrize("order", ORDERS, ids=ids)
def test_a_head_that_lies_still_gives_the_same_image(order, an_object):
    record = motion.MotionRecord(TraceRecord(drift=0.2, scale=0.0), order)
    result = motion.apply(record, an_object)
    assert np.abs(result.moved.voxels - an_object.voxels).max() < 2e-6 * an_object.voxels.max()
    assert result.severity_mm == 0
    assert result.band == 0


def test_a_translation_of_whole_voxels_is_a_shifted_image(an_object):
    views = view_orders.apply(ORDERS[0], an_object.grid)
    pose = np.array([2 * ANISOTROPIC[0], -1 * ANISOTROPIC[1], 3 * ANISOTROPIC[2], 0, 0, 0])
    spectrum = moving_k_space(
        an_object.voxels.astype(np.complex64), an_object.grid, views, same_pose(views, pose), pivot=np.zeros(3)
    )
    moved = np.abs(fft.ifftn(spectrum))
    expected = np.roll(an_object.voxels, (3, -1, 2), axis=(0, 1, 2))
    assert np.abs(moved - expected).max() < 2e-3 * expected.max()


def test_a_rotation_is_rigid_in_millimetres_on_anisotropic_voxels(an_object):
    views = view_orders.apply(ORDERS[2], an_object.grid)
    pose, pivot = np.array([1.0, -2.0, 1.5, 6.0, -4.0, 8.0]), np.array([3.0, -10.0, 4.0])
    spectrum = moving_k_space(
        an_object.voxels.astype(np.complex64), an_object.grid, views, same_pose(views, pose), pivot=pivot
    )
    moved = fft.ifftn(spectrum).real
    expected = rigid.move(an_object.voxels, an_object.grid, pose, pivot=pivot, order=5)
    assert np.abs(moved - expected).max() < 0.01 * expected.max()
    weights = [np.abs(image) / np.abs(image).sum() for image in (an_object.voxels, moved)]
    centers = [np.tensordot(np.indices(w.shape)[::-1].reshape(3, -1), w.ravel(), 1) for w in weights]
    ras = [an_object.grid.index_to_ras(center) for center in centers]
    turned = rigid.pose_matrix(pose, pivot) @ np.append(ras[0], 1)
    assert np.allclose(turned[:3], ras[1], atol=0.1)


def test_distances_are_kept_by_a_pose():
    matrix = rigid.pose_matrix(np.array([5, 1, -2, 20, -30, 40.0]), np.array([10, -60, 5.0]))
    assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
    assert np.allclose(rigid.pose_of(matrix, np.array([10, -60, 5.0])), (5, 1, -2, 20, -30, 40))


@pytest.mark.parametrize("order", ORDERS[:4], ids=ids)
def test_the_fast_and_the_pose_by_pose_simulation_agree(order):
    volume = textured_ball((20, 24, 22), (2.0, 2.0, 2.0), seed=3)
    views = view_orders.apply(order, volume.grid)
    trace = TraceRecord(drift=1.0, smooth=0.8, events=(EventRecord("step", 0.4, (1, 0, 2, 3, 0, 1)),), walk_seed=4)
    poses = traces.poses(trace, views.times, duration=views.duration)
    image = volume.voxels.astype(np.complex64)
    fast = fft.ifftn(moving_k_space(image, volume.grid, views, poses, pivot=np.zeros(3)))
    slow = fft.ifftn(slow_k_space(image, volume.grid, views, poses, pivot=np.zeros(3)))
    assert np.abs(fast - image).max() > 0.05 * np.abs(image).max()
    assert np.abs(fast - slow).max() < 0.02 * np.abs(image).max()


def test_slices_show_the_anatomy_of_the_moved_head(an_object):
    views = view_orders.apply(ORDERS[4], an_object.grid)
    pose = np.array([0.0, 0.0, ANISOTROPIC[2], 0, 0, 0])
    spectrum = moving_slices(
        an_object.voxels.astype(np.complex64), an_object.grid, views, same_pose(views, pose), pivot=np.zeros(3)
    )
    moved = np.abs(fft.ifft2(spectrum, axes=sorted(views.axes[:2])))
    assert np.abs(moved[2:-2] - an_object.voxels[1:-3]).max() < 2e-3 * an_object.voxels.max()


def test_severity_and_damage_grow_with_motion(an_object):
    trace = TraceRecord(drift=0.2, smooth=0.3, events=(EventRecord("step", 0.3, (0.5, 0.3, 1, 1, 0.2, 0.4)),))
    results = [
        motion.apply(motion.MotionRecord(trace.scaled(scale), ORDERS[0]), an_object) for scale in (0, 0.5, 1, 2, 4)
    ]
    severities = [result.severity_mm for result in results]
    damages = [np.linalg.norm(result.moved.voxels - result.still.voxels) for result in results]
    assert severities == sorted(severities)
    assert damages == sorted(damages)
    assert [result.band for result in results] == sorted(result.band for result in results)
    assert results[-1].severity_mm == pytest.approx(4 * results[2].severity_mm, rel=0.1)
    effective = [result.effective_mm for result in results]
    assert effective[0] == pytest.approx(0, abs=1e-5)
    assert effective == sorted(effective)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.0, 3.0)])
def test_a_volume_that_is_only_shifted_has_its_shift_as_effective_displacement(spacing):
    k, j, i = np.indices((24, 40, 40))
    x = spacing[0] * (i + 0 * (k + j))
    still = 100 + 50 * np.sin(2 * np.pi * x / 30)
    moved = 100 + 50 * np.sin(2 * np.pi * (x - 0.5) / 30)
    assert motion.effective_displacement(moved, still, spacing) == pytest.approx(0.5, rel=0.1)
    assert motion.effective_displacement(still, still, spacing) == 0
    assert motion.effective_displacement(0 * still, 0 * still, spacing) == 0


def test_the_target_lies_where_the_corrupted_image_lies(an_object):
    trace = TraceRecord(events=(EventRecord("step", 0.5, (0.0, 3.0, 2.0, 0.0, 0.0, 0.0)),))
    result = motion.apply(motion.MotionRecord(trace, ORDERS[0]), an_object)
    left = motion.residual_shift(result.moved.voxels, result.still.voxels, motion.head_mask(an_object.voxels))
    assert np.abs(left * ANISOTROPIC[::-1]).max() < 0.1


@pytest.mark.parametrize(("event", "end"), (("step", 1.0), ("swallow", 0.0), ("nod", 0.0)))
def test_steps_persist_and_swallows_and_nods_return(event, end):
    trace = TraceRecord(events=(EventRecord(event, 0.25, (1, 0, 0, 0, 0, 0), 2.0),))
    poses = traces.poses(trace, np.array([0.0, 24.9, 26.0, 60.0]), duration=100.0)
    assert np.allclose(poses[:2], 0)
    assert poses[2, 0] > 0.3
    assert poses[3, 0] == pytest.approx(end, abs=1e-6)


def test_a_trace_does_not_depend_on_when_it_is_looked_at():
    trace = traces.draw(np.random.default_rng(3))
    times = np.linspace(0, 200, 41)
    every, some = (traces.poses(trace, t, duration=220.0) for t in (times, times[::4]))
    assert np.allclose(every[::4], some)


def test_a_drawn_scan_is_replayed_bit_for_bit_from_its_record(an_object):
    record = motion.draw(np.random.default_rng(5), sequence="mprage")
    again = Record.from_dict(record.as_dict())
    first, second = motion.apply(record, an_object), motion.apply(again, an_object)
    assert np.array_equal(first.moved.voxels, second.moved.voxels)
    assert first.summary() == second.summary()


def test_torchio_motion_is_there_for_comparison_or_says_what_to_install(an_object):
    record = torchio_motion.draw(np.random.default_rng(1))
    if find_spec("torchio") is None:
        with pytest.raises(ResourceError, match="torchio"):
            torchio_motion.apply(record, an_object)
        return
    first, second = (torchio_motion.apply(record, an_object).voxels for _ in range(2))
    assert np.array_equal(first, second)
    assert np.abs(first - an_object.voxels).max() > 0.01 * an_object.voxels.max()


def test_the_severity_of_torchio_motion_is_told_in_mm_and_grows_with_its_jumps(an_object):
    if find_spec("torchio") is None:
        with pytest.raises(ResourceError, match="torchio"):
            torchio_motion.apply_and_measure(torchio_motion.TorchIOMotionRecord(), an_object)
        return
    severities = []
    for size in (0.0, 0.5, 2.0):
        record = torchio_motion.TorchIOMotionRecord(size, size, 2, 5)
        moved, severity = torchio_motion.apply_and_measure(record, an_object)
        assert np.array_equal(moved.voxels, torchio_motion.apply(record, an_object).voxels)
        severities.append(severity)
    assert severities[0] == 0
    assert 3 * severities[1] < severities[2] < 5 * severities[1]


def test_a_head_that_only_shifts_is_scanned_as_the_general_way_does(an_object):
    record = motion.draw(np.random.default_rng(4), sequence="mprage", severity=2.0)
    shifting = replace(record, trace=replace(record.trace, turning=False))
    fast = motion.apply(shifting, an_object)
    assert np.abs(fast.poses[:, 3:]).max() < 1e-6
    assert np.abs(fast.poses[:, :3]).max() > 0.1
    order = view_orders.apply(record.order, an_object.grid)
    image, pivot = an_object.voxels.astype(np.complex64), np.zeros(3)
    turned = fast.poses + np.array([0, 0, 0, 2e-6, 0, 0])
    shifted, general = (
        moving_k_space(image, an_object.grid, order, poses, pivot=pivot) for poses in (fast.poses, turned)
    )
    assert np.abs(shifted - general).max() < 5e-3 * np.abs(general).max()


def test_a_single_slice_can_move(an_object):
    middle = an_object.voxels[an_object.shape[0] // 2][None]
    plane = Volume(middle, Grid(middle.shape, an_object.grid.ijk_to_ras))
    record = motion.draw(np.random.default_rng(2), sequence="tse-2d", severity=2.0)
    result = motion.apply(record, plane)
    assert result.moved.shape == plane.shape
    assert np.isfinite(result.moved.voxels).all()
    assert np.abs(result.moved.voxels - result.still.voxels).max() > 0
