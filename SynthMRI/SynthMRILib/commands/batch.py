"""`synthmri batch TASK --input FOLDER|BIDS|CSV --output FOLDER`: a task over a whole cohort."""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from ..cohort.bids import DERIVED_SUFFIX
from ..cohort.discovery import LAYOUTS, discover, reasons_of
from ..cohort.events import Event, Running
from ..cohort.records import FAILED, Record
from ..cohort.settings import make_settings
from ..errors import InputError
from ..tasks import get_task, task_names
from .common import add_run_options, print_json, run_parameters

#: How often progress is shown: on a terminal, and as a line in a log [s].
TERMINAL_SECONDS, LOG_SECONDS = 1.0, 60.0


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("batch", help="run a task over a folder, a BIDS data set or a list of volumes")
    parser.add_argument("task", choices=task_names())
    parser.add_argument("--input", type=Path, required=True, help="folder of volumes, BIDS data set, .csv or .tsv list")
    parser.add_argument("--output", type=Path, required=True, help="folder for outputs, records and summary")
    parser.add_argument("--layout", default="auto", choices=("auto", *LAYOUTS), help="how to read the input")
    parser.add_argument(
        "--suffix", action="append", default=[], help="only this BIDS suffix, e.g. T1w; may be repeated"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the task")
    parser.add_argument("--workers", type=int, default=1, help="computing processes on this machine")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler to use instead, e.g. tcp://HOST:8786")
    add_run_options(parser)
    parser.set_defaults(run=run_batch_command, resumes=True)


def run_batch_command(arguments: argparse.Namespace) -> int:
    """Exit status 0 when all cases are done, 1 when some failed."""
    from ..cohort.runner import run_batch

    if arguments.workers < 1:
        raise InputError(f"The number of workers must be at least 1, not {arguments.workers}.")
    values = {**run_parameters(arguments), **task_values(arguments.task, arguments.set)}
    roles = get_task(arguments.task).roles
    discovery = discover(
        arguments.input,
        roles,
        output=arguments.output,
        layout=arguments.layout,
        suffixes=arguments.suffix,
        output_suffix=DERIVED_SUFFIX.get(arguments.task, "anat"),
    )
    settings = make_settings(
        arguments.task, values, output=arguments.output, bundle=arguments.bundle, overwrite=arguments.overwrite
    )
    progress = BatchProgress()
    try:
        summary = run_batch(discovery, settings, backend_of(arguments), source=arguments.input, watcher=progress)
    finally:
        progress.end()
    tell(summary, discovery.skipped, arguments)
    return 1 if summary["failed"] else 0


def backend_of(arguments: argparse.Namespace) -> Any:
    """The backend that was asked for, see `cohort.events.Backend`."""
    if arguments.scheduler:
        from ..cohort.cluster import run_on_cluster

        return partial(run_on_cluster, address=arguments.scheduler)
    from ..cohort.local import run_local

    return partial(run_local, workers=arguments.workers)


def task_values(task: str, words: list[str]) -> dict[str, Any]:
    """Parameters from words NAME=VALUE. Raises InputError for other words, names and types of value."""
    defaults = get_task(task).parameters_class().as_dict()
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in defaults:
            raise InputError(f"--set {word}: write NAME=VALUE with a NAME of {', '.join(sorted(defaults))}.")
        values[name] = text if isinstance(defaults[name], str) else parsed(word, text, defaults[name])
    return values


def parsed(word: str, text: str, default: Any) -> Any:
    """A value of the type its parameter has."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    fits = isinstance(value, int | float) if isinstance(default, float) else isinstance(value, type(default))
    if default is not None and not fits:
        raise InputError(f"--set {word}: the value must be like {json.dumps(default)}.")
    return value


def tell(summary: dict[str, Any], skipped: list[Any], arguments: argparse.Namespace) -> None:
    """Failures on standard error, each with its name; the summary on standard output."""
    for item in summary["failures"]:
        sys.stderr.write(f"synthmri: {item['case']}: {item['error']}\n")
    if arguments.json:
        print_json({name: value for name, value in summary.items() if name != "rows"})
        return
    before = f" ({summary['done_before']} before)" if summary["done_before"] else ""
    sys.stdout.write(
        f"{summary['cases']} cases: {summary['done']} done{before}, {summary['failed']} failed, "
        f"{summary['flagged']} flagged for a look\n"
    )
    if skipped:
        sys.stdout.write(f"Left out: {reasons_of(skipped)}\n")
    sys.stdout.write(f"{arguments.output / 'summary.csv'}\nSynthetic volumes. Research use only, not for diagnosis.\n")


class BatchProgress:
    """Cases done and time left, on one line of a terminal, or as a line a minute in a log."""

    def __init__(self) -> None:
        self.total = self.before = self.finished = self.failed = 0
        self.running = 0.0
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()
        self.line_open = False

    def begin(self, total: int, done: int) -> None:
        """See `cohort.runner.Watcher`."""
        self.total, self.before = total, done
        self.started = time.monotonic()

    def note(self, event: Event) -> None:
        """See `cohort.runner.Watcher`."""
        if isinstance(event, Record):
            self.finished += 1
            self.failed += event.state == FAILED
        elif isinstance(event, Running):
            self.running = event.fraction
        now = time.monotonic()
        if now - self.shown >= (TERMINAL_SECONDS if self.terminal else LOG_SECONDS):
            self.shown = now
            self.show(now)

    def show(self, now: float) -> None:
        """Write the line."""
        start, end = ("\r", "\033[K") if self.terminal else ("", "\n")
        sys.stderr.write(f"{start}{self.line(now - self.started)}{end}")
        sys.stderr.flush()
        self.line_open = self.terminal

    def line(self, elapsed: float) -> str:
        """The progress in words after `elapsed` seconds."""
        done = self.before + self.finished
        failed = f", {self.failed} failed" if self.failed else ""
        worked = self.finished + self.running
        left = self.total - self.before - worked
        remaining = f", {readable(elapsed * left / worked)} left" if worked > 0 and left > 0 else ""
        return f"{done} of {self.total} cases{failed}{remaining}"

    def end(self) -> None:
        """Leave the line, so that what follows starts on its own."""
        if self.line_open:
            sys.stderr.write("\n")


def readable(seconds: float) -> str:
    """A duration for a person."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
