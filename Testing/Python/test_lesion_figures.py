"""Figures of lesions: ranks, contrast, suppression, a fixed detector and regions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from simulation_phantoms import ball
from SynthMRILib.dir_synthesis.tissue_fit import CSF, GRAY, OUTSIDE, WHITE
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation import lesions, regions
from SynthMRILib.volume import Grid

SHAPE = (56, 60, 56)
CENTER = (28, 30, 28)


def tissue_labels() -> np.ndarray:
    """Fluid shell, cortex, white matter and a ventricle in the middle."""
    labels = np.full(SHAPE, OUTSIDE, dtype=np.int8)
    for tissue, radius in ((CSF, 27), (GRAY, 25), (WHITE, 21), (CSF, 4)):
        labels[ball(SHAPE, CENTER, radius)] = tissue
    return labels


def lesion_mask() -> np.ndarray:
    """Beside the ventricle, beside cortex, and in between; and one voxel that is too small."""
    mask = ball(SHAPE, (28, 30, 35), 2.5) | ball(SHAPE, (28, 48, 28), 2.5) | ball(SHAPE, (28, 17, 28), 2.5)
    mask[40, 30, 28] = True
    return mask


def a_grid(spacing: float = 1.0) -> Grid:
    return Grid.from_spacing(SHAPE, (spacing,) * 3)


@pytest.fixture(scope="module")
def target() -> lesions.Reference:
    nowhere = np.zeros(SHAPE, dtype=bool)
    return lesions.reference(lesion_mask(), tissue_labels(), a_grid(), infratentorial=nowhere)


@pytest.fixture(scope="module")
def shown(target: lesions.Reference) -> np.ndarray:
    """Like a DIR: white matter 10, fluid 5, cortex 50, lesions 60, each with noise."""
    values = np.select([target.tissues == t for t in (WHITE, CSF, GRAY)], [10.0, 5.0, 50.0], 0.0)
    values[target.lesions > 0] = 60
    return values + np.random.default_rng(1).normal(0, 1, SHAPE)


def test_lesions_get_the_region_that_comes_first_in_the_rule(target):
    assert sorted(target.regions) == ["juxtacortical", "periventricular", "subcortical"]
    below = ball(SHAPE, (28, 17, 28), 5)
    again = lesions.reference(lesion_mask(), tissue_labels(), a_grid(), infratentorial=below)
    assert again.regions.count("infratentorial") == 1


def test_a_part_that_is_too_small_counts_nowhere(target):
    assert target.lesions.max() == 3
    assert target.ignored.sum() == 1 and not target.search_region[40, 30, 28]


def test_contrast_follows_its_definition(target, shown):
    rows = lesions.contrast_of_lesions(shown, target)
    assert [row["region"] for row in rows] == target.regions
    for row in rows:
        assert row["cnr"] == pytest.approx(50, rel=0.05) and row["lbr"] == pytest.approx(6, rel=0.05)
    table = lesions.by_region(rows)
    assert table["all"]["lesions"] == 3 and table["infratentorial"] == {"lesions": 0, "cnr": None, "lbr": None}


def test_suppression_is_relative_to_cortex(target, shown):
    found = lesions.suppression(shown, target)
    assert found["white_matter"] == pytest.approx(0.2, abs=0.02)
    assert found["fluid"] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(
    "scores, truth, expected",
    [
        ([4, 3, 2, 1], [1, 1, 0, 0], 1.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], (1 / 3 + 2 / 4) / 2),
        ([1, 1, 1, 1], [1, 0, 0, 0], 0.25),
        ([2, 1], [0, 0], None),
    ],
)
def test_average_precision_counts_ties_together(scores, truth, expected):
    found = lesions.average_precision(np.array(scores, dtype=float), np.array(truth))
    assert found == (expected if expected is None else pytest.approx(expected))


def test_no_monotone_gray_scale_changes_the_rank_figures(target, shown):
    first = lesions.figures(shown, target)
    second = lesions.figures(np.exp(shown / 20), target)
    assert second["auprc"] == pytest.approx(first["auprc"])
    assert second["recall_at_false_positives"] == first["recall_at_false_positives"]
    json.dumps(first, allow_nan=False)


def test_visible_lesions_are_found_and_invisible_ones_are_not(target, shown):
    assert lesions.recall_at(shown, target) == {"1": 1.0, "2": 1.0, "5": 1.0}
    noise = np.random.default_rng(2).normal(0, 1, SHAPE)
    assert max(lesions.recall_at(noise, target).values()) == 0.0


def test_one_candidate_over_everything_finds_no_lesion(target):
    assert max(lesions.recall_at(np.ones(SHAPE), target).values()) == 0.0


def test_bright_spots_that_are_no_lesion_cost_recall(target, shown):
    spoiled = shown.copy()
    for i in (16, 20, 24, 33, 37, 41):
        spoiled[34:36, 26:28, i : i + 2] = 90
    found = lesions.recall_at(spoiled, target)
    assert found == {"1": 0.0, "2": 0.0, "5": 0.0}


def test_a_volume_of_another_shape_is_refused(target):
    with pytest.raises(InputError, match="differ in shape"):
        lesions.figures(np.ones((3, 3, 3)), target)
    with pytest.raises(InputError, match="differ in shape"):
        lesions.reference(np.ones((3, 3, 3)), tissue_labels(), a_grid())


def test_without_a_lesion_figures_are_undefined_but_suppression_is_not():
    empty = lesions.reference(np.zeros(SHAPE), tissue_labels(), a_grid())
    found = lesions.figures(tissue_labels() + 2.0, empty)
    assert found["auprc"] is None and found["lesions"] == [] and found["recall_at_false_positives"]["1"] is None
    assert found["suppression"]["white_matter"] == pytest.approx(4 / 3)


def test_the_average_brain_has_its_cerebellum_below_and_its_vertex_above_the_roof():
    grid = Grid((80, 90, 74), np.array([[2, 0, 0, -73], [0, 2, 0, -105], [0, 0, 2, -77], [0, 0, 0, 1]], dtype=float))
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
    below = regions.approximately_infratentorial(sum(a**2 for a in axes) <= 1, grid)

    def at(*ras: float) -> bool:
        i, j, k = np.rint(grid.ras_to_index(np.array(ras))).astype(int)
        return bool(below[k, j, i])

    assert at(15, -60, -40) and at(0, -28, -35)
    assert not any((at(0, -20, 60), at(30, 30, 0), at(35, 0, -30), at(20, -80, 15)))


def test_definitions_say_what_is_measured():
    for name in ("cnr", "lbr", "auprc", "recall", "regions", "search_region", "suppression"):
        assert len(lesions.DEFINITIONS[name]) > 30
