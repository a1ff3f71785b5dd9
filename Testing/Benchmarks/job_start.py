"""Measure what a warm child process saves: `python Testing/Benchmarks/job_start.py [RUNS]` prints JSON, all in seconds.

cold: from nothing to a child that said hello, then to one that has imported torch; each in a new process.
run: a B-spline run of a 16^3 volume, hence mostly the overhead of a job: the first of a new child, and in a warm one.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SynthMRI"))

from SynthMRILib.jobs.client import JobClient
from SynthMRILib.volume import Grid, Volume

SHAPE = (16, 16, 16)


def seconds_until(client: JobClient, condition: Callable[[], bool]) -> float:
    """Time until a condition that depends on what the child said holds."""
    start = time.perf_counter()
    while not condition():
        client.update()
        client.wait_for_news(0.05)
    return time.perf_counter() - start


def start_cold() -> dict[str, float]:
    with JobClient() as client:
        client.start()
        hello = seconds_until(client, lambda: "pid" in client.facts)
        return {"hello": hello, "torch_imported": hello + seconds_until(client, lambda: "torch" in client.facts)}


def run_once(client: JobClient, volume: Volume) -> float:
    start = time.perf_counter()
    client.submit("super-resolution", {"input": volume}, bundle=None, parameters={"method": "bspline"}).wait()
    return time.perf_counter() - start


def summary(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 4), "most": round(max(seconds), 4), "runs": len(seconds)}


def main(runs: int) -> None:
    cold = [start_cold() for _ in range(runs)]
    volume = Volume(np.random.default_rng(0).random(SHAPE, dtype=np.float32), Grid.from_spacing(SHAPE, (1.0, 1.0, 1.0)))
    first, warm = [], []
    for _ in range(runs):
        with JobClient() as client:
            first.append(run_once(client, volume))
            warm += [run_once(client, volume) for _ in range(10)]
    figures = {
        "cold_hello": summary([c["hello"] for c in cold]),
        "cold_torch_imported": summary([c["torch_imported"] for c in cold]),
        "first_run": summary(first),
        "warm_run": summary(warm),
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
