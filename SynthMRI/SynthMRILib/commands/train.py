"""`synthmri train TASK` and `synthmri pack-training`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..training.configuration import TRAININGS


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    train = subparsers.add_parser("train", help="train a network and write a bundle")
    train.add_argument("task", choices=list(TRAININGS))
    train.add_argument("--config", type=Path, required=True, help="JSON file: loop, data and network")
    train.add_argument("--output", type=Path, required=True, help="folder of the run; resumes what is there")
    train.add_argument("--steps", type=int, help="optimizer steps in all, instead of the configuration's")
    train.add_argument("--accelerator", default="auto", help="as Lightning Fabric names it: auto, cpu, gpu")
    train.add_argument("--devices", default="1", help="processes or GPUs on each machine")
    train.add_argument("--precision", default="32-true", help="as Lightning Fabric names it: 32-true, bf16-mixed")
    train.set_defaults(run=run_train)

    packing = subparsers.add_parser("pack-training", help="pack training data into one file")
    packing.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    packing.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    packing.add_argument("--part", choices=["train", "validate"], default="train")
    packing.add_argument("--heads-per-map", type=int, default=3)
    packing.add_argument("--seed", type=int, default=0)
    packing.set_defaults(run=run_packing)


def run_packing(arguments: argparse.Namespace) -> int:
    from ..training.packing import pack

    entries = pack(
        arguments.data,
        arguments.output,
        part=arguments.part,
        heads_per_map=arguments.heads_per_map,
        seed=arguments.seed,
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    sys.stdout.write(f"{len(entries)} volumes packed\n")
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    from ..training.run import train

    config = read_config(arguments.config)
    if arguments.steps is not None:
        config.setdefault("loop", {})["steps"] = arguments.steps
    train(
        arguments.task,
        config,
        arguments.output,
        launch={"accelerator": arguments.accelerator, "devices": arguments.devices, "precision": arguments.precision},
        report=lambda line: sys.stdout.write(json.dumps(line) + "\n") and sys.stdout.flush(),
    )
    return 0


def read_config(path: Path) -> dict[str, Any]:
    """The configuration as a mapping. Raises InputError when it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no configuration '{path.name}'.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"The configuration '{path.name}' is not JSON (line {error.lineno}: {error.msg}).") from None
