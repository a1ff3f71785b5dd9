"""Measure what uncertainty costs: how many deterministic passes N = 20 stochastic ones take, and memory by N.

    python Testing/Benchmarks/uncertainty_cost.py [--bundle NAME] [--shape K J I] [--record]

CPU seconds of a single thread, the least of two runs each, so that other work on the machine counts little. Peak
memory is that of a process of its own for each number of passes. The volume is random texture without background.
`--record` writes `Documentation/figures/uncertainty_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
PASSES = (5, 20, 40)
RUNS = 2


def main() -> int:
    arguments = build_parser().parse_args()
    if arguments.passes is not None:
        sys.stdout.write(json.dumps(measure(arguments)) + "\n")
        return 0
    from SynthMRILib.evaluation.records import write_record

    deterministic = in_own_process(0, arguments)
    rows = {str(n): in_own_process(n, arguments) for n in PASSES}
    for row in rows.values():
        row["deterministic_passes"] = round(row["cpu_seconds"] / deterministic["cpu_seconds"], 2)
    record = {**facts(arguments), "deterministic": deterministic, "passes": rows}
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
    if arguments.record:
        write_record(CHECKOUT / "Documentation" / "figures" / "uncertainty_cost.json", record)
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", help="name or folder; the best one for super-resolution by default")
    parser.add_argument("--shape", type=int, nargs=3, default=(48, 48, 48), metavar=("K", "J", "I"))
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    parser.add_argument("--passes", type=int, help=argparse.SUPPRESS)
    return parser


def in_own_process(passes: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--passes", str(passes), "--shape", *map(str, arguments.shape)]
    command += ["--bundle", arguments.bundle] if arguments.bundle else []
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def facts(arguments: argparse.Namespace) -> dict[str, Any]:
    """Where and with what it was measured."""
    import torch
    from SynthMRILib.evaluation.records import current_commit

    bundle = chosen(arguments)
    return {
        "command": "python Testing/Benchmarks/uncertainty_cost.py --record",
        "commit": current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "shape_kji": list(arguments.shape),
        "machine": {"processor": platform.machine(), "instructions": torch.backends.cpu.get_cpu_capability()},
        "threads": 1,
        "torch": torch.__version__,
    }


def chosen(arguments: argparse.Namespace):
    from SynthMRILib.bundles import best_bundle, load_bundle

    return load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds and peak memory of one number of passes; 0 is the deterministic result of the task."""
    import torch
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    torch.set_num_threads(1)
    bundle = chosen(arguments)
    task = get_task("uncertainty" if arguments.passes else bundle.task)
    choice = {"samples": arguments.passes, "task": bundle.task} if arguments.passes else {}
    parameters = task.parameters_class(device="cpu", precision="float32", **choice)
    voxels = np.random.default_rng(0).uniform(100, 1000, arguments.shape)
    volume = Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))
    seconds = []
    for _ in range(RUNS):
        started = time.process_time()
        result = task.run({"input": volume}, bundle, parameters, no_progress)
        seconds.append(time.process_time() - started)
    return {"cpu_seconds": round(min(seconds), 2), "peak_memory_bytes": result.measurements["peak_memory_bytes"]}


if __name__ == "__main__":
    sys.exit(main())
