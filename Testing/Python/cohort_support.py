"""Small cohorts on disk, and batches run as a user runs them: in a process of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import head_like
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

LIBRARY = Path(__file__).resolve().parents[2] / "SynthMRI"
BSPLINE = ("--set", "method=bspline")


def write_scan(path: Path, *, seed: int = 0, size: int = 20, spacing: tuple[float, float, float] = (1, 1, 1)) -> Path:
    """A head-like volume of `size` voxels along each axis; the suffix of `path` chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size, size, size)
    noise = np.random.default_rng(seed).normal(0, 5, shape).astype(np.float32)
    voxels = head_like(shape)
    volume = Volume(voxels + noise * (voxels > 0), Grid.from_spacing(shape, spacing))
    write_volume(volume, path, overwrite=True, synthetic=False)
    return path


def write_cohort(folder: Path, cases: int, *, size: int = 20) -> list[str]:
    """`cases` volumes in a folder; returns the names of the cases."""
    names = [f"scan{number:02}" for number in range(cases)]
    for seed, name in enumerate(names):
        write_scan(folder / f"{name}.nii", seed=seed, size=size)
    return names


def start_batch(source: Path, output: Path, *words: object) -> subprocess.Popen:
    """`synthmri batch super-resolution` in a process of its own."""
    command = [sys.executable, "-m", "SynthMRILib.cli", "batch", "super-resolution"]
    options = ["--input", source, "--output", output, *words]
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *map(str, options)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """Let a child end on Ctrl+C even where the tests run in the background, which makes their children deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_of(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit status, standard output and standard error (without the progress of slow machines), waited for."""
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, re.sub(r"(?m)^\d+ of \d+ cases.*\n", "", errors)


def records_of(output: Path) -> dict[str, dict]:
    """Records in a batch's output folder by case."""
    records = [json.loads(file.read_text("utf-8")) for file in (output / "manifest" / "cases").glob("[!.]*.json")]
    assert len({record["case"] for record in records}) == len(records), "one record a case"
    return {record["case"]: record for record in records}


def done_in(output: Path) -> list[str]:
    """Cases that are done."""
    return sorted(case for case, record in records_of(output).items() if record["state"] == "done")


def log_of(output: Path, event: str) -> Counter:
    """How often the log tells an event, by case."""
    lines = (output / "manifest" / "log.jsonl").read_text("utf-8").splitlines()
    return Counter(entry.get("case") for line in lines if (entry := json.loads(line))["event"] == event)


def check_complete(output: Path, names: list[str]) -> None:
    """Nothing lost, nothing twice, nothing half: one record, one whole volume and one JSON file a case, of one run."""
    records = records_of(output)
    assert sorted(records) == sorted(names)
    volumes = sorted(path.relative_to(output).as_posix() for path in output.rglob("*.nii.gz"))
    assert volumes == sorted(record["outputs"]["output"] for record in records.values())
    for record in records.values():
        file = output / record["outputs"]["output"]
        sidecar = json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text("utf-8"))
        assert record["state"] == "done"
        assert sidecar["cohort"] == {"run": record["run"], "key": record["key"]}
        assert read_volume(file).shape == tuple(record["facts"]["output"]["shape_kji"])
    assert not list(output.rglob(".synthmri-*"))


def wait_until(condition: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    """Wait for something that has to happen, while `process` runs."""
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end, "it never happened"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.005)
