"""The region proposed for a mark follows the rule, in mm and wherever the head lies."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import placed_grid
from SynthMRILib.readers.regions import proposed_region, region_map
from SynthMRILib.readers.schema import REGIONS
from SynthMRILib.volume import Volume

TISSUES = {"cortex": [3], "ventricle": [4], "infratentorial": [16]}


@pytest.fixture(scope="module")
def regions():
    """Along i: cortex, white matter (2), ventricle, white matter; the lowest slices are infratentorial."""
    grid = placed_grid((20, 16, 40), spacing=(1, 1, 2), rotation=(20, -10, 35), origin=(30, -50, 12))
    labels = np.full(grid.shape, 2)
    labels[..., :2], labels[..., 30:33] = 3, 4
    labels[:3] = 16
    labels[:, 0] = 0
    return region_map(Volume(labels, grid), TISSUES)


@pytest.mark.parametrize(
    "ijk, region",
    [
        ((3, 8, 10), "juxtacortical"),
        ((4, 8, 10), "juxtacortical"),
        ((6, 8, 10), "subcortical"),
        ((28, 8, 10), "periventricular"),
        ((36, 8, 10), "subcortical"),
        ((3, 8, 1), "infratentorial"),
        ((28, 8, 2), "infratentorial"),
        ((15, -2, 10), "subcortical"),
        ((15, -1.5, 10), "subcortical"),
        ((15, -6, 10), None),
        ((500, 8, 10), None),
    ],
)
def test_a_mark_gets_the_region_of_its_place(regions, ijk, region):
    assert proposed_region(regions, regions.grid.index_to_ras(np.array(ijk)), REGIONS) == region


def test_without_a_tissue_nothing_is_near_it():
    grid = placed_grid((16, 16, 16), spacing=(1, 1, 1))
    found = region_map(Volume(np.ones(grid.shape), grid), TISSUES)
    assert np.unique(found.voxels).tolist() == [REGIONS.index("subcortical") + 1]
