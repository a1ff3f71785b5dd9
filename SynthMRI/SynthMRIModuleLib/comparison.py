"""Before and after side by side, in two linked views of our own.

The views have their own names and view group, so the user's views keep their layers, zoom and position: leaving the
comparison only puts the user's layout back.
"""

from __future__ import annotations

import slicer

#: Ids of layouts and view groups are plain numbers shared by all extensions; this one is ours.
LAYOUT_ID = 26108
BEFORE_VIEW = "SynthMRIBefore"
AFTER_VIEW = "SynthMRIAfter"

_VIEW = """
 <item><view class="vtkMRMLSliceNode" singletontag="{name}">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">{label}</property>
  <property name="viewcolor" action="default">{color}</property>
  <property name="viewgroup" action="default">{group}</property>
 </view></item>"""


def layout_description() -> str:
    """The layout as Slicer's layout manager reads it: acquired volume left, result right."""
    views = [(BEFORE_VIEW, "Before", "#6EB04B"), (AFTER_VIEW, "After", "#F34A33")]
    items = "".join(_VIEW.format(name=n, label=label, color=color, group=LAYOUT_ID) for n, label, color in views)
    return f'<layout type="horizontal" split="true">{items}\n</layout>'


def register_layout() -> None:
    """Make the layout known, so that a scene saved while comparing opens as it was."""
    layout_node = _layout_node()
    if layout_node is not None and not layout_node.IsLayoutDescription(LAYOUT_ID):
        layout_node.AddLayoutDescription(LAYOUT_ID, layout_description())


class Comparison:
    """Shows a source and its result, and puts the user's layout back afterwards."""

    def __init__(self) -> None:
        self._previous_layout: int | None = None

    @property
    def shown(self) -> bool:
        """False also when the user has chosen another layout meanwhile."""
        layout_node = _layout_node()
        return layout_node is not None and layout_node.GetViewArrangement() == LAYOUT_ID

    def show(self, *, before: slicer.vtkMRMLScalarVolumeNode, after: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Switch to the two views, both in the acquisition plane of `before` and at the same place."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        register_layout()
        if not self.shown:
            self._previous_layout = _layout_node().GetViewArrangement()
        manager.setLayout(LAYOUT_ID)
        _fill_view(manager.sliceWidget(BEFORE_VIEW), before, plane_of=before)
        _fill_view(manager.sliceWidget(AFTER_VIEW), after, plane_of=before)
        _same_field_of_view(manager.sliceWidget(BEFORE_VIEW), manager.sliceWidget(AFTER_VIEW))

    def leave(self) -> None:
        """Put back the layout from before, unless the user has chosen another one meanwhile."""
        manager = slicer.app.layoutManager()
        if manager is not None and self.shown:
            manager.setLayout(self._previous_layout or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._previous_layout = None


def _layout_node() -> slicer.vtkMRMLLayoutNode | None:
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def _fill_view(
    widget: slicer.qMRMLSliceWidget,
    volume: slicer.vtkMRMLScalarVolumeNode,
    *,
    plane_of: slicer.vtkMRMLScalarVolumeNode,
) -> None:
    composite = widget.mrmlSliceCompositeNode()
    # Volumes that are loaded later must not replace the pair that is being compared.
    composite.SetDoPropagateVolumeSelection(False)
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    composite.SetBackgroundVolumeID(volume.GetID())
    composite.SetForegroundVolumeID(None)
    composite.SetLabelVolumeID(None)
    widget.mrmlSliceNode().SetViewGroup(LAYOUT_ID)
    widget.mrmlSliceNode().RotateToVolumePlane(plane_of)
    widget.fitSliceToBackground()


def _same_field_of_view(one: slicer.qMRMLSliceWidget, other: slicer.qMRMLSliceWidget) -> None:
    """Fitting rounds to the voxels of each volume; afterwards both views must show exactly the same region."""
    source, target = one.mrmlSliceNode(), other.mrmlSliceNode()
    target.GetSliceToRAS().DeepCopy(source.GetSliceToRAS())
    target.SetFieldOfView(*source.GetFieldOfView())
    target.SetXYZOrigin(*source.GetXYZOrigin())
    target.UpdateMatrices()
