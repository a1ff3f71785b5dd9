"""Fit a bundle's calibration to volumes that it was not trained on: intervals, ranges of the gate, usual quality."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles import METADATA, Bundle, checked
from ..errors import InputError
from ..evaluation.metrics import quality_mask
from ..intensity import reference_intensity
from ..progress import no_progress
from ..tasks.uncertainty import TASK as UNCERTAINTY
from ..tasks.uncertainty import UncertaintyParameters, motion_of, network_task
from .block_sampling import block_at, block_starts, inner_voxels
from .calibration import (
    Calibration,
    area_under_roc,
    coverage,
    fit_multipliers,
    rank_correlation,
    sparsification_area,
)
from .calibration_cases import Case
from .findings import HIGH_SHARE, SIGNAL_SHARE
from .gate import judge, reference_ranges

VOXELS_EACH = 200_000
#: An error above this share of the reference intensity counts as one when errors are to be told from the rest.
TOLERANCE_SHARE = 0.05


@dataclass(frozen=True)
class Sample:
    """Errors and raw totals of voxels of one case, in units of the reference intensity of its truth.

    Args:
        error, total: arrays of one shape.
        lesion: which of these voxels lie in a lesion; None where none were given.
        all_totals: raw totals of voxels with signal in the result, for the reference distribution of quality.
        measured: what the gate measured, by input role.
        residual: numbers of the residual against the input; None where there are none.
    """

    name: str
    contrast: str
    error: np.ndarray
    total: np.ndarray
    lesion: np.ndarray | None
    all_totals: np.ndarray
    measured: dict[str, dict[str, Any]] = field(repr=False)
    residual: dict[str, float] | None = None


def sample_case(bundle: Bundle, case: Case, *, samples: int, seed: int = 0) -> Sample:
    """Errors and raw totals of the bundle on one case, inside the quality mask of its truth.

    Raises InputError when the truth does not lie on the grid of the result.
    """
    inputs, truth, lesions = case.read()
    parameters = UncertaintyParameters(task=bundle.task, options=case.options, samples=samples, seed=seed)
    result = UNCERTAINTY.run(inputs, without_calibration(bundle), parameters, no_progress)
    output, total = result.outputs["output"], result.outputs["total"].voxels
    if not output.grid.matches(truth.grid, tolerance=1e-3):
        raise InputError(f"{case.name}: the reference does not lie on the grid of the result. Resample it first.")
    mask = np.flatnonzero(quality_mask(truth.voxels))
    chosen = np.random.default_rng(seed).choice(mask, min(VOXELS_EACH, mask.size), replace=False)
    unit = reference_intensity(truth.voxels)
    signal = total[output.voxels > SIGNAL_SHARE * reference_intensity(output.voxels)]
    return Sample(
        name=case.name,
        contrast=case.contrast,
        error=(output.voxels - truth.voxels).ravel()[chosen] / unit,
        total=total.ravel()[chosen] / unit,
        lesion=None if lesions is None else lesions.voxels.ravel()[chosen] > 0,
        all_totals=signal / reference_intensity(output.voxels),
        measured=result.provenance["gate"]["measured"],
        residual=result.provenance["consistency"],
    )


def sample_blocks(bundle: Bundle, case: Case, *, samples: int, blocks: int, seed: int = 0) -> Sample:
    """As `sample_case`, but only in blocks around random voxels with signal: a fraction of the time.

    For tasks whose result lies on the grid of the first input or on a finer one over the same field of view.
    """
    from .sampling import dropout_maps

    inputs, truth, lesions = case.read()
    task, parameters = network_task(bundle.task), UncertaintyParameters(task=bundle.task, options=case.options)
    prepared = task.prepare(inputs, bundle, parameters.of_task(), no_progress)
    unit = reference_intensity(truth.voxels)
    parts = []
    for start in block_starts(prepared, blocks, seed=seed):
        maps, _ = dropout_maps(
            bundle, block_at(prepared, start), parameters, samples=samples, tolerance=0.0, progress=no_progress
        )
        parts.append(inner_voxels(maps, start, prepared, truth, lesions, unit=unit))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    mask = np.flatnonzero(joined["counts"])
    chosen = np.random.default_rng(seed).choice(mask, min(VOXELS_EACH, mask.size), replace=False)
    total, result = joined["total"] * prepared.unit / unit, joined["mean"] * prepared.unit / unit
    highest = reference_intensity(result)
    relative = np.linalg.norm(joined["residual"]) / max(np.linalg.norm(joined["acquired"]), 1e-12)
    largest = 100 * np.percentile(np.abs(joined["residual"]), 99.9) * prepared.unit
    return Sample(
        name=case.name,
        contrast=case.contrast,
        error=(result - joined["truth"] / unit)[chosen],
        total=total[chosen],
        lesion=None if lesions is None else joined["lesion"][chosen] > 0,
        all_totals=total[result > SIGNAL_SHARE * highest] / highest,
        measured=judge(inputs, None, more=motion_of(inputs, prepared, parameters)).measured,
        residual={
            "relative_residual": float(relative),
            "largest_residual_percent": float(largest / reference_intensity(prepared.volume.voxels)),
        },
    )


def without_calibration(bundle: Bundle) -> Bundle:
    """The same bundle, raw: its totals come as the network gives them."""
    section = {**bundle.section, "calibration": None}
    return Bundle(bundle.folder, {**bundle.metadata, "synthmri": section})


def calibrate_bundle(
    bundle: Bundle,
    cases: list[Case],
    *,
    samples: int,
    output: Path,
    report: Callable[[str], None],
    blocks: int = 0,
    keep_intervals: bool = False,
) -> Calibration:
    """Write a copy of the bundle with a calibration fitted on the cases, and return it.

    Every case counts alike. Figures of the fit go with the multipliers, each by case: coverage, rank correlation of
    total and error, area of the sparsification error, areas under the ROC for errors and for lesions.

    Args:
        blocks: sample each case in so many blocks instead of everywhere (see `block_sampling`); 0 for everywhere.
        keep_intervals: keep the intervals that the bundle has for its weights, with their figures, and only measure
            the ranges of the gate and the usual quality. Raises InputError when it has none.
    """
    kept = Calibration.from_bundle(bundle.section) if keep_intervals else None
    if keep_intervals and kept is None:
        raise InputError("The bundle has no intervals for its weights to keep. Calibrate it without --keep-intervals.")
    gathered = []
    for case in cases:
        if blocks:
            gathered.append(sample_blocks(bundle, case, samples=samples, blocks=blocks))
        else:
            gathered.append(sample_case(bundle, case, samples=samples))
        report(f"{case.name}: rank correlation {rank_correlation(gathered[-1].error, gathered[-1].total):.2f}")
    fitted = kept or intervals_from(bundle.weights_sha256, gathered, samples=samples)
    facts = {**fitted.facts, "reference_blocks": blocks or "all", **reference_of(gathered, fitted.scale)}
    calibration = Calibration(fitted.sha256, fitted.multipliers, facts)
    write_copy(bundle, calibration, output)
    return calibration


def intervals_from(sha256: str, gathered: list[Sample], *, samples: int) -> Calibration:
    """The intervals that the samples of all cases give, with figures of the fit."""
    fewest = min(s.error.size for s in gathered)
    error = np.concatenate([s.error[:fewest] for s in gathered])
    total = np.concatenate([s.total[:fewest] for s in gathered])
    multipliers = fit_multipliers(error, total)
    figures = [_figures(s, multipliers) for s in gathered]
    return Calibration(
        sha256, multipliers, {"samples": samples, "tolerance_percent": 100 * TOLERANCE_SHARE, "volumes": figures}
    )


def reference_of(gathered: list[Sample], factor: float) -> dict[str, Any]:
    """What gate and quality compare with, JSON types only; `factor` calibrates a raw total."""
    shared = set.intersection(*(set(s.measured) for s in gathered))
    contrasts = [s.contrast for s in gathered]
    return {
        "gate": {role: reference_ranges([s.measured[role] for s in gathered], contrasts) for role in sorted(shared)},
        "quality": _quality_numbers(gathered, factor),
    }


def _figures(sample: Sample, multipliers: dict[int, float]) -> dict[str, Any]:
    wrong = np.abs(sample.error) > TOLERANCE_SHARE
    areas = {"auroc_error_above_tolerance": area_under_roc(wrong, sample.total)}
    if sample.lesion is not None:
        areas["auroc_lesion"] = area_under_roc(sample.lesion, sample.total)
    return {
        "name": sample.name,
        "coverage_percent": {str(q): round(c, 2) for q, c in coverage(sample.error, sample.total, multipliers).items()},
        "rank_correlation": round(rank_correlation(sample.error, sample.total), 3),
        "ause": round(sparsification_area(sample.error, sample.total), 3),
        **{name: round(area, 3) for name, area in areas.items() if area is not None},
    }


def _quality_numbers(gathered: list[Sample], factor: float) -> dict[str, list[float]]:
    """What `quality` compares with, by name of `quality.NUMBERS`: a number for each case, of calibrated totals."""
    numbers = {
        "percentile_95_total_percent": [100 * factor * float(np.percentile(s.all_totals, 95)) for s in gathered],
        "high_uncertainty_percent": [100 * float(np.mean(factor * s.all_totals > HIGH_SHARE)) for s in gathered],
    }
    residuals = [s.residual for s in gathered]
    if all(residuals):
        numbers |= {name: [r[name] for r in residuals] for name in residuals[0]}
    return {name: [float(f"{v:.4g}") for v in values] for name, values in numbers.items()}


def write_copy(bundle: Bundle, calibration: Calibration, output: Path) -> None:
    """Copy the bundle to a new folder with the calibration in its metadata; the original stays as it is."""
    shutil.copytree(bundle.folder, output)
    metadata = json.loads((output / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"]["calibration"] = calibration.as_dict()
    (output / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    checked(output)
