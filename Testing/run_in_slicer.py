#!/usr/bin/env python
"""Run the self-tests of all modules, and the test suite, in a real Slicer: `run_in_slicer.py [SLICER] [-- PYTEST...]`.

SLICER is the launcher of Slicer; without it the environment variable SLICER, then `Slicer` on the PATH is taken. In
Slicer the fixtures of the stand-in hand out the real application (`SlicerDesktop/real.py`); tests that prepare answers
to questions are skipped there, because nobody answers. The suite needs the packages of Testing/requirements.txt in
Slicer's Python; without pytest only the self-tests run, and it is said. Exit status 0 when all passed, 1 when not, 2
without Slicer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("SynthMRI", "SynthMRIUncertainty", "SynthMRIReaderStudy")
ARGUMENTS_VARIABLE = "SYNTHMRI_RUN_IN_SLICER"


def main() -> int:
    """Outside: start Slicer with this very file as its script, and report what it found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slicer", nargs="?", help="the launcher of Slicer")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    arguments = parser.parse_args()
    launcher = arguments.slicer or os.environ.get("SLICER") or shutil.which("Slicer")
    if not launcher or not Path(launcher).exists():
        sys.stderr.write("No Slicer was found: name its launcher, or set the environment variable SLICER.\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        environment = {
            **os.environ,
            ARGUMENTS_VARIABLE: json.dumps({"report": str(report), "pytest": arguments.pytest}),
        }
        subprocess.run(slicer_command(launcher), env=environment, check=False)
        found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    for line in found.get("lines", ["Slicer ended without a report."]):
        sys.stdout.write(f"{line}\n")
    return 0 if found.get("passed") else 1


def slicer_command(launcher: str) -> list[str]:
    """Slicer without windows to close, with our modules and this file."""
    folders = [str(ROOT / module) for module in MODULES if (ROOT / module).is_dir()]
    command = [launcher, "--no-splash", "--testing", "--ignore-slicerrc", "--disable-settings"]
    return [*command, "--additional-module-paths", *folders, "--python-script", str(Path(__file__).resolve())]


def inside(request: dict) -> None:
    """In Slicer: run everything, write the report, leave."""
    import slicer

    passed, lines = True, []
    for module in MODULES:
        if not hasattr(slicer.modules, module.lower()):
            lines.append(f"{module}: not loaded")
            passed = False
            continue
        error = self_test_error(module)
        passed = passed and not error
        lines.append(f"{module}: {error or 'self-test passed'}")
    status, line = run_suite(request["pytest"])
    report = {"passed": passed and status == 0, "lines": [*lines, line]}
    Path(request["report"]).write_text(json.dumps(report), encoding="utf-8")
    slicer.util.exit(0 if report["passed"] else 1)


def self_test_error(module: str) -> str:
    """What went wrong in a module's own test; empty when it passed."""
    import importlib

    case = getattr(importlib.import_module(module), f"{module}Test")
    result = unittest.TestResult()
    unittest.FunctionTestCase(case().runTest).run(result)
    problems = result.failures + result.errors
    return problems[0][1].strip().splitlines()[-1] if problems else ""


def run_suite(arguments: list[str]) -> tuple[int, str]:
    """Exit status of pytest and a line about it."""
    try:
        import pytest
    except ImportError:
        return 0, "pytest is not installed in Slicer's Python: only the self-tests ran"
    os.environ["SYNTHMRI_REAL_SLICER"] = "1"
    os.chdir(ROOT)
    status = int(pytest.main(["Testing/Python", *arguments]))
    return status, f"test suite: exit status {status}"


if __name__ == "__main__":
    if ARGUMENTS_VARIABLE in os.environ:
        inside(json.loads(os.environ.pop(ARGUMENTS_VARIABLE)))
    else:
        sys.exit(main())
