"""slicer.packaging: install what a module needs, with the user's consent.

Written anew for the stand-in. Requirements are checked against the installed packages for real; an installation goes
to PythonSlicer, which in the stand-in only records what was asked.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import slicer
from packaging.requirements import Requirement

_in_progress = False
_Requirements = str | Requirement | Iterable[str | Requirement]


def _to_requirements(requirements: _Requirements) -> list[Requirement]:
    if isinstance(requirements, (str, Requirement)):
        requirements = [requirements]
    return [each if isinstance(each, Requirement) else Requirement(each) for each in requirements]


def load_requirements(path: str | Path) -> list[Requirement]:
    """The requirements of a requirements.txt, without comments and empty lines."""
    lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """The dependencies that a pyproject.toml names."""
    project = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("project", {})
    return [Requirement(text) for text in project.get("dependencies", [])]


def pip_check(req: _Requirements, _seen: set[str] | None = None) -> bool:
    """Whether all requirements that apply here are installed in a fitting version."""
    return not _missing(_to_requirements(req))


def _is_met(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(installed, prereleases=True)


def _missing(requirements: list[Requirement]) -> list[Requirement]:
    return [requirement for requirement in requirements if not _is_met(requirement)]


def pip_install(
    requirements: _Requirements,
    constraints: str | Path | None = None,
    no_deps_requirements: _Requirements | None = None,
    skip_packages: list[str] | None = None,
    blocking: bool = True,
    show_progress: bool = True,  # noqa: ARG001
    requester: str | None = None,  # noqa: ARG001
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> list[str] | None:
    """Ask pip to install the requirements; returns the names that were skipped, CalledProcessError when pip fails."""
    wanted = _to_requirements(requirements.split() if isinstance(requirements, str) else requirements)
    names = [str(requirement) for requirement in wanted if requirement.name not in (skip_packages or ())]
    extra = ["-c", str(constraints)] if constraints else []
    _run_pip(["install", *names, *extra], blocking, logCallback, completedCallback)
    if no_deps_requirements:
        names = [str(requirement) for requirement in _to_requirements(no_deps_requirements)]
        _run_pip(["install", "--no-deps", *names, *extra], blocking, logCallback, None)
    return list(skip_packages) if skip_packages else None


def _run_pip(
    arguments: list[str],
    blocking: bool,
    log_callback: Callable[[str], None] | None,
    completed_callback: Callable[[int], None] | None,
) -> None:
    global _in_progress
    if not blocking:
        _in_progress = True

        def completed(return_code: int) -> None:
            global _in_progress
            _in_progress = False
            if completed_callback is not None:
                completed_callback(return_code)

        slicer.util.executePythonModule("pip", arguments, False, log_callback, completed)
        return
    slicer.util.executePythonModule("pip", arguments)


def pip_uninstall(
    requirements: _Requirements,
    blocking: bool = True,
    logCallback: Callable[[str], None] | None = None,
    completedCallback: Callable[[int], None] | None = None,
) -> None:
    """Ask pip to remove packages."""
    names = requirements.split() if isinstance(requirements, str) else [str(each) for each in requirements]
    _run_pip(["uninstall", *names, "--yes"], blocking, logCallback, completedCallback)


def pip_ensure(
    requirements: _Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,  # noqa: ARG001
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    """Install what is missing, after asking; RuntimeError when the user declines, nothing in testing mode."""
    missing = _missing(_to_requirements(requirements))
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    names = "\n".join(str(requirement) for requirement in missing)
    question = (
        f"{requester or 'This module'} needs Python packages that are not installed:\n\n{names}\n\nInstall them now?"
    )
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question, "Install Python packages?"):
        raise RuntimeError("The user declined to install the required Python packages.")
    pip_install(missing, constraints, None, skip_packages, True, show_progress, requester)


def isPipInstallInProgress() -> bool:
    """Whether an installation runs in the background."""
    return _in_progress
