"""Mixing of two DIR volumes: which levels tissues come to, and that order is kept."""

from __future__ import annotations

import numpy as np
import pytest
from SynthMRILib.dir_synthesis import mixing
from SynthMRILib.dir_synthesis.tissue_fit import CSF, GRAY, WHITE

LABELS = np.repeat([CSF, WHITE, GRAY], 400).reshape(3, 20, 20)


def a_dir(csf: float, white: float, gray: float) -> np.ndarray:
    """A volume whose tissues have these medians, with a tenth of them as spread."""
    spread = np.linspace(0.9, 1.1, 400).reshape(20, 20)
    return np.stack([level * spread for level in (csf, white, gray)]).astype(np.float32)


def medians(voxels: np.ndarray) -> list[float]:
    return [float(np.median(voxels[tissue == LABELS])) for tissue in (CSF, WHITE, GRAY)]


@pytest.mark.parametrize(
    ("network", "dictionary", "expected"),
    [
        ((4, 12, 36), (6, 8, 32), (4, 8, 34)),
        ((12, 4, 30), (8, 6, 34), (8, 4, 32)),
        ((12, 4, 30), (3, 6, 34), (7.4, 4, 32)),
        ((40, 6, 30), (4, 8, 34), (22.83, 6, 32)),
        ((4, 34, 30), (4, 8, 34), (4, 21, 32)),
    ],
    ids=["dark", "fluid-brighter", "order-differs", "fluid-bright", "gray-is-darker"],
)
def test_dark_tissues_come_to_the_darker_level_where_both_agree_on_their_order(network, dictionary, expected):
    first, second = a_dir(*network), a_dir(*dictionary)
    levels = mixing.common_levels(first, second, LABELS, share=0.5)
    assert medians(mixing.mixed(first, second, levels, share=0.5)) == pytest.approx(expected, rel=0.02)


def test_the_map_rises_everywhere_and_leaves_no_brain_voxel_zero():
    network, dictionary = a_dir(0.001, 6, 30), a_dir(0.0, 8, 34)
    dictionary[LABELS == CSF] = 0
    levels = mixing.common_levels(network, dictionary, LABELS, share=0.5)
    for old in (levels.network, levels.dictionary):
        made = mixing.mapped(np.linspace(1e-4, 80, 5000), old, levels.common)
        assert made[0] > 0 and (np.diff(made) >= 0).all() and len(np.unique(made)) > 4900
    assert set(levels.as_dict()) == {"csf", "white-matter", "gray-matter"}


def test_a_volume_that_is_no_dir_of_this_brain_changes_no_level():
    dim, bright = a_dir(1, 2, 3), a_dir(4, 8, 34)
    assert mixing.common_levels(dim, bright, LABELS, share=0.5) == mixing.Levels()
    assert mixing.common_levels(np.zeros_like(dim), bright, LABELS, share=0.5) == mixing.Levels()


def test_without_white_or_gray_matter_the_volumes_stay_as_they_are():
    first, second = a_dir(4, 12, 36), a_dir(6, 8, 32)
    levels = mixing.common_levels(first, second, np.where(LABELS == GRAY, CSF, LABELS), share=0.7)
    assert levels == mixing.Levels()
    assert mixing.mixed(first, second, levels, share=0.7) == pytest.approx(0.3 * first + 0.7 * second)


def test_without_flair_the_dictionary_has_the_larger_share():
    assert mixing.dictionary_share(("flair", "t1")) == 0.5
    assert mixing.dictionary_share(("t1", "t2")) == 0.7
