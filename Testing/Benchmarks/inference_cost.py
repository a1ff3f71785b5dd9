"""Measure what super-resolution costs: seconds, peak memory and the share of time outside convolutions.

    python Testing/Benchmarks/inference_cost.py [--bundle NAME] [--shape K J I] [--record]

Where the processor only emulates bfloat16, float32 and bfloat16 are compared on a small volume instead: an emulated
run of a whole head takes the better part of an hour and tells nothing. Every variant runs in a process of its own, so
that its peak memory is its own. The volume is random texture without background; cost does not depend on what the
voxels hold. Prints a line a variant; `--record` writes them to `Documentation/figures/super_resolution_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
SHAPE = (182, 218, 182)
VARIANTS = {
    "float32, automatic tiles": {"precision": "float32"},
    "float32, one tile": {"precision": "float32", "tile": 4096},
    "float32, tiles of 64": {"precision": "float32", "tile": 64},
    "bfloat16, automatic tiles": {"precision": "bfloat16"},
}
#: Measurements of a run that say nothing of its cost.
NO_COST = ("consistency", "findings")
SMALL_SHAPE = (24, 24, 24)
EMULATED = {
    "float32, small volume": {"precision": "float32"},
    "bfloat16 (emulated), small volume": {"precision": "bfloat16"},
}


def main() -> int:
    arguments = build_parser().parse_args()
    if arguments.variant:
        sys.stdout.write(json.dumps(measure(arguments)) + "\n")
        return 0
    from SynthMRILib.evaluation.records import write_record

    record = {**facts(arguments), "variants": {}}
    for name in variants():
        record["variants"][name] = in_own_process(name, arguments)
        sys.stdout.write(f"{name}: {json.dumps(record['variants'][name])}\n")
        sys.stdout.flush()
        if arguments.record:
            write_record(CHECKOUT / "Documentation" / "figures" / "super_resolution_cost.json", record)
    return 0


def variants() -> list[str]:
    """What this machine can measure in a reasonable time."""
    from SynthMRILib.inference.precision import cpu_has_bfloat16

    if cpu_has_bfloat16():
        return list(VARIANTS)
    return [*(name for name in VARIANTS if "bfloat16" not in name), *EMULATED]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, metavar=("K", "J", "I"))
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    parser.add_argument("--variant", choices=[*VARIANTS, *EMULATED], help=argparse.SUPPRESS)
    return parser


def in_own_process(variant: str, arguments: argparse.Namespace) -> dict[str, Any]:
    shape = SMALL_SHAPE if variant in EMULATED else arguments.shape
    command = [sys.executable, __file__, "--variant", variant, "--shape", *map(str, shape)]
    command += ["--bundle", arguments.bundle] if arguments.bundle else []
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def facts(arguments: argparse.Namespace) -> dict[str, Any]:
    """Where and with what it was measured."""
    import torch
    from SynthMRILib.evaluation.records import current_commit
    from SynthMRILib.inference.precision import cpu_has_bfloat16

    bundle = chosen(arguments)
    return {
        "command": "python Testing/Benchmarks/inference_cost.py --record",
        "commit": current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "shape_kji": list(arguments.shape),
        "machine": {
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "bfloat16_in_hardware": cpu_has_bfloat16(),
        },
        "torch": torch.__version__,
    }


def chosen(arguments: argparse.Namespace):
    from SynthMRILib.bundles import best_bundle, load_bundle

    return load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")


def a_head(shape: tuple[int, int, int]) -> np.ndarray:
    """Texture everywhere, so that no background is skipped."""
    return np.random.default_rng(0).uniform(100, 1000, shape).astype(np.float32)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One run of one variant, and a profiled run of a small volume for the share outside convolutions."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    task = get_task("super-resolution")
    parameters = task.parameters_class(device="cpu", **(VARIANTS | EMULATED)[arguments.variant])

    def run(shape: tuple[int, int, int]) -> dict[str, Any]:
        volume = Volume(a_head(shape), Grid.from_spacing(shape, (1.0, 1.0, 1.0)))
        return task.run({"input": volume}, chosen(arguments), parameters, no_progress).measurements

    run((32, 32, 32))
    figures = run(tuple(arguments.shape))
    figures["peak_memory_bytes_by_estimate"] = figures.pop("estimated_memory_bytes")
    figures = {name: value for name, value in figures.items() if name not in NO_COST}
    figures["shape_kji"] = list(arguments.shape)
    if arguments.variant in EMULATED:
        return figures
    return {**figures, "share_outside_convolutions": share_outside_convolutions(lambda: run((96, 96, 96)))}


def share_outside_convolutions(work) -> float:
    """Share of the CPU time of all operators that is not spent in convolutions."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    events = profiler.key_averages()
    total = sum(e.self_cpu_time_total for e in events)
    convolutions = sum(e.self_cpu_time_total for e in events if "convolution" in e.key)
    return round(1 - convolutions / total, 3)


if __name__ == "__main__":
    sys.exit(main())
