"""Measure whether the intervals of synthetic DIR hold on simulated heads that neither training nor calibration saw.

    python Testing/Benchmarks/uncertainty_synthetic_dir.py DATA [--bundle NAME] [--heads 16 17] [--seed 1]

DATA holds `label_maps`. Inputs are degraded as by `synthetic_dir_simulation.py`; the truth is the exact DIR of the same
head. For the methods network and combined and every set of inputs that calibration has: coverage at 50, 68, 90 and
95 %, rank correlation of total and absolute error and of the gradient of the result, the sparsification area, and the
area under the ROC curve for errors above 5 % of the signal; also coverage inside lesions. Writes
`Documentation/figures/uncertainty_<bundle>_heads.json`; of heads 13 to 15 the name ends with
`_development`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_dir_simulation as simulation
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import records
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.uncertainty import calibration_for
from SynthMRILib.uncertainty import case_sampling, deviation_fitting, fitting
from SynthMRILib.uncertainty.calibration import (
    LEVELS,
    Calibration,
    area_under_roc,
    coverage,
    rank_correlation,
    sparsification_area,
)
from SynthMRILib.uncertainty.calibration_cases import Case
from SynthMRILib.uncertainty.paired_cases import DIR_INPUTS
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
METHODS = ("network", "combined")
NOTE = (
    "Simulated heads alone: the degradation has the ranges of the calibration heads, so this says nothing of real "
    "examinations. Neither training nor calibration saw these label maps."
)
DEFINITIONS = {
    "coverage_percent": "share of voxels of the quality mask of the truth whose error lies within the interval",
    "coverage_in_lesions_percent": "the same inside lesions",
    "gradient_rank_correlation": "rank correlation of the gradient magnitude of the result with the absolute error",
}


def cases(data: Path, head: int, seed: int) -> Iterator[Case]:
    """A case for every set of inputs of a simulated head."""
    labels = read_volume(data / "label_maps" / f"head_{head:02d}.nii.gz").voxels.astype(np.int16)
    made = simulation.simulated_case(labels, seed + head, with_lesions=True)
    truth = Volume(made.truth.astype(np.float32), Grid(made.truth.shape, np.eye(4)))
    lesions = truth.with_voxels((made.reference.lesions > 0).astype(np.float32))
    for given in DIR_INPUTS:
        inputs = {name: made.inputs[name] for name in given}
        name = "+".join(given)
        yield Case(name, name, lambda inputs=inputs: (inputs, truth, lesions), {"registered": True}, f"head_{head:02d}")


def figures(sample: case_sampling.Sample, calibration: Calibration) -> dict[str, Any]:
    """Figures of a case under a calibration that was fitted elsewhere."""
    deviation = deviation_fitting.deviation_of(sample, calibration.deviation)
    error, inside = sample.error, sample.lesion
    wrong = np.abs(error) > fitting.TOLERANCE_SHARE
    covered = {"coverage_percent": coverage(error, deviation, calibration.multipliers)}
    if inside.any():
        parts = error[inside], deviation[inside], calibration.multipliers
        covered["coverage_in_lesions_percent"] = coverage(*parts)
    return {
        **{name: {str(q): round(v, 2) for q, v in values.items()} for name, values in covered.items()},
        "rank_correlation": round(rank_correlation(error, deviation), 3),
        "gradient_rank_correlation": round(rank_correlation(error, sample.terms["gradient"]), 3),
        "ause": round(sparsification_area(error, deviation), 3),
        "auroc_error_above_tolerance": round(area_under_roc(wrong, deviation), 3),
        "mean_half_width_68": round(float(np.mean(calibration.scale * deviation)), 4),
    }


def rows(arguments: argparse.Namespace, bundle: Bundle) -> Iterator[dict[str, Any]]:
    """A row for every head, set of inputs and method, or the reason of a refusal."""
    task = get_task("synthetic-dir")
    for head in arguments.heads:
        for case in cases(arguments.data, head, arguments.seed):
            for method in METHODS:
                row = {"head": head, "inputs": case.contrast, "method": method}
                calibration = calibration_for(task, bundle, task.parameters_class(method=method))
                if calibration is None:
                    continue
                (one,) = fitting.of_method([case], method)
                try:
                    sample = case_sampling.sample_blocks(
                        bundle, one, samples=arguments.samples, blocks=arguments.blocks
                    )
                except InputError as error:
                    yield {**row, "refused": sentence(error)}
                    continue
                yield {**row, **figures(sample, calibration)}


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """By method: mean and range of the coverage over the cases, and the mean rank correlations."""
    result = {}
    for method in METHODS:
        own = [row for row in found if row["method"] == method and "refused" not in row]
        if not own:
            continue
        covered = {q: [row["coverage_percent"][str(q)] for row in own] for q in LEVELS}
        result[method] = {
            "cases": len(own),
            "coverage_mean_percent": {str(q): round(float(np.mean(v)), 2) for q, v in covered.items()},
            "coverage_lowest_percent": {str(q): min(v) for q, v in covered.items()},
            "coverage_highest_percent": {str(q): max(v) for q, v in covered.items()},
        }
        for name in ("rank_correlation", "gradient_rank_correlation", "ause", "mean_half_width_68"):
            result[method][name] = round(float(np.mean([row[name] for row in own])), 4)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with label_maps")
    parser.add_argument("--bundle", default="synthetic-dir", help="name or folder")
    parser.add_argument("--heads", type=int, nargs="+", default=[16, 17], help="label maps by number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=20, help="stochastic passes")
    parser.add_argument("--blocks", type=int, default=6, help="blocks of each case")
    arguments = parser.parse_args()
    try:
        bundle = load_bundle(arguments.bundle)
        found = list(rows(arguments, bundle))
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"uncertainty_synthetic_dir: {sentence(error)}\n")
        return 2
    test = set(arguments.heads) <= set(simulation.TEST_HEADS)
    heads = " ".join(map(str, arguments.heads))
    record = {
        "task": "uncertainty",
        "split": "test (simulated)" if test else "validate (simulated)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --bundle {bundle.name} --heads {heads}",
        "note": NOTE,
        "definitions": DEFINITIONS,
        "bundles": {bundle.name: bundle.weights_sha256},
        "samples": arguments.samples,
        "blocks": arguments.blocks,
        "summary": summary(found),
        "rows": found,
    }
    name = f"uncertainty_{bundle.name}_heads" + ("" if test else "_development")
    records.write_record(CHECKOUT / "Documentation" / "figures" / f"{name}.json", record)
    for method, values in record["summary"].items():
        sys.stdout.write(f"{method} {values}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
