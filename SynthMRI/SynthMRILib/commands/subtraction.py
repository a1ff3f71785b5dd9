"""`synthmri subtraction VISIT1 VISIT2 OUTPUT`: what has changed between two visits, in FLAIR and in synthetic DIR."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .. import INTENDED_USE
from ..provenance import make_provenance
from ..volume_io import read_volume, write_volume
from .common import ConsoleProgress, chosen_bundle, print_json, warn
from .result_folder import check_folder, earlier_results, new_results
from .targets import check_apart

TASK = "subtraction"
TABLES = ("candidates.csv", "candidates.json")
FURTHER = {"t1": "T1w", "t2": "T2w", "mask": "brain mask"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "subtraction",
        help="candidates of new, enlarging and resolved lesions between two visits (experimental)",
        description="Candidates for a reader, not findings. " + INTENDED_USE,
    )
    parser.add_argument("first", type=Path, metavar="VISIT1", help="FLAIR of the first visit")
    parser.add_argument("second", type=Path, metavar="VISIT2", help="FLAIR of the second visit")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder for maps, candidates.csv and .json")
    for name, text in FURTHER.items():
        parser.add_argument(f"--{name}", type=Path, nargs=2, metavar=("V1", "V2"), help=f"{text} of both visits")
    parser.add_argument(
        "--method", default="auto", help="synthetic DIR: auto, network, dictionary, or none for FLAIR alone"
    )
    parser.add_argument("--registered", action="store_true", help="the FLAIR volumes are aligned already")
    parser.add_argument("--bundle", help="name or folder of a bundle for synthetic DIR")
    parser.add_argument("--json", action="store_true", help="print the candidates as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..longitudinal.subtraction import check_visits, subtract

    folder: Path = arguments.output
    check_folder(folder, empty=not arguments.overwrite)
    paths = [arguments.first, arguments.second, *(p for name in FURTHER for p in getattr(arguments, name) or ())]
    check_apart([*(folder / name for name in TABLES), *earlier_results(folder, TASK, TABLES)], paths)
    visits = [read_visit(arguments, n) for n in range(2)]
    bundle, choice = chosen_bundle(arguments), {"method": arguments.method}
    warn(check_visits(*visits, bundle=bundle, **choice))
    parameters = {**choice, "registered": arguments.registered}
    result = subtract(*visits, bundle=bundle, **parameters, progress=ConsoleProgress())
    inputs = {f"visit{n + 1}-{name}": volume for n, visit in enumerate(visits) for name, volume in visit.items()}
    provenance = make_provenance(task=TASK, inputs=inputs, parameters=parameters, bundle=bundle, **result.facts)
    rows = result.table()
    record = {"candidates": rows, "provenance": provenance}
    earlier = partial(earlier_results, folder, TASK, TABLES)
    with new_results(folder, earlier=earlier, inputs=paths, overwrite=arguments.overwrite) as new:
        for name, volume in result.volumes().items():
            write_volume(volume, new / f"{name}.nii.gz", provenance=provenance)
        write_table(new / TABLES[0], rows)
        (new / TABLES[1]).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(f"{folder}: {summary(rows)}\n")
        sys.stdout.write("Candidates for a reader. Research use only, not for diagnosis.\n")
    return 0


def read_visit(arguments: argparse.Namespace, number: int) -> dict[str, Any]:
    """Volumes of the first (0) or second (1) visit by role."""
    visit = {"flair": read_volume((arguments.first, arguments.second)[number])}
    for name in FURTHER:
        paths = getattr(arguments, name)
        if paths:
            visit[name] = read_volume(paths[number])
    return visit


COLUMNS = ("source", "number", "kind", "R_mm", "A_mm", "S_mm", "volume_mm3", "mean_z", "largest_z", "before", "after")


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """CSV with one line a candidate; only its head when there is none."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "also_in"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def summary(rows: list[dict[str, Any]]) -> str:
    """How many candidates of which kind, by what was subtracted."""
    if not rows:
        return "no candidate of change"
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row["source"], row["kind"]] = counts.get((row["source"], row["kind"]), 0) + 1
    return "; ".join(f"{source.upper()}: {count} {kind}" for (source, kind), count in sorted(counts.items()))
