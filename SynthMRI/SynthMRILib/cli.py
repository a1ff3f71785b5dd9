"""The command `synthmri`: exit 0 done, 1 some cases of a batch failed, 2 bad input; no traceback unless `--debug`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, util
from typing import NoReturn

from . import __version__, commands
from .errors import SynthMRIError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See '{self.prog} --help'.\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="synthmri",
        description="Enhance and synthesise brain MR volumes. Research use only, not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"synthmri {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands.COMMAND_MODULES:
        if util.find_spec(f"{commands.__name__}.{name}") is not None:
            import_module(f".{name}", commands.__name__).add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    parsed = build_parser().parse_args([a for a in arguments if a != "--debug"])
    try:
        return parsed.run(parsed)
    except (SynthMRIError, OSError, KeyboardInterrupt) as error:
        if debug:
            raise
        sys.stderr.write(f"synthmri: {sentence(error)}\n")
        return getattr(error, "exit_code", 2)


def sentence(error: BaseException) -> str:
    """One line for the user."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped. Nothing was written."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or ''}".strip()
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
