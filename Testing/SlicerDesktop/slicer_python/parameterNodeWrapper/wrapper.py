"""The class decorator that gives typed access to a parameter node and ties it to widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk

from .guiConnectors import GuiConnector, createGuiConnector
from .packs import isParameterPack, nestedParameterNames
from .parameters import ParameterInfo, read_parameters
from .util import splitPossiblyDottedName, unannotatedType

SlicerParameterNamePropertyName = "SlicerParameterName"


def _check_name(wrapper: Any, name: str) -> tuple[str, str | None]:
    top, rest = splitPossiblyDottedName(name)
    if top not in wrapper.allParameters:
        raise ValueError(f"There is no parameter '{top}'; there are {', '.join(wrapper.allParameters)}.")
    datatype = unannotatedType(wrapper.allParameters[top].unalteredType)
    if rest is not None and (not isParameterPack(datatype) or not _has_member(datatype, rest)):
        raise ValueError(f"The parameter '{top}' has no member '{rest}'.")
    return top, rest


def _has_member(pack: type, name: str) -> bool:
    leaves = nestedParameterNames(pack)
    return hasattr(pack, name) or any(leaf == name or leaf.startswith(name + ".") for leaf in leaves)


def _parameter(info: ParameterInfo) -> property:
    def read(self: Any) -> Any:
        name = self._prefix + info.basename
        if not info.codec.isIn(self.parameterNode, name):
            info.codec.write(self.parameterNode, name, info.default.value)
        return info.codec.read(self.parameterNode, name)

    def write(self: Any, value: Any) -> None:
        info.codec.write(self.parameterNode, self._prefix + info.basename, value)

    return property(read, write)


class _Wrapper:
    """What the decorator adds to a class."""

    def __init__(self, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._bindings: dict[int, tuple[dict[str, GuiConnector], int]] = {}
        self._next_tag, self._updating_widgets = 0, False
        for name in self.allParameters:
            getattr(self, name)

    def default(self, paramName: str) -> Any:
        """The Default of a parameter."""
        return self.allParameters[_check_name(self, paramName)[0]].default

    def isCached(self, paramName: str) -> bool:
        """Whether Slicer keeps the parameter's value in memory as well."""
        return self.allParameters[_check_name(self, paramName)[0]].codec.cacheable

    def getValue(self, name: str) -> Any:
        """The value of a parameter, or of a member of a pack by its dotted name."""
        top, rest = _check_name(self, name)
        value = getattr(self, top)
        return value if rest is None else value.getValue(rest)

    def setValue(self, name: str, value: Any) -> None:
        """Set a parameter, or a member of a pack by its dotted name."""
        top, rest = _check_name(self, name)
        if rest is None:
            setattr(self, top, value)
        else:
            getattr(self, top).setValue(rest, value)

    def connectGui(self, gui: Any) -> int:
        """Tie every widget with a SlicerParameterName to its parameter; returns a tag for disconnectGui."""
        widgets = gui.findChildren(qt.QWidget) if hasattr(gui, "isWidgetType") else list(vars(gui).values())
        named = ((widget.property(SlicerParameterNamePropertyName), widget) for widget in widgets)
        return self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Tie widgets or connectors to parameters; returns a tag for disconnectGui."""
        for name in mapping:
            _check_name(self, name)
        connectors = {
            name: each if isinstance(each, GuiConnector) else createGuiConnector(each, self.dataType(name))
            for name, each in mapping.items()
        }
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(self._widget_changed(name, connector))
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._update_widgets())
        self._bindings[tag] = connectors, observer
        return tag

    def disconnectGui(self, guiTag: int) -> None:
        """Undo connectGui or connectParametersToGui."""
        connectors, observer = self._bindings.pop(guiTag, ({}, None))
        for connector in connectors.values():
            connector.onChanged(None)
        if observer is not None:
            self.RemoveObserver(observer)

    def _widget_changed(self, name: str, connector: GuiConnector) -> Callable[[], None]:
        def changed() -> None:
            if not self._updating_widgets:
                with slicer.util.NodeModify(self):
                    self.setValue(name, connector.read())

        return changed

    def _update_widgets(self) -> None:
        if self._updating_widgets:
            return
        self._updating_widgets = True
        try:
            with slicer.util.NodeModify(self):
                for connectors, _ in list(self._bindings.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating_widgets = False

    def StartModify(self) -> int:
        """Hold back ModifiedEvent."""
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> int:
        """Let ModifiedEvent through again."""
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event: Any, callback: Callable, priority: float = 0.0) -> int:
        """Observe the parameter node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        """Stop observing the parameter node."""
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        """Say that the parameter node changed."""
        self.parameterNode.Modified()


def _data_type_of(wrapper: type) -> staticmethod:
    def dataType(membername: str) -> Any:
        top, rest = _check_name(wrapper, membername)
        datatype = wrapper.allParameters[top].unalteredType
        return datatype if rest is None else unannotatedType(datatype).dataType(rest)

    return staticmethod(dataType)


def _wrap(declaring: type) -> type:
    infos = read_parameters(declaring)
    for info in infos.values():
        setattr(declaring, info.basename, _parameter(info))
    additions = {name: value for name, value in vars(_Wrapper).items() if not name.startswith("__")}
    additions |= {"allParameters": infos, "_is_parameter_node_wrapper": True, "dataType": _data_type_of(declaring)}
    for name, value in additions.items():
        if hasattr(declaring, name):
            raise ValueError(f"A parameter node wrapper must not use the reserved name '{name}'.")
        setattr(declaring, name, value)
    declaring.__init__ = _Wrapper.__init__
    return declaring


def parameterNodeWrapper(classtype: type | None = None) -> Any:
    """Class decorator: the annotated names become typed properties kept in a parameter node."""
    return _wrap if classtype is None else _wrap(classtype)


def isParameterNodeWrapper(classOrObj: Any) -> bool:
    """Whether it is a parameter node wrapper, class or object."""
    return getattr(classOrObj, "_is_parameter_node_wrapper", False)


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """The widget below `widget` whose SlicerParameterName is `parameter`, or None."""
    widgets = widget.findChildren(qt.QWidget)
    return next((each for each in widgets if each.property(SlicerParameterNamePropertyName) == parameter), None)
