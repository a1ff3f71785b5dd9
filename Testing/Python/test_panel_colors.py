"""Colors that mean something are told apart by every reader.

What color-blind readers see is simulated after Machado et al., IEEE Transactions on Visualization and Computer Graphics
15 (2009) 1291, for the complete lack of one kind of cone; differences are distances in CIE L*a*b*.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

#: What each kind of reader sees, as a matrix of linear RGB.
READERS = {
    "all cones": np.eye(3),
    "no long-wave cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no middle-wave cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no short-wave cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
#: Eight times what is just noticed, which is 2.3.
EASY = 18.4


def seen(color: np.ndarray, reader: str) -> np.ndarray:
    """L*, a*, b* of an sRGB color (0 to 1) as a reader sees it."""
    color = np.asarray(color, dtype=float)
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    relative = RGB_TO_XYZ @ np.clip(READERS[reader] @ linear, 0, 1) / WHITE
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_difference(colors: list[np.ndarray], reader: str) -> float:
    pairs = itertools.combinations([seen(color, reader) for color in colors], 2)
    return min(float(np.linalg.norm(one - other)) for one, other in pairs)


def from_hex(text: str) -> np.ndarray:
    return np.array([int(text[n : n + 2], 16) for n in (1, 3, 5)]) / 255


def test_the_measure_knows_colors_that_are_mixed_up():
    red_and_green = [from_hex("#D9482B"), from_hex("#6E9A2B")]
    assert least_difference(red_and_green, "no middle-wave cones") < EASY < least_difference(red_and_green, "all cones")


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("reader", READERS)
def test_views_and_curves_are_told_apart(reader):
    from SynthMRIModuleLib.compare_layouts import LOOKS
    from SynthMRIModuleLib.plots import COLORS

    assert least_difference([from_hex(color) for _label, color in LOOKS.values()], reader) > EASY
    assert least_difference([np.array(color) for color in COLORS], reader) > EASY


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("reader", READERS)
def test_marks_on_a_volume_are_told_from_every_gray(slicer_scene, reader):
    """The line of the swipe and the outlines of the uncertainty."""
    from SynthMRIModuleLib import contour, swipe

    outline = [0.0, 0.0, 0.0, 0.0]
    slicer_scene.mrmlScene.GetNodeByID(contour.COLOR_NODE_ID).GetColor(contour.LABEL, outline)
    grays = [np.full(3, level) for level in np.linspace(0, 1, 33)]
    for color in (outline[:3], swipe.COLOR):
        assert min(least_difference([color, gray], reader) for gray in grays) > EASY


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("reader", READERS)
def test_more_uncertainty_is_lighter_for_every_reader(slicer_scene, reader):
    from SynthMRIModuleLib.overlay import COLOR_NODE_ID

    table = slicer_scene.mrmlScene.GetNodeByID(COLOR_NODE_ID)
    lightness = []
    for number in np.linspace(0, table.GetNumberOfColors() - 1, 16).astype(int):
        color = [0.0, 0.0, 0.0, 0.0]
        table.GetColor(int(number), color)
        lightness.append(seen(color[:3], reader)[0])
    assert (np.diff(lightness) > 0).all() and lightness[-1] - lightness[0] > EASY
