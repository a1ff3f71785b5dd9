"""Connectors for text, paths, nodes, ranges and colors."""

from __future__ import annotations

from typing import Any

import ctk
import qt
import slicer

from .codecs import PATH_TYPES
from .default import Default
from .guiConnectors import Decimals, GuiConnector, SingleStep, _annotation_value, parameterNodeGuiConnector
from .ranges import FloatRange
from .util import findFirstAnnotation, getNodeTypes, isNodeOrUnionOfNodes, splitAnnotations, unannotatedType
from .validators import RangeBounds


class _PropertyConnector(GuiConnector):
    """A connector that reads and writes one property of the widget."""

    property_name = ""

    def read(self) -> Any:
        return getattr(self._widget, self.property_name)

    def write(self, value: Any) -> None:
        if value != self.read():
            setattr(self._widget, self.property_name, value)


@parameterNodeGuiConnector
class LineConnector(_PropertyConnector):
    """str: QLineEdit."""

    signal, property_name = "textChanged", "text"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QLineEdit and unannotatedType(datatype) is str


@parameterNodeGuiConnector
class LabelConnector(_PropertyConnector):
    """str: QLabel, which only shows."""

    property_name = "text"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QLabel and unannotatedType(datatype) is str


@parameterNodeGuiConnector
class TextConnector(GuiConnector):
    """str: QTextEdit."""

    signal = "textChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is qt.QTextEdit and unannotatedType(datatype) is str

    def read(self) -> str:
        return self._widget.toPlainText()

    def write(self, value: str) -> None:
        self._widget.setPlainText(value)


@parameterNodeGuiConnector
class PathConnector(GuiConnector):
    """pathlib's types: ctkPathLineEdit and ctkDirectoryButton."""

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        is_path = unannotatedType(datatype) in PATH_TYPES
        return is_path and type(widget) in (ctk.ctkPathLineEdit, ctk.ctkDirectoryButton)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        is_line = type(widget) is ctk.ctkPathLineEdit
        self.signal, self._name = (
            ("currentPathChanged", "currentPath") if is_line else ("directoryChanged", "directory")
        )

    def read(self) -> Any:
        return unannotatedType(self._datatype)(getattr(self._widget, self._name))

    def write(self, value: Any) -> None:
        setattr(self._widget, self._name, str(value))


@parameterNodeGuiConnector
class NodeConnector(GuiConnector):
    """MRML nodes: qMRMLNodeComboBox, which gets the node types."""

    signal = "currentNodeChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is slicer.qMRMLNodeComboBox and isNodeOrUnionOfNodes(datatype)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.nodeTypes = getNodeTypes(datatype)

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)


@parameterNodeGuiConnector
class RangeConnector(GuiConnector):
    """FloatRange with bounds: range widgets."""

    signal = "valuesChanged"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        kinds = (ctk.ctkRangeWidget, ctk.ctkDoubleRangeSlider, slicer.qMRMLRangeWidget)
        return unannotatedType(datatype) is FloatRange and type(widget) in kinds

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        annotations = splitAnnotations(datatype)[1]
        bounds = findFirstAnnotation(annotations, RangeBounds)
        if bounds is None:
            raise RuntimeError("A range widget can only hold a FloatRange with the annotation RangeBounds.")
        if findFirstAnnotation(annotations, Default) is None and not bounds.minimum <= 0 <= bounds.maximum:
            raise RuntimeError("RangeBounds without 0 need a Default.")
        for kind, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
            if _annotation_value(datatype, kind) is not None:
                setattr(widget, name, _annotation_value(datatype, kind))
        widget.setRange(bounds.minimum, bounds.maximum)

    def read(self) -> FloatRange:
        return FloatRange(self._widget.minimumValue, self._widget.maximumValue)

    def write(self, value: FloatRange) -> None:
        self._widget.setValues(value.minimum, value.maximum)


@parameterNodeGuiConnector
class ColorConnector(_PropertyConnector):
    """qt.QColor: ctkColorPickerButton."""

    signal, property_name = "colorChanged", "color"

    @staticmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        return type(widget) is ctk.ctkColorPickerButton and unannotatedType(datatype) is qt.QColor
