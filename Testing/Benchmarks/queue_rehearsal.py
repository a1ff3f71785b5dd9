"""Rehearse the training configurations of `queue/` and write what a step costs, so that a run can be planned.

    OMP_NUM_THREADS=1 python Testing/Benchmarks/queue_rehearsal.py [NAME...] [--steps 20] [--batch N] [--table]

For each configuration the first steps are trained on the CPU with one thread and broken off: parameters, processor
seconds of a step (what to plan with: wall time also counts whatever else the machine is doing), peak memory and the
size of the checkpoint go into `Documentation/figures/training_queue.json`. `--batch` rehearses with another batch; the
cost of the configuration's own is then in proportion. `--run NAME=FOLDER` takes from the log of a run that was made
what a step cost there, all included. `--table` only writes the table of `queue/README.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

CHECKOUT = Path(__file__).resolve().parents[2]
QUEUE = CHECKOUT / "Testing" / "Benchmarks" / "queue"
RECORD = CHECKOUT / "Documentation" / "figures" / "training_queue.json"
MARK = "<!-- table: written by queue_rehearsal.py -->\n"
#: Task of each configuration.
TASKS = {
    "super_resolution_x2": "super-resolution",
    "super_resolution_x2_wide": "super-resolution",
    "super_resolution_x2_perceptual": "super-resolution-perceptual",
    "through_plane": "through-plane",
    "denoising": "denoising",
    "motion_correction": "motion-correction",
    "motion_correction_continued": "motion-correction",
    "motion_severity": "motion-severity",
    "motion_diffusion": "motion-diffusion",
    "synthetic_dir": "synthetic-dir",
    "slice_features": "slice-features",
}
#: Settings of validation, made small: a rehearsal is broken off before it would validate.
SMALL = {"validation_blocks": 1, "validation_size": 32, "validation_patches": 2, "validation_slices": 8}
#: Steps that warm up before time is taken.
WARM = 3


class BrokenOff(Exception):
    """The rehearsal has seen enough."""


class Clock:
    """Takes the time at the log lines of steps."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.processor: dict[int, float] = {}
        self.wall: dict[int, float] = {}

    def __call__(self, line: dict[str, Any]) -> None:
        if line["event"] == "train":
            self.processor[line["step"]], self.wall[line["step"]] = time.process_time(), time.monotonic()
            if line["step"] >= self.last:
                raise BrokenOff

    def per_step(self, times: dict[int, float]) -> float:
        return round((times[self.last] - times[WARM]) / (self.last - WARM), 3)


def main() -> int:
    from SynthMRILib.evaluation.records import current_commit, write_record

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="configurations, of " + ", ".join(TASKS))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, help="patches a step instead of the configuration's")
    parser.add_argument("--run", action="append", default=[], metavar="NAME=FOLDER", help="a run that was made")
    parser.add_argument("--table", action="store_true", help="only write the table of queue/README.md")
    arguments = parser.parse_args()
    record = read_record()
    for name, _, folder in (word.partition("=") for word in arguments.run):
        record["configurations"].setdefault(name, settings_of(name))["run"] = seen_in(Path(folder))
        write_record(RECORD, record)
    for name in () if arguments.table or arguments.run else arguments.names or TASKS:
        row = {**settings_of(name), **rehearse(name, arguments.steps, arguments.batch)}
        record = read_record()
        record["configurations"][name] = {**record["configurations"].get(name, {}), **row}
        record["configurations"][name]["commit"] = current_commit(CHECKOUT)
        record["command"] = "OMP_NUM_THREADS=1 python Testing/Benchmarks/queue_rehearsal.py"
        record["data"] = "training and validation caches of the project's own sets; no test subject"
        record["gpu"] = "not measured"
        write_record(RECORD, record)
        sys.stdout.write(json.dumps({name: row}) + "\n")
    write_table(record["configurations"])
    return 0


def read_record() -> dict[str, Any]:
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"configurations": {}}


def settings_of(name: str) -> dict[str, Any]:
    """What the configuration asks for."""
    config = json.loads((QUEUE / f"{name}.json").read_text(encoding="utf-8"))
    return {"steps": config["loop"]["steps"], "batch": batch_of(config["training"])}


