"""Measure through-plane super-resolution: slices of 4 mm are taken from 1 mm volumes and brought back to 1 mm.

    python Testing/Benchmarks/through_plane_quality.py FOLDER --split train|validate|test [--bundle NAME]
        [--edge VOXELS] [--spacing MM] [--documentation FOLDER]

FOLDER is one subject with T1.nii.gz, T2.nii.gz and FLAIR.nii.gz. Axis k of T1 and T2 was itself acquired in thick
slices, so they are thickened along i and j, FLAIR along all three. Profiles: Gaussian of 4 mm full width at half
maximum and a box of 4 mm; no method is told which, total variation takes both for Gaussian. Methods: cubic B-spline,
total variation, and each `--bundle`. All get the same block of `--edge` voxels from the middle. Writes the record
`Documentation/figures/through_plane_<subject>.json` and a line for each volume to `Documentation/evaluations.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
AXES = {"T1": "ji", "T2": "ji", "FLAIR": "kji"}
PROFILES = ("gaussian", "box")
METRICS = ("psnr", "ssim", "hfen", "haarpsi")


def main() -> int:
    arguments = build_parser().parse_args()
    import torch
    from SynthMRILib import INTENDED_USE
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    torch.set_num_threads(1)
    bundles = [load_bundle(name) for name in arguments.bundle]
    subject = arguments.folder.name
    record: dict[str, Any] = {
        "task": "through-plane",
        "intended_use": INTENDED_USE,
        "commit": current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {subject} --split {arguments.split} "
        f"--edge {arguments.edge} --spacing {arguments.spacing:g}" + "".join(f" --bundle {b.name}" for b in bundles),
        "subject": subject,
        "split": arguments.split,
        "bundles": {b.name: b.weights_sha256 for b in bundles},
        "caveat": "Thick slices were simulated; no acquired pair of thick and thin slices was at hand.",
        "seconds": "CPU seconds, one thread",
        "volumes": {},
    }
    for contrast, axes in AXES.items():
        rows = list(measure(arguments.folder / f"{contrast}.nii.gz", axes, arguments, bundles))
        record["volumes"][contrast] = rows
        note(arguments, record, f"{subject}/{contrast}", rows)
    target = arguments.documentation / "figures" / f"through_plane_{subject}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"])
    parser.add_argument("--bundle", action="append", default=[], help="repeatable")
    parser.add_argument("--edge", type=int, default=96, help="edge of the block in voxels")
    parser.add_argument("--spacing", type=float, default=4.0, help="distance and thickness of slices [mm]")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    return parser


def measure(path: Path, axes: str, arguments: argparse.Namespace, bundles: list[Any]) -> Iterator[dict[str, Any]]:
    """One row for each axis, profile and method."""
    from SynthMRILib.evaluation import metrics
    from SynthMRILib.slice_profile import Acquisition
    from SynthMRILib.through_plane.resampling import grid_of_spacing
    from SynthMRILib.volume import Grid, Volume
    from SynthMRILib.volume_io import read_volume

    source = read_volume(path).voxels
    size = int(arguments.edge // arguments.spacing * arguments.spacing)
    voxels = np.maximum(source[tuple(slice((n - size) // 2, (n - size) // 2 + size) for n in source.shape)], 0)
    sharp = Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))
    mask, peak = metrics.quality_mask(voxels), metrics.data_range(source)
    for axis in axes:
        spacing = tuple(arguments.spacing if name == axis else 1.0 for name in "ijk")
        grid = grid_of_spacing(sharp.grid, spacing)
        for profile in PROFILES:
            thick = Volume(np.maximum(Acquisition.between(sharp.grid, grid, kind=profile).apply(voxels), 0), grid)
            for method, estimate, seconds in results(thick, bundles):
                scores = {n: metrics.METRICS[n].compute(voxels, estimate, mask=mask, peak=peak) for n in METRICS}
                row = {"axis": axis, "profile": profile, "method": method, "seconds": seconds}
                row |= {name: float(f"{value:.5g}") for name, value in scores.items()}
                sys.stdout.write(f"{path.name} {row}\n")
                sys.stdout.flush()
                yield row


def results(thick: Any, bundles: list[Any]) -> Iterator[tuple[str, np.ndarray, float]]:
    """Method, voxels and CPU seconds."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task

    task = get_task("through-plane")
    runs = [("bspline", None, "bspline"), ("total-variation", None, "total-variation")]
    for name, bundle, method in [*runs, *((b.name, b, "network") for b in bundles)]:
        parameters = task.parameters_class(spacing=[1.0, 1.0, 1.0], method=method, device="cpu")
        started = time.process_time()
        output = task.run({"input": thick}, bundle, parameters, no_progress).outputs["output"]
        yield name, output.voxels, round(time.process_time() - started, 2)


def note(arguments: argparse.Namespace, record: dict[str, Any], subject: str, rows: list[dict[str, Any]]) -> None:
    """Keep the opening of the volume on record."""
    from SynthMRILib.evaluation.records import COLUMNS, TABLE

    figures: dict[str, Any] = {}
    for row in rows:
        figures.setdefault(f"{row['axis']}, {row['profile']}", {})[row["method"]] = [row["psnr"], row["ssim"]]
    names = " ".join(record["bundles"]) or "total-variation"
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": record["commit"],
        "task": "through-plane",
        "subject": subject,
        "bundle": names,
        "bundle_sha256": " ".join(record["bundles"].values()),
        "figures": json.dumps(figures, sort_keys=True),
    }
    table = arguments.documentation / TABLE.name
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(line)


if __name__ == "__main__":
    sys.exit(main())
