"""`synthmri synthetic-dir OUT`: a synthetic DIR volume from any of FLAIR, T1w and T2w; experimental."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import INTENDED_USE
from ..errors import InputError
from ..tasks import get_task
from ..volume_io import read_volume, write_volume
from .common import ConsoleProgress, add_run_options, chosen_bundle, print_json, run_parameters, warn
from .targets import check_volumes

INPUTS = {
    "flair": "FLAIR; its grid is that of the result (without it, that of T1w or T2w)",
    "t1": "T1w without contrast agent",
    "t2": "T2w",
    "mask": "brain mask; without it a rough one is made for whole heads",
}
METHOD_HELP = (
    "dictionary (tissue parameters and signal equation), network, combined (the mean of both), arithmetic (a formula), "
    "or auto, which is the dictionary, because the network that comes along is experimental and tells lesions worse "
    "than FLAIR; a bundle that is given, or one that is not experimental, takes its place"
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "synthetic-dir",
        help="double inversion recovery from any of FLAIR, T1w and T2w (experimental)",
        description="Experimental: it was never compared with an acquired DIR. " + INTENDED_USE,
    )
    parser.add_argument("output", type=Path, metavar="OUT", help="NIfTI, NRRD or MHA file")
    for name, text in INPUTS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    parser.add_argument("--method", default="auto", help=METHOD_HELP)
    parser.add_argument("--formula", default="auto", help="of arithmetic: auto, flair-minus-t1 or flair-times-t2")
    parser.add_argument("--factor", type=float, default=0.3, help="k of FLAIR - k T1")
    parser.add_argument("--smoothing", type=float, default=0.0, help="Gaussian blur of the arithmetic [mm]")
    parser.add_argument("--registered", action="store_true", help="the inputs are aligned already")
    parser.add_argument("--bias-correction", action="store_true", help="run N4 on each input first")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    files = {name: getattr(arguments, name) for name in INPUTS if getattr(arguments, name)}
    if not files.keys() - {"mask"}:
        raise InputError("No volume is given. Give FLAIR, T1w or T2w, best all of them.")
    check_volumes({"output": arguments.output}, inputs=files.values(), overwrite=arguments.overwrite)
    task = get_task("synthetic-dir")
    own = ("method", "formula", "factor", "smoothing", "registered", "bias_correction")
    values = {**run_parameters(arguments), **{name: getattr(arguments, name) for name in own}}
    parameters = task.parameters_class.from_dict(values)
    bundle = chosen_bundle(arguments)
    inputs = {name: read_volume(path) for name, path in files.items()}
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    output = result.outputs["output"]
    write_volume(output, arguments.output, overwrite=arguments.overwrite, provenance=result.provenance)
    if arguments.json:
        print_json({"output": str(arguments.output), "provenance": result.provenance, **result.measurements})
    else:
        sys.stdout.write(
            f"{arguments.output}: synthetic DIR of {' x '.join(map(str, output.grid.size))} voxels, a.u.\n"
        )
        sys.stdout.write("Experimental synthetic volume. Research use only, not for diagnosis.\n")
    return 0
