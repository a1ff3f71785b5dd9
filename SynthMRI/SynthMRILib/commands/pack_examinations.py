"""`synthmri pack-examinations`: degraded heads with the dictionary fit of their inputs, to train the hybrid DIR on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "pack-examinations", help="degrade packed heads and add the dictionary DIR of their inputs"
    )
    parser.add_argument("--heads", type=Path, required=True, help="file of pack-heads")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--config", type=Path, help="training configuration whose 'patches' hold the ranges")
    parser.add_argument("--versions", type=int, default=2, help="degraded versions of each simulated head")
    parser.add_argument("--subsets", type=int, default=3, help="subsets of the inputs of each version, 1 to 7")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..training.configuration import from_mapping
    from ..training.dir_examinations import pack_examinations
    from ..training.dir_samples import SampleConfig
    from .targets import check_apart
    from .train import read_config

    check_apart([arguments.output], [arguments.heads, arguments.config])
    patches = read_config(arguments.config).get("patches", {}) if arguments.config else {}
    entries = pack_examinations(
        arguments.heads,
        arguments.output,
        versions=arguments.versions,
        subsets=arguments.subsets,
        seed=arguments.seed,
        config=from_mapping(SampleConfig, patches, "patches"),
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    sys.stdout.write(f"{len(entries)} subsets of inputs packed\n")
    return 0
