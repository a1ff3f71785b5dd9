"""`synthmri denoising IN OUT [--strength S]`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import add_run_options, run_parameters
from .enhance import run_task

if TYPE_CHECKING:
    from ..tasks.base import TaskResult

OPTIONS = ("strength", "noise", "preset")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("denoising", help="take away noise; its level is estimated and shown")
    parser.add_argument("input", type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="NIfTI, NRRD or MHA file")
    parser.add_argument(
        "--strength", type=float, default=1.0, help="0: nothing; 1: down to what is usual; 2: all that is found"
    )
    parser.add_argument("--noise", type=float, default=0.0, help="noise level [%% of the range]; 0 estimates it")
    parser.add_argument("--preset", default="standard", help="standard or low-field")
    add_run_options(parser)
    parser.set_defaults(run=run_denoising)


def run_denoising(arguments: argparse.Namespace) -> int:
    values = {**run_parameters(arguments), **{name: getattr(arguments, name) for name in OPTIONS}}
    return run_task("denoising", arguments, values, describe=noise_in_words)


def noise_in_words(result: TaskResult) -> str:
    """What was found and what was taken away, one line."""
    noise = result.measurements["noise"]
    return (
        f"Noise: {noise['median_percent']:g} % of the range ({noise['lowest_percent']:g} to "
        f"{noise['highest_percent']:g} %); {noise['removed_median_percent']:g} % of it taken away (medians)\n"
    )
