"""A page of pictures of a sample: three slices of every volume with lesions outlined, drawn without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import INTENDED_USE
from ..demo.pictures import slice_through
from ..errors import ResourceError
from ..volume import Volume
from .kinds import Sample

ORIENTATIONS = ("Axial", "Sagittal", "Coronal")
PIXEL_MM = 0.5
OUTLINED = {"lesions": "red", "foreign": "orange"}
#: Labels below this are of the brain and its fluid.
BRAIN_END = 100


def write_gallery(sample: Sample, path: Path, *, title: str) -> None:
    """Write the picture (PNG). Raises ResourceError when matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResourceError("The gallery needs matplotlib; install it with: pip install matplotlib.") from error
    first = next(iter(sample.volumes.values()))
    views = _views(first, point_of_interest(sample))
    curve = sample.facts.get("motion")
    columns = len(ORIENTATIONS) + (curve is not None)
    height = 4.0 * len(sample.volumes) + 1.2
    figure = Figure(figsize=(4.2 * columns, height), facecolor="black")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.3 / height, top=1 - 1.1 / height, wspace=0.05, hspace=0.15)
    rows = figure.subplots(len(sample.volumes), columns, squeeze=False)
    for number, (row, (name, volume)) in enumerate(zip(rows, sample.volumes.items())):
        top = brightest(sample, volume)
        for axes, orientation in zip(row, ORIENTATIONS):
            _draw(axes, sample, name, volume, orientation, *views[orientation], top)
        if curve is not None and number == 0:
            _draw_motion(row[-1], curve)
        elif curve is not None:
            row[-1].set_axis_off()
    figure.suptitle(f"{title}\n{INTENDED_USE}", color="white", fontsize=11)
    figure.savefig(path, dpi=80, facecolor="black")


def brightest(sample: Sample, volume: Volume) -> float:
    """Intensity to show as white: that of the brain, which fat and fluid outside of it may exceed many times."""
    inside = volume.voxels > 0
    labels = sample.masks["labels"]
    step = tuple(slice(None, None, max(1, n // 48)) for n in volume.shape)
    indices = np.moveaxis(np.indices(volume.shape), 0, -1)[step]
    places = labels.grid.ras_to_index(volume.grid.index_to_ras(indices[..., ::-1]))[..., ::-1]
    there = np.rint(places).astype(int).clip(0, np.array(labels.shape) - 1)
    found = labels.voxels[tuple(np.moveaxis(there, -1, 0))]
    brain = volume.voxels[step][(found > 0) & (found < BRAIN_END) & inside[step]]
    values = brain if brain.size else volume.voxels[inside]
    return float(np.percentile(values, 99.5)) if values.size else 1.0


def _draw(axes: Any, sample: Sample, name: str, volume: Volume, orientation: str, center, size, top: float) -> None:
    picture = slice_through(volume, orientation, center, size, pixel=PIXEL_MM)
    low = float(volume.voxels.min())  # above zero in maps of a factor, which vary little
    axes.imshow(picture, cmap="gray", vmin=low, vmax=top, interpolation="nearest")
    for mask, color in OUTLINED.items():
        if mask in sample.masks and name == next(iter(sample.volumes)):
            inside = slice_through(sample.masks[mask], orientation, center, size, pixel=PIXEL_MM) > 0.5
            if inside.any():
                axes.contour(inside, levels=[0.5], colors=color, linewidths=0.6)
    spacing = " x ".join(f"{s:.2f}" for s in volume.spacing)
    axes.set_title(f"{name} ({spacing} mm)" if orientation == "Axial" else orientation, color="white", fontsize=10)
    axes.set_axis_off()


def _draw_motion(axes: Any, motion: dict[str, Any]) -> None:
    for label, values in zip(("R", "A", "S", "pitch", "roll", "yaw"), np.array(motion["poses"]).T):
        axes.plot(motion["seconds"], values, ".", markersize=3, label=label)
    axes.legend(fontsize=7, ncols=2)
    axes.set_xlabel("s", color="white")
    axes.set_title(f"mm and deg; severity {motion['severity_mm']:.2f} mm", color="white", fontsize=10)
    axes.tick_params(colors="white")
    axes.set_facecolor("0.15")


def point_of_interest(sample: Sample) -> tuple[float, float, float]:
    """RAS point [mm] to show: a large lesion or foreign structure, else the middle of the brain or head."""
    for name in ("foreign", "lesions"):
        if name in sample.masks:
            mask = sample.masks[name]
            numbers = mask.voxels[mask.voxels > 0].astype(int)
            chosen = mask.voxels == np.bincount(numbers).argmax() if name == "lesions" else mask.voxels > 0
            return _middle(mask, chosen)
    labels = sample.masks["labels"]
    brain = (labels.voxels > 0) & (labels.voxels < BRAIN_END)
    return _middle(labels, brain if brain.any() else np.ones(labels.shape, dtype=bool))


def _middle(volume: Volume, mask: np.ndarray) -> tuple[float, float, float]:
    return tuple(float(x) for x in volume.grid.index_to_ras(np.argwhere(mask)[::7].mean(axis=0)[::-1]))


def _views(volume: Volume, point: tuple[float, float, float]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Center (RAS) and size [mm] of each slice: through the point, and wide enough for the whole field of view."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.grid.size])).reshape(3, -1).T
    ras = volume.grid.index_to_ras(corners)
    middle = ras.mean(axis=0).tolist()
    extent = (np.ptp(ras, axis=0) * 1.05).tolist()
    views = {}
    for orientation, across, normal in (("Axial", (0, 1), 2), ("Sagittal", (1, 2), 0), ("Coronal", (0, 2), 1)):
        center = tuple(point[axis] if axis == normal else middle[axis] for axis in range(3))
        views[orientation] = (center, tuple(extent[axis] for axis in across))
    return views
