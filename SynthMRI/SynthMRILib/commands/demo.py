"""`synthmri demo`: enhance a simulated scan and leave volumes, a Slicer scene and a page to look at."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .. import INTENDED_USE
from ..progress import no_progress


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("demo", help="enhance a simulated scan and show before, after and difference")
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--template", type=Path, help="sharp volume to simulate the scan from (default: ICBM template)")
    parser.add_argument("--bundle", help="name or folder of a bundle (default: the best one installed)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulated noise")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that holds something")
    parser.add_argument("--json", action="store_true", help="print the record of the run as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..demo.run import run_demo

    record = run_demo(
        arguments.output,
        template=arguments.template,
        bundle=arguments.bundle,
        overwrite=arguments.overwrite,
        seed=arguments.seed,
        progress=_tell if sys.stderr.isatty() else no_progress,
    )
    sys.stdout.write(json.dumps(record, indent=2) + "\n" if arguments.json else summary(record, arguments.output))
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


def _tell(fraction: float, message: str) -> None:
    sys.stderr.write(f"\r{fraction:4.0%} {message:60.60}" + ("\n" if fraction >= 1 else ""))
    sys.stderr.flush()
