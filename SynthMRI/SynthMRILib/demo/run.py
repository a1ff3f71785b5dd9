"""The demo from template to page. Everything it shows is computed in the run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import INTENDED_USE
from ..bundles import Bundle, best_bundle
from ..errors import BundleError, InputError
from ..evaluation.baselines import upsample
from ..evaluation.metrics import all_metrics, data_range
from ..progress import Progress, no_progress
from ..synthetic_marks import SYNTHETIC_FIELD
from ..tasks import get_task
from ..volume import Grid, Volume
from ..volume_io import read_volume, write_volume
from .page import write_page
from .pictures import Panel, draw_columns
from .scan import FACTOR, NOISE, TEMPLATE_NAME, TEMPLATE_NOTICE, load_template, simulate_scan, trimmed
from .scene import BLUE_WHITE_RED, SceneVolume, write_scene

if TYPE_CHECKING:
    from ..tasks.base import TaskResult

TASK = "super-resolution"
SCENE = "SynthMRI-demo.mrml"
PAGE = "index.html"
RECORD = "demo.json"
FILES = {name: f"{name}.nii.gz" for name in ("before", "after", "difference", "reference")}
DETAIL = "detail.png"
DETAIL_SIZE = 60.0


@dataclass(frozen=True)
class Comparison:
    """The volumes of the demo, all in RAS and in the units of the reference.

    Args:
        reference: what the scan was simulated from.
        before: the simulated scan.
        after: the enhanced scan, on the grid of the reference.
        difference: after minus the trilinear interpolation of before, which is what Slicer shows of a coarse volume.
        method: name of what made `after`, for people.
        result: what the task gave back.
        seconds: how long the task took.
    """

    reference: Volume
    before: Volume
    after: Volume
    difference: Volume
    method: str
    result: TaskResult
    seconds: float


def run_demo(
    output: Path,
    *,
    template: Path | None = None,
    bundle: Bundle | None = None,
    parameters: dict[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write volumes, scene, pictures, page and record into the folder `output`; return the record.

    Args:
        template: a sharp, noise-free volume to use instead of the ICBM template.
        bundle: by default the best one installed, or B-spline interpolation when there is none.
        parameters: parameters of the task (device, precision, tile, seed; the seed is also that of the noise).
        overwrite: write into a folder that holds something.
        progress: told how far the enhancement is.

    Raises:
        InputError: the folder holds something and may not be overwritten, or the template cannot be used.
    """
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise InputError(f"The folder '{output.name}' is not empty. Choose another or add --overwrite.")
    started = time.monotonic()
    reference = trimmed(load_template() if template is None else read_volume(template))
    comparison = compare(reference, bundle or best_or_none(), parameters or {}, progress)
    record = {
        "source": TEMPLATE_NAME if template is None else "a volume named by the user",
        "simulation": {"factor": FACTOR, "noise": NOISE, "degradation": "kspace"},
        "method": comparison.method,
        "figures": figures_of(comparison),
        "provenance": comparison.result.provenance,
    }
    output.mkdir(parents=True, exist_ok=True)
    _write_volumes(output, comparison)
    _write_scene(output / SCENE, comparison)
    write_page(
        output / PAGE,
        paragraphs=_paragraphs(record, comparison),
        pictures=_draw(output, comparison),
        figures=record["figures"],
        notices=[TEMPLATE_NOTICE] if template is None else [],
    )
    record["seconds"] = {"enhancement": comparison.seconds, "total": round(time.monotonic() - started, 1)}
    (output / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def best_or_none() -> Bundle | None:
    """The best bundle installed, None when there is none."""
    try:
        return best_bundle(TASK)
    except BundleError:
        return None


def compare(
    reference: Volume, bundle: Bundle | None, values: dict[str, Any], progress: Progress = no_progress
) -> Comparison:
    """Simulate a scan of the reference and enhance it with the bundle, or by B-spline without one."""
    task = get_task(TASK)
    method = "network" if bundle else "bspline"
    parameters = task.parameters_class.from_dict({**values, "factor": FACTOR, "method": method})
    before = simulate_scan(reference, seed=parameters.seed)
    started = time.monotonic()
    result = task.run({"input": before}, bundle, parameters, progress)
    seconds = round(time.monotonic() - started, 1)
    after = result.outputs["output"]
    shown = upsample(before, FACTOR, "trilinear")
    return Comparison(
        reference=reference,
        before=before,
        after=after,
        difference=after.with_voxels(after.voxels - shown.voxels),
        method=bundle.title if bundle else "B-spline interpolation",
        result=result,
        seconds=seconds,
    )


def figures_of(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Figures of quality against the reference, by method."""
    estimates = {
        "Trilinear interpolation": upsample(comparison.before, FACTOR, "trilinear"),
        "B-spline interpolation": upsample(comparison.before, FACTOR, "bspline"),
        comparison.method: comparison.after,
    }
    return {name: all_metrics(comparison.reference.voxels, volume.voxels) for name, volume in estimates.items()}


def _write_volumes(output: Path, comparison: Comparison) -> None:
    provenance = comparison.result.provenance
    write_volume(comparison.before, output / FILES["before"], overwrite=True)
    write_volume(comparison.after, output / FILES["after"], overwrite=True, provenance=provenance)
    write_volume(comparison.difference, output / FILES["difference"], overwrite=True, provenance=provenance)
    write_volume(comparison.reference, output / FILES["reference"], overwrite=True, synthetic=False)


def _write_scene(path: Path, comparison: Comparison) -> None:
    peak = data_range(comparison.reference.voxels)
    largest = _largest_difference(comparison)
    synthetic = {SYNTHETIC_FIELD: "1", "SynthMRI.IntendedUse": INTENDED_USE}
    volumes = [
        SceneVolume("Before (simulated scan)", FILES["before"], peak, peak / 2, attributes=synthetic),
        SceneVolume(f"After, synthetic ({comparison.method})", FILES["after"], peak, peak / 2, attributes=synthetic),
        SceneVolume("Difference", FILES["difference"], 2 * largest, 0.0, BLUE_WHITE_RED, synthetic),
        SceneVolume("Reference", FILES["reference"], peak, peak / 2),
    ]
    grid = comparison.reference.grid
    height = 1.05 * float(max(_box_in_ras(grid)))
    write_scene(path, volumes, shown=(0, 1, 2), center=_center(grid), field_of_view=height)


def _draw(output: Path, comparison: Comparison) -> dict[str, str]:
    """Draw the pictures and return the caption of each."""
    peak, largest = data_range(comparison.reference.voxels), _largest_difference(comparison)
    panels = [
        Panel("Before (simulated scan)", comparison.before, 0.0, peak),
        Panel("After (synthetic)", comparison.after, 0.0, peak),
        Panel("Difference", comparison.difference, -largest, largest, signed=True),
        Panel("Reference", comparison.reference, 0.0, peak),
    ]
    center = _center(comparison.reference.grid)
    right, anterior, superior = _box_in_ras(comparison.reference.grid)
    beside_midline = (center[0] + right / 8, *center[1:])
    slices = {
        "Axial": (center, (right, anterior)),
        "Coronal": (center, (right, superior)),
        "Sagittal": (beside_midline, (anterior, superior)),
    }
    captions = {}
    for orientation, (middle, size) in slices.items():
        name = f"{orientation.lower()}.png"
        draw_columns(output / name, panels, orientation, middle, size)
        captions[name] = f"{orientation} slice: before, after, difference and reference."
    aside = (center[0] - right / 5, center[1] + anterior / 5, center[2])
    draw_columns(output / DETAIL, panels, "Axial", aside, (DETAIL_SIZE, DETAIL_SIZE), pixel=DETAIL_SIZE / 256)
    captions[DETAIL] = f"Detail of the axial slice, {DETAIL_SIZE:g} mm across."
    return captions


def _paragraphs(record: dict[str, Any], comparison: Comparison) -> list[str]:
    coarse, fine = (" x ".join(f"{s:.3g}" for s in v.spacing) for v in (comparison.before, comparison.after))
    made = (
        f"A scan with voxels of {coarse} mm and Rician noise ({NOISE:.0%} of the reference intensity) was simulated "
        f"from {record['source']} and brought to {fine} mm by: {comparison.method}."
    )
    paragraphs = [made]
    if comparison.result.provenance.get("bundle") is None:
        paragraphs.append(
            "No super-resolution bundle is shipped here, so B-spline interpolation stands in for a network."
        )
    if record["source"] == TEMPLATE_NAME:
        paragraphs.append(
            "The template is an average of many brains: it is smoother and has less noise than any patient's scan, its "
            "cortex is blurred and it has no lesions. Expect other results in patients."
        )
    share = _largest_difference(comparison) / data_range(comparison.reference.voxels)
    paragraphs.append(
        "Difference: after minus the trilinear interpolation of before, which is what a viewer shows of a coarse "
        f"volume; red was made brighter, blue darker. Full color stands for {share:.1%} of the reference intensity."
    )
    return paragraphs


def _largest_difference(comparison: Comparison) -> float:
    """Difference at which the color scale ends: the 99.9th percentile, so that single voxels do not flatten it."""
    return float(np.percentile(np.abs(comparison.difference.voxels), 99.9)) or 1.0


def _center(grid: Grid) -> tuple[float, float, float]:
    return tuple(grid.index_to_ras((np.array(grid.size) - 1) / 2))


def _box_in_ras(grid: Grid) -> tuple[float, float, float]:
    """Size [mm] of the volume along R, A and S."""
    return tuple(np.abs(grid.directions) @ np.array(grid.extent))
