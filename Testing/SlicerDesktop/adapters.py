"""Methods that PythonQt plays itself, or that a test must not run for real.

QObject's decorators (connect, children, findChildren, ...), QTimer.singleShot with a Python callable, QUiLoader.load,
and every call that would open a modal dialog: those are answered by `dialogs`.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from . import dialogs, ui_loader
from .calls import BoundMethod, special
from .connections import connect, connect_objects, disconnect, report
from .conversion import to_python, to_qt
from .proxies import Proxy, ProxyType, proxy_for


@special("QObject", "connect")
def _connect(proxy: Proxy, *arguments: Any) -> bool:
    if len(arguments) == 2:
        return connect(proxy, *arguments)
    if isinstance(arguments[0], Proxy) and len(arguments) in (3, 4):
        return connect_objects(arguments[0], arguments[1], proxy, arguments[2])
    if len(arguments) in (3, 4) and isinstance(arguments[1], Proxy):
        return connect_objects(proxy, arguments[0], arguments[1], arguments[2])
    raise TypeError("connect takes ('signal(types)', callable) or ('signal(types)', receiver, 'slot(types)').")


@special("QObject", "disconnect")
def _disconnect(proxy: Proxy, *arguments: Any) -> bool:
    if len(arguments) in (1, 2):
        return disconnect(proxy, *arguments)
    raise TypeError("disconnect takes ('signal(types)') or ('signal(types)', callable).")


@special("QObject", "children")
def _children(proxy: Proxy) -> tuple:
    return tuple(proxy_for(child) for child in proxy.qt_object().children())


@special("QObject", "parent")
def _parent(proxy: Proxy) -> Any:
    return to_python(proxy.qt_object().parent())


def _descendants(qt_object: QtCore.QObject) -> list:
    found = []
    for child in qt_object.children():
        found += [proxy_for(child), *_descendants(child)]
    return found


def _matches(candidate: Any, wanted: Any, name: str) -> bool:
    if isinstance(wanted, ProxyType):
        wanted = wanted.slicer_class_name
    if not isinstance(wanted, str):
        raise TypeError(f"findChild and findChildren take a class or its name, not {wanted!r}.")
    return candidate.inherits(wanted) and (not name or candidate.objectName == name)


@special("QObject", "findChildren")
def _find_children(proxy: Proxy, wanted: Any, name: str = "") -> tuple:
    return tuple(child for child in _descendants(proxy.qt_object()) if _matches(child, wanted, name))


@special("QObject", "findChild")
def _find_child(proxy: Proxy, wanted: Any, name: str = "") -> Any:
    return next(iter(_find_children(proxy, wanted, name)), None)


@special("QObject", "property")
def _property(proxy: Proxy, name: str) -> Any:
    return to_python(proxy.qt_object().property(name))


@special("QObject", "setProperty")
def _set_property(proxy: Proxy, name: str, value: Any) -> bool:
    return proxy.qt_object().setProperty(name, to_qt(value))


@special("QObject", "tr")
def _translate(_proxy: Proxy, text: str, *_: Any) -> str:
    return text


@special("QTimer", "singleShot")
def _single_shot(_proxy: Any, milliseconds: int, *arguments: Any) -> None:
    function = arguments[-1]
    if not callable(function):
        raise TypeError("QTimer.singleShot takes the milliseconds and a callable.")

    def call() -> None:
        if isinstance(function, BoundMethod) and not function.proxy:
            return  # the object is gone
        try:
            function()
        except Exception as error:  # Qt cannot carry exceptions
            report(error)

    QtCore.QTimer.singleShot(int(milliseconds), call)


@special("QUiLoader", "load")
def _load(_proxy: Proxy, device: Any, parent: Any = None) -> Any:
    return ui_loader.load(device.qt_object(), to_qt(parent))


@special("QDialog", "exec")
def _execute(proxy: Proxy) -> Any:
    return to_python(dialogs.execute(proxy.qt_object()))


@special("QMessageBox", "question", "information", "warning", "critical", "about")
def _message(_proxy: Any, parent: Any, title: str, text: str, buttons: int = 0, *_: Any) -> Any:
    box = QtWidgets.QMessageBox(to_qt(parent))
    box.setWindowTitle(title)
    box.setText(text)
    kind = QtWidgets.QMessageBox.StandardButton
    box.setStandardButtons(kind(int(buttons)) if buttons else kind.Ok)
    return to_python(kind(dialogs.execute(box)))


@special("QFileDialog", "getOpenFileName", "getSaveFileName", "getExistingDirectory", "getOpenFileNames")
def _choose_file(_proxy: Any, _parent: Any = None, caption: str = "", *_: Any) -> Any:
    return dialogs.answer("file", caption)


@special("QInputDialog", "getText", "getItem", "getInt", "getDouble")
def _ask_value(_proxy: Any, _parent: Any, title: str, label: str, *_: Any) -> Any:
    return dialogs.answer("input", f"{title}: {label}")
