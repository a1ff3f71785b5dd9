"""The command `synthmri`: exit 0 done, 1 some cases of a batch failed, 2 bad input; no traceback unless `--debug`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module, util
from pathlib import Path
from typing import NoReturn

from . import __version__, commands
from .errors import SynthMRIError

#: Arguments that name a file or folder to write.
OUTPUTS = ("output", "residual", "spread")
#: How much earlier than the program's clock a file system may date a new file [s].
CLOCK_SECONDS = 0.02


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
    started = time.time()
    try:
        return parsed.run(parsed)
    except KeyboardInterrupt:
        if debug:
            raise
        sys.stderr.write(f"synthmri: {stopped(parsed, started)}\n")
        return 2
    except (SynthMRIError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"synthmri: {sentence(error)}\n")
        return getattr(error, "exit_code", 2)


def stopped(parsed: argparse.Namespace, started: float) -> str:
    """What is true after Ctrl+C: the places a command writes to are looked at for what is newer than its start."""
    places = [path for name in OUTPUTS if isinstance(path := getattr(parsed, name, None), Path)]
    written = [path for path in places if is_written(path, started - CLOCK_SECONDS)]
    if not written:
        return "Stopped. Nothing was written." if places else "Stopped."
    names = " and ".join(f"'{path.name}'" for path in written)
    if getattr(parsed, "resumes", False):
        return f"Stopped. What was done until then is in {names}; the same command goes on from there."
    return f"Stopped. What was written until then stays in {names} and may not be all."


def is_written(path: Path, since: float) -> bool:
    """Whether an output, or anything in it, beside it with its name, or made for it, changed since a time [s]."""
    stem = path.name.split(".")[0]
    files = path.rglob("*") if path.is_dir() else path.parent.glob("*")
    for file in files:
        if path.is_dir() or file.name.startswith(f"{stem}.") or file.name in (path.name, "split.json"):
            with suppress(OSError):
                if file.stat().st_mtime >= since and not file.is_dir():
                    return True
    return False


def sentence(error: BaseException) -> str:
    """One line for the user."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename or ''}".strip()
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
