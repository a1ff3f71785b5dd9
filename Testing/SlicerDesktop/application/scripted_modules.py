"""Scripted modules: loaded, shown, entered, left, reloaded and unloaded as Slicer does it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..errors import NotInStandInError
from ..widgets.completion import completed
from ..widgets.mrml_widgets import SceneWidget


@completed("qSlicerScriptedLoadableModuleWidget")
class ScriptedWidget(SceneWidget):
    """The page of a scripted module; holds the Python widget."""

    def __init__(self, module: ScriptedModule | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        QVBoxLayout(self)
        self._module, self._python, self._entered = module, None, False

    def build(self) -> None:
        """Make the module's Python widget on this page and let it set itself up."""
        from ..proxies import proxy_for

        name = self._module.module_name
        self.setObjectName(f"{name}Module")
        self._python = getattr(sys.modules[name], f"{name}Widget")(proxy_for(self))
        setattr(slicer.modules, f"{name}Widget", self._python)
        self._python.setup()
        self.setMRMLScene(slicer.mrmlScene)

    def self(self) -> Any:
        return self._python

    def module(self) -> ScriptedModule:
        return self._module

    def _call(self, name: str) -> None:
        method = getattr(self._python, name, None)
        if method is not None:
            method()

    def enter(self) -> None:
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        self._entered = False
        self._call("exit")

    def reload(self) -> None:
        self.build()

    moduleName = Property(str, lambda self: self._module.module_name)
    isEntered = Property(bool, lambda self: self._entered)


@completed("qSlicerScriptedLoadableModule")
class ScriptedModule(QObject):
    """One scripted module."""

    def __init__(self, path: str | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = path or ""
        self.module_name = Path(self._path).stem
        self._page: ScriptedWidget | None = None

    def widgetRepresentation(self) -> ScriptedWidget:
        if self._page is None:
            self._page = ScriptedWidget(self)
            self._page.build()
        return self._page

    def createNewWidgetRepresentation(self) -> ScriptedWidget:
        page = ScriptedWidget(self)
        page.build()
        return page

    def logic(self) -> None:
        """A scripted module has no C++ logic worth the name."""

    @property
    def page(self) -> ScriptedWidget | None:
        """The page, if it was made."""
        return self._page

    def forget_page(self) -> None:
        """Delete the page."""
        if self._page is not None:
            self._page.deleteLater()
            self._page = None

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    path = Property(str, lambda self: self._path)
    name = Property(str, lambda self: self.module_name)


@completed("qSlicerModuleFactoryManager")
class FactoryManager(QObject):
    """Names of the loaded modules."""

    def __init__(self, manager: ModuleManager) -> None:
        super().__init__(manager)
        self._manager = manager

    def loadedModuleNames(self) -> list[str]:
        return self._manager.modulesNames()

    def isLoaded(self, name: str) -> bool:
        return name in self._manager.modulesNames()


@completed("qSlicerModuleManager")
class ModuleManager(QObject):
    """All loaded modules: the scripted ones, and the logics of those C++ modules that slicer-core brings."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._modules: dict[str, ScriptedModule] = {}
        self._logics: dict[str, Any] = {}
        self._scene: Any = None
        self._factory = FactoryManager(self)

    def use_scene(self, scene: Any) -> None:
        """The scene of the C++ logics."""
        self._scene, self._logics = scene, {}

    def module_logic(self, name: str) -> Any:
        """The logic of a C++ module of Slicer, such as 'Volumes'."""
        if name not in self._logics:
            made = getattr(slicer, f"vtkSlicer{name}Logic", None)
            if made is None:
                raise NotInStandInError(f"The logic of the module '{name}'")
            self._logics[name] = made()
            self._logics[name].SetMRMLApplicationLogic(slicer.app.applicationLogic())
            self._logics[name].SetMRMLScene(self._scene)
        return self._logics[name]

    def modulesNames(self) -> list[str]:
        return list(self._modules)

    def factoryManager(self) -> FactoryManager:
        return self._factory

    def module(self, name: str) -> ScriptedModule | None:
        return self._modules.get(name)

    def load(self, path: Path) -> ScriptedModule:
        """Load a scripted module from its .py file, as at Slicer's start."""
        from ..proxies import proxy_for

        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        source = importlib.util.module_from_spec(spec)
        sys.modules[name] = source
        spec.loader.exec_module(source)
        module = ScriptedModule(str(path), self)
        module.setObjectName(name)
        setattr(slicer.modules, f"{name}Instance", getattr(source, name)(proxy_for(module)))
        setattr(slicer.modules, name.lower(), proxy_for(module))
        setattr(slicer.moduleNames, name, name)
        self._modules[name] = module
        self.moduleLoaded.emit(name)
        return module

    def unload(self, name: str) -> None:
        """Unload a scripted module, as at Slicer's end: its widget cleans up."""
        module = self._modules.pop(name)
        if module.page is not None and module.page.property("isEntered"):
            module.page.exit()
        self.moduleAboutToBeUnloaded.emit(name)
        module.forget_page()
        for attribute in (name.lower(), f"{name}Instance", f"{name}Widget"):
            vars(slicer.modules).pop(attribute, None)
        vars(slicer.moduleNames).pop(name, None)
        sys.modules.pop(name, None)
        module.deleteLater()
