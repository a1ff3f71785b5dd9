"""Look for local features that would tell the size of errors better than the terms that the deviation has.

    python Testing/Benchmarks/uncertainty_features.py [--packed FOLDER] [--bundle NAME] [--record]

On the calibration cases of super-resolution (see `calibrate_bundles.py`) each feature of `FEATURES`, computed from the
result and the acquired volume alone, is added to the model of the deviation, and subjects are left out in turn. Printed
and recorded for real and simulated volumes: rank correlation with |error| and negative log-likelihood, for the network
alone, the model, the model with each feature and with all of them. Nothing here is used by the product; it says why the
product has no more terms. `--record` writes `Documentation/figures/uncertainty_features.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing")]
from Benchmarks.calibrate_bundles import cases_of  # noqa: E402

#: Values below this count as this before the logarithm [network units].
FLOOR = 3e-3
PASSES, BLOCKS = 5, 4


def features(maps: dict[str, np.ndarray], acquired: np.ndarray) -> dict[str, np.ndarray]:
    """Features of each voxel (k, j, i) of a block; logarithms."""
    from SynthMRILib.uncertainty.deviation import raw_total, repeated

    mean, total = np.asarray(maps["mean"], np.float32), np.log(raw_total(maps) + np.float32(1e-4))
    found = {
        **{f"deviation_{n}": spread(mean, n) for n in (3, 5, 9)},
        **{f"acquired_deviation_{n}": repeated(spread(acquired, n), mean.shape) for n in (3, 5)},
        **{f"laplacian_{s:g}": np.abs(ndimage.gaussian_laplace(mean, s)) for s in (0.7, 1.0, 2.0)},
        "gradient_1.5": ndimage.gaussian_gradient_magnitude(mean, 1.5),
        "fine": np.abs(mean - ndimage.gaussian_filter(mean, 1.0)),
        "epistemic": maps["epistemic"],
    }
    found = {name: np.log(values + np.float32(FLOOR)) for name, values in found.items()}
    return found | {f"network_smoothed_{s:g}": ndimage.gaussian_filter(total, s) for s in (1.0, 2.0, 4.0)}


def spread(voxels: np.ndarray, edge: int) -> np.ndarray:
    """Standard deviation over a cube."""
    middle = ndimage.uniform_filter(voxels, edge)
    return np.sqrt(np.maximum(ndimage.uniform_filter(voxels**2, edge) - middle**2, 0))


def sampled(bundle, case):
    """The sample of a case, with the features among its terms."""
    from SynthMRILib.uncertainty import block_sampling, case_sampling

    plain = block_sampling.voxel_terms

    def with_features(maps: dict[str, np.ndarray], acquired: np.ndarray) -> dict[str, np.ndarray]:
        return plain(maps, acquired) | features(maps, acquired)

    block_sampling.voxel_terms = with_features
    try:
        sample = case_sampling.sample_blocks(bundle, case, samples=PASSES, blocks=BLOCKS)
    finally:
        block_sampling.voxel_terms = plain
    return replace(sample, measured={})


def main() -> int:
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation import records
    from SynthMRILib.uncertainty import deviation_fitting as fitting

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packed", type=Path, default=CHECKOUT / "build", help="folder of what was packed")
    parser.add_argument("--bundle", default="super-resolution-x2")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    samples = []
    for case in cases_of(bundle.task, arguments.packed):
        samples.append(sampled(bundle, case))
        sys.stderr.write(f"{case.name}\n")
    model = fitting.terms_of(samples, "model_with_detail")
    extra = sorted(set(samples[0].terms) - set(model))
    forms = {"network alone": None, "model without detail": "model", "model": model}
    forms |= {f"model and {name}": [*model, name] for name in extra}
    forms["model and all of them"] = [*model, *extra]
    rows = {}
    for name, form in forms.items():
        summary = fitting.summary(fitting.leave_one_out(samples, form=form))
        rows[name] = {g: {n: s[n] for n in ("rank_correlation", "negative_log_likelihood")} for g, s in summary.items()}
        sys.stderr.write(f"{name}: {rows[name]}\n")
    record = {
        "task": "uncertainty",
        "split": "validate, and subjects of training marked as such",
        "command": f"python Testing/Benchmarks/{Path(__file__).name} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "passes": PASSES,
        "blocks": BLOCKS,
        "left_out": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "uncertainty_features.json", record)
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
