"""The modules `qt` and `ctk`, and the Qt-like classes of the module `slicer`."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore

from . import enums, manifest
from .errors import NotInStandInError
from .proxies import class_for

_FUNCTIONS = {
    "QtDebugMsg": QtCore.QtMsgType.QtDebugMsg,
    "QtWarningMsg": QtCore.QtMsgType.QtWarningMsg,
    "QtCriticalMsg": QtCore.QtMsgType.QtCriticalMsg,
    "QtFatalMsg": QtCore.QtMsgType.QtFatalMsg,
    "QtInfoMsg": QtCore.QtMsgType.QtInfoMsg,
}


class _QtNamespaceType(type):
    def __getattr__(cls, name: str) -> Any:
        described = manifest.load()["Qt"]["enums"]
        if name in described:
            return enums.EnumType("Qt", name, tuple(described[name]))
        for enum_name, keys in described.items():
            if name in keys:
                return enums.find_value("Qt", enum_name, name)
        raise AttributeError(f"Slicer's 'qt.Qt' has no '{name}'.")


class Qt(metaclass=_QtNamespaceType):
    """`qt.Qt`: the namespace of Qt's general enums."""


def qt_attribute(name: str) -> Any:
    """`qt.<name>`; AttributeError when Slicer's qt module does not have it."""
    namespace = manifest.load()["qt_namespace"]
    if name == "Qt":
        return Qt
    if name in _FUNCTIONS:
        return enums.from_qt(_FUNCTIONS[name])
    description = manifest.classes().get(name)
    if description is not None and description["python_module"] == "qt":
        return class_for(name)
    if name in namespace["classes"] or name in namespace["extra"] or name in namespace["optional"]:
        raise NotInStandInError(f"'qt.{name}'")
    raise AttributeError(f"Slicer's module 'qt' has no '{name}'.{_near(name, 'qt')}")


def module_attribute(module: str, name: str) -> Any:
    """`ctk.<name>` or the Qt-like class `slicer.<name>`; AttributeError when Slicer does not have it."""
    description = manifest.classes().get(name)
    if description is not None and description["python_module"] == module:
        return class_for(name)
    if module == "slicer" and name in _slicer_names():
        raise NotInStandInError(f"'slicer.{name}'")
    raise AttributeError(f"Slicer's module '{module}' has no '{name}'.{_near(name, module)}")


def _slicer_names() -> set[str]:
    """Names of the module `slicer` other than Qt-like classes; `selfTests` is absent until a module makes it."""
    known = {*manifest.load()["application"]["python_variables"], *manifest.load()["vtk_names"]}
    return known - {"selfTests"}


def _near(name: str, module: str) -> str:
    import difflib

    known = [key for key, value in manifest.classes().items() if value["python_module"] == module]
    near = difflib.get_close_matches(name, known, n=2)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def make_module(name: str, attribute: Any) -> types.ModuleType:
    """A module whose names are looked up by `attribute(name)`."""
    module = types.ModuleType(name, f"Slicer's module '{name}', played by SlicerDesktop.")

    def lookup(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        value = attribute(wanted)
        setattr(module, wanted, value)
        return value

    module.__getattr__ = lookup
    return module
