"""CTK's widgets for files and folders."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Property, QDir, Signal, Slot
from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QToolButton, QWidget

from .. import dialogs
from .completion import completed


@completed("ctkPathLineEdit")
class PathLineEdit(QWidget):
    """A line for a path, with a history and a browse button."""

    Filter, Option, SizeAdjustPolicy = QDir.Filter, QFileDialog.Option, QComboBox.SizeAdjustPolicy
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo, self._button = QComboBox(), QToolButton()
        self._combo.setEditable(True)
        self._button.setText("...")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo, 1)
        row.addWidget(self._button)
        self._valid = False
        self._button.clicked.connect(self.browse)
        self._combo.editTextChanged.connect(self._changed)

    def _changed(self, path: str) -> None:
        valid = bool(path) and Path(path).exists()
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)
        self.currentPathChanged.emit(path)

    def comboBox(self) -> QComboBox:
        return self._combo

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        if path != self._combo.currentText():
            self._combo.setEditText(path)

    @Slot()
    def browse(self) -> None:
        path = dialogs.answer("file", self.objectName())
        if path:
            self.setCurrentPath(str(path))

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        if self._combo.findText(self._combo.currentText()) < 0:
            text = self._combo.currentText()
            self._combo.insertItem(0, text)
            self._combo.setEditText(text)

    @Slot()
    def retrieveHistory(self) -> None:
        """No history is kept between tests."""

    currentPath = Property(str, lambda self: self._combo.currentText(), setCurrentPath)
    showBrowseButton = Property(
        bool, lambda self: not self._button.isHidden(), lambda self, shown: self._button.setVisible(shown)
    )


@completed("ctkDirectoryButton")
class DirectoryButton(QWidget):
    """A button that shows and picks a folder."""

    Option = QFileDialog.Option
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._button, self._directory = QPushButton(), "."
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        self._button.clicked.connect(self.browse)

    def _set_directory(self, directory: str) -> None:
        if QDir(directory) != QDir(self._directory):
            self._directory = QDir(directory).absolutePath()
            self._button.setText(self._directory)
            self.directoryChanged.emit(self._directory)

    @Slot(result=str)
    def browse(self) -> str:
        chosen = str(dialogs.answer("file", self.objectName()) or "")
        if chosen:
            self._set_directory(chosen)
            self.directorySelected.emit(chosen)
        return chosen

    directory = Property(str, lambda self: self._directory, _set_directory)
