"""`synthmri pack-training`: volumes and label maps of one part of a split in one file for every trainer."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import InputError

DESCRIPTION = """\
Pack training volumes into one file.

--data is a folder of volumes (one folder a subject, or names that begin with the subject), a BIDS data set, or a
.csv/.tsv list with the columns subject, contrast, path and, with --labels, mask or labels. The folder of the project's
own sets is told by its folders (ms_cross_sectional, ms_longitudinal, label_maps); its split is fixed.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "pack-training",
        help="pack training data into one file",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder, BIDS data set or list")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--part", choices=["train", "validate"], default="train")
    parser.add_argument("--split", type=Path, help="JSON file with the split by subject; made when it is not there")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of the subjects a new split holds out")
    parser.add_argument("--max-mb", type=float, help="largest size of the file [MB]: uint8, cubes or fewer volumes")
    parser.add_argument("--labels", action="store_true", help="also pack label maps and masks")
    parser.add_argument("--license", default="", help="license of your data, for model cards")
    parser.add_argument("--attribution", default="", help="whom to name for your data in model cards")
    parser.add_argument("--heads-per-map", type=int, default=3, help="heads simulated from each label map")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..training.packing import is_shared_data

    if arguments.max_mb is not None and arguments.max_mb <= 0:
        raise InputError(f"--max-mb must be greater than zero, not {arguments.max_mb:g}.")
    return pack_shared(arguments) if is_shared_data(arguments.data) else pack_users(arguments)


def pack_shared(arguments: argparse.Namespace) -> int:
    from ..training.packing import pack

    if arguments.split is not None:
        raise InputError("The split of the project's own data is fixed; leave out --split.")
    entries = pack(
        arguments.data,
        arguments.output,
        part=arguments.part,
        heads_per_map=arguments.heads_per_map,
        seed=arguments.seed,
        report=tell,
        megabytes=arguments.max_mb,
        labels=arguments.labels,
    )
    sys.stdout.write(f"{len(entries)} volumes packed\n")
    return 0


def pack_users(arguments: argparse.Namespace) -> int:
    from ..training.own_packing import PackingOptions, pack_own, report_path

    options = PackingOptions(
        part=arguments.part,
        split=arguments.split,
        held_out=arguments.held_out,
        seed=arguments.seed,
        megabytes=arguments.max_mb,
        labels=arguments.labels,
        license_text=arguments.license,
        attribution=arguments.attribution,
    )
    log = pack_own(arguments.data, arguments.output, options, report=tell)
    sys.stdout.write("\n".join([*log.lines(), f"Report: {report_path(arguments.output).name}"]) + "\n")
    return 0


def tell(text: str) -> None:
    sys.stderr.write(text + "\n")
