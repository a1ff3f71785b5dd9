"""Subtraction of two visits: halfway space, matching, candidates, and the command, on small volumes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from simulation_phantoms import ball
from SynthMRILib.cli import main
from SynthMRILib.errors import InputError
from SynthMRILib.longitudinal.changes import ENLARGING, NEW, RESOLVED, SHRINKING, find_changes, matched
from SynthMRILib.longitudinal.halfway import FLIP, matrix_of, square_root, transform_of
from SynthMRILib.longitudinal.subtraction import check_visits, subtract
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

SHAPE = (44, 52, 48)
BRAIN = ball(SHAPE, (22, 26, 24), 19)
PLACE = (26.0, 30.0, 18.0)
GRID = Grid(SHAPE, np.array([[-1.0, 0, 0, 20], [0, -1.0, 0, 30], [0, 0, 1.0, -10], [0, 0, 0, 1]]))


def a_brain(*, seed: int = 0, noise: float = 0.03) -> np.ndarray:
    """A lumpy stripped brain: the same lumps every time, other noise."""
    lumps = ndimage.gaussian_filter(np.random.default_rng(99).standard_normal(SHAPE), 2.5)
    clean = 100 * (1 + 0.15 * lumps / lumps.std())
    voxels = clean + 100 * noise * np.random.default_rng(seed).standard_normal(SHAPE)
    return np.where(BRAIN, np.maximum(voxels, 1), 0).astype(np.float32)


def with_lesion(voxels: np.ndarray, radius: float, *, step: float = 80.0, place=PLACE) -> np.ndarray:
    return voxels + np.where(ball(SHAPE, place, radius) & BRAIN, np.float32(step), 0)


def flair(voxels: np.ndarray) -> dict[str, Volume]:
    return {"flair": Volume(voxels, GRID)}


def test_half_a_transform_applied_twice_is_the_whole():
    rigid = np.eye(4)
    rigid[:3, :3] = Rotation.from_rotvec([0.2, -0.1, 0.3]).as_matrix()
    rigid[:3, 3] = [4.0, -7.0, 2.0]
    half = square_root(rigid)
    assert half @ half == pytest.approx(rigid, abs=1e-9)
    assert half[:3, :3] @ half[:3, :3].T == pytest.approx(np.eye(3), abs=1e-9)
    back = FLIP @ np.array(rigid) @ FLIP
    transform = transform_of(rigid)
    point = np.array([10.0, 20.0, -5.0])
    assert transform.TransformPoint(point.tolist()) == pytest.approx((back @ np.append(point, 1))[:3], abs=1e-9)


def test_matrices_of_rigid_transforms_take_their_center_into_account():
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform((5.0, -3.0, 8.0), 0.1, -0.2, 0.05, (1.0, 2.0, 3.0))
    point = (12.0, 7.0, -4.0)
    assert transform.TransformPoint(point) == pytest.approx((matrix_of(transform) @ np.append(point, 1))[:3], abs=1e-9)


def test_identical_visits_give_no_candidate_and_no_difference():
    visit = flair(with_lesion(a_brain(), 4))
    result = subtract(visit, visit)
    assert result.table() == [] and not result.changes["flair"].difference.any()


def test_noise_alone_gives_no_candidate():
    result = subtract(flair(a_brain(seed=1)), flair(a_brain(seed=2)), registered=True)
    assert result.table() == []


@pytest.mark.parametrize(
    "before, after, kind", [(0, 4, NEW), (3, 5.5, ENLARGING), (4, 0, RESOLVED), (5.5, 3, SHRINKING)]
)
def test_an_inserted_change_is_found_with_its_kind_place_and_size(before, after, kind):
    first, second = (with_lesion(a_brain(seed=n), radius) for n, radius in ((1, before), (2, after)))
    rows = subtract(flair(first), flair(second), registered=True).table()
    assert [row["kind"] for row in rows] == [kind]
    found = np.array([rows[0][name] for name in ("R_mm", "A_mm", "S_mm")])
    assert np.linalg.norm(found - GRID.index_to_ras(np.array(PLACE[::-1]))) < 1.5
    changed = 4 / 3 * np.pi * abs(after**3 - before**3)
    assert 0.6 * changed < rows[0]["volume_mm3"] < 1.6 * changed
    assert (rows[0]["mean_z"] > 0) == (after > before)


def test_an_edge_that_thick_slices_put_elsewhere_is_no_change_but_a_lesion_is():
    sheet = np.zeros(SHAPE, dtype=np.float32)
    sheet[22:26] = 40
    first = a_brain(seed=1) + np.where(BRAIN, sheet, 0)
    second = with_lesion(a_brain(seed=2) + np.where(BRAIN, np.roll(sheet, 2, axis=0), 0), 4, place=(12.0, 30.0, 18.0))
    plain = find_changes(first, second, BRAIN, GRID)
    tolerant = find_changes(first, second, BRAIN, GRID, reach_mm=3.0)
    assert len(plain.candidates) > 1
    assert [c.kind for c in tolerant.candidates] == [NEW]
    assert np.linalg.norm(np.array(tolerant.candidates[0].position) - GRID.index_to_ras([18.0, 30.0, 12.0])) < 2


def test_visits_that_lie_far_apart_are_brought_together():
    first, second = (Volume(with_lesion(a_brain(seed=n), 4), GRID) for n in (1, 2))
    matrix = GRID.ijk_to_ras.copy()
    matrix[:3, 3] += [6.0, -24.0, -62.0]
    far = Volume(second.voxels, Grid(SHAPE, matrix))
    space = subtract({"flair": first}, {"flair": far}).space
    moved = space.to_visits[1] @ np.linalg.inv(space.to_visits[0]) @ np.array([0.0, 0.0, 10.0, 1.0])
    assert moved[:3] == pytest.approx([6.0, -24.0, -52.0], abs=1.0)


def test_other_units_and_a_smooth_bias_are_matched_away():
    field = 1 + 0.3 * (np.indices(SHAPE)[1] / SHAPE[1] - 0.5)
    first, second = a_brain(seed=1), (7 * field * a_brain(seed=2)).astype(np.float32)
    before, after = matched(first, second, BRAIN, GRID, field_mm=15)
    inner = ndimage.binary_erosion(BRAIN, iterations=3)
    assert np.abs(np.median((after - before)[inner])) < 0.01
    assert (after - before)[inner].std() < 0.07
    rows = subtract(flair(first), flair(with_lesion(second, 4, step=560)), registered=True).table()
    assert [row["kind"] for row in rows] == [NEW]


def test_a_moved_head_is_brought_back_before_it_is_compared():
    turn = Rotation.from_rotvec([0.04, 0.03, -0.05]).as_matrix()
    middle = np.array(SHAPE) / 2
    lesion = with_lesion(a_brain(seed=2), 4.5)
    moved = ndimage.affine_transform(lesion, turn, middle - turn @ middle + [1.2, -0.8, 1.5], order=1)
    result = subtract(flair(a_brain(seed=1)), flair(np.where(moved > 30, moved, 0)))
    kinds = [row["kind"] for row in result.table()]
    assert kinds == [NEW], result.space.facts


def test_a_visit_without_flair_is_refused():
    with pytest.raises(InputError, match="second visit has no FLAIR"):
        subtract(flair(a_brain()), {"t1": flair(a_brain())["flair"]})


def test_a_volume_that_cannot_be_compared_is_refused_and_named():
    good, bad = a_brain(seed=1), a_brain(seed=2)
    bad[20, 20, 20] = np.nan
    with pytest.raises(InputError, match=r"FLAIR of the second visit: Voxels that are not finite .*: 1;"):
        subtract(flair(good), flair(bad), registered=True)
    with pytest.raises(InputError, match="T1 of the first visit: All voxels have the same value"):
        subtract({**flair(good), "t1": Volume(np.ones_like(good), GRID)}, flair(good))
    with pytest.raises(InputError, match=r"Unknown method 'magic'. Choose one of: auto,.* none"):
        subtract(flair(good), flair(good), method="magic")
    synthetic = Volume(good, GRID, header={"Synthetic": True})
    assert [f.code for f in check_visits(flair(good), {"flair": synthetic})] == ["volume-synthetic"]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_lesion_is_found_in_visits_that_are_alike_but_for_it(noise):
    """Painted into a copy, as one would to see whether the command works; most of the brain is far from it."""
    shape = (110, 110, 110)
    grid, brain = Grid.from_spacing(shape, (1.0, 1.0, 1.0)), ball(shape, (55, 55, 55), 50)
    rng = np.random.default_rng(4)
    first = np.where(brain, 100 + 10 * rng.standard_normal(shape), 0).astype(np.float32)
    second = first + noise * np.where(brain, rng.standard_normal(shape), 0).astype(np.float32)
    second[52:58, 52:58, 30:36] += 80
    (found,) = find_changes(first, second, brain, grid).candidates
    assert found.kind == NEW and 100 < found.volume_mm3 < 350


def test_dark_changes_of_fluid_are_no_lesions():
    flat = [np.where(BRAIN, 100 + np.random.default_rng(n).normal(0, 8, SHAPE), 0).astype(np.float32) for n in (1, 2)]
    assert find_changes(with_lesion(flat[0], 4, step=-60), flat[1], BRAIN, GRID).candidates == []
    assert len(find_changes(flat[0], with_lesion(flat[1], 4, step=60), BRAIN, GRID).candidates) == 1


def test_the_command_writes_maps_and_a_table(tmp_path, capsys):
    write_volume(flair(a_brain(seed=1))["flair"], tmp_path / "one.nii.gz")
    write_volume(flair(with_lesion(a_brain(seed=2), 4))["flair"], tmp_path / "two.nii.gz")
    words = ["subtraction", str(tmp_path / "one.nii.gz"), str(tmp_path / "two.nii.gz"), str(tmp_path / "out")]
    assert main([*words, "--registered"]) == 0
    shown = capsys.readouterr()
    assert "1 new" in shown.out and "not for diagnosis" in shown.out
    with (tmp_path / "out" / "candidates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["new"] and float(rows[0]["volume_mm3"]) > 100
    record = json.loads((tmp_path / "out" / "candidates.json").read_text("utf-8"))
    assert record["provenance"]["parameters"] == {"method": "auto", "registered": True}
    assert record["provenance"]["synthetic"] and len(record["candidates"]) == 1
    assert {p.name for p in (tmp_path / "out").glob("*.nii.gz")} >= {"flair_difference.nii.gz", "flair_z.nii.gz"}
    assert main(words) == 2 and "not empty" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*words[:3], str(tmp_path / "file")]) == 2 and "'file' is a file" in capsys.readouterr().err
