"""A Slicer installation on disk, as far as modules see it: folders, PythonSlicer, and a record of what was asked.

`bin/PythonSlicer` is the interpreter that modules must start their child processes with. It runs the tests' own Python,
except for pip, which it only records. `bin/SlicerApp-real` is what sys.executable names inside Slicer: no interpreter.
"""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

_PYTHON_SLICER = """#!{python} -S
import json, os, sys
arguments = sys.argv[1:]
if arguments[:2] == ["-m", "pip"]:
    with open({log!r}, "a", encoding="utf-8") as log:
        log.write(json.dumps(arguments[2:]) + "\\n")
    print("pip is only recorded here:", *arguments[2:])
    sys.exit(0)
os.execv({python!r}, [{python!r}, *arguments])
"""
_APPLICATION = """#!/bin/sh
echo "SlicerApp-real is Slicer itself, not a Python interpreter: start child processes with PythonSlicer." >&2
exit 1
"""


@dataclass
class Home:
    """The folders of a Slicer installation below `folder`."""

    folder: Path
    restarts: int = 0
    opened_urls: list[str] = field(default_factory=list)

    @property
    def programs(self) -> Path:
        return self.folder / "bin"

    @property
    def share(self) -> Path:
        return self.folder / "share"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def settings(self) -> Path:
        return self.folder / "settings"

    @property
    def extensions(self) -> Path:
        return self.folder / "extensions"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def python_slicer(self) -> Path:
        return self.programs / "PythonSlicer"

    @property
    def application(self) -> Path:
        return self.programs / "SlicerApp-real"

    @property
    def pip_log(self) -> Path:
        return self.folder / "pip.jsonl"

    def pip_calls(self) -> list[list[str]]:
        """The arguments of every pip command that was asked for, in order."""
        if not self.pip_log.exists():
            return []
        return [json.loads(line) for line in self.pip_log.read_text(encoding="utf-8").splitlines()]

    def forget(self) -> None:
        """Forget what was recorded."""
        self.pip_log.unlink(missing_ok=True)
        self.restarts = 0
        self.opened_urls.clear()


def make_home(folder: Path) -> Home:
    """Make the folders and programs of an installation below `folder`."""
    home = Home(folder)
    for part in (home.programs, home.share, home.temporary, home.settings, home.extensions, home.cache):
        part.mkdir(parents=True, exist_ok=True)
    texts = {
        home.python_slicer: _PYTHON_SLICER.format(python=sys.executable, log=str(home.pip_log)),
        home.application: _APPLICATION,
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return home
