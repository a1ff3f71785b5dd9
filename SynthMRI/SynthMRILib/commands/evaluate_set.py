"""`synthmri evaluate set`: a set of synthetic volumes beside a set of real ones."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from ..errors import InputError
from .common import ConsoleProgress, print_json
from .targets import check_apart, check_files

DESCRIPTION = """\
Fidelity, variety, utility, efficiency and memorization of a set of synthetic volumes. Each folder holds one volume for
each subject, at least ten. Distances mean something only together with the features they were taken in: see --features.
"""


def add_set(kinds: argparse._SubParsersAction) -> None:
    parser = kinds.add_parser(
        "set",
        help="compare a set of synthetic volumes with a set of real ones",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("real", type=Path, metavar="REAL", help="folder of real volumes")
    parser.add_argument("synthetic", type=Path, metavar="SYNTHETIC", help="folder of synthetic volumes")
    parser.add_argument(
        "--features",
        metavar="NAME|FOLDER|FILE",
        help="bundle, safetensors file or 'hand-made'",
    )
    parser.add_argument("--feature-network", metavar="NAME", help="of a safetensors file: resnet18, -34, -50 or -101")
    parser.add_argument("--labels", type=Path, metavar="CSV", help="columns name, label: adds the utility test")
    parser.add_argument("--size", type=int, default=96, help="voxels along each edge of the common frame")
    parser.add_argument("--spacing", type=float, default=2.0, help="their distance [mm]")
    parser.add_argument("--slices", type=int, default=12, help="slices of each plane of a volume")
    parser.add_argument("--pairs", type=int, default=40, help="pairs whose MS-SSIM is taken in each set")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.set_defaults(run=run_set)


def run_set(arguments: argparse.Namespace) -> int:
    from ..evaluation.records import write_record
    from ..evaluation.sets.evaluate import SetOptions, evaluate_sets
    from ..evaluation.sets.features import feature_source
    from ..evaluation.sets.frame import Frame
    from ..evaluation.sets.report import as_text

    if arguments.pairs < 2:
        raise InputError(f"--pairs must be 2 or more, not {arguments.pairs}.")
    if arguments.output:
        check_apart([arguments.output], [arguments.real, arguments.synthetic, arguments.labels])
        check_files([arguments.output], overwrite=arguments.overwrite)
    frame = Frame(arguments.size, arguments.spacing, arguments.slices)
    record = evaluate_sets(
        arguments.real,
        arguments.synthetic,
        source=feature_source(arguments.features, arguments.feature_network),
        options=SetOptions(frame, arguments.pairs, arguments.seed),
        labels=read_labels(arguments.labels) if arguments.labels else None,
        progress=ConsoleProgress(),
    )
    if arguments.output:
        write_record(arguments.output, record)
    if arguments.json:
        print_json(record)
    else:
        sys.stdout.write(as_text(record) + "\n")
    return 0


def read_labels(path: Path) -> dict[str, str]:
    """Label by name of the file without suffix. Raises InputError for a list that is none."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list of labels '{path.name}' cannot be read ({error.__class__.__name__}).") from error
    if not rows or not {"name", "label"} <= set(rows[0]):
        raise InputError(f"The list of labels '{path.name}' needs the columns name and label.")
    return {row["name"]: row["label"] for row in rows}
