"""Measure whether uncertainty holds what it promises: coverage, order of errors, and how that compares with edges.

    python Testing/Benchmarks/uncertainty_quality.py FOLDER... --split validate|test [--task TASK] [--bundle NAME]

A FOLDER is one subject and holds volumes named by their contrast (T1.nii.gz, ...), or by study and contrast as a
scanner gave them (study1_T1W.nii.gz, ...). Inputs of super-resolution are 2x2x2 block means, so thick slices become
twice as thick, too; those of denoising have Rician noise of 6 % of the reference intensity added to what noise they
hold.
Reported inside the quality mask, where the task changes anything, for each contrast: coverage of the calibrated
intervals at 50, 68, 90 and 95 %, rank correlation of total and absolute error, the same if errors were drawn anew from
the total, the same of the local gradient magnitude of the result (what an edge map without any model would give), and
the area of the sparsification error; area under the ROC curve of total and of edges for errors above 5 % of the signal,
and for lesions where the folder holds `lesions.nii.gz`.

White noise of the reference is part of each error and no map can put it in order, so three figures that it weighs less
on stand beside those: the rank correlations again with the root mean square of the errors in 3 x 3 x 3 voxels, map and
edges averaged in the same way; the rank correlation of |error| with the root mean square error of the 26 voxels around,
an oracle that is told the errors of all neighbors and is no product; and the root mean square error in each tenth of
the voxels, from the lowest to the highest total and to the strongest edges, in per cent of the signal.

Each opening is noted in `Documentation/evaluations.csv`; the record is
`Documentation/figures/uncertainty_<subject>.json`, of denoising `uncertainty_denoising_<subject>.json`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
CONTRASTS = ("T1", "T2", "FLAIR", "T1POST")
STUDIES = tuple(f"study{n}_{contrast}" for n in (1, 2) for contrast in ("FLAIR", "T1W", "T2W"))
#: Number of the volume for which `calibration_cases.noisy` adds 6 % noise.
SIX_PERCENT = 1


def main() -> int:
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation import records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--split", required=True, choices=["validate", "test"])
    parser.add_argument("--task", choices=["super-resolution", "denoising"], default="super-resolution")
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    parser.add_argument("--samples", type=int, default=20)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle(arguments.task)
    prefix = "" if bundle.task == "super-resolution" else f"{bundle.task}_"
    facts = {
        "task": "uncertainty",
        "split": arguments.split,
        "samples": arguments.samples,
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
    }
    for folder in arguments.folders:
        rows = {path.name.split(".")[0]: measure(path, bundle, arguments.samples) for path in volumes_of(folder)}
        command = f"python Testing/Benchmarks/{Path(__file__).name} {folder.name} --split {arguments.split}"
        command += f" --task {bundle.task}" if prefix else ""
        record = {**facts, "subject": folder.name, "command": command, "contrasts": rows}
        records.write_record(CHECKOUT / "Documentation" / "figures" / f"uncertainty_{prefix}{folder.name}.json", record)
        note_opening(record, rows)
        sys.stdout.write(f"{rows}\n")
    return 0


def volumes_of(folder: Path) -> list[Path]:
    return [path for path in (folder / f"{contrast}.nii.gz" for contrast in (*CONTRASTS, *STUDIES)) if path.is_file()]


def note_opening(record: dict[str, Any], rows: dict[str, Any]) -> None:
    """One line a contrast in the table of openings."""
    import csv
    import json
    from datetime import UTC, datetime

    from SynthMRILib.evaluation.records import COLUMNS, TABLE

    with (CHECKOUT / TABLE).open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for contrast, figures in rows.items():
            writer.writerow(
                {
                    "date": datetime.now(UTC).isoformat(timespec="seconds"),
                    "commit": record["commit"],
                    "task": record["task"],
                    "subject": f"{record['subject']}/{contrast}",
                    "bundle": record["bundle"]["name"],
                    "bundle_sha256": record["bundle"]["sha256"],
                    "figures": json.dumps(figures, sort_keys=True),
                }
            )


def measure(path: Path, bundle, samples: int) -> dict[str, Any]:
    """Figures of one volume."""
    from SynthMRILib.evaluation.degrade import crop_to_multiple
    from SynthMRILib.evaluation.metrics import quality_mask
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.uncertainty import calibration
    from SynthMRILib.uncertainty.calibration_cases import maker
    from SynthMRILib.uncertainty.deviation_fitting import rank_correlation_if_exact
    from SynthMRILib.volume_io import read_volume

    volume, task = read_volume(path), get_task("uncertainty")
    whole = crop_to_multiple(volume) if bundle.task == "super-resolution" else volume
    inputs, reference, _ = maker(bundle.task)(whole, SIX_PERCENT)
    started = time.perf_counter()
    result = task.run(inputs, bundle, task.parameters_class(task=bundle.task, samples=samples), no_progress)
    seconds = time.perf_counter() - started
    inside = quality_mask(reference.voxels)
    mask = inside & (result.outputs["total"].voxels > 0)
    output, total = result.outputs["output"].voxels, result.outputs["total"].voxels[mask]
    error = (output - reference.voxels)[mask]
    gradient = ndimage.gaussian_gradient_magnitude(output, 1.0)
    edges = gradient[mask]
    unit = reference_intensity(reference.voxels)
    multipliers = result.provenance["calibration"]["interval_multipliers"]
    covered = calibration.coverage(error, total, {int(q): m for q, m in multipliers.items()})
    return {
        "changed_percent": round(float(100 * mask.sum() / inside.sum()), 2),
        "coverage_percent": {str(q): round(c, 2) for q, c in covered.items()},
        "rank_correlation": round(calibration.rank_correlation(error, total), 3),
        "rank_correlation_if_exact": round(rank_correlation_if_exact(error, total), 3),
        "rank_correlation_of_edges": round(calibration.rank_correlation(error, edges), 3),
        "ause": round(calibration.sparsification_area(error, total), 3),
        "ause_of_edges": round(calibration.sparsification_area(error, np.asarray(edges)), 3),
        **local_figures(output - reference.voxels, {"total": result.outputs["total"].voxels, "edges": gradient}, mask),
        "auroc": areas(error / unit, {"total": total, "edges": edges}, lesions_of(path, mask)),
        "rms_error_percent_by_tenth": {
            name: tenths(error / unit, order) for name, order in (("total", total), ("edges", edges))
        },
        "seconds": round(seconds, 1),
    }


def lesions_of(path: Path, mask: np.ndarray) -> np.ndarray | None:
    """Which of the voxels of the mask lie in a lesion; None without a segmentation beside the volume."""
    from SynthMRILib.volume_io import read_volume

    file = path.parent / "lesions.nii.gz"
    if not file.is_file():
        return None
    voxels = read_volume(file).voxels
    return (voxels[tuple(slice(0, n) for n in mask.shape)] > 0)[mask]


def areas(error: np.ndarray, maps: dict[str, np.ndarray], lesion: np.ndarray | None) -> dict[str, dict[str, float]]:
    """Area under the ROC curve of each map for large errors, and for lesions if there are any."""
    from SynthMRILib.uncertainty.calibration import area_under_roc
    from SynthMRILib.uncertainty.fitting import TOLERANCE_SHARE

    wanted = {"error_above_tolerance": np.abs(error) > TOLERANCE_SHARE}
    wanted |= {} if lesion is None else {"lesion": lesion}
    found = {what: {name: area_under_roc(hit, values) for name, values in maps.items()} for what, hit in wanted.items()}
    return {
        what: {name: round(area, 3) for name, area in by_map.items() if area is not None}
        for what, by_map in found.items()
    }


def local_figures(error: np.ndarray, maps: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, float]:
    """Rank correlations with the error of a neighborhood, which noise of single voxels spoils less.

    Args:
        error, maps: arrays (k, j, i).
        mask: voxels that count; no others enter a neighborhood.
    """
    from SynthMRILib.uncertainty.calibration import rank_correlation

    local = root_mean_square(error, mask)
    found = {
        f"rank_correlation_in_27_voxels_of_{name}": rank_correlation(local, root_mean_square(values, mask))
        for name, values in maps.items()
    }
    around = root_mean_square(error, mask, middle=False)
    found["rank_correlation_of_the_errors_around"] = rank_correlation(error[mask], around)
    return {name: round(value, 3) for name, value in found.items()}


def root_mean_square(values: np.ndarray, mask: np.ndarray, *, middle: bool = True) -> np.ndarray:
    """Root mean square over the voxels of the mask in the 3 x 3 x 3 around each of its voxels (n), with it or without.

    Zero for a voxel that stands alone.
    """
    squares, count = (np.where(mask, v, 0).astype(np.float64) for v in (values.astype(np.float64) ** 2, 1.0))
    sums = [27 * ndimage.uniform_filter(v, 3, mode="constant") - (0 if middle else v) for v in (squares, count)]
    return np.sqrt(np.maximum(sums[0], 0) / np.maximum(np.rint(sums[1]), 1))[mask]


def tenths(error: np.ndarray, order: np.ndarray) -> list[float]:
    """Root mean square error [%] in each tenth of the voxels, by what puts them in order, lowest first."""
    parts = np.array_split(error[np.argsort(order, kind="stable")].astype(np.float64), 10)
    return [round(float(100 * np.sqrt(np.mean(part**2))), 2) for part in parts]


if __name__ == "__main__":
    sys.exit(main())
