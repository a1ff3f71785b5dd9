"""Through-plane super-resolution of real thick-slice scans: every second slice is left out and foretold.

    python Testing/Benchmarks/through_plane_real.py DATA --patient NAME... --split train|validate|test
        [--bundle NAME]... [--edge VOXELS] [--documentation FOLDER]

DATA/NAME holds untouched clinical scans of thick slices (`study1_FLAIR.nii.gz` and the like). No sharp truth exists for
them, but every acquired slice is a truth of its own: the slices with even numbers, with gaps as wide as a slice between
them, are brought to 1 mm by each method, and the slices with odd numbers are taken from the result, with a Gaussian
profile as wide as their distance, and compared. That asks more of a method than its use does, where no slice is
missing. Beside it each method's residual against the slices it was given. Figures are those of the middle `--edge`
voxels in plane. Writes `Documentation/figures/through_plane_real.json`; openings of test scans are added to
`Documentation/evaluations.csv`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
METRICS = ("psnr", "ssim", "hfen")
FINE_MM = 1.0
LEAST_SLICES = 31
"""So that the half that is kept still makes a volume."""


def main(words: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(words)
    import torch
    from SynthMRILib import INTENDED_USE
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation.records import TABLE, append_opening, current_commit, write_record

    torch.set_num_threads(1)
    bundles = [load_bundle(name) for name in arguments.bundle]
    record: dict[str, Any] = {
        "task": "through-plane",
        "intended_use": INTENDED_USE,
        "commit": current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --patient {' '.join(arguments.patient)} "
        f"--split {arguments.split} --edge {arguments.edge}" + "".join(f" --bundle {b.name}" for b in bundles),
        "split": arguments.split,
        "bundles": {b.name: b.weights_sha256 for b in bundles},
        "seconds": "CPU seconds, one thread",
        "scans": {},
    }
    for patient in arguments.patient:
        for path in sorted((arguments.data / patient).glob("study*.nii.gz")):
            name = f"{patient}/{path.name.split('.')[0]}"
            record["scans"][name] = measure(path, arguments.edge, bundles)
            if arguments.split == "test":
                opening = {
                    "task": "through-plane real",
                    "bundles": record["bundles"],
                    "record": "through_plane_real.json",
                }
                table = arguments.documentation / TABLE.name
                append_opening(table, subject=name, commit=record["commit"], record=opening)
    target = arguments.documentation / "figures" / "through_plane_real.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with a folder of scans for each patient")
    parser.add_argument("--patient", nargs="+", required=True)
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"])
    parser.add_argument("--bundle", action="append", default=[], help="repeatable")
    parser.add_argument("--edge", type=int, default=128, help="edge of the block in plane, in voxels")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    return parser


def measure(path: Path, edge: int, bundles: list[Any]) -> dict[str, Any]:
    """Spacing of a scan and one row a method."""
    from SynthMRILib.evaluation import metrics
    from SynthMRILib.slice_profile import Acquisition
    from SynthMRILib.volume_io import read_volume

    source = read_volume(path)
    axis = int(np.argmax(source.spacing[::-1]))
    scan = middle(source, axis, edge)
    thickness = scan.spacing[2 - axis]
    peak = metrics.data_range(source.voxels)
    left_out = np.zeros(scan.shape, bool)
    left_out[tuple(slice(1, None, 2) if a == axis else slice(None) for a in range(3))] = True
    mask = metrics.quality_mask(scan.voxels) & left_out
    rows = []
    for method, output, seconds in results(thinned(scan, axis), thickness, bundles):
        seen = Acquisition.between(output.grid, scan.grid, kind="gaussian").apply(output.voxels)
        given = ~left_out & metrics.quality_mask(scan.voxels)
        residual = float(np.sqrt(np.mean((seen - scan.voxels)[given] ** 2)) / peak)
        scores = {n: metrics.METRICS[n].compute(scan.voxels, seen, mask=mask, peak=peak) for n in METRICS}
        row = {"method": method, "seconds": seconds, "residual_percent": round(100 * residual, 3)}
        rows.append(row | {name: float(f"{value:.5g}") for name, value in scores.items()})
        sys.stdout.write(f"{path.parent.name}/{path.name} {rows[-1]}\n")
        sys.stdout.flush()
    facts = {"spacing_mm": [round(s, 3) for s in scan.spacing], "slice_axis": "kji"[axis], "slices": scan.shape[axis]}
    return {**facts, "rows": rows}


def middle(source: Any, axis: int, edge: int) -> Any:
    """The middle of a scan in plane, all of its slices but an even last one. Raises InputError for too few slices."""
    from SynthMRILib.errors import InputError
    from SynthMRILib.volume import Grid, Volume

    count = (source.shape[axis] - 1) // 2 * 2 + 1
    if count < LEAST_SLICES:
        raise InputError(f"A scan of {source.shape[axis]} slices is too short: at least {LEAST_SLICES} are needed.")
    sizes = [count if a == axis else min(n, edge) for a, n in enumerate(source.shape)]
    starts = [0 if a == axis else (n - size) // 2 for a, (n, size) in enumerate(zip(source.shape, sizes))]
    block = source.voxels[tuple(slice(a, a + n) for a, n in zip(starts, sizes))]
    matrix = source.grid.ijk_to_ras.copy()
    matrix[:3, 3] = source.grid.index_to_ras(np.array(starts[::-1], dtype=float))
    return Volume(np.maximum(block, 0), Grid(block.shape, matrix))


def thinned(scan: Any, axis: int) -> Any:
    """The slices with even numbers, which begin and end the scan."""
    from SynthMRILib.volume import Grid, Volume

    kept = scan.voxels[tuple(slice(None, None, 2) if a == axis else slice(None) for a in range(3))]
    matrix = scan.grid.ijk_to_ras.copy()
    matrix[:3, 2 - axis] *= 2
    return Volume(np.ascontiguousarray(kept), Grid(kept.shape, matrix))


def results(thick: Any, thickness: float, bundles: list[Any]) -> Iterator[tuple[str, Any, float]]:
    """Method, volume of 1 mm across the slices, and CPU seconds."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task

    task = get_task("through-plane")
    axis = int(np.argmax(thick.spacing))
    spacing = [FINE_MM if a == axis else s for a, s in enumerate(thick.spacing)]
    runs = [("bspline", None, "bspline"), ("total-variation", None, "total-variation")]
    for name, bundle, method in [*runs, *((b.name, b, "network") for b in bundles)]:
        parameters = task.parameters_class(spacing=spacing, gap=thickness, method=method, device="cpu")
        started = time.process_time()
        output = task.run({"input": thick}, bundle, parameters, no_progress).outputs["output"]
        yield name, output, round(time.process_time() - started, 2)


if __name__ == "__main__":
    sys.exit(main())
