"""Options and output that several subcommands share."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from ..bundles import Bundle, load_bundle

PROGRESS_SECONDS = 1.0


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs a network."""
    parser.add_argument("--bundle", help="name or folder of a bundle; the best installed one by default")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--tile", type=int, default=0, help="edge of a tile in input voxels; 0 chooses it")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")


def run_parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """The task parameters that `add_run_options` adds."""
    return {name: getattr(arguments, name) for name in ("device", "precision", "tile", "seed")}


def chosen_bundle(arguments: argparse.Namespace) -> Bundle | None:
    """The bundle named on the command line, or None."""
    return load_bundle(arguments.bundle) if arguments.bundle else None


class ConsoleProgress:
    """Shows progress on a terminal's standard error, on one line; silent where nobody looks."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.shown = 0.0
        self.active = sys.stderr.isatty()

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if not self.active or (now - self.shown < PROGRESS_SECONDS and fraction < 1):
            return
        self.shown = now
        left = (now - self.started) * (1 - fraction) / fraction if fraction > 0.02 else None
        remaining = f", {left:.0f} s left" if left is not None else ""
        sys.stderr.write(f"\r{fraction:4.0%} {message}{remaining}\033[K")
        if fraction >= 1:
            sys.stderr.write("\n")


def print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")


def warn(findings: list[Any]) -> None:
    """Print the first two warnings; errors stop a run, information is for panels."""
    for finding in [f for f in findings if f.severity == "warning"][:2]:
        sys.stderr.write(f"synthmri: warning: {finding.message}\n")
