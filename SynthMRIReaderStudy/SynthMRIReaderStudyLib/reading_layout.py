"""Slice views of our own in which cases are read, so that every case looks the same and the reader's views stay as is.

One volume is shown in three planes; two to four volumes stand side by side, linked, in the same plane.
"""

from __future__ import annotations

import slicer
from SynthMRIModuleLib.side_marks import SideMarks

#: Ids of layouts and view groups are plain numbers shared by all extensions; these are ours (one for each count).
LAYOUT_IDS = {1: 26141, 2: 26142, 3: 26143, 4: 26144}
VIEW_GROUP = 26140
VIEWS = tuple(f"SynthMRIReading{number}" for number in (1, 2, 3, 4))
PLANES = ("Axial", "Sagittal", "Coronal")
COLOR = "#8C8C8C"

_VIEW = """
 <item><view class="vtkMRMLSliceNode" singletontag="{name}">
  <property name="orientation" action="default">{plane}</property>
  <property name="viewlabel" action="default">{label}</property>
  <property name="viewcolor" action="default">{color}</property>
  <property name="viewgroup" action="default">{group}</property>
 </view></item>"""


def layout_description(count: int) -> str:
    """The layout for so many volumes as Slicer's layout manager reads it."""
    planes = PLANES if count == 1 else ("Axial",) * count
    items = [
        _VIEW.format(name=name, plane=plane, label=label, color=COLOR, group=VIEW_GROUP)
        for label, (name, plane) in enumerate(zip(VIEWS, planes), start=1)
    ]
    if count > 1:
        return f'<layout type="horizontal" split="true">{"".join(items)}\n</layout>'
    column = f'\n <item><layout type="vertical" split="true">{"".join(items[1:])}\n </layout></item>'
    return f'<layout type="horizontal" split="true">{items[0]}{column}\n</layout>'


class ReadingLayout:
    """Shows volumes in our views, with the sides of the patient, and puts the reader's own layout back afterwards."""

    def __init__(self) -> None:
        self._previous: int | None = None
        self._marks = SideMarks()

    @property
    def shown(self) -> bool:
        """False also when the reader has chosen another layout meanwhile."""
        node = _layout_node()
        return node is not None and node.GetViewArrangement() in LAYOUT_IDS.values()

    def show(self, nodes: list[slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Show one volume in three planes, or several side by side. Zoom and place start anew for every case."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        layout_node, layout = _layout_node(), LAYOUT_IDS[len(nodes)]
        if not layout_node.IsLayoutDescription(layout):
            layout_node.AddLayoutDescription(layout, layout_description(len(nodes)))
        if not self.shown:
            self._previous = layout_node.GetViewArrangement()
        manager.setLayout(layout)
        planes = PLANES if len(nodes) == 1 else ("Axial",) * len(nodes)
        volumes = nodes * len(PLANES) if len(nodes) == 1 else nodes
        for name, plane, volume in zip(VIEWS, planes, volumes):
            _fill_view(manager.sliceWidget(name), volume, plane=plane, plane_of=nodes[0], linked=len(nodes) > 1)
        self._marks.follow(list(VIEWS[: len(planes)]))

    def leave(self) -> None:
        """Put back the layout from before, unless the reader has chosen another one meanwhile."""
        manager = slicer.app.layoutManager()
        if manager is not None and self.shown:
            manager.setLayout(self._previous or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._marks.stop()
        self._previous = None


def reading_widgets() -> list[slicer.qMRMLSliceWidget]:
    """Those of our views that exist already."""
    manager = slicer.app.layoutManager()
    widgets = [manager.sliceWidget(name) for name in VIEWS] if manager is not None else []
    return [widget for widget in widgets if widget is not None]


def empty_views() -> None:
    """Show nothing in our views."""
    for widget in reading_widgets():
        composite = widget.mrmlSliceCompositeNode()
        composite.SetBackgroundVolumeID(None)
        composite.SetForegroundVolumeID(None)
        composite.SetForegroundOpacity(0.0)


def _layout_node() -> slicer.vtkMRMLLayoutNode | None:
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def _fill_view(
    widget: slicer.qMRMLSliceWidget,
    volume: slicer.vtkMRMLScalarVolumeNode,
    *,
    plane: str,
    plane_of: slicer.vtkMRMLScalarVolumeNode,
    linked: bool,
) -> None:
    composite, node = widget.mrmlSliceCompositeNode(), widget.mrmlSliceNode()
    # Volumes that are loaded later must not replace the case.
    composite.SetDoPropagateVolumeSelection(False)
    composite.SetLinkedControl(linked)
    composite.SetHotLinkedControl(linked)
    composite.SetBackgroundVolumeID(volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetForegroundOpacity(0.0)
    composite.SetLabelVolumeID(None)
    node.SetViewGroup(VIEW_GROUP)
    node.SetOrientation(plane)
    node.RotateToVolumePlane(plane_of)
    widget.fitSliceToBackground()
