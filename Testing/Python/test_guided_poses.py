"""Poses that a network asks for: it says where lines should go, physics moves them, and edges say how far."""

from __future__ import annotations

import numpy as np
import pytest
from motion_support import a_head, make_motion_bundles, moving_head, two_poses
from scipy import ndimage
from SynthMRILib.evaluation.metrics import psnr
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion import autofocus as autofocus_module
from SynthMRILib.motion import correction, guided_poses
from SynthMRILib.motion.autofocus import AutofocusResult
from SynthMRILib.motion.guided_poses import guided, likeliest, mirrored
from SynthMRILib.motion.pose_search import PoseSearch
from SynthMRILib.motion.severity import SeverityEstimate
from SynthMRILib.motion.view_groups import Lines, Spokes
from SynthMRILib.progress import no_progress
from SynthMRILib.simulation import motion
from SynthMRILib.simulation.motion import MotionRecord, head_mask
from SynthMRILib.simulation.traces import EventRecord, TraceRecord
from SynthMRILib.simulation.view_orders import ViewOrderRecord
from SynthMRILib.tasks import get_task

SHAPE = (44, 48, 46)
WAY = ("lines", 1)
"""Of `moving_head`: the phase encoding follows A."""
SHARE = 0.1
"""Of the motion that the stand-in for a network takes away."""


def share_of_truth(still: np.ndarray, *, share: float = SHARE):
    """A network that takes away a share of what motion did, as they do, wherever it is used on the whole volume."""

    def correct(seen: np.ndarray, _progress) -> np.ndarray:
        truth = min((still, still[::-1, ::-1, ::-1]), key=lambda v: np.abs(v - seen).sum())
        return seen + np.float32(share) * (truth - seen)

    return correct


def test_a_step_of_the_head_is_undone_where_a_network_takes_a_tenth_of_it_away():
    result = moving_head(1.5, shape=SHAPE)
    moved, still = (v.voxels / 900 for v in (result.moved, result.still))
    correct = share_of_truth(still)
    found = guided(moved, result.moved.grid, WAY, correct, result.effective_mm)
    assert (found.kind, found.axis) == WAY
    assert found.entropy_after < found.entropy_before
    before, by_network, after = (psnr(still, v) for v in (moved, correct(moved, no_progress), found.voxels))
    assert after > before + 2 and after > by_network + 1
    assert found.undone_mm == pytest.approx(result.effective_mm, rel=0.4)


def test_turns_are_found_as_well():
    result = motion.apply(two_poses((0, 0, 0, 0, 0, 3.0)), a_head(SHAPE))
    moved, still = (v.voxels / 900 for v in (result.moved, result.still))
    found = guided(moved, result.moved.grid, WAY, share_of_truth(still), result.effective_mm)
    assert psnr(still, found.voxels) > psnr(still, moved) + 0.5
    assert found.turns_deg.max() > 0.5


def test_a_network_that_changes_nothing_moves_nothing():
    moved = moving_head(1.5, shape=SHAPE).moved
    found = guided(moved.voxels, moved.grid, WAY, lambda seen, _: seen, 0.5)
    assert not found.found and found.voxels is moved.voxels and found.undone_mm == 0


def test_a_volume_without_a_head_is_left_alone():
    empty = np.zeros(SHAPE, np.float32)
    assert guided(empty, moving_head(1.5, shape=SHAPE).moved.grid, WAY, lambda seen, _: seen, 0.5).voxels is empty


def test_a_displacement_by_the_network_itself_cancels():
    def displaced(seen: np.ndarray, _progress) -> np.ndarray:
        return ndimage.shift(seen, (0.3, 0.2, -0.1), order=3).astype(np.float32)

    still = moving_head(1.5, shape=SHAPE).still.voxels / 900
    search = PoseSearch(still, (1, 1, 1), Lines(still.shape), fast=True)
    asked = []
    for image in (displaced(still, no_progress), mirrored(displaced, still, no_progress)):
        search.poses[:] = 0
        search.follow(image, 0.5, 1.0)
        asked.append(np.abs(search.poses[:, :3].mean(axis=0)).max())
    assert asked[1] < 0.1 * asked[0]


