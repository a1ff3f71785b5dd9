"""Samples per second of every simulator and kind, as processor time and wall time of one core. Prints JSON.

    OMP_NUM_THREADS=1 python Testing/Benchmarks/simulation_speed.py [--labels FILE] [--coarse 2] [--repeat 2] [--cold]

Without a label map the ICBM template brain is used (smaller than a head). Simulators are the parts that training puts
together; "kind X" is all of `synthmri simulate X` but for reading and writing. Processor time is what to plan with;
wall time also counts whatever else the machine is doing. Times grow with the number of voxels.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from SynthMRILib.commands.simulate import read_labels
from SynthMRILib.evaluation import records
from SynthMRILib.simulation import (
    acquisition,
    anatomy,
    bias,
    deformation,
    foreign,
    heads,
    kinds,
    lesions,
    motion,
    noise,
    presets,
    protocols,
    subject,
)
from SynthMRILib.volume import Grid, Volume


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, help="label map (default: ICBM template brain)")
    parser.add_argument("--coarse", type=int, default=1, help="take every n-th voxel of the label map along each axis")
    parser.add_argument("--repeat", type=int, default=2, help="samples by simulator")
    parser.add_argument("--cold", action="store_true", help="do without a first sample that warms caches")
    parser.add_argument("--output", type=Path, help="write the record as JSON")
    parser.add_argument("--only", action="append", help="name of a simulator; repeatable")
    arguments = parser.parse_args()
    labels, grid = coarser(*read_labels(arguments.labels), arguments.coarse)
    chosen = {name: task for name, task in tasks(labels, grid).items() if not arguments.only or name in arguments.only}
    checkout = Path(__file__).resolve().parents[2]
    labels_used = arguments.labels.name if arguments.labels else "ICBM template brain"
    options = f"--coarse {arguments.coarse} --repeat {arguments.repeat}{' --cold' if arguments.cold else ''}"
    result = {
        "command": f"python Testing/Benchmarks/simulation_speed.py {options} ({labels_used})",
        "commit": records.current_commit(checkout),
        "shape_kji": list(labels.shape),
        "million_voxels": round(labels.size / 1e6, 2),
        "load_average": list(os.getloadavg()),
        "simulators": {},
    }
    for name, task in chosen.items():
        result["simulators"][name] = measure(task, arguments.repeat, warm=not arguments.cold)
        if arguments.output:
            records.write_record(arguments.output, result)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


def coarser(labels: np.ndarray, grid: Grid, step: int) -> tuple[np.ndarray, Grid]:
    """Every n-th voxel of a label map."""
    kept = np.ascontiguousarray(labels[::step, ::step, ::step])
    return kept, grid.scaled((1 / step,) * 3, kept.shape)


def measure(task: Callable[[np.random.Generator], object], repeat: int, *, warm: bool) -> dict[str, float]:
    """Mean of several samples of different seeds, after one that warms caches if wanted."""
    if warm:
        task(np.random.default_rng(0))
    processor, wall = time.process_time(), time.perf_counter()
    for seed in range(repeat):
        task(np.random.default_rng(seed + 1))
    processor, wall = (time.process_time() - processor) / repeat, (time.perf_counter() - wall) / repeat
    return {
        "processor_seconds": round(processor, 3),
        "wall_seconds": round(wall, 3),
        "samples_per_second": round(1 / max(processor, 1e-6), 3),
    }


def tasks(labels: np.ndarray, grid: Grid) -> dict[str, Callable[[np.random.Generator], object]]:
    """One function of a generator by simulator; what they share is made once."""
    rng = np.random.default_rng(100)
    body = anatomy.draw(rng)
    head = anatomy.apply(body, labels, spacing=grid.spacing)
    person = subject.apply(subject.draw(rng, lesions_probability=0.0), labels, spacing=grid.spacing)
    sharp = Volume(heads.normalized(person.volume(protocols.draw(rng, "t1w"))), grid)
    middle = sharp.voxels[sharp.shape[0] // 2][None]
    plane = Volume(middle, Grid(middle.shape, grid.ijk_to_ras))

    def scan(kind: str) -> Callable[[np.random.Generator], object]:
        return lambda r: acquisition.apply(presets.draw_acquisition(r, kind), sharp)

    def moving(sequence: str, volume: Volume) -> Callable[[np.random.Generator], object]:
        return lambda r: motion.apply(motion.draw(r, sequence=sequence, severity=1.0), volume)

    def mass(r: np.random.Generator) -> object:
        record = foreign.draw(r, structure="tumor")
        center = foreign.center_of(record, labels, grid.spacing)
        return foreign.apply(record, head, labels, center, spacing=grid.spacing)

    def whole(kind: str) -> Callable[[np.random.Generator], object]:
        return lambda r: kinds.apply(kinds.draw(kind, r), labels, grid)

    return {
        "simulate_head": lambda r: heads.simulate_head(labels, r, contrast="flair"),
        "anatomy": lambda r: anatomy.apply(anatomy.draw(r), labels, spacing=grid.spacing),
        "deformation": lambda r: deformation.apply(deformation.draw(r), labels, spacing=grid.spacing),
        "lesions": lambda r: lesions.apply(lesions.draw(r, number=12), head, labels, spacing=grid.spacing),
        "tumor": mass,
        "contrast": lambda r: person.volume(protocols.draw(r, "flair")),
        "contrast with B1+": lambda r: person.volume(protocols.draw(r, "dir"), b1=transmit(r, grid)),
        "noise": lambda r: noise.apply(noise.draw(r), sharp.voxels, spacing=grid.spacing),
        "bias": lambda r: bias.apply_bias(bias.draw_bias(r), sharp.voxels, spacing=grid.spacing),
        **{f"acquisition {kind}": scan(kind) for kind in presets.ACQUISITIONS},
        **{f"motion {sequence}": moving(sequence, sharp) for sequence in ("mprage", "tse-3d", "tse-2d")},
        "motion of one slice": moving("tse-2d", plane),
        **{f"kind {kind}": whole(kind) for kind in kinds.KINDS},
    }


def transmit(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    return bias.transmit_field(bias.draw_transmit(rng, field_strength=3.0), grid.shape, spacing=grid.spacing)


if __name__ == "__main__":
    sys.exit(main())
