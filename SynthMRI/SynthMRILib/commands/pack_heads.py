"""`synthmri pack-heads`: simulated FLAIR, T1w, T2w and DIR of one anatomy each, to train synthetic DIR on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("pack-heads", help="pack simulated FLAIR, T1w, T2w and DIR heads into one file")
    parser.add_argument("--data", type=Path, required=True, help="folder with label_maps and lesion_masks_mni")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--part", choices=["train", "validate"], default="train")
    parser.add_argument("--heads-per-map", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="add real examinations with their dictionary DIR")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..training.dir_packing import pack_heads

    entries = pack_heads(
        arguments.data,
        arguments.output,
        part=arguments.part,
        heads_per_map=arguments.heads_per_map,
        seed=arguments.seed,
        real=arguments.real,
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    sys.stdout.write(f"{len(entries)} heads packed\n")
    return 0
