"""Put the stand-in in place: the modules `qt` and `ctk`, what `slicer` lacks, and the application.

`install()` works once per process. With the environment variable SLICER_SOURCE naming a checkout of Slicer, Slicer's
own Python files (Base/Python/slicer) take the place of those in `slicer_python` here.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import PySide6
import slicer
from PySide6 import QtCore, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from . import adapters, application, dialogs, manifest, sample_data, widgets
from .application.app import Application
from .application.home import Home, make_home
from .connections import callback_errors, disconnect_all
from .errors import NotInStandInError
from .modules_qt import make_module, module_attribute, qt_attribute
from .proxies import proxy_for

_PARTS = (adapters, application, widgets)  # importing them registers what they play
_KEPT_NAMES = {"util"}


class Desktop:
    """What tests use beside Slicer's own API."""

    def __init__(self, qt_application: Application, home: Home) -> None:
        self._application, self.home = qt_application, home

    @property
    def shown_dialogs(self) -> list[dialogs.ShownDialog]:
        """Every dialog that was opened in this test."""
        return dialogs.shown

    def answer(self, *answers: Any) -> None:
        """Prepare the answers to the next dialogs, in order."""
        dialogs.prepare(*answers)

    @property
    def callback_errors(self) -> list[BaseException]:
        """Exceptions raised in signal callbacks; a test that expects one clears the list."""
        return callback_errors

    def load_module(self, path: str | Path) -> Any:
        """Load a scripted module from its .py file; returns the module object."""
        return proxy_for(self._application.moduleManager().load(Path(path).resolve()))

    def open_module(self, name: str) -> Any:
        """Show a loaded module's panel as if its user had selected it; returns the Python widget object."""
        self._application.main_window.moduleSelector().selectModule(name)
        self.process_events()
        return self._application.main_window.page.self()

    def leave_module(self, name: str = "") -> None:  # noqa: ARG002 the name is for the reader
        """Hide the shown panel as if a module of Slicer's own had been selected."""
        self._application.main_window.moduleSelector().selectModule("Data")

    def slice_colors(self, view: str) -> np.ndarray:
        """uint8 array (rows from the bottom, columns, RGB) of what the slice view `view`, such as "Red", would show."""
        logic = self._application.layoutManager().sliceWidget(view).sliceLogic()
        logic.UpdatePipeline()
        connection = logic.GetImageDataConnection()
        if connection is None:
            raise ValueError(f"The slice view '{view}' has no volume to show.")
        connection.GetProducer().Update()
        image = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., :3]

    def drawn(self, view: str) -> np.ndarray:
        """uint8 array (rows from the top, columns, RGB) of the slice view `view` as drawn, annotations included."""
        slice_view = self._application.layoutManager().sliceWidget(view).sliceView()
        image = slice_view.drawing().render()
        columns, rows, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars())
        return pixels.reshape(rows, columns, -1)[::-1, :, :3].copy()

    def process_events(self, milliseconds: int = 0) -> None:
        """Let Qt work off what is waiting, for at least so long."""
        deadline = QtCore.QDeadlineTimer(milliseconds)
        while True:
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 10)
            if deadline.hasExpired():
                break

    def wait_until(self, condition: Any, *, timeout: float = 10.0) -> bool:
        """Let Qt work until `condition()` holds or `timeout` seconds are over; whether it holds."""
        deadline = QtCore.QDeadlineTimer(int(timeout * 1000))
        while not condition() and not deadline.hasExpired():
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 10)
            QtCore.QThread.msleep(1)
        return bool(condition())

    def set_testing(self, enabled: bool) -> None:
        """Start or stop Slicer's testing mode, in which pop-ups are skipped."""
        self._application.is_testing = enabled

    def grab(self, widget: Any, path: str | Path) -> Path:
        """Save a picture of a widget as PNG."""
        qt_widget = widget.qt_object() if hasattr(widget, "qt_object") else widget
        qt_widget.ensurePolished()
        if not qt_widget.isVisible():
            qt_widget.adjustSize()
        self.process_events()
        if not qt_widget.grab().save(str(path), "PNG"):
            raise OSError(f"Could not write the picture {path}.")
        return Path(path)

    def reset(self) -> None:
        """Back to a fresh start: no modules, an empty scene, no settings, no records."""
        self._application.main_window.moduleSelector().selectModule("")
        manager = self._application.moduleManager()
        for name in manager.modulesNames():
            manager.unload(name)
        self.process_events()
        for part in self._application.lasting_parts():
            disconnect_all(proxy_for(part))
        self._application.close_other_windows()
        _forget_kept_dialog()
        self._application.empty_scene()
        for _ in range(10):
            QtWidgets.QApplication.restoreOverrideCursor()
        self._application.settings().clear()
        self._application.revisionUserSettings().clear()
        self.set_testing(False)
        dialogs.reset()
        sample_data.forget()
        callback_errors.clear()
        self.home.forget()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)


