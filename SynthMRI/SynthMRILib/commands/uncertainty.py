"""`synthmri uncertainty TASK` and `synthmri calibrate TASK`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tasks import get_task
from ..tasks.base import NetworkTask, Parameters, TaskResult
from ..tasks.uncertainty import network_task, network_task_names
from ..volume import Volume
from ..volume_io import files_of, read_volume, write_volume
from .common import ConsoleProgress, add_run_options, chosen_bundle, print_json, run_parameters, warn
from .result_folder import check_folder, earlier_results, new_results
from .targets import check_apart

#: File name by output role; the others are named as their role.
FILES = {"output": "mean"}
FINDINGS, PAGE = "findings.json", "index.html"
PAGES = (FINDINGS, PAGE)
NOTHING_TO_BLEND = "The result has another contrast than its inputs, so there is nothing to blend it with."
#: Names of the usual maps; some tasks have more.
MAPS = ("mean", "epistemic", "aleatoric", "total", "consistency", "blend")
#: What a reader may give beside the inputs.
READER_MATERIAL = ("segmentation", "lesions", "points")
#: Parameters that every task has or that choose something else than a network.
NOT_OPTIONS = {f.name for f in fields(Parameters)} | {"method"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("uncertainty", help="how far to trust each voxel of a result")
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for name in network_task_names():
        _add_task(tasks, network_task(name))
    _add_calibrate(subparsers)


def _add_task(tasks: argparse._SubParsersAction, task: NetworkTask) -> None:
    parser = tasks.add_parser(task.name, help=task.title)
    for role in task.roles:
        if len(task.roles) == 1:
            parser.add_argument(role.name, type=Path, metavar="IN", help="NIfTI, NRRD or MHA file, or DICOM folder")
        else:
            parser.add_argument(f"--{role.name}", type=Path, metavar="FILE", required=role.required, help=role.expects)
    if others := other_methods(task):
        parser.add_argument("--method", choices=["network", *others], default="network", help="what makes the result")
    for name, default in own_parameters(task).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, dest=name, action=argparse.BooleanOptionalAction, default=default)
        elif isinstance(default, list):
            parser.add_argument(option, dest=name, type=float, nargs="+", default=default, help="several numbers")
        else:
            parser.add_argument(option, dest=name, type=type(default), default=default, help=f"default {default}")
    parser.add_argument("--samples", type=int, default=20, help="most stochastic passes")
    parser.add_argument("--tolerance", type=float, default=0.0, help="end early below this relative standard error")
    parser.add_argument("--augmentations", type=int, default=0, help="passes of test-time augmentation, 0 for none")
    parser.add_argument("--segmentation", type=Path, metavar="FILE", help="label map that says what lies where")
    parser.add_argument("--lesions", type=Path, metavar="FILE", help="segmentation of lesions to judge one by one")
    parser.add_argument("--points", type=Path, metavar="FILE", help="Slicer markups or a table of R,A,S to judge")
    parser.add_argument("--blend", action="store_true", help="also write a blend that fades to the acquired volume")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="maps, findings.json, a page")
    add_run_options(parser)
    parser.set_defaults(run=run_uncertainty)


def other_methods(task: NetworkTask) -> tuple[str, ...]:
    """Methods of the task that have an uncertainty beside the network's."""
    return (*getattr(task, "sampled_methods", ()), *getattr(task, "mixed_methods", ()))


def own_parameters(task: NetworkTask) -> dict[str, Any]:
    """Defaults of the parameters that only this task has and that fit on a command line, by name."""
    values = task.parameters_class().as_dict()
    return {n: v for n, v in values.items() if n not in NOT_OPTIONS and isinstance(v, bool | int | float | str | list)}


def options_of(task: NetworkTask, arguments: argparse.Namespace) -> dict[str, Any]:
    """Parameters of the task from its options."""
    chosen = {name: getattr(arguments, name) for name in own_parameters(task)}
    return {**chosen, **({"method": arguments.method} if hasattr(arguments, "method") else {})}


