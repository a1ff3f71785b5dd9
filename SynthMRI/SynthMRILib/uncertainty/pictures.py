"""Pictures of a result and how far to trust it, as PNG data: drawn with matplotlib and no screen, always on one scale.

The color scale is that of the bundle in every picture of every case (see `limits`): a scale of its own would make a bad
case look like a good one. What is above the limit of high uncertainty is outlined.
"""

from __future__ import annotations

import io

import numpy as np

from ..demo.pictures import slice_through
from ..errors import InputError
from ..intensity import reference_intensity
from ..volume import Volume
from .limits import USUAL_LIMIT, scale_end

#: Where the map becomes visible, as a multiple of the limit.
VISIBLE_FROM = 0.1
TICKS = 6
SIZE_MM = (190.0, 230.0)
CLOSE_MM = (70.0, 70.0)


def triple(
    acquired: Volume,
    result: Volume,
    total: Volume,
    center: tuple[float, float, float],
    *,
    limit: float = USUAL_LIMIT,
    close: bool = False,
    orientation: str = "Axial",
) -> bytes:
    """PNG of one slice: acquired volume, result, and the result with the map of total uncertainty over it.

    Args:
        center: RAS [mm] of the middle of the slice; a cross marks it when `close`.
        limit: what counts as high, per cent of the reference intensity.
        close: show the surroundings of the center only.

    Raises:
        InputError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("Pictures need matplotlib: pip install 'synthmri[demo]'.") from error
    size, pixel = (CLOSE_MM, 0.25) if close else (SIZE_MM, 0.5)
    unit = reference_intensity(result.voxels)
    figure = Figure(figsize=(9.6, 3.3 * size[1] / size[0]), facecolor="black", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    images = [slice_through(v, orientation, center, size, pixel=pixel) for v in (acquired, result, result, total)]
    tops = (reference_intensity(acquired.voxels), unit, unit)
    for axis, image, top, title in zip(axes, images, tops, ("acquired", "synthetic result", "total uncertainty")):
        axis.imshow(image, cmap="gray", vmin=0, vmax=top)
        axis.set_title(title, color="white", fontsize=10)
        axis.set_axis_off()
        if close:
            axis.plot(image.shape[1] / 2, image.shape[0] / 2, "+", color="cyan", markersize=14, markeredgewidth=0.8)
    percent = 100 * images[3] / (unit or 1.0)
    visible = np.ma.masked_less(percent, VISIBLE_FROM * limit)
    shown = axes[2].imshow(visible, cmap="inferno", vmin=0, vmax=scale_end(limit), alpha=0.75)
    if percent.min() < limit < percent.max():
        axes[2].contour(percent, levels=[limit], colors="cyan", linewidths=0.5)
    figure.subplots_adjust(left=0.005, right=0.93, bottom=0.01, top=0.92, wspace=0.02)
    ticks = np.linspace(0, scale_end(limit), TICKS)
    bar = figure.colorbar(shown, cax=figure.add_axes([0.94, 0.1, 0.012, 0.75]), ticks=ticks, format="%g")
    bar.set_label("SD, % of signal", color="white", fontsize=8)
    bar.ax.tick_params(colors="white", labelsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor=figure.get_facecolor())
    return stream.getvalue()


def middle_of(volume: Volume) -> tuple[float, float, float]:
    """RAS [mm] of the middle of the signal."""
    signal = volume.voxels > 0.02 * reference_intensity(volume.voxels)
    index = np.argwhere(signal) if signal.any() else np.array([np.array(volume.shape) / 2])
    middle = (index.min(axis=0) + index.max(axis=0)) / 2
    return tuple(float(x) for x in volume.grid.index_to_ras(middle[::-1]))
