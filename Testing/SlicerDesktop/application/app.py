"""slicer.app: the application object, its folders, settings and main window."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject, QProcessEnvironment, QSettings, Signal, Slot
from PySide6.QtWidgets import QApplication

from .. import manifest
from ..widgets.completion import completed
from .home import Home
from .io_manager import IOManager
from .layout import LayoutManager
from .main_window import MainWindow
from .scripted_modules import ModuleManager


@completed("qSlicerCommandOptions")
class CommandOptions(QObject):
    """How Slicer was started."""


def _path(name: str) -> Property:
    return Property(str, lambda self: str(getattr(self.home, name)))


@completed("qSlicerApplication")
class Application(QApplication):
    """The application object."""

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)

    def __init__(self, home: Home) -> None:
        super().__init__(["Slicer", "-platform", "offscreen"])
        self.home = home
        self.setApplicationName("Slicer")
        self.setOrganizationName("NA-MIC")
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(home.settings))
        self.setQuitOnLastWindowClosed(False)
        self.is_testing = False
        self._options = CommandOptions(self)
        self._modules = ModuleManager(self)
        self._io = IOManager(self)
        self.main_window = MainWindow(self._modules)
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetTemporaryPath(str(home.temporary))
        self._logic.SetHomeDirectory(str(home.folder))
        self._logic.SetShareDirectory(str(home.share))
        self._remote_io, self._data_io = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        self._remote_io.GetCacheManager().SetRemoteCacheDirectory(str(home.cache))
        self._data_io.SetMRMLApplicationLogic(self._logic)
        self._data_io.SetAndObserveDataIOManager(self._remote_io.GetDataIOManager())
        self._colors = slicer.vtkSlicerColorLogic()  # as the Colors module does: registers color legends too
        self._colors.SetMRMLApplicationLogic(self._logic)
        self._logic.SetColorLogic(self._colors)
        self._layout_manager = LayoutManager(self._logic, self)
        self._settings = QSettings()
        self._revision_settings = QSettings(str(home.settings / "Slicer-revision.ini"), QSettings.Format.IniFormat)

    def lasting_parts(self) -> list[QObject]:
        """The objects that live on from test to test."""
        return [
            self,
            self.main_window,
            self.main_window.moduleSelector(),
            self._layout_manager,
            self._modules,
            self._io,
        ]

    def close_other_windows(self) -> None:
        """Delete the windows that a test left open."""
        lasting = {id(window) for window in (self.main_window, *self._layout_manager.windows())}
        for window in self.topLevelWidgets():
            if id(window) not in lasting:
                window.close()
                window.deleteLater()

    def use_scene(self, scene: Any) -> None:
        """Make `scene` the application's scene: selection, views and color tables included."""
        self._logic.SetMRMLScene(scene)
        self._logic.SetMRMLSceneDataIO(scene, self._remote_io, self._data_io)
        self._colors.SetMRMLScene(scene)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        scene.AddNode(crosshair)
        self._layout_manager.setMRMLScene(scene)
        self._modules.use_scene(scene)
        self.mrmlSceneChanged.emit(scene)

    def empty_scene(self) -> None:
        """Close the scene and set what survives that, such as layout and slice views, back to the start."""
        scene = self.mrmlScene()
        scene.Clear(False)
        for index in reversed(range(scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode"))):
            scene.RemoveNode(scene.GetNthNodeByClass(index, "vtkMRMLScriptedModuleNode"))
        self._layout_manager.reset_views()

    def mrmlScene(self) -> Any:
        return self._logic.GetMRMLScene()

    def applicationLogic(self) -> Any:
        return self._logic

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def moduleManager(self) -> ModuleManager:
        return self._modules

    def moduleLogic(self, name: str) -> Any:
        return self._modules.module_logic(name)

    def ioManager(self) -> IOManager:
        return self._io

    def coreIOManager(self) -> IOManager:
        return self._io

    def commandOptions(self) -> CommandOptions:
        return self._options

    def settings(self) -> QSettings:
        return self._settings

    userSettings = settings

    def revisionUserSettings(self) -> QSettings:
        return self._revision_settings

    @Slot(result=bool)
    def testingEnabled(self) -> bool:
        return self.is_testing

    def environment(self) -> QProcessEnvironment:
        return QProcessEnvironment.systemEnvironment()

    def startupEnvironment(self) -> QProcessEnvironment:
        environment = QProcessEnvironment.systemEnvironment()
        folders = environment.value("PATH").split(os.pathsep)
        environment.insert("PATH", os.pathsep.join(folder for folder in folders if folder != str(self.home.programs)))
        return environment

    def moduleDocumentationUrl(self, module: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{module.lower()}.html"

    def toSlicerHomeAbsolutePath(self, path: str) -> str:
        return str(Path(self.home.folder) / path)

    def processEvents(self, *arguments: Any) -> None:
        QApplication.processEvents(*arguments)

    @Slot()
    def pauseRender(self) -> None:
        self._layout_manager.pauseRender()

    @Slot()
    def resumeRender(self) -> None:
        self._layout_manager.resumeRender()

    @Slot()
    def restart(self) -> None:
        self.home.restarts += 1

    @Slot(str)
    def openUrl(self, url: str) -> None:
        self.home.opened_urls.append(url)

    slicerHome = _path("folder")
    slicerSharePath = _path("share")
    temporaryPath = _path("temporary")
    extensionsInstallPath = _path("extensions")
    cachePath = _path("cache")
    startupWorkingPath = _path("folder")
    launcherExecutableFilePath = Property(str, lambda self: str(self.home.folder / "Slicer"))
    documentationBaseUrl = Property(str, lambda _: "https://slicer.readthedocs.io/en/latest/")
    majorVersion = Property(int, lambda _: int(manifest.load()["about"]["slicer_version"].split(".")[0]))
    minorVersion = Property(int, lambda _: int(manifest.load()["about"]["slicer_version"].split(".")[1]))
    applicationVersion = Property(str, lambda _: manifest.load()["about"]["slicer_version"])
    os = Property(str, lambda _: "linux")
    arch = Property(str, lambda _: "amd64")
    isInstalled = Property(bool, lambda _: True)
