"""`synthmri motion-correction IN OUT`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
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
    parser.add_argument("--method", default="autofocus", help="autofocus, network, both, diffusion or measure")
    parser.add_argument(
        "--force", action="store_true", help="correct also where motion is little or unlike what was learned from"
    )
    parser.add_argument("--steps", type=int, default=4, help="of each sample of the diffusion model (experimental)")
    parser.add_argument("--draws", type=int, default=1, help="samples of the diffusion model; the result is their mean")
    parser.add_argument("--start", type=float, default=0.1, help="share of noise the diffusion model starts with")
    parser.add_argument("--from-input", action="store_true", help="diffusion starts from the volume with motion")
    parser.add_argument("--spread", type=Path, help="file for the standard deviation of several samples")
    add_run_options(parser)
    parser.set_defaults(run=run_motion_correction)


def run_motion_correction(arguments: argparse.Namespace) -> int:
    names = ("method", "force", "steps", "draws", "start")
    values = {**run_parameters(arguments), **{name: getattr(arguments, name) for name in names}}
    values["from_network"] = not arguments.from_input
    if arguments.spread is not None and (arguments.method != "diffusion" or arguments.draws < 2):
        raise InputError("--spread needs --method diffusion and --draws 2 or more. Leave it out, or add these.")
    return run_task(
        "motion-correction", arguments, values, describe=motion_in_words, others={"spread": arguments.spread}
    )


def motion_in_words(result: TaskResult) -> str:
    """What was found and done, one line."""
    return result.measurements["message"] + "\n"
