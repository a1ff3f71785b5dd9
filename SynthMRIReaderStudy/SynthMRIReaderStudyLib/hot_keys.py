"""Keys that work while a case is on the screen, wherever in the window the mouse is.

A text or number field that has the focus gets what is typed into it: Qt asks it first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer


class HotKeys:
    """Keys of the main window that are in force until `clear`."""

    def __init__(self) -> None:
        self._shortcuts: list[Any] = []

    def add(self, key: str, action: Callable[[], None]) -> None:
        """Call `action` when `key` is pressed, e.g. "1", "M" or "Ctrl+Return"."""
        shortcut = qt.QShortcut(qt.QKeySequence(key), slicer.util.mainWindow())
        shortcut.connect("activated()", action)
        self._shortcuts.append(shortcut)

    def clear(self) -> None:
        """Take all keys away."""
        for shortcut in self._shortcuts:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
