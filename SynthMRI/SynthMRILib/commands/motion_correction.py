"""`synthmri motion-correction IN OUT`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import add_run_options, run_parameters
from .enhance import run_task

if TYPE_CHECKING:
    from ..tasks.base import TaskResult


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "motion-correction", help="measure motion and correct it; a volume with little of it comes back unchanged"
    )
    parser.add_argument("input", type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="NIfTI, NRRD or MHA file")
    parser.add_argument("--method", default="network", help="network, autofocus, both or measure")
    parser.add_argument(
        "--force", action="store_true", help="correct also where motion is little or unlike what was learned from"
    )
    add_run_options(parser)
    parser.set_defaults(run=run_motion_correction)


def run_motion_correction(arguments: argparse.Namespace) -> int:
    values = {**run_parameters(arguments), "method": arguments.method, "force": arguments.force}
    return run_task("motion-correction", arguments, values, describe=motion_in_words)


def motion_in_words(result: TaskResult) -> str:
    """What was found and done, one line."""
    return result.measurements["message"] + "\n"
