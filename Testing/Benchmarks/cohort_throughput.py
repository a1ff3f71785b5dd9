"""Measure what a batch saves against one command a scan: `python Testing/Benchmarks/cohort_throughput.py` prints JSON.

    --cases N        scans, all different (default 8)
    --size N         voxels along each axis (default 96)
    --bundle NAME    a bundle; without it B-spline interpolation, which shows the overhead alone
    --workers N ...  batches with so many processes (default 1)
    --shipped        with the best installed bundle
    --tiny           with a very small network of random weights: what loading torch and a network once is worth
    --record         write Documentation/figures/cohort_throughput.json

`one_by_one` starts `synthmri super-resolution` anew for each scan; `batch` runs them all with a warm process that reads
ahead. Seconds are of the wall clock, so they hold for an idle machine only; seconds of processor time, of all processes
together, hardly depend on what else runs. The record names the load of the machine.

`modeled` extrapolates from the first batch to that many lanes on machines of their own, which share nothing: every lane
takes the same time to start, then the longest step of reading, running and writing sets the pace. It is a model, not a
measurement: shared disks and networks end it earlier.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SynthMRI"))

from SynthMRILib.evaluation.records import current_commit, write_record
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

LIBRARY = Path(__file__).resolve().parents[2] / "SynthMRI"
CHECKOUT = LIBRARY.parent
RECORD = CHECKOUT / "Documentation" / "figures" / "cohort_throughput.json"
MODELED_LANES = (1, 4, 16, 64)
MODELED_SCANS = 1000
#: Of Linux's prctl.
SET_CHILD_SUBREAPER = 36
TINY = {"features": 8, "growth": 4, "dense_blocks": 1, "blocks": 1}


def write_scans(folder: Path, *, cases: int, size: int) -> list[Path]:
    """Smooth heads with noise, compressed as scans are."""
    axes = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 3, indexing="ij")
    radius = np.sqrt(sum(a**2 for a in axes))
    head = np.where(radius < 0.9, 400 + 60 * np.sin(9 * axes[0]) * np.cos(8 * axes[1]) - 150 * radius, 0)
    files = []
    for number in range(cases):
        noise = np.random.default_rng(number).normal(0, 8, head.shape) * (head > 0)
        grid = Grid.from_spacing(head.shape, (1.0, 1.0, 1.0))
        file = folder / f"scan{number:03}.nii.gz"
        write_volume(Volume((head + noise).round().astype(np.float32), grid), file, synthetic=False)
        files.append(file)
    return files


@dataclass(frozen=True)
class Duration:
    """How long commands took [s]: on the wall clock, and of processor time with all their processes."""

    wall: float
    processor: float

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.wall + other.wall, self.processor + other.processor)


def duration_of(*words: object) -> Duration:
    """Duration of one `synthmri` command, from its start to its end."""
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    start, before = time.perf_counter(), processor_seconds()
    command = [sys.executable, "-m", "SynthMRILib.cli", *map(str, words)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    wait_for_orphans()
    return Duration(wall, processor_seconds() - before)


def adopt_orphans() -> None:
    """Become the parent of processes that outlive theirs, so that their time is counted (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def wait_for_orphans() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def processor_seconds() -> float:
    """Processor time of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def one_by_one(files: list[Path], output: Path, options: list[str]) -> dict[str, Any]:
    output.mkdir()
    total = Duration(0, 0)
    for file in files:
        total += duration_of("super-resolution", file, output / file.name, *options)
    return throughput(len(files), total)


def batch(source: Path, output: Path, options: list[str], *, cases: int, workers: int) -> dict[str, Any]:
    words = ["--set" if word == "--method" else word for word in options]
    words = ["method=bspline" if word == "bspline" else word for word in words]
    command = ["batch", "super-resolution", "--input", source, "--output", output, "--workers", workers, *words]
    return {**throughput(cases, duration_of(*command)), "steps": median_steps(output)}


def throughput(cases: int, total: Duration) -> dict[str, Any]:
    return {
        "seconds": round(total.wall, 2),
        "cases_per_hour": round(3600 * cases / total.wall, 1),
        "processor_seconds_per_case": round(total.processor / cases, 2),
    }


def median_steps(output: Path) -> dict[str, float]:
    """Median seconds of each step of a case."""
    records = [json.loads(file.read_text("utf-8")) for file in (output / "manifest" / "cases").glob("*.json")]
    steps = {name: [record["seconds"][name] for record in records] for name in ("read", "run", "write")}
    return {name: round(float(np.median(values)), 4) for name, values in steps.items()}


def modeled(measured: dict[str, Any], cases: int) -> dict[str, dict[str, float]]:
    """By number of lanes: scans an hour once all run, and hours for MODELED_SCANS scans with the start."""
    pace = max(measured["steps"].values())
    start = max(measured["seconds"] - cases * pace, 0.0)
    return {
        str(lanes): {
            "cases_per_hour": round(3600 * lanes / pace, 1),
            f"hours_for_{MODELED_SCANS}": round((start + -(-MODELED_SCANS // lanes) * pace) / 3600, 2),
        }
        for lanes in MODELED_LANES
    }


def chosen_options(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Options of the command that say how finer voxels are made."""
    if arguments.tiny:
        return ["--bundle", str(tiny_bundle(folder / "tiny"))]
    if arguments.bundle:
        return ["--bundle", arguments.bundle]
    return [] if arguments.shipped else ["--method", "bspline"]


def tiny_bundle(folder: Path) -> Path:
    """A bundle with random weights, to measure what surrounds a network."""
    from SynthMRILib.networks.rrdb import RRDBNet
    from SynthMRILib.training.export import BundleDescription, write_bundle

    description = BundleDescription(
        title="Tiny",
        task="super-resolution",
        description="Random weights: for measuring time.",
        network_name="RRDBNet",
        network_arguments=TINY,
        expects={},
        training={},
        validation={},
    )
    return write_bundle(folder, RRDBNet(**TINY), description)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = chosen_options(arguments, folder)
        source = folder / "in"
        source.mkdir()
        files = write_scans(source, cases=arguments.cases, size=arguments.size)
        single = one_by_one(files, folder / "single", options)
        batches = {
            str(workers): batch(source, folder / f"out{workers}", options, cases=len(files), workers=workers)
            for workers in arguments.workers
        }
    return {
        "cases": arguments.cases,
        "size": arguments.size,
        "cores": os.cpu_count(),
        "method": "a network of random weights" if arguments.tiny else " ".join(options) or "the best bundle",
        "one_by_one": single,
        "batch_by_workers": batches,
        "speed_up": {workers: round(single["seconds"] / each["seconds"], 2) for workers, each in batches.items()},
        "modeled_by_lanes": modeled(batches[str(arguments.workers[0])], arguments.cases),
        "load_average_before_and_after": [round(load[0], 1), round(os.getloadavg()[0], 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--bundle")
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    adopt_orphans()
    record = measure(arguments)
    if arguments.record:
        facts = {"command": " ".join(["python Testing/Benchmarks/cohort_throughput.py", *sys.argv[1:]])}
        write_record(RECORD, {**facts, "commit": current_commit(CHECKOUT), **record})
    sys.stdout.write(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
