"""Typed access to a vtkMRMLScriptedModuleNode, and its binding to widgets.

Written anew for the stand-in with the names, the rules and the storage format of Slicer's package of this name, so that
a scene saved with one is read by the other. Making widgets from types (createGui) is not played.
"""

from typing import Any as _Any

from . import guiConnectorsText  # noqa: F401 it registers its connectors
from .default import Default
from .guiConnectors import Decimals, GuiConnector, SingleStep, createGuiConnector, parameterNodeGuiConnector
from .packs import isParameterPack, nestedParameterNames, parameterPack
from .ranges import FloatRange
from .util import findFirstAnnotation, getNodeTypes, isNodeOrUnionOfNodes, splitAnnotations, unannotatedType
from .validators import (
    Choice,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    Validator,
    WithinRange,
)
from .wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "FloatRange",
    "GuiConnector",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "RangeBounds",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "createGuiConnector",
    "findChildWidgetForParameter",
    "findFirstAnnotation",
    "getNodeTypes",
    "isNodeOrUnionOfNodes",
    "isParameterNodeWrapper",
    "isParameterPack",
    "nestedParameterNames",
    "parameterNodeGuiConnector",
    "parameterNodeWrapper",
    "parameterPack",
    "splitAnnotations",
    "unannotatedType",
]
_NOT_PLAYED = {
    "GuiCreator", "Label", "Serializer", "ValidatedSerializer", "createGui", "parameterNodeGuiCreator",
    "parameterNodeSerializer",
}  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name in _NOT_PLAYED:
        from SlicerDesktop.errors import NotInStandInError

        raise NotInStandInError(f"'slicer.parameterNodeWrapper.{name}'")
    raise AttributeError(f"slicer.parameterNodeWrapper has no '{name}'.")
