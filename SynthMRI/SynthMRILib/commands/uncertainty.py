"""`synthmri uncertainty TASK` and `synthmri calibrate TASK`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import InputError
from ..tasks import get_task
from ..volume_io import read_volume, write_volume
from .common import ConsoleProgress, add_run_options, chosen_bundle, print_json, run_parameters, warn

FILES = {"output": "mean", "epistemic": "epistemic", "aleatoric": "aleatoric", "total": "total"}
TASKS = ("super-resolution",)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("uncertainty", help="how far to trust each voxel of a result")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("input", type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
    parser.add_argument("--samples", type=int, default=20, help="stochastic passes")
    parser.add_argument("--output", type=Path, required=True, help="folder for the maps and findings.json")
    add_run_options(parser)
    parser.set_defaults(run=run_uncertainty)

    calibrate = subparsers.add_parser("calibrate", help="fit a bundle's intervals to volumes it was not trained on")
    calibrate.add_argument("task", choices=TASKS)
    calibrate.add_argument("--bundle", required=True, help="name or folder of the bundle")
    calibrate.add_argument("--reference", type=Path, action="append", default=[], help="high-resolution volume")
    calibrate.add_argument("--cache", type=Path, help="packed cache of high-resolution volumes")
    calibrate.add_argument("--samples", type=int, default=20, help="stochastic passes")
    calibrate.add_argument("--output", type=Path, required=True, help="folder of the calibrated copy of the bundle")
    calibrate.set_defaults(run=run_calibrate)


def run_uncertainty(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.output
    if folder.exists() and any(folder.iterdir()) and not arguments.overwrite:
        raise InputError(f"The folder '{folder.name}' is not empty. Choose another one or add --overwrite.")
    task = get_task("uncertainty")
    parameters = task.parameters_class.from_dict({**run_parameters(arguments), "samples": arguments.samples})
    inputs = {"input": read_volume(arguments.input)}
    bundle = chosen_bundle(arguments)
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    from ..uncertainty.findings import findings_record

    folder.mkdir(parents=True, exist_ok=True)
    for role, name in FILES.items():
        path = folder / f"{name}.nii.gz"
        write_volume(result.outputs[role], path, overwrite=arguments.overwrite, provenance=result.provenance)
    record = findings_record(result.outputs, result.provenance)
    (folder / "findings.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(f"{folder}: {record['summary']}\n")
        sys.stdout.write("Synthetic volume. Research use only, not for diagnosis.\n")
    return 0


def run_calibrate(arguments: argparse.Namespace) -> int:
    from ..bundles import load_bundle
    from ..uncertainty.fitting import calibrate_bundle, references_from

    references = references_from(arguments.reference, arguments.cache)
    if not references:
        raise InputError("Nothing to calibrate with: name volumes with --reference, or a packed cache with --cache.")
    if arguments.output.exists():
        raise InputError(f"The folder '{arguments.output.name}' exists already. Choose another name.")
    calibration = calibrate_bundle(
        load_bundle(arguments.bundle),
        references,
        samples=arguments.samples,
        output=arguments.output,
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    print_json(calibration.as_dict())
    return 0
