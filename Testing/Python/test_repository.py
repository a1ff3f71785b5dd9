"""The repository as a stranger meets it: what it holds, what its pages promise, what it asks to install."""

from __future__ import annotations

import argparse
import ast
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from SynthMRILib.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
TEXT = {".py", ".md", ".txt", ".toml", ".json", ".ui", ".cmake", ".sh", ".csv", ".yml", ".yaml", ".html", ""}

SLICER_REQUIREMENTS = "SynthMRI/Resources/requirements.txt"

#: Names that Slicer's own Python has, besides the standard library.
IN_SLICER = {
    "numpy",
    "scipy",
    "SimpleITK",
    "pydicom",
    "packaging",
    "slicer",
    "vtk",
    "qt",
    "ctk",
    "PyTorchUtils",
    "SampleData",
}
#: Parts of the engine that Slicer never runs.
NOT_IN_SLICER = (
    "training/",
    "demo/",
    "simulation/",
    "readers/plots.py",
    "uncertainty/pictures.py",
    "cohort/",
    "networks/diffusion.py",
)
#: Extra of what benchmarks run in an environment of its own, because it needs another numpy.
APART = "peers"
#: Import name -> name to install, where they differ.
DISTRIBUTIONS = {
    "ants": "antspyx",
    "PySide6": "pyside6-essentials",
    "shiboken6": "pyside6-essentials",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slicer": "slicer-core",
    "vtk": "slicer-core",
}


@functools.cache
def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    files = (file for file in tracked_files() if file.suffix in TEXT)
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


def requirement_names(lines: list[str]) -> set[str]:
    """Lower-case names of the packages in lines of a requirements file."""
    stripped = (line.split("#")[0].strip() for line in lines)
    return {re.split(r"[\s<>=!~\[;]", line)[0].lower() for line in stripped if line}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared_by_the_project() -> set[str]:
    """Names of the packages in pyproject.toml, with all extras but the one that is kept apart."""
    extras = [lines for name, lines in project()["optional-dependencies"].items() if name != APART]
    return requirement_names([*project()["dependencies"], *(line for lines in extras for line in lines)])


def declared_in(path: str) -> set[str]:
    return requirement_names((ROOT / path).read_text(encoding="utf-8").splitlines())


def imported_packages(file: Path) -> set[str]:
    """Top-level names a file imports, wherever in it, without its own package's and the standard library's."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - own_modules()


@functools.cache
def own_modules() -> set[str]:
    return {file.stem for file in tracked_files() if file.suffix == ".py"} | {
        file.parent.name for file in tracked_files() if file.suffix == ".py"
    }


def engine_files() -> list[Path]:
    return [file for file in tracked_files() if file.suffix == ".py" and "SynthMRILib" in file.parts]


def test_the_repository_is_small_enough_for_the_extensions_index():
    sizes = {file: file.stat().st_size for file in tracked_files()}
    assert not [file.name for file, size in sizes.items() if size > 9 * MEGABYTE]
    assert sum(sizes.values()) < 45 * MEGABYTE, "a clone holds everything twice: in its objects and in its work tree"


@pytest.mark.parametrize(
    "what, pattern",
    [
        ("a path of one machine", r"(?<![\w.])/(work|root|opt/wheels|opt/pypi)\b|/home/\w+/|[A-Z]:\\Users"),
        (
            "the host of a package registry",
            r"pythonhosted\.|pypi" + r"\.org|download\.pytorch\.|registry\.npmjs|deb\.debian\.",
        ),
        ("work that is left over", r"\bTO" + r"DO\b|\bFIX" + r"ME\b|\bXX" + r"X\b"),
    ],
)
def test_no_tracked_text_holds(what: str, pattern: str):
    others = {name: text for name, text in texts().items() if name != Path(__file__).relative_to(ROOT).as_posix()}
    assert not [f"{name}: {match[0]}" for name, text in others.items() if (match := re.search(pattern, text))], what


def test_text_files_have_unix_line_ends():
    assert not [f.name for f in tracked_files() if f.suffix in TEXT and b"\r" in f.read_bytes()]


def test_the_licence_is_there_and_named_in_the_readme():
    text = (ROOT / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert "[Apache-2.0](LICENSE.txt)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert project()["license"] == {"text": "Apache-2.0"}


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = {name: text for name, text in texts().items() if name.endswith(".md")}
    named = {
        (name, target)
        for name, text in pages.items()
        for target in re.findall(r"^make ([\w-]+)$|`make ([\w-]+)`", text, re.MULTILINE)
    }
    assert {("README.md", ("demo", "")), ("README.md", ("test", ""))} <= named
    assert not [(name, target) for name, (a, b) in named if (target := a or b) not in targets]


def test_every_link_between_pages_leads_somewhere():
    missing = []
    for name, text in texts().items():
        if name.endswith(".md"):
            links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
            paths = [(a or b).split("#")[0] for a, b in links if "://" not in (a or b)]
            missing += [
                f"{name}: {path}" for path in paths if path and not (ROOT / name).parent.joinpath(path).exists()
            ]
    assert not missing


def test_the_readme_lists_the_commands_that_there_are():
    listed = set(re.findall(r"^\| `synthmri ([\w-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    subparsers = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert listed == set(subparsers.choices)


def test_slicer_is_never_asked_to_install_what_it_brings_itself():
    lines = (ROOT / SLICER_REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    assert not requirement_names(lines) & {"numpy", "scipy", "simpleitk", "torch", "torchvision", "pydicom", "requests"}
    assert not [line for line in lines if "==" in line], "a pin would fight with other extensions"


def test_slicer_has_or_installs_everything_that_enhancement_imports():
    available = {name.lower() for name in IN_SLICER} | {"torch"} | declared_in(SLICER_REQUIREMENTS)
    files = [f for f in engine_files() if not any(f"SynthMRILib/{part}" in f.as_posix() for part in NOT_IN_SLICER)]
    imported = {(file.name, name) for file in files for name in imported_packages(file)}
    assert files and not [(file, name) for file, name in imported if name.lower() not in available]


def test_the_project_declares_what_its_engine_imports_and_nothing_else():
    imported = {name.lower() for file in engine_files() for name in imported_packages(file)}
    assert imported == declared_by_the_project()


def test_the_test_requirements_name_what_tests_import():
    declared = declared_in("Testing/requirements.txt") | declared_by_the_project()
    declared |= requirement_names(project()["optional-dependencies"][APART])
    files = [f for f in tracked_files() if f.suffix == ".py" and "Testing" in f.parts]
    imported = {(f.name, DISTRIBUTIONS.get(name, name).lower()) for f in files for name in imported_packages(f)}
    assert not [(file, name) for file, name in imported if name not in declared | {n.lower() for n in IN_SLICER}]


def test_every_development_package_is_pinned_and_torchvision_is_not_among_them():
    pinned = {name.replace("_", "-") for name in declared_in("Testing/constraints.txt")}
    wanted = declared_in("Testing/requirements.txt") | declared_by_the_project()
    assert not {name for name in wanted if name.replace("_", "-") not in pinned}
    assert "torchvision" not in pinned, "its build replaces the one of torch"
