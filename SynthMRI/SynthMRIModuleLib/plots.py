"""Histogram and joint plot of a result and its source, as tables and charts that Slicer's plot views show."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .difference import resampled

BINS = 128
POINTS = 2000
#: Voxels looked at for a histogram, evenly spread: more change nothing that can be seen.
SAMPLES = 2_000_000
HISTOGRAM, JOINT = "histogram", "joint"
PLOT_ATTRIBUTE = "SynthMRI.Plot"
RESULT_REFERENCE = "SynthMRI.Result"
#: Blue and orange: told apart by every reader, and by lightness in gray.
COLORS = ((0.0, 0.45, 0.7), (0.9, 0.6, 0.0))


def find_chart(result: slicer.vtkMRMLNode, kind: str) -> slicer.vtkMRMLPlotChartNode | None:
    """The chart of that kind made for this result, if it is still in the scene."""
    for chart in slicer.util.getNodesByClass("vtkMRMLPlotChartNode"):
        if chart.GetAttribute(PLOT_ATTRIBUTE) == kind and chart.GetNodeReference(RESULT_REFERENCE) is result:
            return chart
    return None


def histogram_chart(
    before: slicer.vtkMRMLScalarVolumeNode, after: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLPlotChartNode:
    """Share of the voxels with signal at each intensity, before and after. The one that is there is used again."""
    found = find_chart(after, HISTOGRAM)
    if found is not None:
        return found
    voxels = [_with_signal(slicer.util.arrayFromVolume(node)) for node in (before, after)]
    edges = np.linspace(*np.percentile(np.concatenate(voxels), [0.5, 99.5]), BINS + 1)
    shares = [100 * np.histogram(v, edges)[0] / max(v.size, 1) for v in voxels]
    columns = {_("Intensity"): (edges[:-1] + edges[1:]) / 2, _("Before"): shares[0], _("After"): shares[1]}
    table = _table(_("{name} histogram").format(name=after.GetName()), columns)
    series = [_series(table, column, scatter=False, color=c) for column, c in zip(list(columns)[1:], COLORS)]
    titles = (_("Histogram"), _("Intensity"), _("Voxels with signal [%]"))
    return _chart(after, HISTOGRAM, table, series, titles)


def joint_chart(
    before: slicer.vtkMRMLScalarVolumeNode, after: slicer.vtkMRMLScalarVolumeNode
) -> slicer.vtkMRMLPlotChartNode:
    """Intensity after against before at the same places (the same random ones every time)."""
    found = find_chart(after, JOINT)
    if found is not None:
        return found
    pair = [resampled(before, like=after).ravel(), slicer.util.arrayFromVolume(after).ravel()]
    places = np.flatnonzero(pair[0] != 0)
    places = np.random.default_rng(0).choice(places, min(POINTS, places.size), replace=False)
    columns = {_("Before"): pair[0][places], _("After"): pair[1][places]}
    table = _table(_("{name} joint intensities").format(name=after.GetName()), columns)
    series = [_series(table, _("After"), scatter=True, color=COLORS[0])]
    return _chart(after, JOINT, table, series, (_("Joint intensities"), _("Before"), _("After")))


def _with_signal(voxels: np.ndarray) -> np.ndarray:
    sample = voxels.ravel()[:: max(1, voxels.size // SAMPLES)]
    return sample[sample != 0].astype(np.float64)


def _table(name: str, columns: dict[str, np.ndarray]) -> slicer.vtkMRMLTableNode:
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name))
    for title, values in columns.items():
        array = vtk.vtkDoubleArray()
        array.SetName(title)
        array.SetNumberOfValues(len(values))
        for n, value in enumerate(values):
            array.SetValue(n, float(value))
        table.AddColumn(array)
    return table


def _series(
    table: slicer.vtkMRMLTableNode, column: str, *, scatter: bool, color: tuple[float, float, float]
) -> slicer.vtkMRMLPlotSeriesNode:
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", column)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(table.GetColumnName(0))
    series.SetYColumnName(column)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetLineStyle(series.LineStyleNone if scatter else series.LineStyleSolid)
    series.SetMarkerStyle(series.MarkerStyleCircle if scatter else series.MarkerStyleNone)
    series.SetMarkerSize(3)
    series.SetColor(*color)
    return series


def _chart(
    result: slicer.vtkMRMLNode,
    kind: str,
    table: slicer.vtkMRMLTableNode,
    series: list[slicer.vtkMRMLPlotSeriesNode],
    titles: tuple[str, str, str],
) -> slicer.vtkMRMLPlotChartNode:
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", table.GetName())
    chart.SetAttribute(PLOT_ATTRIBUTE, kind)
    chart.SetNodeReferenceID(RESULT_REFERENCE, result.GetID())
    for node in series:
        chart.AddAndObservePlotSeriesNodeID(node.GetID())
    title, x_axis, y_axis = titles
    chart.SetTitle(title)
    chart.SetXAxisTitle(x_axis)
    chart.SetYAxisTitle(y_axis)
    return chart
