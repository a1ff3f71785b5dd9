"""Measure what a batch saves against one command a scan: `python Testing/Benchmarks/cohort_throughput.py` prints JSON.

    --cases N        scans, all different (default 8)
    --size N         voxels along each axis (default 96)
    --bundle NAME    a bundle; without it B-spline interpolation, which shows the overhead alone
    --workers N ...  batches with so many processes (default 1)
    --shipped        with the best installed bundle

`one_by_one` starts `synthmri super-resolution` anew for each scan; `batch` runs them all with a warm process that reads
ahead. Seconds are of the wall clock, so the machine must be idle. `modeled_cases_per_hour` extrapolates from the steps
measured in the first batch to that many lanes on machines of their own, which share nothing: the longest step of
reading, running and writing sets the pace. It is a model, not a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SynthMRI"))

from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

LIBRARY = Path(__file__).resolve().parents[2] / "SynthMRI"
MODELED_LANES = (1, 4, 16, 64)


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


def seconds_of(*words: object) -> float:
    """Duration of one `synthmri` command, from its start to its end [s]."""
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    start = time.perf_counter()
    command = [sys.executable, "-m", "SynthMRILib.cli", *map(str, words)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def one_by_one(files: list[Path], output: Path, options: list[str]) -> dict[str, Any]:
    output.mkdir()
    total = sum(seconds_of("super-resolution", file, output / file.name, *options) for file in files)
    return throughput(len(files), total)


def batch(source: Path, output: Path, options: list[str], *, cases: int, workers: int) -> dict[str, Any]:
    words = ["--set" if word == "--method" else word for word in options]
    words = ["method=bspline" if word == "bspline" else word for word in words]
    command = ["batch", "super-resolution", "--input", source, "--output", output, "--workers", workers, *words]
    return {**throughput(cases, seconds_of(*command)), "steps": median_steps(output)}


def throughput(cases: int, seconds: float) -> dict[str, Any]:
    return {"seconds": round(seconds, 2), "cases_per_hour": round(3600 * cases / seconds, 1)}


def median_steps(output: Path) -> dict[str, float]:
    """Median seconds of each step of a case."""
    records = [json.loads(file.read_text("utf-8")) for file in (output / "manifest" / "cases").glob("*.json")]
    steps = {name: [record["seconds"][name] for record in records] for name in ("read", "run", "write")}
    return {name: round(float(np.median(values)), 4) for name, values in steps.items()}


def modeled(steps: dict[str, float]) -> dict[str, float]:
    return {str(lanes): round(3600 * lanes / max(steps.values()), 1) for lanes in MODELED_LANES}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    options = ["--method", "bspline"]
    if arguments.bundle or arguments.shipped:
        options = ["--bundle", arguments.bundle] if arguments.bundle else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in"
        source.mkdir()
        files = write_scans(source, cases=arguments.cases, size=arguments.size)
        single = one_by_one(files, folder / "single", options)
        batches = {
            str(workers): batch(source, folder / f"out{workers}", options, cases=len(files), workers=workers)
            for workers in arguments.workers
        }
    first = batches[str(arguments.workers[0])]
    return {
        "cases": arguments.cases,
        "size": arguments.size,
        "cores": os.cpu_count(),
        "options": " ".join(options),
        "one_by_one": single,
        "batch_by_workers": batches,
        "speed_up": {workers: round(single["seconds"] / each["seconds"], 2) for workers, each in batches.items()},
        "modeled_cases_per_hour": modeled(first["steps"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--bundle")
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    sys.stdout.write(json.dumps(measure(parser.parse_args()), indent=2) + "\n")


if __name__ == "__main__":
    main()
