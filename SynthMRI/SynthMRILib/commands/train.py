"""`synthmri train TASK` and `synthmri pack-motion`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..training.configuration import TRAININGS
from .targets import check_apart


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    train = subparsers.add_parser("train", help="train a network and write a bundle")
    train.add_argument("task", choices=list(TRAININGS))
    train.add_argument("--config", type=Path, required=True, help="JSON file: loop, data and network")
    train.add_argument("--output", type=Path, required=True, help="folder of the run; resumes what is there")
    train.add_argument("--steps", type=int, help="optimizer steps in all, instead of the configuration's")
    train.add_argument("--accelerator", default="auto", help="as Lightning Fabric names it: auto, cpu, gpu")
    train.add_argument("--devices", default="1", help="processes or GPUs on each machine")
    train.add_argument("--precision", default="32-true", help="as Lightning Fabric names it: 32-true, bf16-mixed")
    train.set_defaults(run=run_train, resumes=True)

    motion = subparsers.add_parser("pack-motion", help="pack pairs of volumes with and without motion into one file")
    motion.add_argument("--source", type=Path, required=True, help="file that pack-training made of the same part")
    motion.add_argument("--data", type=Path, required=True, help="folder with the data sets it was made from")
    motion.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    motion.add_argument("--part", choices=["train", "validate"], default="train")
    motion.add_argument("--pairs", type=int, default=48)
    motion.add_argument("--seed", type=int, default=0)
    motion.add_argument("--jumps", action="store_true", help="one to three sudden moves, lines along one axis")
    motion.set_defaults(run=run_packing_of_motion)


def run_packing_of_motion(arguments: argparse.Namespace) -> int:
    from ..training.motion_pairs import pack_motion

    check_apart([arguments.output], [arguments.source])
    entries = pack_motion(
        arguments.source,
        arguments.data,
        arguments.output,
        part=arguments.part,
        pairs=arguments.pairs,
        seed=arguments.seed,
        jumps=arguments.jumps,
        report=lambda text: sys.stderr.write(text + "\n"),
    )
    sys.stdout.write(f"{len(entries) // 2} pairs packed\n")
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
        launch=launch_options(arguments, os.environ),
        report=lambda line: sys.stdout.write(json.dumps(line) + "\n") and sys.stdout.flush(),
    )
    return 0


def launch_options(arguments: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, Any]:
    """What Lightning Fabric is told. Processes that torchrun has started are told by it, not by `--devices`."""
    launch = {"accelerator": arguments.accelerator, "devices": arguments.devices, "precision": arguments.precision}
    if "TORCHELASTIC_RUN_ID" in environment:
        launch["devices"] = int(environment["LOCAL_WORLD_SIZE"])
        launch["num_nodes"] = int(environment["GROUP_WORLD_SIZE"])
    return launch


def read_config(path: Path) -> dict[str, Any]:
    """The configuration as a mapping. Raises InputError when it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no configuration '{path.name}'.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"The configuration '{path.name}' is not JSON (line {error.lineno}: {error.msg}).") from None
    except UnicodeDecodeError:
        raise InputError(f"The configuration '{path.name}' is not text in UTF-8. Save it as such.") from None
