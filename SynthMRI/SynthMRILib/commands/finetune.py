"""`synthmri finetune TASK`: adapt a bundle to one's own volumes and say whether that made it better."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..bundles import best_bundle, load_bundle
from ..errors import InputError
from ..tasks import task_names
from .common import print_json

DESCRIPTION = """\
Start from a bundle, train on with your own pairs of volumes, and compare both on subjects that were held out.

--pairs is a folder in which files are called alike but for the words input and target
(sub-01_desc-input_T1w.nii.gz, sub-01_desc-target_T1w.nii.gz), or a .csv list with the columns subject, contrast, path
and target. Super-resolution also takes a folder of sharp volumes alone. The new bundle is OUTPUT/bundle.
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "finetune",
        help="adapt a bundle to your own pairs of volumes",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=[name for name in task_names() if name != "uncertainty"])
    parser.add_argument(
        "--bundle", help="name or folder of the bundle to start from; the best installed one by default"
    )
    parser.add_argument("--pairs", type=Path, required=True, help="folder, BIDS data set or list")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run; resumes what is there")
    parser.add_argument("--steps", type=int, default=500, help="optimizer steps")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=4, help="patches a step")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of the subjects to compare on")
    parser.add_argument("--split", type=Path, help="JSON file with the split by subject; made when it is not there")
    parser.add_argument("--license", default="", help="license of your data, for the model card")
    parser.add_argument("--attribution", default="", help="whom to name for your data in the model card")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--accelerator", default="auto", help="as Lightning Fabric names it: auto, cpu, gpu")
    parser.add_argument("--precision", default="32-true", help="as Lightning Fabric names it: 32-true, bf16-mixed")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(run=run, resumes=True)


def run(arguments: argparse.Namespace) -> int:
    from ..training.finetuning import FinetuneOptions, finetune

    if arguments.steps < 1 or arguments.batch < 1:
        raise InputError("--steps and --batch must be at least 1.")
    options = FinetuneOptions(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        batch=arguments.batch,
        held_out=arguments.held_out,
        split=arguments.split,
        seed=arguments.seed,
        license_text=arguments.license,
        attribution=arguments.attribution,
    )
    outcome = finetune(
        arguments.task,
        load_bundle(arguments.bundle) if arguments.bundle else best_bundle(arguments.task),
        arguments.pairs,
        arguments.output,
        options,
        launch={"accelerator": arguments.accelerator, "devices": 1, "precision": arguments.precision},
        report=lambda line: sys.stderr.write(json.dumps(line) + "\n"),
    )
    if arguments.json:
        print_json(outcome)
    else:
        sys.stdout.write(f"{outcome['sentence']} New bundle: {arguments.output / 'bundle'}\n")
    return 0
