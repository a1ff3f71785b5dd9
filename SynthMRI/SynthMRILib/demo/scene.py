"""A Slicer scene (.mrml) written without Slicer: volumes, how they are displayed, and which slice view shows which.

MRML is XML: a tag per node, node references by ID. Written are only the attributes that differ from what Slicer
assumes. The arrangement is Slicer's own "three over three": two rows (axial, coronal) of three views; the views of a
row are linked, so that they scroll and zoom together.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: Version of Slicer whose scene format is written; later versions read it.
MRML_VERSION = "Slicer 5.8.0 33216"
GREY = "vtkMRMLColorTableNodeGrey"
BLUE_WHITE_RED = "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
THREE_OVER_THREE = 21

#: Columns (horizontal, vertical, normal) of a slice's axes in RAS, the patient's right at the left of the screen.
ORIENTATIONS = {
    "Axial": np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "Sagittal": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    "Coronal": np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]),
}
#: Views of the arrangement, row by row: name, label, color.
ROWS = (
    ("Axial", (("Red", "R", "#F34A33"), ("Green", "G", "#6EB04B"), ("Yellow", "Y", "#EDD54C"))),
    ("Coronal", (("Red+", "R+", "#F9A99F"), ("Green+", "G+", "#C6E0B8"), ("Yellow+", "Y+", "#F6E9A2"))),
)


@dataclass(frozen=True)
class SceneVolume:
    """One volume of a scene.

    Args:
        title: name of its node.
        file: its file name, relative to the scene.
        window: range of intensities from the darkest to the brightest shade.
        level: intensity at the middle of that range.
        color: ID of the color table.
        attributes: node attributes by name.
    """

    title: str
    file: str
    window: float
    level: float
    color: str = GREY
    attributes: dict[str, str] = field(default_factory=dict)


def write_scene(
    path: Path,
    volumes: Sequence[SceneVolume],
    *,
    shown: tuple[int, int, int],
    center: tuple[float, float, float],
    field_of_view: float,
) -> None:
    """Write a scene whose columns of views show three of the volumes, from left to right.

    Args:
        path: file to write; the volumes lie beside it.
        volumes: all volumes of the scene; the first is listed first.
        shown: indices of the volumes of the left, middle and right column.
        center: RAS position [mm] in the middle of every view.
        field_of_view: height of what a view shows [mm].
    """
    root = ET.Element("MRML", version=MRML_VERSION)
    for number, volume in enumerate(volumes, start=1):
        _add_volume(root, number, volume)
    for row, (orientation, views) in enumerate(ROWS):
        for view, index in zip(views, shown):
            _add_slice(root, view, orientation, row, center, field_of_view)
            _add_composite(root, view[0], _volume_id(index + 1))
    _add(
        root,
        "Layout",
        "vtkMRMLLayoutNodevtkMRMLLayoutNode",
        "Layout",
        "vtkMRMLLayoutNode",
        currentViewArrangement=THREE_OVER_THREE,
    )
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def _add_volume(root: ET.Element, number: int, volume: SceneVolume) -> None:
    display, storage = f"vtkMRMLScalarVolumeDisplayNode{number}", f"vtkMRMLVolumeArchetypeStorageNode{number}"
    _add(root, "VolumeArchetypeStorage", storage, f"{volume.title} storage", fileName=volume.file)
    _add(
        root,
        "VolumeDisplay",
        display,
        f"{volume.title} display",
        colorNodeID=volume.color,
        autoWindowLevel=0,
        window=f"{volume.window:.9g}",
        level=f"{volume.level:.9g}",
        interpolate=1,
    )
    _add(
        root,
        "Volume",
        _volume_id(number),
        volume.title,
        references=f"display:{display};storage:{storage};",
        attributes=";".join(f"{name}:{_escaped(value)}" for name, value in volume.attributes.items()),
    )


def _add_slice(
    root: ET.Element,
    view: tuple[str, str, str],
    orientation: str,
    row: int,
    center: tuple[float, float, float],
    field_of_view: float,
) -> None:
    name, label, color = view
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = ORIENTATIONS[orientation], center
    presets = {f"orientationMatrix{preset}": _numbers(axes) for preset, axes in ORIENTATIONS.items()}
    _add(
        root,
        "Slice",
        f"vtkMRMLSliceNode{name}",
        name,
        name,
        layoutName=name,
        layoutLabel=label,
        layoutColor=_numbers(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)),
        **({"viewGroup": "true"} if row else {}),
        fieldOfView=_numbers((field_of_view, field_of_view, 1)),
        **presets,
        sliceToRAS=_numbers(pose),
        orientation=orientation,
        defaultOrientation=orientation,
    )


def _add_composite(root: ET.Element, view: str, volume_id: str) -> None:
    _add(
        root,
        "SliceComposite",
        f"vtkMRMLSliceCompositeNode{view}",
        view,
        view,
        layoutName=view,
        references=f"backgroundVolume:{volume_id};",
        linkedControl=1,
        hotLinkedControl=1,
    )


def _add(root: ET.Element, tag: str, node_id: str, name: str, singleton: str = "", **attributes: object) -> None:
    values = {"id": node_id, "name": name, "singletonTag": singleton, **attributes}
    ET.SubElement(root, tag, {key: str(value) for key, value in values.items() if value != ""})


def _volume_id(number: int) -> str:
    return f"vtkMRMLScalarVolumeNode{number}"


def _escaped(value: str) -> str:
    """Attribute values are separated by semicolons, so these are written as codes."""
    return value.replace("%", "%25").replace(";", "%3B")


def _numbers(values: object) -> str:
    return " ".join(f"{float(v):.9g}" for v in np.ravel(list(values)))
