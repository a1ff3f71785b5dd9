"""The package that draws the plots of a report, installed only when a report is asked for and the user agrees."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from SynthMRIModuleLib.dependencies import is_installed

REQUIREMENT = "matplotlib>=3.8"


def ensure_plots() -> None:
    """Ask for and install matplotlib when it is missing. Raises ResourceError when it is missing afterwards."""
    if is_installed(REQUIREMENT):
        return
    from SynthMRILib.errors import ResourceError

    question = _("The plots of the report need the Python package {name}, which will be installed into Slicer.")
    if slicer.util.confirmOkCancelDisplay(question.format(name=REQUIREMENT), windowTitle=_("Install a package?")):
        slicer.util.pip_install(REQUIREMENT)
    if not is_installed(REQUIREMENT):
        raise ResourceError(
            _("No report was written: its plots need matplotlib. Press the button again to install it.")
        )
