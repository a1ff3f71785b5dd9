"""`synthmri super-resolution IN OUT`: tasks that turn one volume into another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..findings import Finding
from ..tasks import get_task
from ..volume_io import read_volume, write_volume
from .common import (
    ConsoleProgress,
    add_run_options,
    chosen_bundle,
    print_json,
    run_parameters,
    warn,
)
from .targets import check_volumes

if TYPE_CHECKING:
    from ..tasks.base import TaskResult


#: Options of super-resolution that only one of its two tasks has: to twice the voxels, or to any spacing.
OPTIONS = {"super-resolution": ("factor", "sharpness", "keep_acquired"), "through-plane": ("gap", "profile")}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("super-resolution", help="half the voxel size along every axis")
    parser.add_argument("input", type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="NIfTI, NRRD or MHA file")
    parser.add_argument("--factor", type=int, help="output voxels per input voxel along every axis; 2")
    parser.add_argument("--method", default="network", help="network or bspline")
    parser.add_argument(
        "--sharpness",
        type=float,
        metavar="S",
        help="0: closest to the acquired values, smooth; up to 1: crisp, more of the fine detail invented",
    )
    parser.add_argument(
        "--keep-acquired",
        action="store_true",
        help="keep every frequency of a volume that is as the scanner encoded it, noise included, and add finer ones",
    )
    parser.add_argument(
        "--spacing",
        type=float,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="any new spacing [mm] along i, j and k instead; 0 for the finest of the input (0.5 mm at least)",
    )
    parser.add_argument("--gap", type=float, help="with --spacing: gap between slices [mm], 0 by default")
    parser.add_argument("--profile", help="with --spacing: profile of slices, gaussian (default) or box")
    parser.add_argument(
        "--residual", type=Path, metavar="FILE", help="also write what the result would change in the input's voxels"
    )
    add_run_options(parser)
    parser.set_defaults(run=run_super_resolution)


def run_super_resolution(arguments: argparse.Namespace) -> int:
    values = {**run_parameters(arguments), "method": arguments.method, "residual": arguments.residual is not None}
    task = "through-plane" if arguments.spacing else "super-resolution"
    unused = OPTIONS["super-resolution" if arguments.spacing else "through-plane"]
    for name in unused:
        if getattr(arguments, name) not in (None, False):
            option = f"--{name.replace('_', '-')}"
            reason = "does not go with --spacing" if arguments.spacing else "needs --spacing"
            raise InputError(f"{option} {reason}. Leave out {option}, or see --help for what it is for.")
    values |= {name: getattr(arguments, name) for name in OPTIONS[task] if getattr(arguments, name) is not None}
    if arguments.spacing:
        values["spacing"] = arguments.spacing
    return run_task(task, arguments, values, others={"residual": arguments.residual})


def run_task(
    name: str,
    arguments: argparse.Namespace,
    values: dict[str, Any],
    *,
    describe: Callable[[TaskResult], str] = lambda _: "",
    others: Mapping[str, Path | None] = MappingProxyType({}),
) -> int:
    """Read, check, run and write one volume; returns the exit status.

    Args:
        describe: a line about the result for a person, or nothing.
        others: files for other outputs than the one asked for, by role.
    """
    files = {"output": arguments.output, **{role: path for role, path in others.items() if path is not None}}
    check_volumes(files, inputs=[arguments.input], overwrite=arguments.overwrite)
    task = get_task(name)
    parameters = task.parameters_class.from_dict(values)
    bundle = chosen_bundle(arguments)
    inputs = {"input": read_volume(arguments.input)}
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    output = result.outputs["output"]
    for role, path in files.items():
        if role not in result.outputs:
            sys.stderr.write(f"synthmri: warning: '{path.name}' was not written: this run has no {role}.\n")
        else:
            write_volume(result.outputs[role], path, overwrite=arguments.overwrite, provenance=result.provenance)
    warn([Finding(**finding) for finding in result.measurements.get("findings", ())])
    if arguments.json:
        print_json({"output": str(arguments.output), "provenance": result.provenance, **result.measurements})
    else:
        spacing = " x ".join(f"{s:.4g}" for s in output.spacing)
        sys.stdout.write(f"{arguments.output}: {' x '.join(map(str, output.grid.size))} voxels of {spacing} mm\n")
        sys.stdout.write(describe(result))
        sys.stdout.write("Synthetic volume. Research use only, not for diagnosis.\n")
    return 0