def _add_calibrate(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("calibrate", help="fit a bundle's intervals to volumes it was not trained on")
    parser.add_argument("task", choices=network_task_names())
    parser.add_argument("--bundle", required=True, help="name or folder of the bundle")
    parser.add_argument(
        "--reference", type=Path, action="append", default=[], help="super-resolution, denoising: a good volume"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="packed file: volumes (super-resolution, denoising), pairs (motion-correction), heads (synthetic-dir)",
    )
    parser.add_argument("--cache-source", choices=["all", "real", "simulated"], default="all", help="which of them")
    parser.add_argument("--cases", type=Path, metavar="JSON", help="any task: list of inputs and references")
    parser.add_argument("--samples", type=int, default=20, help="stochastic passes")
    parser.add_argument("--blocks", type=int, default=0, help="sample each volume in so many blocks; 0 uses all of it")
    parser.add_argument("--method", default="", help="method that is calibrated by itself (synthetic-dir: combined)")
    parser.add_argument("--keep-intervals", action="store_true", help="only measure the ranges of gate and light anew")
    parser.add_argument("--output", type=Path, required=True, help="folder of the calibrated copy of the bundle")
    parser.set_defaults(run=run_calibrate)


def run_uncertainty(arguments: argparse.Namespace) -> int:
    from ..uncertainty.lesions import check_places

    folder: Path = arguments.output
    check_folder(folder, empty=not arguments.overwrite)
    judged, task = network_task(arguments.task), get_task("uncertainty")
    if arguments.blend and getattr(judged, "another_contrast", False):
        raise InputError(f"{NOTHING_TO_BLEND} Leave out --blend.")
    files = {role.name: getattr(arguments, role.name) for role in judged.roles if getattr(arguments, role.name)}
    others = [getattr(arguments, name) for name in READER_MATERIAL]
    read = [*files.values(), *others]
    written = [file for name in MAPS for file in files_of(folder / f"{name}.nii.gz")]
    check_apart([*written, *(folder / name for name in PAGES), *earlier_results(folder, task.name, PAGES)], read)
    inputs = {role: read_volume(path) for role, path in files.items()}
    if not inputs:
        raise InputError(f"No input is given. Inputs of {judged.name}: {', '.join(r.name for r in judged.roles)}.")
    given = reader_material(arguments)
    first = next(iter(inputs.values()))
    check_places(first.grid, lesions=given.get("lesions"), points=given.get("points", ()))
    parameters = task.parameters_class.from_dict(
        {
            **run_parameters(arguments),
            "task": judged.name,
            "options": options_of(judged, arguments),
            **{name: getattr(arguments, name) for name in ("samples", "tolerance", "augmentations")},
            "consistency": True,
        }
    )
    bundle = chosen_bundle(arguments)
    warn(task.check(inputs, bundle, parameters))
    result = task.run(inputs, bundle, parameters, ConsoleProgress())
    record = make_record(result, given)
    write_folder(folder, result, record, inputs=inputs, blend=arguments.blend, overwrite=arguments.overwrite, read=read)
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(f"{folder}: {record['summary']} {record['confidence']}\n")
        sys.stdout.write("Synthetic volume. Research use only, not for diagnosis.\n")
    return 0


def reader_material(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a reader gave beside the inputs, read before any work: "segmentation", "lesions", "points"."""
    from ..uncertainty.points import read_points

    given: dict[str, Any] = {
        name: read_volume(getattr(arguments, name))
        for name in READER_MATERIAL
        if name != "points" and getattr(arguments, name) is not None
    }
    if arguments.points is not None:
        given["points"] = read_points(arguments.points)
    return given


def make_record(result: TaskResult, given: dict[str, Any]) -> dict[str, Any]:
    """What findings.json holds."""
    from ..uncertainty.findings import findings_record
    from ..uncertainty.lesions import RANK_RULE, lesion_uncertainty, point_uncertainty

    residual = result.outputs.get("consistency")
    record = findings_record(
        result.outputs,
        result.provenance,
        segmentation=given.get("segmentation"),
        residual=None if residual is None else residual.voxels,
    )
    image, total = result.outputs["output"], result.outputs["total"]
    entries = lesion_uncertainty(total, image, given["lesions"]) if "lesions" in given else []
    entries += point_uncertainty(total, image, given["points"]) if "points" in given else []
    record["lesions"] = [{**asdict(entry), "sentence": entry.sentence()} for entry in entries]
    record["lesion_rule"] = RANK_RULE
    return record


def write_folder(
    folder: Path,
    result: TaskResult,
    record: dict[str, Any],
    *,
    inputs: dict[str, Volume],
    blend: bool,
    overwrite: bool,
    read: Iterable[Path | None] = (),
) -> None:
    """Write maps, findings.json and the page in place of those of an earlier run; files that were read stay."""
    outputs = dict(result.outputs)
    acquired = next(iter(inputs.values()))
    if blend:
        outputs["blend"] = blended(result, acquired)
    task = result.provenance["task"]
    earlier = partial(earlier_results, folder, task, PAGES)
    with new_results(folder, earlier=earlier, inputs=read, overwrite=overwrite) as new:
        for role, volume in outputs.items():
            write_volume(volume, new / f"{FILES.get(role, role)}.nii.gz", provenance=result.provenance)
        (new / FINDINGS).write_text(json.dumps(record, indent=2), encoding="utf-8")
        try:
            from ..uncertainty.page import write_page

            write_page(new / PAGE, record, acquired=acquired, result=outputs["output"], total=outputs["total"])
        except InputError as error:
            sys.stderr.write(f"synthmri: warning: no page was written. {error}\n")


def blended(result: TaskResult, acquired: Volume) -> Volume:
    """The uncertainty-gated blend. Raises InputError when there is no acquired volume of the same contrast."""
    from ..uncertainty.blending import gated_blend
    from ..uncertainty.limits import limit_of

    if not result.provenance["same_contrast"]:
        raise InputError(NOTHING_TO_BLEND)
    limit = limit_of(result.provenance)
    return gated_blend(result.outputs["output"], acquired, result.outputs["total"], limit=limit)


def run_calibrate(arguments: argparse.Namespace) -> int:
    from ..bundles import load_bundle
    from ..uncertainty.calibration_cases import listed, made_from_files
    from ..uncertainty.fitting import calibrate_bundle
    from ..uncertainty.paired_cases import packed_cases

    task, source = arguments.task, arguments.cache_source
    from_cache = packed_cases(arguments.cache, task, source=source) if arguments.cache else []
    simple = [*made_from_files(arguments.reference, task), *from_cache]
    cases = [*simple, *(listed(arguments.cases) if arguments.cases else [])]
    if not cases:
        raise InputError("Nothing to calibrate with: name volumes with --reference, --cache or --cases.")
    if arguments.output.exists():
        raise InputError(f"The folder '{arguments.output.name}' exists already. Choose another name.")
    bundle = load_bundle(arguments.bundle)
    if bundle.task != arguments.task:
        raise InputError(f"Bundle '{bundle.name}' is made for {bundle.task}, not for {arguments.task}.")
    known = getattr(network_task(task), "mixed_methods", ())
    if arguments.method and arguments.method not in known:
        raise InputError(
            f"The task '{task}' has no method '{arguments.method}' with a calibration of its own"
            + (f"; it has: {', '.join(known)}." if known else ".")
        )
    calibration = calibrate_bundle(
        bundle,
        cases,
        samples=arguments.samples,
        output=arguments.output,
        blocks=arguments.blocks,
        keep_intervals=arguments.keep_intervals,
        method=arguments.method,
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    print_json(calibration.as_dict())
    return 0
