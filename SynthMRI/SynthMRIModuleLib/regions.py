"""Where a synthetic volume is least to be trusted, and how far at given lesions: rows that a reader can be taken to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume


def region_columns() -> list[str]:
    """Titles of the cells of `region_rows`."""
    return [_("Size [mm3]"), _("Peak [%]"), _("Side"), _("Where")]


def lesion_columns() -> list[str]:
    """Titles of the cells of `lesion_rows`."""
    return [_("Lesion"), _("Size [mm3]"), _("Median [%]"), _("Grade")]


@dataclass(frozen=True)
class Row:
    """One region or lesion.

    Args:
        cells: texts of the columns.
        sentence: all of it in words, for a reader.
        position: RAS [mm] in the world, that is with the volume's parent transform.
    """

    cells: tuple[str, ...]
    sentence: str
    position: tuple[float, float, float]


def find_regions(total: Volume, image: Volume, **more: Any) -> list[Any]:
    """The largest clusters of high uncertainty, largest first (see `SynthMRILib.uncertainty.findings`)."""
    from SynthMRILib.uncertainty.findings import find_clusters

    return find_clusters(total, image, **more)


def region_rows(clusters: list[Any], node: slicer.vtkMRMLScalarVolumeNode) -> list[Row]:
    """Rows of `region_columns`; `node` is the volume the clusters lie in."""
    return [
        Row(
            (f"{c.volume_mm3:.0f}", f"{c.peak_percent:.1f}", side_text(c.side), c.place or c.slice),
            c.sentence(),
            in_world(node, c.position_ras),
        )
        for c in clusters
    ]


def lesion_rows(lesions: list[Any], node: slicer.vtkMRMLScalarVolumeNode) -> list[Row]:
    """Rows of `lesion_columns`; `node` is the volume the lesions lie in."""
    return [
        Row(
            (str(x.number), f"{x.volume_mm3:.0f}", f"{x.median_percent:.1f}", grade_text(x.grade)),
            x.sentence(),
            in_world(node, x.position_ras),
        )
        for x in lesions
    ]


def side_text(side: str) -> str:
    return {"left": _("left"), "right": _("right"), "midline": _("midline")}.get(side, side)


def grade_text(grade: str) -> str:
    return {"low": _("low"), "intermediate": _("intermediate"), "high": _("high")}.get(grade, grade)


def in_world(node: slicer.vtkMRMLScalarVolumeNode, position: tuple[float, float, float]) -> tuple[float, float, float]:
    """A place in the node's own coordinates as one in the world."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return position
    import vtk

    to_world = vtk.vtkGeneralTransform()
    transform.GetTransformToWorld(to_world)
    return tuple(to_world.TransformPoint(position))
