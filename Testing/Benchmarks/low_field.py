"""Denoising, with and without up-sampling, of simulated low-field scans of heads that were never trained on.

    OMP_NUM_THREADS=1 python Testing/Benchmarks/low_field.py --labels FOLDER [--head N]... [--scans N] [--split test]

Each scan (0.064 to 0.55 T, 1.3 to 1.8 mm in plane, slices of 4 to 6 mm, one coil, windowed k-space, 4 to 10 % noise) is
simulated twice from the same draws: with its noise, and without, which is the reference. Nobody is told the level.
Compared are the noisy scan, a median filter and a Gaussian (3 and 0.8 voxels in plane), denoising as usual
and with the preset `low-field`. With up-sampling: the noisy and the denoised scan brought to 1 mm, by B-splines and by
total variation, against the head at 1 mm as that scanner would show it without noise, thick slices and windowing.
Writes `Documentation/figures/low_field_<split>.json`. All scans are simulated; no acquired low-field scan was at hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
METRICS = ("psnr", "ssim", "hfen", "haarpsi")
CONTRASTS = ("t1w", "t2w", "flair")


def main() -> int:
    from SynthMRILib import INTENDED_USE
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    arguments = build_parser().parse_args()
    bundle = load_bundle(arguments.bundle)
    heads = arguments.head or [16, 17]
    record: dict[str, Any] = {
        "task": "denoising",
        "intended_use": INTENDED_USE,
        "caveat": "All scans are simulated; no acquired low-field scan was at hand.",
        "command": f"OMP_NUM_THREADS=1 python Testing/Benchmarks/{Path(__file__).name} --labels label_maps "
        + "".join(f"--head {head} " for head in heads)
        + f"--scans {arguments.scans} --split {arguments.split}",
        "commit": current_commit(CHECKOUT),
        "split": arguments.split,
        "bundles": {bundle.name: bundle.weights_sha256},
        "scans": {},
    }
    for head in heads:
        for number in range(arguments.scans):
            name, rows = measure(arguments.labels / f"head_{head:02d}.nii.gz", head, number, bundle)
            record["scans"][name] = rows
            for row in rows["rows"]:
                sys.stdout.write(f"{name} {row}\n")
            sys.stdout.flush()
    record["mean_gain_db"] = mean_gains(record["scans"])
    write_record(CHECKOUT / "Documentation" / "figures" / f"low_field_{arguments.split}.json", record)
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True, help="folder of head_NN.nii.gz")
    parser.add_argument("--head", type=int, action="append", help="repeatable; default: 16 and 17")
    parser.add_argument("--scans", type=int, default=3, help="scans of each head, contrasts in turn")
    parser.add_argument("--bundle", default="denoising")
    parser.add_argument("--split", choices=["validate", "test"], default="test")
    return parser


def measure(path: Path, head: int, number: int, bundle: Any) -> tuple[str, dict[str, Any]]:
    """Name, facts and one row a method of one scan."""
    from SynthMRILib.evaluation import metrics
    from SynthMRILib.simulation import kinds
    from SynthMRILib.volume_io import read_volume

    contrast = CONTRASTS[number % len(CONTRASTS)]
    labels = read_volume(path)
    rng = np.random.default_rng([head, number])
    sample = kinds.draw("low-field", rng, contrast=contrast)
    scanned = sample.acquisition
    still = replace(scanned, noise=replace(scanned.noise, sigma=0.0))
    sharp = replace(still, slice_axis=None, resolution_mm=(1.0, 1.0, 1.0), window=0.0)
    noisy, clean, fine = (
        kinds.apply(replace(sample, acquisition=plan), labels.voxels.astype(np.int32), labels.grid).volumes["acquired"]
        for plan in (scanned, still, sharp)
    )
    rows = []
    for reference, estimates in ((clean, same_grid(noisy, bundle)), (fine, finer_grid(noisy, fine.grid, bundle))):
        mask, peak = metrics.quality_mask(reference.voxels), metrics.data_range(reference.voxels)
        for method, voxels in estimates:
            scores = {n: metrics.METRICS[n].compute(reference.voxels, voxels, mask=mask, peak=peak) for n in METRICS}
            grid = "1 mm" if reference is fine else "its own"
            rows.append({"grid": grid, "method": method, **{n: float(f"{v:.5g}") for n, v in scores.items()}})
    facts = {
        "contrast": contrast,
        "field_tesla": sample.protocols["low-field"].field_strength,
        "spacing_mm": [round(s, 2) for s in noisy.spacing],
        "noise_percent": round(100 * scanned.noise.sigma, 1),
    }
    return f"head_{head} {number}", {**facts, "rows": rows}


def same_grid(noisy: Any, bundle: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Estimates of the scan without noise."""
    yield "noisy", noisy.voxels
    width = [1.0 if s < 1.5 * min(noisy.spacing) else 0.0 for s in noisy.spacing[::-1]]
    yield "gaussian", ndimage.gaussian_filter(noisy.voxels, [0.8 * w for w in width])
    yield "median", ndimage.median_filter(noisy.voxels, [3 if w else 1 for w in width])
    for preset in ("standard", "low-field"):
        yield f"denoising, {preset}", denoised(noisy, bundle, preset).voxels


def finer_grid(noisy: Any, fine: Any, bundle: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Estimates of the head at 1 mm."""
    from SynthMRILib.through_plane.resampling import resampled
    from SynthMRILib.through_plane.total_variation import reconstruct

    quiet = denoised(noisy, bundle, "low-field")
    for name, volume in (("noisy", noisy), ("denoising, low-field", quiet)):
        yield f"{name}, then bspline", resampled(volume, fine).voxels
        yield f"{name}, then total-variation", reconstruct(volume, fine, kind="gaussian").voxels


def denoised(noisy: Any, bundle: Any, preset: str) -> Any:
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task

    task = get_task("denoising")
    parameters = task.parameters_class(preset=preset)
    return task.run({"input": noisy}, bundle, parameters, no_progress).outputs["output"]


def mean_gains(scans: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Mean PSNR of each method over that of the noisy scan (on 1 mm: of its B-spline) [dB]."""
    gains: dict[str, dict[str, list[float]]] = {}
    for scan in scans.values():
        for grid in ("its own", "1 mm"):
            rows = [row for row in scan["rows"] if row["grid"] == grid]
            for row in rows[1:]:
                gains.setdefault(grid, {}).setdefault(row["method"], []).append(row["psnr"] - rows[0]["psnr"])
    return {grid: {m: round(float(np.mean(v)), 2) for m, v in methods.items()} for grid, methods in gains.items()}


if __name__ == "__main__":
    sys.exit(main())
