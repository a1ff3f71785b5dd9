"""Score super-resolution against a reference: coarsen it, bring it back by every method, compare.

The low-resolution inputs are simulated from the reference (`degrade.py`); no truly acquired pair is involved, and a
record says so. Every method gets the same input and is scored over the same mask and data range.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import INTENDED_USE, __version__
from ..errors import BundleError, InputError
from ..progress import Progress, no_progress, part_of
from ..provenance import package_versions, volume_facts, volume_sha256
from ..tasks import get_task
from ..tasks.base import Parameters
from ..volume import Volume
from . import baselines, degrade, metrics
from .records import KEPT

if TYPE_CHECKING:
    from ..bundles import Bundle

FORMAT = 1
FACTOR = 2
TASK = "super-resolution"
CAVEAT = "Low-resolution inputs are simulated from the reference; no acquired low/high-resolution pair was used."


def evaluate(
    reference: Volume,
    *,
    mask: Volume | None = None,
    degradations: Iterable[str] = degrade.DEGRADATIONS,
    bundles: Iterable[Bundle] = (),
    parameters: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The record of an evaluation: what was compared and how, and one row for each degradation and method.

    Args:
        reference: high-resolution volume; remainder voxels at the end of odd axes are left out.
        mask: voxels that count (non-zero), on the grid of the reference; default the quality mask.
        degradations: kinds of simulated input, see `degrade.DEFINITIONS`.
        bundles: networks to score beside the three interpolations; of truncated k-space also with the acquired
            frequencies kept.
        parameters: parameters of the task (device, precision, tile, ...).

    Raises:
        InputError: the reference or the mask cannot be used; BundleError: a bundle is of another task.
    """
    inside = mask_voxels(reference, mask)
    target = degrade.crop_to_multiple(reference, FACTOR)
    inside = metrics.quality_mask(target.voxels) if inside is None else inside[tuple(slice(n) for n in target.shape)]
    peak = metrics.data_range(target.voxels)
    degradations, bundles = list(degradations), [of_this_task(b) for b in bundles]
    chosen = get_task(TASK).parameters_class.from_dict({**(parameters or {}), "factor": FACTOR}) if bundles else None
    rows: list[dict[str, Any]] = []
    for n, kind in enumerate(degradations):
        part = part_of(progress, n / len(degradations), (n + 1) / len(degradations))
        coarse = degrade.degrade(target, kind, factor=FACTOR)
        for row, estimate in estimates(coarse, bundles, chosen, part, kept=kind == "kspace"):
            scores = metrics.all_metrics(target.voxels, on_grid_of(target, estimate, row), mask=inside, peak=peak)
            rows.append({"degradation": kind, **row, **{name: finite(value) for name, value in scores.items()}})
    progress(1.0, "Done")
    return {
        **shared_facts(degradations, bundles, parameters or {}),
        "reference": {**volume_facts(reference), "evaluated_shape_kji": list(target.shape)},
        "mask": mask_facts(mask, inside),
        "data_range": {"rule": metrics.RANGE_RULE, "value": peak},
        "rows": rows,
    }


def mask_voxels(reference: Volume, mask: Volume | None) -> np.ndarray | None:
    """The given mask as a boolean array. Raises InputError when it lies elsewhere or is empty."""
    if mask is None:
        return None
    if not mask.grid.matches(reference.grid, tolerance=1e-3):
        raise InputError("The mask does not lie on the grid of the reference. Resample it to the reference first.")
    if not mask.voxels.any():
        raise InputError("The mask is empty: it must hold at least one voxel.")
    return mask.voxels != 0


def of_this_task(bundle: Bundle) -> Bundle:
    if bundle.task != TASK:
        raise BundleError(f"Bundle '{bundle.name}' is for {bundle.task}, not for {TASK}. Choose another with --bundle.")
    return bundle


def estimates(
    coarse: Volume, bundles: list[Bundle], parameters: Parameters | None, progress: Progress, *, kept: bool = False
) -> Iterable[tuple[dict[str, Any], Volume]]:
    """What each method makes of the coarse volume, with the facts of its run.

    Args:
        kept: let each bundle also keep the acquired frequencies.
    """
    runs = [(bundle, keep) for bundle in bundles for keep in ((False, True) if kept else (False,))]
    steps = len(baselines.BASELINES) + len(runs)
    for n, kind in enumerate(baselines.BASELINES):
        progress(n / steps, kind)
        started = time.perf_counter()
        volume = baselines.upsample(coarse, FACTOR, kind)
        yield row_facts(kind, time.perf_counter() - started), volume
    for n, (bundle, keep) in enumerate(runs, start=len(baselines.BASELINES)):
        started = time.perf_counter()
        step = part_of(progress, n / steps, (n + 1) / steps)
        result = get_task(TASK).run({"input": coarse}, bundle, replace(parameters, keep_acquired=keep), step)
        facts = {**parameters.as_dict(), **result.provenance, **result.measurements}
        name = bundle.name + (KEPT if keep else "")
        yield row_facts(name, time.perf_counter() - started, bundle, facts), result.outputs["output"]


def row_facts(
    method: str, seconds: float, bundle: Bundle | None = None, facts: dict[str, Any] | None = None
) -> dict[str, Any]:
    facts = facts or {"device": "cpu", "precision": "float32"}
    return {
        "method": method,
        "bundle_sha256": bundle.weights_sha256 if bundle else None,
        **{name: facts.get(name) for name in ("device", "precision", "tile", "tiles_kji")},
        "seconds": round(seconds, 3),
    }


def on_grid_of(target: Volume, estimate: Volume, row: dict[str, Any]) -> np.ndarray:
    """Voxels of the estimate. Raises BundleError when it does not lie on the grid of the reference."""
    if not estimate.grid.matches(target.grid, tolerance=1e-3):
        raise BundleError(f"'{row['method']}' gave a volume on another grid than the reference's, so it is not scored.")
    return estimate.voxels


def finite(value: float) -> float | None:
    """JSON has no infinity: the PSNR of equal volumes is null."""
    return value if np.isfinite(value) else None


def mask_facts(mask: Volume | None, inside: np.ndarray) -> dict[str, Any]:
    if mask is None:
        return {"rule": metrics.MASK_RULE, "sha256": None, "voxels": int(inside.sum())}
    return {"rule": "file", "sha256": volume_sha256(mask), "voxels": int(inside.sum())}


def shared_facts(degradations: list[str], bundles: list[Bundle], parameters: dict[str, Any]) -> dict[str, Any]:
    """What is the same for every volume of an evaluation: software, bundles, definitions."""
    return {
        "format": FORMAT,
        "task": TASK,
        "intended_use": INTENDED_USE,
        "caveat": CAVEAT,
        "software": f"SynthMRI {__version__}",
        "packages": package_versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "factor": FACTOR,
        "parameters": parameters,
        "bundles": {b.name: b.weights_sha256 for b in bundles},
        "degradations": {kind: degrade.DEFINITIONS[kind] for kind in degradations},
        "interpolations": dict(baselines.DEFINITIONS),
        "metrics": {
            name: {"title": m.title, "unit": m.unit, "higher_is_better": m.higher_is_better, "definition": m.definition}
            for name, m in metrics.METRICS.items()
        },
    }
