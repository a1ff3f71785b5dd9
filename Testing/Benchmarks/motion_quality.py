"""What motion correction does to test volumes: gain by simulator and severity, clean volumes, lesions, severity.

    python Testing/Benchmarks/motion_quality.py CASES.safetensors DATA [--method NAME] [--bundle NAME] [--record]

CASES is what motion_cases.py made. Every case goes through the task as a user runs it, with its decision and its
strength; where it leaves a volume unchanged the gain is zero. Results are registered rigidly to the reference before
any figure is taken. With `--block` only the middle of every case is looked at. Each method has a record of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from motion_cases import volumes
from scipy import ndimage, stats

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import Bundle, load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.evaluation.metrics import psnr, quality_mask, ssim  # noqa: E402
from SynthMRILib.motion.estimate import severity_bundle  # noqa: E402
from SynthMRILib.simulation import motion  # noqa: E402
from SynthMRILib.simulation.records import sample_generator  # noqa: E402
from SynthMRILib.tasks import get_task  # noqa: E402
from SynthMRILib.training import motion_pairs  # noqa: E402
from SynthMRILib.training.cache import Cache  # noqa: E402
from SynthMRILib.volume import Grid, Volume  # noqa: E402
from SynthMRILib.volume_io import read_volume  # noqa: E402

TASK = get_task("motion-correction")
STILL_MM = 0.02
LESION_MM3, LESION_SD = 27, 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--method", default="autofocus", choices=["autofocus", "network", "both"])
    parser.add_argument("--bundle", default="motion-correction", help="name or folder; autofocus takes none")
    parser.add_argument("--block", type=int, default=0, help="edge of the middle that is looked at; 0 for everything")
    parser.add_argument("--minutes", type=float, default=1e9, help="leave out the cases that come later than this")
    parser.add_argument("--force", action="store_true", help="correct whatever the decision says")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    bundle = None if arguments.method == "autofocus" else load_bundle(arguments.bundle)
    values = {"device": "cpu", "method": arguments.method, "force": arguments.force}
    cache = Middle(arguments.cases, arguments.block)
    rows, clean, lesions = [], [], []
    started = time.monotonic()
    for index in range(0, len(cache), 2):
        if time.monotonic() - started > 60 * arguments.minutes:
            break
        row, corrected = measured(cache, index, bundle, values)
        rows.append(row)
        sys.stderr.write(json.dumps(row) + "\n")
        if row["first_of_volume"]:
            clean.append(clean_row(cache, index, bundle, values))
        if row["subject"] == "patient19" and row["contrast"] == "flair" and row["motion"] == "own":
            lesions.append({**case_name(cache, index), **kept_lesions(cache, index, corrected, arguments.data)})
    record = {
        "command": f"motion_quality.py {arguments.cases.name} DATA --method {arguments.method} "
        f"--block {arguments.block} --record",
        "forced": arguments.force,
        "commit": records.current_commit(CHECKOUT),
        "bundles": {b.name: b.weights_sha256 for b in (bundle, severity_bundle()) if b},
        "data": "heads 16 and 17, patient19 (patient07 was used for training); parts of 88 voxels along the readout",
        "block": arguments.block or None,
        "cases_left_out": len(cache) // 2 - len(rows),
        "summary": summary(rows, clean, lesions),
        "rows": rows,
        "clean": clean,
        "lesions": lesions,
    }
    if arguments.record:
        name = f"motion_quality_{arguments.method}.json"
        records.write_record(CHECKOUT / "Documentation" / "figures" / name, record)
        opened = {"task": "motion-correction", "bundles": record["bundles"], "rows": []}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps(record["summary"], indent=2) + "\n")
    return 0


class Middle(Cache):
    """A cache of which only the middle of every volume is read, `edge` voxels along each axis at most; 0 for all."""

    def __init__(self, path: Path, edge: int) -> None:
        super().__init__(path)
        self.edge = edge

    def part(self, index: int) -> tuple[slice, ...]:
        edges = [min(n, self.edge or n) for n in self.shape(index)]
        return tuple(slice((n - e) // 2, (n - e) // 2 + e) for n, e in zip(self.shape(index), edges))

    def volume(self, index: int) -> np.ndarray:
        return super().volume(index)[self.part(index)]


def case_name(cache: Middle, index: int) -> dict[str, Any]:
    entry = cache.entries[index]
    return {
        "subject": entry.subject,
        "contrast": entry.contrast,
        "motion": entry.extra["kind"],
        "severity_mm": round(entry.extra["severity_mm"], 3),
        "displacement_mm": round(entry.extra["displacement_mm"], 3),
    }


def pair(cache: Middle, index: int) -> tuple[Volume, np.ndarray]:
    moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
    spacing = tuple(cache.entries[index].extra["spacing_kji"][::-1])
    return Volume(moved, Grid.from_spacing(moved.shape, spacing)), still


def measured(
    cache: Middle, index: int, bundle: Bundle | None, values: dict[str, Any]
) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a case, and the voxels of the result."""
    moved, still = pair(cache, index)
    started = time.process_time()
    result = TASK.run({"input": moved}, bundle, TASK.parameters_class(**values), lambda *_: None)
    seconds = time.process_time() - started
    corrected = result.outputs["output"].voxels
    mask = quality_mask(still)
    before = after = figures(still, moved.voxels, mask, moved.grid)
    if not np.array_equal(corrected, moved.voxels):
        after = figures(still, corrected, mask, moved.grid)
    first = not any(
        (e.subject, e.contrast) == (cache.entries[index].subject, cache.entries[index].contrast)
        for e in cache.entries[:index]
    )
    return {
        **case_name(cache, index),
        "estimate_mm": result.measurements["severity_before"]["severity_mm"],
        "estimate_after_mm": result.measurements["severity_after"]["severity_mm"],
        "decision": result.measurements["decision"],
        "order": " ".join(cache.entries[index].extra.get(name) or "" for name in ("sequence", "order")).strip(),
        "autofocus": result.measurements.get("autofocus"),
        "guided": result.measurements.get("guided"),
        "strength": result.measurements.get("strength", 0.0),
        "input": before,
        "corrected": after,
        "gain_db": round(after["psnr"] - before["psnr"], 3),
        "cpu_seconds": round(seconds, 1),
        "voxels": int(moved.voxels.size),
        "first_of_volume": first,
    }, corrected


