"""Packages are installed only when the user agrees, and a user who declines learns how to go on."""

from __future__ import annotations

import ast
import sys
import types
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest
from module_support import READER_STUDY, ROOT, SUPER_RESOLUTION, UNCERTAINTY
from SynthMRILib.errors import ResourceError

MODULE_FILES = [SUPER_RESOLUTION, UNCERTAINTY, READER_STUDY]
LIBRARY_FILES = sorted([*ROOT.glob("SynthMRI/SynthMRIModuleLib/*.py"), *READER_STUDY.parent.glob("*Lib/*.py")])
IN_SLICER = {"slicer", "vtk", "qt", "ctk", "numpy"}


@pytest.fixture
def requirements(tmp_path: Path):
    """Writes a requirements file and returns its path."""

    def write(*lines: str) -> Path:
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(["# why", "", "-r other.txt", *lines]), encoding="utf-8")
        return path

    return write


@pytest.mark.usefixtures("slicer_scene")
@pytest.mark.parametrize(
    "requirement, installed",
    [
        ("numpy", True),
        ("numpy>=1.20", True),
        ("numpy>=1000", False),
        ("Pillow>=1", True),
        ("surely-no-such-package", False),
        ("surely-no-such-package; python_version < '3'", True),
    ],
)
def test_what_is_installed_is_known_without_importing_it(requirement, installed):
    from SynthMRIModuleLib.dependencies import is_installed

    assert is_installed(requirement) is installed


@pytest.mark.usefixtures("slicer_scene")
def test_comments_and_options_are_no_requirements(requirements):
    from SynthMRIModuleLib.dependencies import missing_requirements, read_requirements

    path = requirements("numpy>=1.20", "surely-no-such-package>=2")
    assert read_requirements(path) == ["numpy>=1.20", "surely-no-such-package>=2"]
    assert missing_requirements(path) == ["surely-no-such-package>=2"]


def test_nothing_is_asked_when_nothing_is_missing(slicer_desktop, requirements):
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    assert ensure_dependencies(requirements("numpy")) is False
    assert not slicer_desktop.shown_dialogs and not slicer_desktop.home.pip_calls()


def test_a_user_who_declines_is_told_how_to_go_on_and_nothing_is_installed(slicer_desktop, requirements):
    import qt
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    slicer_desktop.answer(qt.QMessageBox.Cancel)
    with pytest.raises(ResourceError, match="Press Apply again to install them, or choose a method"):
        ensure_dependencies(requirements("surely-no-such-package"))
    (asked,) = slicer_desktop.shown_dialogs
    said = asked.title + asked.text + asked.detail
    assert "SynthMRI" in said and "surely-no-such-package" in said
    assert not slicer_desktop.home.pip_calls()


def test_a_user_who_agrees_gets_the_missing_packages_and_no_others(slicer_desktop, requirements):
    import qt
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    slicer_desktop.answer(qt.QMessageBox.Ok)
    with pytest.raises(ResourceError):  # pip is only recorded here, so the package is still missing afterwards
        ensure_dependencies(requirements("numpy", "surely-no-such-package>=2"))
    (call,) = slicer_desktop.home.pip_calls()
    assert "surely-no-such-package>=2" in call and not any("numpy" in argument for argument in call)


@pytest.fixture
def without_torch(slicer_desktop, monkeypatch):
    """A Slicer with the PyTorch extension but without PyTorch; what the extension is asked for goes into a list."""
    real_version = metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise metadata.PackageNotFoundError(name)
        return real_version(name)

    class PyTorchUtilsLogic:
        asked: ClassVar[list[dict]] = []
        answer = None

        def installTorch(self, **arguments):
            self.asked.append(arguments)
            return self.answer

    monkeypatch.setattr(metadata, "version", version)
    extension = types.ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    assert not slicer_desktop.shown_dialogs
    return PyTorchUtilsLogic


def test_pytorch_comes_through_its_extension_after_a_question(without_torch, requirements):
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    without_torch.answer = types.ModuleType("torch")
    assert ensure_dependencies(requirements("numpy")) is True
    (arguments,) = without_torch.asked
    assert arguments["askConfirmation"] is True and arguments["torchVersionRequirement"].startswith(">=2")


def test_a_user_who_declines_pytorch_is_told_how_to_go_on(without_torch, requirements):
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    with pytest.raises(ResourceError, match="Press Apply again to install them, or choose a method"):
        ensure_dependencies(requirements("numpy"))
    assert len(without_torch.asked) == 1


@pytest.mark.usefixtures("without_torch")
def test_without_the_pytorch_extension_the_user_is_told_to_install_it(requirements, monkeypatch):
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(ResourceError, match="Install the extension PyTorch in the Extensions Manager"):
        ensure_dependencies(requirements("numpy"))


def test_in_testing_mode_nothing_is_installed(slicer_desktop, requirements):
    from SynthMRIModuleLib.dependencies import ensure_dependencies

    slicer_desktop.set_testing(True)
    with pytest.raises(ResourceError):
        ensure_dependencies(requirements("surely-no-such-package"))
    assert not slicer_desktop.home.pip_calls() and not slicer_desktop.shown_dialogs


def test_the_child_runs_in_python_slicer_not_in_the_application(slicer_desktop):
    from SynthMRIModuleLib.dependencies import python_executable

    assert python_executable() == str(slicer_desktop.home.python_slicer)
    assert sys.executable == str(slicer_desktop.home.application)


def imported_at_file_scope(path: Path) -> set[str]:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in body if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", [*MODULE_FILES, *LIBRARY_FILES], ids=lambda path: path.stem)
def test_at_startup_nothing_is_imported_that_slicer_does_not_have(path):
    """Neither packages that may be missing nor the engine: Slicer starts as fast with the extension as without."""
    imported = imported_at_file_scope(path) - set(sys.stdlib_module_names) - IN_SLICER
    assert imported <= {"SynthMRIModuleLib"}


@pytest.mark.parametrize("path", [*MODULE_FILES, *LIBRARY_FILES], ids=lambda path: path.stem)
def test_panels_and_logic_never_import_torch(path):
    assert "import torch" not in path.read_text(encoding="utf-8")
