"""`synthmri demo`: enhance a simulated scan and leave volumes, a Slicer scene and a page to look at."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import INTENDED_USE
from ..volume_io import files_of
from .common import ConsoleProgress, add_run_options, chosen_bundle, print_json, run_parameters
from .targets import check_apart


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("demo", help="enhance a simulated scan and show before, after and difference")
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--template", type=Path, help="sharp volume to simulate the scan from (default: ICBM template)")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..demo.run import FILES, run_demo

    check_apart([file for name in FILES.values() for file in files_of(arguments.output / name)], [arguments.template])
    record = run_demo(
        arguments.output,
        template=arguments.template,
        bundle=chosen_bundle(arguments),
        parameters=run_parameters(arguments),
        overwrite=arguments.overwrite,
        progress=ConsoleProgress(),
    )
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(summary(record, arguments.output))
    return 0


def summary(record: dict[str, Any], output: Path) -> str:
    """A few lines for a person: what was made, where it is, how good and how long."""
    from ..demo.run import PAGE, SCENE

    figures = ", ".join(f"{method} {values['psnr']:.2f} dB" for method, values in record["figures"].items())
    return (
        f"Enhanced a simulated scan of {record['source']} by: {record['method']}. {INTENDED_USE}\n"
        f"PSNR against the reference: {figures}\n"
        f"Look at     {output / PAGE}\n"
        f"In Slicer   {output / SCENE}\n"
        f"Took {record['seconds']['total']:.0f} s, of which {record['seconds']['enhancement']:.0f} s to enhance\n"
    )
