"""The main window: it shows one module's panel at a time and lets the user, or Python, choose which."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Property, Signal, Slot
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QToolBar, QWidget

from .. import manifest
from ..widgets.completion import completed
from .scripted_modules import ModuleManager, ScriptedWidget


@completed("qSlicerModuleSelectorToolBar")
class ModuleSelector(QToolBar):
    """Keeps the name of the shown module. A module of Slicer's own can be selected as well: its panel is empty here."""

    moduleSelected = Signal(str)

    def __init__(self, modules: ModuleManager, show: Callable[[str], None], parent: QWidget) -> None:
        super().__init__(parent)
        self._modules, self._show, self._selected = modules, show, ""

    @Slot(str)
    def selectModule(self, name: str) -> None:
        slicers_own = {module["name"] for module in manifest.load()["modules"].values()}
        if name and self._modules.module(name) is None and name not in slicers_own:
            raise ValueError(f"No module of the name '{name}' is loaded.")
        if name != self._selected:
            self._selected = name
            self._show(name)
            self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda self: self._selected, selectModule)


@completed("qSlicerMainWindow")
class MainWindow(QMainWindow):
    """Holds the panel of the selected module."""

    def __init__(self, modules: ModuleManager) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.statusBar()
        self._modules, self._page = modules, None
        self._selector = ModuleSelector(modules, self._show, self)
        self._pages = QStackedWidget()
        self._pages.addWidget(QWidget())
        self.setCentralWidget(self._pages)

    def moduleSelector(self) -> ModuleSelector:
        return self._selector

    @property
    def page(self) -> ScriptedWidget | None:
        """The shown panel."""
        return self._page

    def _show(self, name: str) -> None:
        if self._page is not None:
            self._page.exit()
            self._pages.removeWidget(self._page)
            self._page = None
        module = self._modules.module(name)
        self._page = None if module is None else module.widgetRepresentation()
        if self._page is not None:
            self._pages.addWidget(self._page)
            self._pages.setCurrentWidget(self._page)
            self.show()
            self._page.show()
            self._page.enter()
