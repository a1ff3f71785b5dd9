"""The floors of the house: the engine knows no Slicer and no Qt, and its light part no torch.

Every module that is there is imported in a fresh Python in which the forbidden packages cannot be found.
"""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import SynthMRILib

ENGINE = Path(SynthMRILib.__file__).parent
SLICER = ("slicer", "qt", "ctk", "vtk", "vtkmodules", "PySide6", "PythonQt", "mrml")
#: What panels and the command line load before any work begins.
LIGHT = (
    *("volume", "volume_io", "nifti", "nifti_geometry", "itk_io", "input_checks", "findings", "intensity"),
    *("dicom_io", "dicom_headers", "dicom_geometry", "dicom_pixels"),
    *("bundles", "provenance", "errors", "progress", "tasks", "jobs.client", "jobs.protocol", "cli", "commands"),
)

IMPORT_WITHOUT = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not available on this floor")

BLOCKED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocker())
failed = []
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
if "SynthMRILib.cli" in sys.argv:
    from SynthMRILib.cli import build_parser
    build_parser()
loaded = BLOCKED & {name.partition(".")[0] for name in sys.modules}
sys.exit("\\n".join(failed) or (f"loaded: {loaded}" if loaded else 0))
"""


def engine_modules() -> list[str]:
    """Full names of all modules of the engine, without the ones that run when imported."""
    found = pkgutil.walk_packages([str(ENGINE)], f"{SynthMRILib.__name__}.")
    return sorted(module.name for module in found if not module.name.endswith("__main__"))


def light_modules() -> list[str]:
    wanted = tuple(f"{SynthMRILib.__name__}.{name}" for name in LIGHT)
    return [name for name in engine_modules() if name in wanted]


def import_without(blocked: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess:
    """Import modules in a child process that cannot find the blocked packages."""
    command = [sys.executable, "-c", IMPORT_WITHOUT, ",".join(blocked), *modules]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_the_whole_engine_imports_without_slicer_and_qt():
    done = import_without(SLICER, engine_modules())
    assert done.returncode == 0, done.stderr


def test_what_panels_load_at_once_imports_without_torch():
    done = import_without((*SLICER, "torch", "monai"), light_modules())
    assert done.returncode == 0, done.stderr


def test_the_light_part_is_what_it_is_said_to_be():
    assert {"SynthMRILib.volume", "SynthMRILib.volume_io", "SynthMRILib.cli"} <= set(light_modules())


def test_a_blocked_package_is_noticed():
    done = import_without(("json",), ["SynthMRILib.volume_io"])
    assert done.returncode != 0
    assert "not available on this floor" in done.stderr


@pytest.mark.parametrize("path", sorted(ENGINE.rglob("*.py")), ids=lambda path: str(path.relative_to(ENGINE)))
def test_no_engine_file_mentions_an_import_of_an_upper_floor(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module.partition(".")[0])
    assert not imported & {*SLICER, "SynthMRI", "SynthMRIUncertainty", "SynthMRIReaderStudy"}