def batch_of(training: dict[str, Any]) -> int | None:
    """Samples a step; for slices of blocks, as the diffusion model learns from, all slices."""
    if "blocks" in training and "slices" in training:
        return training["blocks"] * training["slices"]
    return training.get("batch")


def seen_in(folder: Path) -> dict[str, Any]:
    """Steps, wall seconds of a step (validation included) and size of the checkpoint of a run that was made."""
    text = (folder / "training.jsonl").read_text(encoding="utf-8")
    last = [json.loads(line) for line in text.splitlines()][-1]
    return {
        "steps": last["step"],
        "wall_seconds_a_step": round(last["seconds"] / last["step"], 3),
        "checkpoint_megabytes": round((folder / "checkpoint.pt").stat().st_size / 1e6, 2),
    }


def rehearse(name: str, steps: int, batch: int | None) -> dict[str, Any]:
    """Train the first steps of a configuration in a folder that is thrown away."""
    import torch
    from SynthMRILib.training.run import start_training

    config = json.loads((QUEUE / f"{name}.json").read_text(encoding="utf-8"))
    own = config["training"].get("batch")
    if batch is not None:
        config["training"]["batch"] = batch
    known = {field.name for field in fields(settings_class(TASKS[name]))}
    config["training"] |= {key: value for key, value in SMALL.items() if key in known}
    config["loop"] |= {"log_every": 1, "checkpoint_every": steps - 1, "validate_every": 10**9}
    clock = Clock(steps)
    torch.set_num_threads(1)
    os.chdir(CHECKOUT)
    with tempfile.TemporaryDirectory() as folder:
        launch = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
        with suppress(BrokenOff):
            start_training(TASKS[name], config, Path(folder), launch=launch, report=clock)
        checkpoint = Path(folder) / "checkpoint.pt"
        size = checkpoint.stat().st_size
        network = torch.load(checkpoint, weights_only=True)["network"]
    used = config["training"].get("batch")
    seconds = clock.per_step(clock.processor)
    return {
        "rehearsed": {"steps": steps, "batch": used, "load_average": round(os.getloadavg()[0], 1)},
        "parameters": sum(tensor.numel() for tensor in network.values()),
        "processor_seconds_a_step": round(seconds * own / used, 3) if own and used else seconds,
        "wall_seconds_a_step_under_that_load": clock.per_step(clock.wall),
        "checkpoint_megabytes": round(size / 1e6, 2),
        "peak_memory_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def settings_class(task: str) -> type:
    """The dataclass of a task's "training" settings: the one its training's constructor takes."""
    from SynthMRILib.training.configuration import training_class

    return get_type_hints(training_class(task, {}).__init__)["config"]


def write_table(rows: dict[str, dict[str, Any]]) -> None:
    """The table in the README of the queue, between two marks."""
    head = (
        "| configuration | task | steps x batch | rehearsed: processor time a step, all steps on one core "
        "| run that was made, wall time | one GPU | checkpoint |\n|---|---|---|---|---|---|---|\n"
    )
    lines = [line(name, rows[name]) for name in TASKS if name in rows]
    path = QUEUE / "README.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(MARK)
    after = rest.partition(MARK)[2]
    path.write_text(before + MARK + head + "".join(lines) + MARK + after, encoding="utf-8")


def line(name: str, row: dict[str, Any]) -> str:
    rehearsed = run = "-"
    size = row.get("checkpoint_megabytes", row.get("run", {}).get("checkpoint_megabytes"))
    if "rehearsed" in row:
        seconds = row["processor_seconds_a_step"]
        rehearsed = f"{seconds:.2f} s, {duration(seconds * row['steps'] / 3600)}"
    if "run" in row:
        seconds = row["run"]["wall_seconds_a_step"]
        run = f"{seconds:.2f} s over {row['run']['steps']:,} steps, all: {duration(seconds * row['steps'] / 3600)}"
    batch = f"{row['steps']:,} x {row['batch']}"
    return f"| [{name}]({name}.json) | {TASKS[name]} | {batch} | {rehearsed} | {run} | not measured | {size:.1f} MB |\n"


def duration(hours: float) -> str:
    return f"{60 * hours:.0f} min" if hours < 2 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


if __name__ == "__main__":
    sys.exit(main())
