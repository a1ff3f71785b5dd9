"""Measure whether the intervals of motion correction hold for what autofocus makes of a volume, too.

    python Testing/Benchmarks/uncertainty_autofocus.py PAIRS.safetensors CASES.safetensors [--record]

Autofocus has no weights and no intervals. The bundle of motion correction predicts how far motion may have spoiled any
volume that it is given, also one that it leaves as it is. So it is given the volume that autofocus made, changes
nothing of it, and its total is compared with the errors that remain. PAIRS are the validation part that the bundle was
calibrated on, without autofocus; CASES are test cases, moved onto their references before any figure
(`motion_quality.py`). Looked at are the volumes that autofocus changes, as the records `motion_autofocus.json` and
`motion_quality_autofocus.json` say: coverage of the shipped intervals and of such whose multipliers were fitted to the
volumes of PAIRS (leaving out the subject itself there), rank correlation of total and |error|, and the same of the
gradient. `--record` writes `Documentation/figures/uncertainty_autofocus.json` and notes that the test patient was
opened.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(Path(__file__).resolve().parent)]
from motion_quality import Middle, alignment, moved_by, pair  # noqa: E402
from SynthMRILib.bundles import Bundle, load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.evaluation.metrics import quality_mask  # noqa: E402
from SynthMRILib.progress import no_progress  # noqa: E402
from SynthMRILib.uncertainty.calibration import (  # noqa: E402
    LEVELS,
    Calibration,
    coverage,
    fit_multipliers,
    rank_correlation,
)

VOXELS_EACH = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--bundle", default="motion-correction")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    changed = {
        "validate": [row["kind"] is not None for row in recorded("motion_autofocus")["rows"]],
        "test": [row["autofocus"]["axis_kji"] is not None for row in recorded("motion_quality_autofocus")["rows"]],
    }
    rows = {
        "validate": all_of(Middle(arguments.pairs, 0), bundle, changed["validate"], aligned=False),
        "test": all_of(Middle(arguments.cases, 0), bundle, changed["test"], aligned=True),
    }
    fit_multipliers_to_others(rows)
    record = {
        "task": "uncertainty",
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {arguments.pairs.name} {arguments.cases.name} "
        "--record",
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "summary": {split: summary(found) for split, found in rows.items()},
        "rows": {split: [without_arrays(row) for row in found] for split, found in rows.items()},
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "uncertainty_autofocus.json", record)
        opened = {"task": "uncertainty", "bundles": {bundle.name: bundle.weights_sha256}, "rows": []}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps(record["summary"], indent=1) + "\n")
    return 0


def recorded(name: str) -> dict[str, Any]:
    return json.loads((CHECKOUT / "Documentation" / "figures" / f"{name}.json").read_text(encoding="utf-8"))


def all_of(cache: Middle, bundle: Bundle, changed: list[bool], *, aligned: bool) -> list[dict[str, Any]]:
    """Figures of the pairs that autofocus changes."""
    rows = []
    for index in (2 * n for n, is_changed in enumerate(changed) if is_changed):
        rows.append(measured(cache, index, bundle, aligned=aligned))
        sys.stderr.write(json.dumps(without_arrays(rows[-1])) + "\n")
    return rows


def measured(cache: Middle, index: int, bundle: Bundle, *, aligned: bool) -> dict[str, Any]:
    """Figures of one pair, with "error" and "total" of some of its voxels."""
    from SynthMRILib.motion.autofocus import autofocus

    moved, still = pair(cache, index)
    found = autofocus(moved.voxels, moved.grid)
    focused = moved.with_voxels(np.maximum(found.voxels, 0))
    total = total_of(focused, bundle)
    result, gradient = focused.voxels, ndimage.gaussian_gradient_magnitude(focused.voxels, 1.0)
    if aligned:
        transform = alignment(still, result, moved.grid)
        result, total, gradient = (moved_by(transform, v, moved.grid) for v in (result, total, gradient))
    inside = np.flatnonzero(quality_mask(still) & (total > 0))
    chosen = np.random.default_rng(index).choice(inside, min(VOXELS_EACH, inside.size), replace=False)
    error, total = (result - still).ravel()[chosen], total.ravel()[chosen]
    multipliers = Calibration.from_bundle(bundle.section).multipliers
    relative = {level: m / multipliers[68] for level, m in multipliers.items()}
    entry = cache.entries[index]
    return {
        "subject": entry.subject,
        "contrast": entry.contrast,
        "motion": entry.extra.get("kind", "own"),
        "severity_mm": round(entry.extra["severity_mm"], 3),
        "changed": found.found,
        "shift_rms_mm": found.as_dict()["shift_rms_mm"],
        "coverage_percent": rounded(coverage(error, total, relative)),
        "rank_correlation": round(rank_correlation(error, total), 3),
        "rank_correlation_of_edges": round(rank_correlation(error, gradient.ravel()[chosen]), 3),
        "error": error,
        "total": total,
    }


def total_of(volume, bundle: Bundle) -> np.ndarray:
    """The calibrated total of a volume that the network changes nothing of, in the units of the volume."""
    from SynthMRILib.tasks.uncertainty import UncertaintyParameters, network_maps, network_task, prepared_input

    parameters = UncertaintyParameters(task=bundle.task)
    prepared = prepared_input(network_task(bundle.task), {"input": volume}, bundle, parameters.of_task(), no_progress)
    prepared = replace(prepared, strength=0.0)
    maps, _ = network_maps(prepared, bundle, parameters, Calibration.from_bundle(bundle.section), no_progress)
    return maps["total"] * np.float32(prepared.unit)


def fit_multipliers_to_others(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Add the coverage of intervals that were fitted to the validation volumes of other subjects."""
    for row in (row for found in rows.values() for row in found):
        others = [other for other in rows["validate"] if other["subject"] != row["subject"]]
        error, total = (np.concatenate([other[name] for other in others]) for name in ("error", "total"))
        row["coverage_percent_fitted"] = rounded(coverage(row["error"], row["total"], fit_multipliers(error, total)))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over cases, and the range of the 68 % interval."""
    found: dict[str, Any] = {"cases": len(rows)}
    for key in ("coverage_percent", "coverage_percent_fitted"):
        found[key] = {str(q): round(float(np.mean([row[key][str(q)] for row in rows])), 1) for q in LEVELS}
        found[f"{key}_68_range"] = [pick(row[key]["68"] for row in rows) for pick in (min, max)]
    for key in ("rank_correlation", "rank_correlation_of_edges"):
        found[key] = round(float(np.mean([row[key] for row in rows])), 3)
    return found


def rounded(covered: dict[int, float]) -> dict[str, float]:
    return {str(level): round(share, 1) for level, share in covered.items()}


def without_arrays(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not isinstance(value, np.ndarray)}


if __name__ == "__main__":
    sys.exit(main())
