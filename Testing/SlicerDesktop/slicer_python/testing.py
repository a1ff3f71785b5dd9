"""slicer.testing: run a module's own test case."""

from __future__ import annotations

import sys
import unittest


def exitSuccess() -> None:
    """Slicer ends with status 0; there is nothing to end here."""


def exitFailure(message: str = "") -> None:
    """Fail with `message`."""
    raise Exception(message)


def runUnitTest(path: str | list[str], testname: str) -> None:
    """Run the tests of the module `testname`, found below `path`."""
    sys.path.extend([path] if isinstance(path, str) else path)
    suite = unittest.TestLoader().loadTestsFromName(testname)
    if not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful():
        exitFailure()
