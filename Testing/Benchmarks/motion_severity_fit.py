"""Fit the severity model of a bundle: features of the training pairs, interval and limits on the held-out pairs.

    python Testing/Benchmarks/motion_severity_fit.py RUN/bundle [--train FILE] [--validate FILE]

Writes the model into the metadata of the bundle and prints what it reaches on the held-out pairs. Of each pair the
volume with motion and the one without are looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
CACHES = CHECKOUT / "build" / "cache"
COVERAGE = 0.9
CLEAN_SHARE = 0.96
LEAST_THRESHOLD_MM = 0.25
IMAGE = (
    *("gradient_entropy", "entropy_focus", "joint_variation", "ripples_fine", "ripples_coarse"),
    *("roughness_low", "roughness_high", "air_ghosting"),
)
NETWORK = ("network_median", "network_low", "network_high", "network_log_variance")
CONTRAST_SHARES = ("level_10", "level_50", "level_90", "bright_share")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--train", type=Path, default=CACHES / "motion_train.safetensors")
    parser.add_argument("--validate", type=Path, default=CACHES / "motion_validate.safetensors")
    parser.add_argument("--ridge", type=float, default=10.0)
    parser.add_argument("--every", type=int, default=1, help="use each n-th training pair")
    arguments = parser.parse_args()
    from SynthMRILib.bundles import METADATA, load_bundle

    bundle = load_bundle(arguments.bundle)
    learned = gathered(bundle, arguments.train, arguments.every)
    held_out = gathered(bundle, arguments.validate, 1)
    model, figures = fitted(learned, held_out, arguments.ridge)
    metadata = json.loads((bundle.folder / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"]["severity"] = model.as_dict()
    metadata["synthmri"]["validation"] |= figures
    (bundle.folder / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


Row = tuple[dict[str, float], float]


def gathered(bundle, path: Path, every: int) -> list[Row]:
    """Features and severity of every volume; kept beside the cache, as they take minutes."""
    kept = path.with_suffix(f".{bundle.weights_sha256[:8]}.json")
    if kept.is_file():
        return [(features, severity) for features, severity in json.loads(kept.read_text(encoding="utf-8"))]
    rows = list(measured(bundle, path, every))
    kept.write_text(json.dumps(rows), encoding="utf-8")
    return rows


def measured(bundle, path: Path, every: int) -> Iterator[Row]:
    from SynthMRILib.intensity import IntensityScale
    from SynthMRILib.motion.estimate import all_features
    from SynthMRILib.tasks.base import Parameters
    from SynthMRILib.training.cache import Cache

    cache = Cache(path)
    for index in range(0, len(cache), 2 * every):
        for n, severity in enumerate((cache.entries[index].extra["severity_mm"], 0.0)):
            voxels = cache.volume(index + n).astype(np.float32)
            voxels = IntensityScale.fit(voxels).apply(voxels)
            yield all_features(bundle, voxels, Parameters(device="cpu"), lambda *_: None), severity
        sys.stderr.write(f"{index // 2 + 1} of {len(cache) // 2}\n")


def fitted(learned: list[Row], held_out: list[Row], ridge: float) -> tuple[Any, dict[str, float]]:
    """The model with the features that do best on the training pairs alone, and its figures on the held-out pairs."""
    from SynthMRILib.motion.condition import log_severity
    from SynthMRILib.motion.severity import SeverityModel, conformal_quantile, fit

    rows, truth = zip(*learned)
    fit_values = fit(list(rows), list(truth), names=(*NETWORK, *IMAGE), ridge=ridge)
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in fit_values.items()}
    levels = {n: (float(np.mean([r[n] for r in rows])), float(np.std([r[n] for r in rows]))) for n in CONTRAST_SHARES}
    model = SeverityModel(
        **values, quantile=1.0, coverage=COVERAGE, threshold_mm=0.0, largest_mm=8.0, familiar=levels, familiar_limit=1.0
    )
    held_rows, held_truth = zip(*held_out)
    logs = np.array([model.logarithm(r) for r in held_rows])
    errors = logs - np.array([log_severity(s) for s in held_truth])
    estimates = np.array([model.estimate(r).severity_mm for r in held_rows])
    strange = [model.estimate(r).strangeness for r in (*rows, *held_rows)]
    clean = np.sort(estimates[np.array(held_truth) == 0])
    threshold = max(float(np.quantile(clean, CLEAN_SHARE, method="higher")) * 1.1, LEAST_THRESHOLD_MM)
    values |= {
        "quantile": conformal_quantile(errors, COVERAGE),
        "coverage": COVERAGE,
        "threshold_mm": round(threshold, 2),
        "largest_mm": round(1.25 * max(truth), 1),
        "familiar": levels,
        "familiar_limit": float(1.2 * max(strange)),
    }
    figures = {
        "held_out_volumes": len(held_rows),
        "rank_correlation": round(float(stats.spearmanr(estimates, held_truth).statistic), 3),
        "rank_correlation_network_alone": round(
            float(stats.spearmanr([r["network_median"] for r in held_rows], held_truth).statistic), 3
        ),
        "median_absolute_error_mm": round(float(np.median(np.abs(estimates - held_truth))), 3),
        "interval_factor": round(float(np.exp(values["quantile"])), 2),
        "threshold_mm": values["threshold_mm"],
        "clean_below_threshold": round(float((clean < threshold).mean()), 3),
    }
    return SeverityModel(**values), figures


if __name__ == "__main__":
    sys.exit(main())