_desktop: Desktop | None = None


def _forget_kept_dialog() -> None:
    """Slicer's packaging keeps the dialog of the latest installation for the next one; here it is gone by then."""
    kept = getattr(slicer.packaging, "_PipProgressDialog", None)
    if kept is not None:
        kept._sharedInstance = kept._hideTimer = None


def _check_qt() -> None:
    """PySide6 6.12 gives away references to None and True that it does not own: Python before 3.12 aborts."""
    if PySide6.__version_info__[:2] >= (6, 12) and sys.version_info < (3, 12):
        raise ImportError("PySide6 6.12 crashes under Python 3.11: install PySide6-Essentials<6.12.")


def _clean_slicer_namespace() -> None:
    """Take out of `slicer` what slicer-core puts there and Slicer does not."""
    import slicer.util

    for name, value in list(vars(slicer).items()):
        from_util = vars(slicer.util).get(name) is value and not isinstance(value, types.ModuleType)
        if from_util and not name.startswith(("vtk", "_")) and name not in _KEPT_NAMES:
            delattr(slicer, name)
    missing = [name for name in manifest.load()["about"]["util_functions"] if not hasattr(slicer.util, name)]
    if missing:
        raise ImportError(f"slicer-core is too old: slicer.util lacks {', '.join(missing)}. Install a newer one.")


def _python_folder() -> Path:
    source = os.environ.get("SLICER_SOURCE")
    if not source:
        return Path(__file__).with_name("slicer_python")
    folder = Path(source) / "Base" / "Python" / "slicer"
    if not (folder / "parameterNodeWrapper").is_dir():
        raise ImportError(f"SLICER_SOURCE is set, but {folder} is not a checkout of Slicer's Python files.")
    return folder


def _import_python_layer() -> None:
    import importlib

    slicer.__path__ = [*slicer.__path__, str(_python_folder())]
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper", "packaging", "testing"):
        setattr(slicer, name, importlib.import_module(f"slicer.{name}"))


def _module_missing(name: str) -> Any:
    known = manifest.load()["modules"]
    kind = known.get(name.lower(), {}).get("kind")
    if name == name.lower() and name in known:
        if kind == "loadable":
            return CoreModule(known[name]["name"])
        raise NotInStandInError(f"The module 'slicer.modules.{name}'")
    raise AttributeError(f"Slicer has no 'slicer.modules.{name}', and no module of that name was loaded.")


class CoreModule:
    """A C++ module of Slicer, of which only the logic is played."""

    def __init__(self, name: str) -> None:
        self.name = name

    def logic(self) -> Any:
        """The module's logic."""
        return slicer.app.moduleLogic(self.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotInStandInError(f"'slicer.modules.{self.name.lower()}.{name}'")


def install() -> Desktop:
    """Put the stand-in in place, once per process."""
    global _desktop
    if _desktop is not None:
        return _desktop
    _check_qt()
    folder = Path(tempfile.mkdtemp(prefix="SlicerDesktop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sys.modules["qt"] = make_module("qt", qt_attribute)
    sys.modules["ctk"] = make_module("ctk", lambda name: module_attribute("ctk", name))
    _clean_slicer_namespace()
    slicer.__getattr__ = lambda name: module_attribute("slicer", name)
    slicer.modules = make_module("slicer.modules", _module_missing)
    slicer.modules.__getattr__ = _module_missing
    slicer.moduleNames = types.ModuleType("slicer.moduleNames")
    sys.modules.update({"slicer.modules": slicer.modules, "slicer.moduleNames": slicer.moduleNames})
    sys.modules["SampleData"] = sample_data
    home = make_home(folder)
    qt_application = Application(home)
    slicer.app = proxy_for(qt_application)
    _desktop = Desktop(qt_application, home)
    slicer.mrmlScene = slicer.vtkMRMLScene()
    qt_application.use_scene(slicer.mrmlScene)
    _import_python_layer()
    return _desktop
