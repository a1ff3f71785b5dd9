"""The layouts of the comparison: views of our own, so that the user's views keep their layers, zoom and position."""

from __future__ import annotations

from collections.abc import Collection

import slicer

#: Ids of layouts and view groups are numbers shared by all extensions; ours begin here, one for each set of views.
LAYOUT_ID = 26108
BEFORE_VIEW = "SynthMRIBefore"
AFTER_VIEW = "SynthMRIAfter"
DIFFERENCE_VIEW = "SynthMRIDifference"
UNCERTAINTY_VIEW = "SynthMRIMap"
SINGLE_VIEW = "SynthMRISingle"
PLOT_VIEW = "SynthMRIPlot"
SLICE_VIEWS = (BEFORE_VIEW, AFTER_VIEW, DIFFERENCE_VIEW, UNCERTAINTY_VIEW, SINGLE_VIEW)

_BITS = {DIFFERENCE_VIEW: 1, UNCERTAINTY_VIEW: 2, SINGLE_VIEW: 4, PLOT_VIEW: 8}
#: Label and color of each view; told apart also by readers who cannot tell red from green, or blue from yellow.
LOOKS = {
    BEFORE_VIEW: ("Before", "#56B4E9"),
    AFTER_VIEW: ("After", "#D55E00"),
    DIFFERENCE_VIEW: ("Difference", "#0072B2"),
    UNCERTAINTY_VIEW: ("Uncertainty", "#F0E442"),
    SINGLE_VIEW: ("Before and after", "#B0B0B0"),
}
_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
  <property name="orientation" action="default">Axial</property>
  <property name="viewlabel" action="default">{label}</property>
  <property name="viewcolor" action="default">{color}</property>
  <property name="viewgroup" action="default">{group}</property>
 </view></item>"""
_PLOT = """<item><view class="vtkMRMLPlotViewNode" singletontag="{name}">
  <property name="viewlabel" action="default">Plot</property>
 </view></item>"""


def layout_id(extra: Collection[str]) -> int:
    """Id of the layout with the views of a pair (or SINGLE_VIEW in their place) and these further views."""
    return LAYOUT_ID + sum(_BITS[name] for name in extra)


def layout_ids() -> list[int]:
    """All ids of ours."""
    return [LAYOUT_ID + bits for bits in range(2 ** len(_BITS))]


def layout_description(identifier: int = LAYOUT_ID) -> str:
    """The layout as Slicer's layout manager reads it: slices in one row, or two where there are four; plots below."""
    slices = slice_views(identifier)
    rows = [slices[:2], slices[2:]] if len(slices) == 4 else [slices]
    lines = [_row([_slice(name) for name in row]) for row in rows]
    if (identifier - LAYOUT_ID) & _BITS[PLOT_VIEW]:
        lines.append(_row([_PLOT.format(name=PLOT_VIEW)]))
    if len(lines) == 1:
        return lines[0]
    items = "\n".join(f"<item>{line}</item>" for line in lines)
    return f'<layout type="vertical" split="true">\n{items}\n</layout>'


def slice_views(identifier: int) -> list[str]:
    """Names of the slice views of a layout of ours, in reading order."""
    bits = identifier - LAYOUT_ID
    compared = [SINGLE_VIEW] if bits & _BITS[SINGLE_VIEW] else [BEFORE_VIEW, AFTER_VIEW]
    return [*compared, *(v for v in (DIFFERENCE_VIEW, UNCERTAINTY_VIEW) if bits & _BITS[v])]


def register_layouts() -> None:
    """Make the layouts known, so that a scene saved while comparing opens as it was."""
    node = layout_node()
    for identifier in layout_ids() if node is not None else ():
        if not node.IsLayoutDescription(identifier):
            node.AddLayoutDescription(identifier, layout_description(identifier))


def layout_node() -> slicer.vtkMRMLLayoutNode | None:
    """The scene's layout node; None without a main window."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None


def _row(items: list[str]) -> str:
    return '<layout type="horizontal" split="true">\n' + "\n".join(items) + "\n</layout>"


def _slice(name: str) -> str:
    label, color = LOOKS[name]
    return _SLICE.format(name=name, label=label, color=color, group=LAYOUT_ID)
