"""Histogram and joint plot of a result and its source, as tables and charts that Slicer's plot views show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .node_volume import thinned

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume

BINS = 128
POINTS = 2000
#: Voxels looked at for a histogram, evenly spread: more change nothing that can be seen.
SAMPLES = 2_000_000
HISTOGRAM, JOINT = "histogram", "joint"
PLOT_ATTRIBUTE = "SynthMRI.Plot"
RESULT_REFERENCE = "SynthMRI.Result"
#: Blue and orange: told apart by every reader, and by lightness in gray.
COLORS = ((0.0, 0.45, 0.7), (0.9, 0.6, 0.0))
#: Values of a table, one array a column.
Columns = list[np.ndarray]


def find_chart(result: slicer.vtkMRMLNode, kind: str) -> slicer.vtkMRMLPlotChartNode | None:
    """The chart of that kind made for this result, if it is still in the scene."""
    for chart in slicer.util.getNodesByClass("vtkMRMLPlotChartNode"):
        if chart.GetAttribute(PLOT_ATTRIBUTE) == kind and chart.GetNodeReference(RESULT_REFERENCE) is result:
            return chart
    return None


def histogram(before: Volume, after: Volume) -> Columns:
    """Share of the voxels with signal [%] at each intensity, before and after."""
    voxels = [_with_signal(volume.voxels) for volume in (before, after)]
    edges = np.linspace(*np.percentile(np.concatenate(voxels), [0.5, 99.5]), BINS + 1)
    shares = [100 * np.histogram(v, edges)[0] / max(v.size, 1) for v in voxels]
    return [(edges[:-1] + edges[1:]) / 2, *shares]


def joint_intensities(before: Volume, after: Volume) -> Columns:
    """Intensity before and after at the same places (the same random ones every time)."""
    from SynthMRILib.uncertainty.blending import resampled

    pair = [resampled(before, after).ravel(), after.voxels.ravel()]
    places = np.flatnonzero(pair[0])
    places = np.random.default_rng(0).choice(places, min(POINTS, places.size), replace=False)
    return [values[places] for values in pair]


#: What a chart of each kind is made of; knows no MRML, so that a thread can do it.
MEASURES = {HISTOGRAM: histogram, JOINT: joint_intensities}


def add_chart(result: slicer.vtkMRMLNode, kind: str, columns: Columns) -> slicer.vtkMRMLPlotChartNode:
    """The chart of that kind with its table, made from what its measure gave."""
    if kind == HISTOGRAM:
        titles = (_("Histogram"), _("Intensity"), _("Voxels with signal [%]"))
        names, shown = [_("Intensity"), _("Before"), _("After")], [_("Before"), _("After")]
        table = _table(_("{name} histogram").format(name=result.GetName()), dict(zip(names, columns)))
    else:
        titles = (_("Joint intensities"), _("Before"), _("After"))
        names, shown = [_("Before"), _("After")], [_("After")]
        table = _table(_("{name} joint intensities").format(name=result.GetName()), dict(zip(names, columns)))
    series = [_series(table, name, scatter=kind == JOINT, color=color) for name, color in zip(shown, COLORS)]
    return _chart(result, kind, table, series, titles)


def _with_signal(voxels: np.ndarray) -> np.ndarray:
    sample = thinned(voxels, SAMPLES)
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