def figures(still: np.ndarray, voxels: np.ndarray, mask: np.ndarray, grid: Grid) -> dict[str, float]:
    aligned = registered(still, voxels, grid)
    return {
        "psnr": round(psnr(still, aligned, mask=mask), 3),
        "ssim": round(ssim(still, aligned, mask=mask), 4),
    }


def registered(still: np.ndarray, voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """The volume moved rigidly onto the reference; as it is where that is less than `STILL_MM`."""
    return moved_by(alignment(still, voxels, grid), voxels, grid)


def alignment(still: np.ndarray, voxels: np.ndarray, grid: Grid, *, sampled: float = 0.2) -> sitk.Transform | None:
    """The rigid transform that lays the volume onto the reference, None where it is less than `STILL_MM`.

    Args:
        sampled: share of the voxels that it is found from; small volumes need all.
    """
    fixed, floating = (as_image(v, grid) for v in (still, voxels))
    center = sitk.CenteredTransformInitializer(
        fixed, floating, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(sampled, seed=1)  # points are drawn about the grid: the same ones each time
    method.SetShrinkFactorsPerLevel([2])
    method.SetSmoothingSigmasPerLevel([1.0])
    # Intensities are below about one, so that gradients are small far from the optimum: only the step ends the search.
    method.SetOptimizerAsRegularStepGradientDescent(0.2, 0.001, 100, gradientMagnitudeTolerance=1e-12)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(center, inPlace=True)
    method.SetInterpolator(sitk.sitkLinear)
    method.Execute(fixed, floating)
    corner = np.array(grid.extent) * 0.7
    moved = np.array(center.TransformPoint(corner.tolist())) - corner
    return None if np.linalg.norm(moved) < STILL_MM else center


def moved_by(transform: sitk.Transform | None, voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """The volume resampled by cubic B-splines after a transform, zero where it comes from outside."""
    if transform is None:
        return voxels
    image = as_image(voxels, grid)
    return sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkBSpline, 0.0))


def as_image(voxels: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.spacing)
    return image


def clean_row(cache: Middle, index: int, bundle: Bundle | None, values: dict[str, Any]) -> dict[str, Any]:
    """What happens to the same volume without motion."""
    moved, still = pair(cache, index)
    parameters = TASK.parameters_class(**{**values, "force": False})
    result = TASK.run({"input": moved.with_voxels(still)}, bundle, parameters, lambda *_: None)
    output = result.outputs["output"].voxels
    return {
        **case_name(cache, index),
        "decision": result.measurements["decision"],
        "estimate_mm": result.measurements["severity_before"]["severity_mm"],
        "unchanged": bool(np.array_equal(output, still)),
        "psnr": None if np.array_equal(output, still) else round(psnr(still, output), 2),
    }


def kept_lesions(cache: Middle, index: int, corrected: np.ndarray, data: Path) -> dict[str, Any]:
    """How many lesions that stand out in the volume with motion still do after the correction."""
    mask = lesion_mask(data)[cache.part(index)]
    moved, _ = pair(cache, index)
    labels, count = ndimage.label(mask)
    noise = 1.4826 * np.median(
        np.abs(moved.voxels - ndimage.median_filter(moved.voxels, 3))[quality_mask(moved.voxels)]
    )
    seen = kept = 0
    for number in range(1, count + 1):
        lesion = labels == number
        if lesion.sum() < LESION_MM3:
            continue
        shell = ndimage.binary_dilation(lesion, iterations=3) & ~ndimage.binary_dilation(mask)
        before, after = (v[lesion].mean() - np.median(v[shell]) for v in (moved.voxels, corrected))
        if before > LESION_SD * noise:
            seen += 1
            kept += bool(after > LESION_SD * noise and after > 0.5 * before)
    return {"lesions": seen, "kept": kept}


def lesion_mask(data: Path) -> np.ndarray:
    """The lesions of patient19 in the part of the FLAIR volume that the cases hold."""
    entry, volume = next(iter(volumes(data)))
    mask = read_volume(data / "ms_cross_sectional" / "patient19" / "lesions.nii.gz")
    drawn = motion_pairs.draw(sample_generator(77, 0), contrast=entry.contrast, thick=False)
    own = motion.draw(sample_generator(78, 0), sequence="tse-3d", severity=1.0)
    record = replace(drawn, motion=own, slab=0.55)
    part = motion_pairs.slab_of(volume.with_voxels(mask.voxels), record)
    return np.pad(part.voxels > 0.5, [(m, m) for m in record.margin])[motion_pairs.trimmed_part(record, part)]


def summary(rows: list[dict], clean: list[dict], lesions: list[dict]) -> dict[str, Any]:
    """Means by kind of motion and severity, and what the floors ask for."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        side = "below" if row["displacement_mm"] < 1.25 else "above"
        groups.setdefault(f"{row['motion']} {side} 1.25 mm", []).append(row)
    found: dict[str, Any] = {
        name: {
            "cases": len(group),
            "gain_db": round(float(np.mean([r["gain_db"] for r in group])), 2),
            "worst_gain_db": min(r["gain_db"] for r in group),
            "corrected": sum(r["decision"] == "corrected" for r in group),
            "ssim": [round(float(np.mean([r[k]["ssim"] for r in group])), 4) for k in ("input", "corrected")],
        }
        for name, group in sorted(groups.items())
    }
    found["clean_unchanged"] = f"{sum(r['unchanged'] for r in clean)} of {len(clean)}"
    found["lesions_kept"] = f"{sum(r['kept'] for r in lesions)} of {sum(r['lesions'] for r in lesions)}"
    for name, kinds in {"own": ("own",), "unseen": ("other trace", "torchio")}.items():
        chosen = [r for r in rows if r["motion"] in kinds]
        estimates, truth = [r["estimate_mm"] for r in chosen], [r["severity_mm"] for r in chosen]
        estimates += [r["estimate_mm"] for r in clean]
        truth += [0.0] * len(clean)
        found[f"severity_rank_correlation_{name}"] = round(float(stats.spearmanr(estimates, truth).statistic), 3)
    return found


if __name__ == "__main__":
    sys.exit(main())
