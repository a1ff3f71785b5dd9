"""`synthmri evaluate`: figures of quality against a reference, as a table or as JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..bundles import Bundle, find_bundles, load_bundle
from ..errors import InputError
from ..evaluation.degrade import DEGRADATIONS
from .common import ConsoleProgress, print_json
from .evaluate_set import add_set
from .targets import check_apart, check_files


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("evaluate", help="measure quality against a reference")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="TASK")
    add_super_resolution(kinds)
    add_set(kinds)


def add_super_resolution(kinds: argparse._SubParsersAction) -> None:
    parser = kinds.add_parser(
        "super-resolution",
        help="simulate a low-resolution input from a reference and score interpolations and bundles",
    )
    parser.add_argument("--reference", type=Path, required=True, metavar="FILE", help="high-resolution volume")
    parser.add_argument("--mask", type=Path, metavar="FILE", help="voxels that count; default: the quality mask")
    add_task_options(parser)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument(
        "--record", metavar="NAME", help="append the figures to the checkout's evaluations.csv as subject NAME"
    )
    parser.set_defaults(run=run_super_resolution)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """What decides the figures of a reference; the benchmarks have the same options."""
    parser.add_argument(
        "--degrade", action="append", metavar="KIND", help=f"{', '.join(DEGRADATIONS)}; repeatable, default: all"
    )
    parser.add_argument(
        "--bundle", action="append", metavar="NAME|FOLDER", help="repeatable; default: all bundles for the task"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--precision", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--tile", type=int, default=0, help="edge of a tile in input voxels; 0: from the memory")


def run_super_resolution(arguments: argparse.Namespace) -> int:
    from ..evaluation import records
    from ..evaluation.report import as_table
    from ..evaluation.super_resolution import evaluate
    from ..volume_io import read_volume

    check_task_options(arguments)
    if arguments.output:
        check_apart([arguments.output], [arguments.reference, arguments.mask])
        check_files([arguments.output], overwrite=arguments.overwrite)
    checkout = records.find_checkout(Path.cwd()) if arguments.record else None
    bundles = chosen_bundles(arguments.bundle)
    record = evaluate(
        read_volume(arguments.reference),
        mask=read_volume(arguments.mask) if arguments.mask else None,
        degradations=arguments.degrade,
        bundles=bundles,
        parameters={name: getattr(arguments, name) for name in ("device", "precision", "tile")},
        progress=ConsoleProgress(),
    )
    record["command"] = command_line(arguments, bundles)
    if checkout:
        commit = records.current_commit(checkout)
        records.append_opening(checkout / records.TABLE, subject=arguments.record, commit=commit, record=record)
    if arguments.output:
        records.write_record(arguments.output, record)
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(as_table(record) + "\n")
    return 0


def check_task_options(arguments: argparse.Namespace) -> None:
    """Name the degradations, each once. Raises InputError for an option out of its range."""
    for kind in arguments.degrade or ():
        if kind not in DEGRADATIONS:
            raise InputError(f"Unknown degradation '{kind}'. Choose from: {', '.join(DEGRADATIONS)}.")
    if arguments.tile < 0:
        raise InputError(f"The tile must be 0 (automatic) or a number of voxels, not {arguments.tile}.")
    arguments.degrade = list(dict.fromkeys(arguments.degrade or DEGRADATIONS))


def chosen_bundles(named: list[str] | None) -> list[Bundle]:
    """The bundles named, each once, or all there are for the task."""
    if named is None:
        return find_bundles("super-resolution")
    return list({bundle.name: bundle for bundle in map(load_bundle, named)}.values())


def command_line(arguments: argparse.Namespace, bundles: list[Bundle]) -> str:
    """The command with files replaced by FILE, because their names may tell who a patient is."""
    files = ["--reference FILE", *(["--mask FILE"] if arguments.mask else [])]
    return " ".join(["synthmri evaluate super-resolution", *files, *options_in_words(arguments, bundles)])


def options_in_words(arguments: argparse.Namespace, bundles: list[Bundle]) -> list[str]:
    """The options of `add_task_options` as one would type them, with all that was chosen by default."""
    words = [f"--degrade {kind}" for kind in arguments.degrade]
    words += [f"--bundle {bundle.name}" for bundle in bundles]
    return words + [f"--{name} {getattr(arguments, name)}" for name in ("device", "precision", "tile")]
