"""Slices of several volumes side by side as PNG files, drawn with matplotlib and no screen.

Slices are taken in physical space (RAS) by linear interpolation, so volumes of different spacing and orientation line
up. As in Slicer, the patient's right is at the left of an axial and a coronal slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..volume import Volume
from .scene import ORIENTATIONS

#: Size of a pixel of a picture [mm] when nothing else is asked for.
PIXEL = 0.5


@dataclass(frozen=True)
class Panel:
    """One column of a picture.

    Args:
        title: heading of the column.
        volume: what to show.
        low: intensity shown darkest (or bluest).
        high: intensity shown brightest (or reddest).
        signed: True for differences, shown from blue over white to red.
    """

    title: str
    volume: Volume
    low: float
    high: float
    signed: bool = False


def slice_through(
    volume: Volume,
    orientation: str,
    center: tuple[float, float, float],
    size: tuple[float, float],
    *,
    pixel: float = PIXEL,
) -> np.ndarray:
    """A slice (rows from top, columns from left) of `size` (width, height) [mm] around `center` (RAS, mm).

    Pixels outside the volume are zero.
    """
    axes = ORIENTATIONS[orientation].astype(float)
    across, down = (pixel * (np.arange(round(s / pixel)) - (round(s / pixel) - 1) / 2) for s in size)
    positions = np.asarray(center) + across[None, :, None] * axes[:, 0] - down[:, None, None] * axes[:, 1]
    kji = volume.grid.ras_to_index(positions)[..., ::-1]
    return ndimage.map_coordinates(volume.voxels, np.moveaxis(kji, -1, 0), order=1, mode="constant", cval=0.0)


def draw_columns(
    path: Path,
    panels: Sequence[Panel],
    orientation: str,
    center: tuple[float, float, float],
    size: tuple[float, float],
    *,
    pixel: float = PIXEL,
) -> None:
    """Write a PNG of one slice of every panel, from left to right. Raises InputError when matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("Pictures need matplotlib: pip install 'synthmri[demo]'.") from error
    height = 3.0
    figure = Figure(figsize=(len(panels) * height * size[0] / size[1], height + 0.4), facecolor="black", dpi=150)
    FigureCanvasAgg(figure)
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels):
        image = slice_through(panel.volume, orientation, center, size, pixel=pixel)
        axes.imshow(image, cmap="RdBu_r" if panel.signed else "gray", vmin=panel.low, vmax=panel.high)
        axes.set_title(panel.title, color="white", fontsize=10)
        axes.set_axis_off()
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=height / (height + 0.4), wspace=0.02)
    figure.savefig(path, facecolor=figure.get_facecolor())
