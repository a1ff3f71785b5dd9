"""`synthmri super-resolution IN OUT`: tasks that turn one volume into another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..findings import Finding
from ..tasks import get_task
from ..volume_io import read_volume, write_volume
from .common import (
    ConsoleProgress,
    add_run_options,
    check_output,
    chosen_bundle,
    print_json,
    run_parameters,
    warn,
)

if TYPE_CHECKING:
    from ..tasks.base import TaskResult


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("super-resolution", help="half the voxel size along every axis")
    parser.add_argument("input", type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="NIfTI, NRRD or MHA file")
    parser.add_argument("--factor", type=int, default=2, help="output voxels per input voxel along every axis")
    parser.add_argument("--method", default="network", help="network or bspline")
    parser.add_argument(
        "--sharpness",
        type=float,
        default=0.0,
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
    parser.add_argument("--gap", type=float, default=0.0, help="with --spacing: gap between slices [mm]")
    parser.add_argument("--profile", default="gaussian", help="with --spacing: profile of slices, gaussian or box")
    parser.add_argument(
        "--residual", type=Path, metavar="FILE", help="also write what the result would change in the input's voxels"
    )
    add_run_options(parser)
    parser.set_defaults(run=run_super_resolution)


def run_super_resolution(arguments: argparse.Namespace) -> int:
    values = {**run_parameters(arguments), "method": arguments.method, "residual": arguments.residual is not None}
    others = {"residual": arguments.residual}
    if arguments.spacing:
        values |= {"spacing": arguments.spacing, "gap": arguments.gap, "profile": arguments.profile}
        return run_task("through-plane", arguments, values, others=others)
    values |= {"factor": arguments.factor, "sharpness": arguments.sharpness, "keep_acquired": arguments.keep_acquired}
    return run_task("super-resolution", arguments, values, others=others)


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
    for path in files.values():
        check_output(path, overwrite=arguments.overwrite)
    task = get_task(name)
    parameters = task.parameters_class.from_dict(values)
    bundle = chosen_bundle(arguments)
    inputs = {"input": read_volume(arguments.input)}
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    output = result.outputs["output"]
    for role, path in files.items():
        if role in result.outputs:
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
