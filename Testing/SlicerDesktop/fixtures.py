"""The pytest fixture: `from SlicerDesktop.fixtures import slicer_desktop` in conftest.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .desktop import Desktop


@pytest.fixture
def slicer_desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A fresh Slicer desktop; fails the test for exceptions in callbacks and for answers that no dialog asked for.

    Inside a real Slicer (see run_in_slicer.py) it is that Slicer.
    """
    if os.environ.get("SYNTHMRI_REAL_SLICER"):
        from .real import RealDesktop

        real = RealDesktop()
        real.reset()
        yield real
        real.reset()
        return
    from . import dialogs
    from .desktop import install

    desktop = install()
    monkeypatch.setenv("PATH", f"{desktop.home.programs}{os.pathsep}{os.environ.get('PATH', '')}")
    monkeypatch.setattr(sys, "executable", str(desktop.home.application))
    desktop.reset()
    yield desktop
    errors, unused = list(desktop.callback_errors), dialogs.unused_answers()
    desktop.reset()
    if errors:
        raise AssertionError(f"A signal callback raised {errors[0]!r}.") from errors[0]
    if unused:
        raise AssertionError(f"No dialog asked for the prepared answers {unused!r}.")