def test_what_a_network_asks_for_points_to_where_lines_should_go():
    still = moving_head(1.5, shape=SHAPE).still.voxels / 900
    lines = Lines(still.shape)
    search = PoseSearch(still, (1, 1, 1), lines, fast=True)
    true = np.zeros_like(search.poses)
    true[lines.number // 2 : -1, :3] = (0.3, -0.2, 0.1)
    search.poses = -true
    moved = np.maximum(search.corrected(), 0)
    again = PoseSearch(moved, (1, 1, 1), lines, fast=True)
    again.follow(moved + np.float32(SHARE) * (still - moved), 0.4, 1.0)
    outer, inner = again.poses[lines.number // 2 + 2 : -1, :3], again.poses[2 : lines.number // 3, :3]
    mean = outer.mean(axis=0)
    assert mean @ true[-2, :3] > 0.95 * np.linalg.norm(mean) * np.linalg.norm(true[-2, :3])
    assert np.abs(inner).max() < 0.3 * np.abs(mean).max()


def test_spokes_are_not_all_moved_alike_away_from_the_center_that_they_share():
    still = moving_head(1.5, shape=SHAPE).still.voxels / 900
    search = PoseSearch(still, (1, 1, 1), Spokes(still.shape), fast=True)
    search.poses[: search.groups.number // 2, :3] = (0.3, -0.2, 0.1)
    target = np.maximum(search.corrected(), 0)
    search.poses[:] = 0
    search.follow(still + np.float32(SHARE) * (target - still), 0.4, 1.0)
    poses = search.poses[:-1, :3]
    assert np.abs(poses).max() > 0.05
    assert np.abs(poses.mean(axis=0)).max() < 1e-9
    half = len(poses) // 2
    assert (
        poses[2 : half - 2].mean(axis=0) @ (0.3, -0.2, 0.1) > 0 > poses[half + 2 : -2].mean(axis=0) @ (0.3, -0.2, 0.1)
    )
    assert not search.poses[-1].any()


def test_a_network_that_asks_for_more_after_its_poses_were_undone_is_not_followed():
    result = moving_head(1.5, shape=SHAPE)
    moved, still = (v.voxels / 900 for v in (result.moved, result.still))
    right, asked = share_of_truth(still), []

    def insatiable(seen: np.ndarray, progress) -> np.ndarray:
        asked.append(seen)
        return seen + np.float32(len(asked)) * (right(seen, progress) - seen)

    found = guided(moved, result.moved.grid, WAY, insatiable, result.effective_mm)
    assert len(asked) > 2 and not found.found and found.voxels is moved


MOVES = tuple(
    EventRecord("step", start, pose)
    for start, pose in (
        (0.2, (0, 0.5, 0.8, 0, 0, 0)),
        (0.4, (0, -0.9, -0.8, 0, 0, 0)),
        (0.6, (0.5, 0.9, 0.3, 0, 0, 0)),
        (0.8, (0, -0.3, -0.8, 0, 0, 0)),
    )
)


@pytest.mark.parametrize(
    ("order", "way"),
    [
        (("mprage", "centric", "S", "R"), ("lines", 0)),
        (("mprage", "centric", "A", "R"), ("lines", 1)),
        (("mprage", "centric", "R", "A"), ("lines", 2)),
        (("tse-3d", "sweep", "A", "R"), ("spokes", 0)),
        (("tse-3d", "sweep", "A", "S"), ("spokes", 2)),
    ],
)
def test_the_axis_is_told_by_what_the_network_asks_for(order, way, monkeypatch):
    """Lines and spokes apart: in a head of so few voxels spokes can explain nearly everything."""
    ways = [(way[0], axis) for axis in range(3)]
    monkeypatch.setattr(guided_poses, "ways_of", lambda _: ways)
    result = motion.apply(MotionRecord(TraceRecord(events=MOVES), ViewOrderRecord(*order), noise=0.01), a_head(SHAPE))
    moved, still = (v.voxels / 900 for v in (result.moved, result.still))
    correct = share_of_truth(still)
    grid, severity_mm = result.moved.grid, result.effective_mm
    assert likeliest(moved, head_mask(moved), grid, correct, severity_mm, no_progress) == way
    found, told = (guided(moved, grid, known, correct, severity_mm) for known in (None, way))
    assert (found.kind, found.axis) == (told.kind, told.axis)
    assert np.array_equal(found.voxels, told.voxels)


def test_no_way_is_told_where_a_network_changes_nothing_or_no_axis_is_long_enough():
    still = a_head(SHAPE)
    same = lambda seen, _: seen  # noqa: E731
    assert likeliest(still.voxels, head_mask(still.voxels), still.grid, same, 0.5, no_progress) is None
    small = still.voxels[:20, :20, :20]
    assert likeliest(small, np.ones(small.shape, bool), still.grid, same, 0.5, no_progress) is None
    assert not guided(still.voxels, still.grid, None, same, 0.5).found


def test_the_way_is_what_autofocus_found():
    nothing = np.zeros((1, 3))
    assert AutofocusResult(nothing, "lines", 2, nothing, nothing[0], 1.0, 1.0).way == ("lines", 2)
    assert AutofocusResult(nothing, None, None, nothing, nothing[0], 1.0, 1.0).way is None


def test_what_is_left_is_less_by_what_was_undone_and_never_nothing():
    estimate = SeverityEstimate(1.0, 0.5, 2.0, 0.9, 0.3, 2.0, 0.5, "")
    assert estimate.without(0.6).severity_mm == pytest.approx(0.8)
    assert estimate.without(0.6).with_undone(0.6).severity_mm == pytest.approx(1.0)
    assert estimate.without(3.0).severity_mm == pytest.approx(0.5)
    assert estimate.without(0.0) == estimate


def test_the_task_undoes_what_the_network_asks_for_tells_it_and_corrects_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    bundle = make_motion_bundles(tmp_path / "models")
    result = moving_head(1.5, shape=SHAPE)
    scale = IntensityScale.fit(result.moved.voxels)
    network = share_of_truth(scale.apply(result.still.voxels))

    monkeypatch.setattr(correction.CorrectionNetwork, "__call__", lambda _, voxels, progress: network(voxels, progress))
    monkeypatch.setattr(guided_poses, "ways_of", lambda _: [("lines", axis) for axis in range(3)])
    monkeypatch.setattr(autofocus_module, "LEAST_FALL", {"lines": 1.0, "spokes": 1.0})
    task = get_task("motion-correction")
    parameters = task.parameters_class(device="cpu", method="both", force=True)
    found = task.run({"input": result.moved}, bundle, parameters, lambda *_: None)
    assert found.measurements["autofocus"]["kind"] is None and found.measurements["guided"]["kind"] == "lines"
    assert "Guided by the network, it undid head shifts of" in found.measurements["message"]
    assert found.provenance["guided"]["undone_mm"] > 0
    still, made = result.still.voxels, found.outputs["output"].voxels
    assert psnr(still, made) > psnr(still, result.moved.voxels) + 1


def test_after_poses_the_network_also_sees_the_point_reflection_so_that_it_displaces_nothing():
    """Its change counts by the bundle's strength."""

    class Displacing(correction.CorrectionNetwork):
        strength = 0.5

        def __call__(self, voxels: np.ndarray, _progress) -> np.ndarray:
            return ndimage.shift(voxels, (0.2, 0.1, 0), order=3).astype(np.float32)

    voxels = a_head(SHAPE).voxels / 900
    network = Displacing(None, None, (2.0, 2.0, 2.0), 0.5)
    once, twice = (correction.by_network(voxels, network, no_progress, twice=twice) for twice in (False, True))
    moment = lambda v: np.array(ndimage.center_of_mass(v))  # noqa: E731
    assert moment(once) - moment(voxels) == pytest.approx((0.1, 0.05, 0), abs=0.02)
    assert moment(twice) == pytest.approx(moment(voxels), abs=0.01)
