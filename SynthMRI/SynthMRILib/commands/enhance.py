"""`synthmri super-resolution IN OUT`: tasks that turn one volume into another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    add_run_options(parser)
    parser.set_defaults(run=run_super_resolution)


def run_super_resolution(arguments: argparse.Namespace) -> int:
    values = {**run_parameters(arguments), "factor": arguments.factor, "method": arguments.method}
    return run_task("super-resolution", arguments, values)


def run_task(
    name: str,
    arguments: argparse.Namespace,
    values: dict[str, Any],
    *,
    describe: Callable[[TaskResult], str] = lambda _: "",
) -> int:
    """Read, check, run and write one volume; returns the exit status.

    Args:
        describe: a line about the result for a person, or nothing.
    """
    check_output(arguments.output, overwrite=arguments.overwrite)
    task = get_task(name)
    parameters = task.parameters_class.from_dict(values)
    bundle = chosen_bundle(arguments)
    inputs = {"input": read_volume(arguments.input)}
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    output = result.outputs["output"]
    write_volume(output, arguments.output, overwrite=arguments.overwrite, provenance=result.provenance)
    if arguments.json:
        print_json({"output": str(arguments.output), "provenance": result.provenance, **result.measurements})
    else:
        spacing = " x ".join(f"{s:.4g}" for s in output.spacing)
        sys.stdout.write(f"{arguments.output}: {' x '.join(map(str, output.grid.size))} voxels of {spacing} mm\n")
        sys.stdout.write(describe(result))
        sys.stdout.write("Synthetic volume. Research use only, not for diagnosis.\n")
    return 0
