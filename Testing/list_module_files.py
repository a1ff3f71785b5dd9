#!/usr/bin/env python
"""Compare the files listed in each module's CMakeLists.txt with the files there are; `--fix` rewrites the lists.

Slicer installs only what is listed: a Python file that is missing there works in a checkout and fails for every user.
In a git checkout the files there are those that git knows (`git add` a new file first), elsewhere all on disk.
Exit status 0 when all lists agree (or were rewritten), 1 when one differs.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IGNORED_PARTS = {"__pycache__", "Testing"}


def module_folders(root: Path = ROOT) -> list[Path]:
    """Folders of the scripted modules: those that hold a CMakeLists.txt and a script of the same name."""
    return sorted(
        file.parent for file in root.glob("*/CMakeLists.txt") if (file.parent / f"{file.parent.name}.py").exists()
    )


def files_there_are(folder: Path) -> dict[str, list[str]]:
    """What each list of that module should hold: the module script first, then the rest in order."""
    files = [file.relative_to(folder) for file in _files_below(folder)]
    names = sorted(f.as_posix() for f in files if len(f.parts) > 1 and not IGNORED_PARTS & set(f.parts))
    script = f"{folder.name}.py"
    return {
        "MODULE_PYTHON_SCRIPTS": [script, *(name for name in names if name.endswith(".py"))],
        "MODULE_PYTHON_RESOURCES": [name for name in names if not name.endswith(".py")],
    }


def _files_below(folder: Path) -> list[Path]:
    command = ["git", "ls-files", "-z", "--full-name", str(folder)]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    known = [ROOT / name for name in asked.stdout.split("\0") if name]
    return [file for file in known or folder.rglob("*") if file.is_file()]


def _block(variable: str) -> re.Pattern[str]:
    return re.compile(rf"set\({variable}\n(?P<names>.*?)  \)", re.DOTALL)


def files_listed(folder: Path, variable: str) -> list[str]:
    """Names in one list of a module's CMakeLists.txt, `${MODULE_NAME}` resolved."""
    match = _block(variable).search((folder / "CMakeLists.txt").read_text(encoding="utf-8"))
    names = match["names"].split() if match else []
    return [name.replace("${MODULE_NAME}", folder.name) for name in names]


def differences(folder: Path) -> list[str]:
    """One sentence for each file that is listed and missing, or there and not listed."""
    found = []
    for variable, names in files_there_are(folder).items():
        listed = files_listed(folder, variable)
        found += [
            f"{folder.name}/{n} is not in {variable} and would not be installed" for n in names if n not in listed
        ]
        found += [f"{folder.name}/{n} is in {variable} but does not exist" for n in listed if n not in names]
        if not found and listed != names:
            found.append(f"{variable} of {folder.name} is not sorted")
    return found


def rewrite(folder: Path) -> None:
    """Write the lists anew."""
    file = folder / "CMakeLists.txt"
    text = file.read_text(encoding="utf-8")
    for variable, names in files_there_are(folder).items():
        lines = "".join(f"  {_with_variable(name, folder.name)}\n" for name in names)
        text = _block(variable).sub(lambda _, v=variable, body=lines: f"set({v}\n{body}  )", text)
    if text != file.read_text(encoding="utf-8"):
        file.write_text(text, encoding="utf-8")


def _with_variable(name: str, module: str) -> str:
    """Names of the module's own script, icon and panel are written with the variable, as in Slicer's template."""
    return re.sub(rf"(^|/){module}(\.\w+)$", r"\1${MODULE_NAME}\2", name)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true", help="rewrite the lists")
    fix = parser.parse_args(arguments).fix
    status = 0
    for folder in module_folders():
        if fix:
            rewrite(folder)
        for sentence in differences(folder):
            sys.stderr.write(f"{sentence}; run Testing/list_module_files.py --fix\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
