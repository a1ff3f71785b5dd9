"""Python packages the networks need, installed only when a user presses Apply and agrees.

PyTorch comes through the PyTorch extension, which picks the build that suits the graphics card; the few other packages
are listed in `Resources/requirements.txt`. Nothing here imports torch: only the child process does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import slicer
from slicer.i18n import tr as _

REQUESTER = "SynthMRI"
TORCH_VERSIONS = ">=2.8"
#: The same place in a checkout and where Slicer has installed the modules.
REQUIREMENTS_FILE = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"


def ensure_dependencies(requirements_file: Path = REQUIREMENTS_FILE) -> bool:
    """Ask for and install what is missing; True when something was installed. Call on the main thread only.

    Raises ResourceError with a sentence that says how to go on when the user declines or an installation fails.
    """
    needs_torch, missing = _torch_is_missing(), missing_requirements(requirements_file)
    if needs_torch or missing:
        _refuse_a_second_installation()
    if needs_torch:
        _install_torch()
    if missing:
        _install_packages(missing)
    return needs_torch or bool(missing)


def missing_packages() -> bool:
    """True when something has to be installed before a network can run."""
    return _torch_is_missing() or bool(missing_requirements())


def _torch_is_missing() -> bool:
    return not is_installed(f"torch{TORCH_VERSIONS}")


def missing_requirements(requirements_file: Path = REQUIREMENTS_FILE) -> list[str]:
    """Lines of the requirements file that the installed packages do not meet."""
    return [line for line in read_requirements(requirements_file) if not is_installed(line)]


def read_requirements(requirements_file: Path = REQUIREMENTS_FILE) -> list[str]:
    """Requirements one a line, without comments, empty lines and pip options."""
    lines = (line.strip() for line in requirements_file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def is_installed(requirement: str) -> bool:
    """True when a package is installed in a version that meets the requirement, e.g. "torch>=2.8"."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def python_executable() -> str:
    """The Python that runs the child process: PythonSlicer, or this very Python outside the Slicer application.

    Raises ResourceError when neither is there.
    """
    found = shutil.which("PythonSlicer")
    if found:
        return found
    if Path(sys.executable).name.lower().startswith("python"):
        return sys.executable
    from SynthMRILib.errors import ResourceError

    raise ResourceError(_("PythonSlicer was not found beside Slicer. Install Slicer again."))


def _refuse_a_second_installation() -> None:
    """Two installations at a time would damage Slicer's Python."""
    from SynthMRILib.errors import ResourceError

    if _has_slicer_packaging() and slicer.packaging.isPipInstallInProgress():
        raise ResourceError(_("Packages are being installed already. Wait until that is done, then press Apply again."))


def _install_torch() -> None:
    from SynthMRILib.errors import ResourceError

    try:
        import PyTorchUtils
    except ImportError:
        raise ResourceError(
            _("PyTorch is missing. Install the extension PyTorch in the Extensions Manager, restart, and press Apply.")
        ) from None
    if _version("torch"):
        raise ResourceError(
            _(
                "PyTorch {version} is too old. Uninstall it in the PyTorch Utils module, restart, and press Apply."
            ).format(version=_version("torch"))
        )
    try:
        torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH_VERSIONS
        )
    except Exception as error:
        raise ResourceError(_("PyTorch could not be installed: {reason}").format(reason=error)) from error
    if torch is None:
        raise ResourceError(declined_text())


def _install_packages(requirements: list[str]) -> None:
    """Slicer 5.11 and later ask and show progress themselves; before that, a plain question and pip."""
    from SynthMRILib.errors import ResourceError

    try:
        if _has_slicer_packaging():
            slicer.packaging.pip_ensure(requirements, requester=REQUESTER)
        elif slicer.util.confirmOkCancelDisplay(_question(requirements), windowTitle=REQUESTER):
            slicer.util.pip_install(requirements)
    except RuntimeError:
        raise ResourceError(declined_text()) from None
    except subprocess.CalledProcessError as error:
        raise ResourceError(failed_text()) from error
    except Exception as error:
        raise ResourceError(_("Packages could not be installed: {reason}").format(reason=error)) from error
    if any(not is_installed(requirement) for requirement in requirements):
        raise ResourceError(declined_text())


def _has_slicer_packaging() -> bool:
    try:
        import slicer.packaging  # noqa: F401 - present from Slicer 5.11 on
    except ImportError:
        return False
    return True


def _question(requirements: list[str]) -> str:
    return _("SynthMRI needs these Python packages, which will be installed into Slicer:\n\n{packages}").format(
        packages="\n".join(requirements)
    )


def declined_text() -> str:
    """What a user reads who did not want the installation."""
    return _(
        "Nothing was run, because packages the network needs are not installed. "
        "Press Apply again to install them, or choose a method that needs none, such as B-spline interpolation."
    )


def failed_text() -> str:
    """What a user reads whose installation failed, most often for want of a connection."""
    return _(
        "Nothing was run, because packages the network needs could not be installed. Check the connection and press "
        "Apply again, or choose a method that needs none, such as B-spline interpolation."
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
