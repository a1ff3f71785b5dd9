"""The same handle on a desktop as `desktop.Desktop`, for tests that run inside a real Slicer.

Nothing is played here. What only the stand-in can do (answers to questions, records of dialogs and of pip) skips the
test that asks for it, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class RealDesktop:
    """Slicer itself, under the names that tests use."""

    callback_errors: tuple = ()

    def load_module(self, path: str | Path) -> Any:
        """The module, which Slicer loaded at its start."""
        import slicer

        return getattr(slicer.modules, Path(path).stem.lower())

    def open_module(self, name: str) -> Any:
        """Show a module's panel; returns the Python widget object."""
        import slicer

        slicer.util.selectModule(name)
        slicer.app.processEvents()
        return slicer.util.getModuleWidget(name)

    def leave_module(self, name: str = "") -> None:  # noqa: ARG002 the name is for the reader
        """Show the Data module instead."""
        import slicer

        slicer.util.selectModule("Data")

    def process_events(self, milliseconds: int = 0) -> None:
        """Let Qt work off what is waiting, for at least so long."""
        self.wait_until(lambda: False, timeout=milliseconds / 1000)

    def wait_until(self, condition: Any, *, timeout: float = 10.0) -> bool:
        """Let Qt work until `condition()` holds or `timeout` seconds are over; whether it holds."""
        import time

        import slicer

        end = time.monotonic() + timeout
        slicer.app.processEvents()
        while not condition() and time.monotonic() < end:
            slicer.app.processEvents()
            time.sleep(0.001)
        return bool(condition())

    def set_testing(self, enabled: bool) -> None:
        """Slicer was started in testing mode and stays there."""

    def grab(self, widget: Any, path: str | Path) -> Path:
        """Save a picture of a widget as PNG."""
        widget.grab().save(str(path), "PNG")
        return Path(path)

    def reset(self) -> None:
        """An empty scene and no module of ours on show."""
        import slicer

        self.leave_module()
        slicer.mrmlScene.Clear(0)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        pytest.skip(f"'{name}' of the stand-in has no counterpart in a real Slicer")
