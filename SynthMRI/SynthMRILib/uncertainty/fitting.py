"""Fit a bundle's calibration to volumes that it was not trained on: intervals, ranges of the gate, usual quality."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles import METADATA, Bundle, checked
from ..errors import InputError
from .calibration import Calibration, area_under_roc, coverage, rank_correlation, section_key, sparsification_area
from .calibration_cases import Case
from .case_sampling import Sample, sample_blocks, sample_case
from .deviation import DeviationModel
from .deviation_fitting import chosen_model, deviation_of, multipliers_by
from .gate import reference_ranges
from .limits import PERCENTILES, high_limit
from .subject_rules import rule_for

#: An error above this share of the reference intensity counts as one when errors are to be told from the rest.
TOLERANCE_SHARE = 0.05


def calibrate_bundle(
    bundle: Bundle,
    cases: list[Case],
    *,
    samples: int,
    output: Path,
    report: Callable[[str], None],
    blocks: int = 0,
    keep_intervals: bool = False,
    method: str = "",
) -> Calibration:
    """Write a copy of the bundle with a calibration fitted on the cases, and return it.

    Figures of the fit go with the multipliers, each by case: coverage, rank correlation of total and error, area of the
    sparsification error, areas under the ROC for errors and for lesions.

    Args:
        blocks: sample each case in so many blocks instead of everywhere (see `block_sampling`); 0 for everywhere.
        keep_intervals: keep the intervals that the bundle has for its weights, with their figures, and only measure
            the ranges of the gate and the usual quality. Raises InputError when it has none.
        method: calibrate this method of the task instead of the network alone, see `tasks.base.NetworkTask`.
    """
    kept = Calibration.from_bundle(bundle.section, method) if keep_intervals else None
    cases = of_method(cases, method)
    if keep_intervals and kept is None:
        raise InputError("The bundle has no intervals for its weights to keep. Calibrate it without --keep-intervals.")
    gathered = gather(bundle, cases, samples=samples, blocks=blocks, report=report)
    calibration = calibration_from(bundle, gathered, samples=samples, blocks=blocks, kept=kept, method=method)
    write_copy(bundle, calibration, output, method)
    return calibration


def of_method(cases: list[Case], method: str) -> list[Case]:
    """The cases with another method of the task; as they are for ""."""
    return [replace(case, options={**case.options, "method": method}) for case in cases] if method else cases


def gather(
    bundle: Bundle, cases: list[Case], *, samples: int, blocks: int, report: Callable[[str], None]
) -> list[Sample]:
    """The sample of each case; `report` gets a line for each.

    A case that the task does not accept is left out, and its line says why. Raises InputError when that happens to all.
    """
    gathered, refused = [], None
    for case in cases:
        try:
            if blocks:
                gathered.append(sample_blocks(bundle, case, samples=samples, blocks=blocks))
            else:
                gathered.append(sample_case(bundle, case, samples=samples))
        except InputError as error:
            refused = error
            report(f"{case.name}: left out. {error}")
            continue
        report(f"{case.name}: rank correlation {rank_correlation(gathered[-1].error, gathered[-1].total):.2f}")
    if refused and not gathered:
        raise refused
    return gathered


def calibration_from(
    bundle: Bundle,
    gathered: list[Sample],
    *,
    samples: int,
    blocks: int,
    kept: Calibration | None = None,
    method: str = "",
) -> Calibration:
    """The calibration that the samples give for the bundle's weights.

    Args:
        kept: intervals that stay as they are.
        method: of the samples, see `calibrate_bundle`.

    Raises InputError when the network was trained on all of the subjects.
    """
    unseen = [s for s in gathered if not s.trained_on]
    if not unseen:
        raise InputError("The network was trained on all of these cases. Add some that it was not trained on.")
    fitted = kept or intervals_from(bundle, gathered, samples=samples, method=method)
    facts = {**fitted.facts, "reference_blocks": blocks or "all"}
    facts |= reference_of(unseen, fitted.deviation, fitted.scale)
    return Calibration(fitted.sha256, fitted.multipliers, facts)


def intervals_from(bundle: Bundle, gathered: list[Sample], *, samples: int, method: str = "") -> Calibration:
    """Deviation and intervals, with figures of the fit.

    Who decides is in `subject_rules`. Where they are too few to choose a form of the deviation, the bundle's stays.
    """
    rule = rule_for(gathered)
    model, compared = chosen_model(gathered, rule)
    if model is None and "why" in compared:
        before = Calibration.from_bundle(bundle.section, method)
        model = usable(before.deviation, gathered) if before else None
    multipliers = multipliers_by(rule, gathered, model)
    counted = {s.name for part in rule.for_multipliers(gathered) for s in part}
    facts = {
        "samples": samples,
        "tolerance_percent": 100 * TOLERANCE_SHARE,
        "subjects": rule.as_dict(gathered),
        "deviation": model.as_dict() if model else None,
        "deviation_compared": compared,
        "volumes": [
            _figures(s, model, multipliers) | {"group": s.group, "counted": s.name in counted}
            for s in gathered
            if s.name in counted or not s.trained_on
        ],
    }
    return Calibration(bundle.weights_sha256, multipliers, facts)


def usable(model: DeviationModel | None, gathered: list[Sample]) -> DeviationModel | None:
    """The model, if all samples have what it needs."""
    return model if model and all(set(model.weights) <= set(s.terms) for s in gathered) else None


def reference_of(gathered: list[Sample], model: DeviationModel | None, factor: float) -> dict[str, Any]:
    """What gate and quality compare with, JSON types only; `factor` calibrates a deviation."""
    return {"gate": gate_of(gathered), "quality": _quality_numbers(gathered, model, factor)}


def gate_of(gathered: list[Sample]) -> dict[str, Any]:
    """By input role, what `gate.judge` compares with. Every volume counts once, however many cases it takes part in."""
    roles = sorted({role for s in gathered for role in s.measured})
    return {role: reference_ranges(*_distinct(role, gathered)) for role in roles}


def _distinct(role: str, gathered: list[Sample]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """What was measured on each volume of that role, its contrast, and whose it is."""
    found = {}
    for sample in gathered:
        if role in sample.measured:
            measured = sample.measured[role]
            contrast = sample.contrast if len(sample.measured) == 1 else role
            found.setdefault((sample.subject, *measured["histogram"]), (measured, contrast, sample.subject))
    measured, contrasts, subjects = zip(*found.values())
    return list(measured), list(contrasts), list(subjects)


def _figures(sample: Sample, model: DeviationModel | None, multipliers: dict[int, float]) -> dict[str, Any]:
    deviation, wrong = deviation_of(sample, model), np.abs(sample.error) > TOLERANCE_SHARE
    areas = {"auroc_error_above_tolerance": area_under_roc(wrong, deviation)}
    if sample.lesion is not None:
        areas["auroc_lesion"] = area_under_roc(sample.lesion, deviation)
    return {
        "name": sample.name,
        "coverage_percent": {str(q): round(c, 2) for q, c in coverage(sample.error, deviation, multipliers).items()},
        "rank_correlation": round(rank_correlation(sample.error, deviation), 3),
        "ause": round(sparsification_area(sample.error, deviation), 3),
        **{name: round(area, 3) for name, area in areas.items() if area is not None},
    }


def _quality_numbers(gathered: list[Sample], model: DeviationModel | None, factor: float) -> dict[str, list[float]]:
    """What `quality` compares with, by name of `quality.NUMBERS`: a number for each case, of calibrated totals."""
    shares = [factor * deviation_of(s, model)[s.signal] / s.reference for s in gathered]
    numbers = {PERCENTILES: [100 * float(np.percentile(share, 95)) for share in shares]}
    limit = high_limit(numbers)
    numbers["high_uncertainty_percent"] = [100 * float(np.mean(100 * share > limit)) for share in shares]
    residuals = [s.residual for s in gathered]
    if all(residuals):
        numbers |= {name: [r[name] for r in residuals] for name in residuals[0]}
    return {name: [float(f"{v:.4g}") for v in values] for name, values in numbers.items()}


def write_copy(bundle: Bundle, calibration: Calibration, output: Path, method: str = "") -> None:
    """Copy the bundle to a new folder with the calibration in its metadata; the original stays as it is."""
    shutil.copytree(bundle.folder, output)
    metadata = json.loads((output / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"][section_key(method)] = calibration.as_dict()
    (output / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    checked(output)
