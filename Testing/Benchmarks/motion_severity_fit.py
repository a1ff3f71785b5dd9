"""Calibrate the severity model of a bundle on held-out pairs, and write it into the bundle's metadata.

    python Testing/Benchmarks/motion_severity_fit.py RUN/bundle [--validate FILE] [--record]

The model is written only when its rank correlation is higher than that of the installed bundle, fitted in the same way
to the same volumes.

The bundle holds a network that estimates severity, or one that corrects motion: what that would change tells the
severity. It learned from the training pairs, and is too sure on those, so the regression that turns its word and the
image features into a severity is fitted on held-out pairs: of each the volume with all and with none of the motion, of
every second one also that with half. Figures, interval and threshold come from estimates made with the subject left
out; the shipped model is fitted to all held-out subjects. The feature set is the one that does best so, of four.
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
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.motion.condition import log_severity, severity_of_log  # noqa: E402
from SynthMRILib.motion.severity import CONTRAST, SeverityModel, conformal_quantile, fit  # noqa: E402

PAIRS = CHECKOUT / "build" / "motion" / "validate.safetensors"
AMOUNTS = (1.0, 0.5, 0.0)
COVERAGE = 0.9
CLEAN_SHARE = 0.96
LEAST_THRESHOLD_MM = 0.1
LARGEST_MM = 2.5
NETWORK = (
    *("network_median", "network_low", "network_high", "network_log_variance"),
    *("network_change", "network_direction"),
)
IMAGE = (
    *("gradient_entropy", "entropy_focus", "joint_variation", "ripples_fine", "ripples_coarse"),
    *("roughness_low", "roughness_high", "air_ghosting", "air_direction", "ripple_direction"),
)
DIRECTED = ("ripples_fine", "ripples_coarse", "air_ghosting", "air_direction", "ripple_direction")
SETS = {
    "few": ("network_low", "gradient_entropy", "air_ghosting"),
    "network": NETWORK,
    "network and directed features": (*NETWORK, *DIRECTED),
    "everything": (*NETWORK, *IMAGE),
}
RIDGES = (3.0, 10.0, 30.0)
Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--validate", type=Path, default=PAIRS)
    parser.add_argument("--pairs", type=int, default=10**6, help="use the first so many pairs")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.motion.estimate import severity_bundle

    bundle = load_bundle(arguments.bundle)
    rows = gathered(bundle, arguments.validate, arguments.pairs)
    model, figures, _, tried = calibrated(rows)
    _, before, _, _ = calibrated(gathered(severity_bundle(), arguments.validate, arguments.pairs))
    better = figures["rank_correlation"] > before["rank_correlation"]
    if better:
        write_model(bundle, model, figures)
    if arguments.record:
        record = {
            "command": f"motion_severity_fit.py BUNDLE --pairs {arguments.pairs} --record",
            "commit": records.current_commit(CHECKOUT),
            "bundle_sha256": bundle.weights_sha256,
            "data": "heads 13 to 15 and longitudinal03, held out; each subject estimated without itself",
            "figures": figures,
            "feature_sets": tried,
            "installed": before,
            "better_than_installed": better,
        }
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_severity.json", record)
    sys.stdout.write(json.dumps({**figures, "installed": before, "better": better}, indent=2) + "\n")
    return 0


def write_model(bundle, model: SeverityModel, figures: dict[str, Any]) -> None:
    """Into the metadata of the bundle."""
    from SynthMRILib.bundles import METADATA

    metadata = json.loads((bundle.folder / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"]["severity"] = model.as_dict()
    metadata["synthmri"]["validation"] |= {n: v for n, v in figures.items() if not isinstance(v, str)}
    (bundle.folder / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")


def amounts_of(index: int) -> tuple[float, ...]:
    """Factors on the motion of a pair: half of it only for every second one."""
    return AMOUNTS if index % 4 == 0 else (1.0, 0.0)


def gathered(bundle, path: Path, pairs: int) -> list[Row]:
    """Features and severity of every volume; kept beside the cache, as they take minutes."""
    kept = path.with_suffix(f".features.{bundle.weights_sha256[:8]}.json")
    if not kept.is_file():
        kept.write_text(json.dumps(list(measured(bundle, path, pairs))), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def measured(bundle, path: Path, pairs: int) -> Iterator[Row]:
    from SynthMRILib.intensity import IntensityScale
    from SynthMRILib.motion.estimate import all_features
    from SynthMRILib.tasks.base import Parameters
    from SynthMRILib.training.cache import Cache

    cache = Cache(path)
    for index in range(0, min(len(cache), 2 * pairs), 2):
        moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
        for amount in amounts_of(index):
            voxels = np.maximum(still + np.float32(amount) * (moved - still), 0)
            voxels = IntensityScale.fit(voxels).apply(voxels)
            yield {
                "index": index,
                "amount": amount,
                "subject": cache.entries[index].subject,
                "severity_mm": amount * cache.entries[index].extra["severity_mm"],
                "features": all_features(bundle, voxels, Parameters(device="cpu"), lambda *_: None),
            }
        sys.stderr.write(f"{index // 2 + 1} of {min(len(cache) // 2, pairs)}\n")


def calibrated(rows: list[Row]) -> tuple[SeverityModel, dict[str, Any], np.ndarray, dict[str, float]]:
    """The model, its figures, estimates with the subject left out [mm], and what each set of features reached."""
    truth = np.array([row["severity_mm"] for row in rows])
    tried, best = {}, (-1.0, "", 0.0, np.zeros(0))
    sets = {name: tuple(n for n in names if n in rows[0]["features"]) for name, names in SETS.items()}
    for name, names in sets.items():
        for ridge in RIDGES:
            logs = left_out(rows, names, ridge)
            correlation = float(stats.spearmanr(logs, truth).statistic)
            tried[f"{name}, ridge {ridge:g}"] = round(correlation, 3)
            best = max(best, (correlation, name, ridge, logs), key=lambda item: item[0])
    correlation, name, ridge, logs = best
    levels = familiar_levels(rows)
    model = model_of(rows, sets[name], ridge, levels)
    estimates = np.array([severity_of_log(log) for log in logs])
    clean = np.sort(estimates[truth == 0])
    threshold = max(float(np.quantile(clean, CLEAN_SHARE, method="higher")) * 1.05, LEAST_THRESHOLD_MM)
    strange = [model.estimate(row["features"]).strangeness for row in rows]
    values = {
        **model.as_dict(),
        "quantile": conformal_quantile(logs - np.array([log_severity(s) for s in truth]), COVERAGE),
        "threshold_mm": round(threshold, 2),
        "largest_mm": LARGEST_MM,
        "familiar_limit": float(1.5 * max(strange)),
    }
    figures = {
        "held_out_volumes": len(rows),
        "features": name,
        "ridge": ridge,
        "rank_correlation": round(correlation, 3),
        "rank_correlation_of_moved": round(float(stats.spearmanr(logs[truth > 0], truth[truth > 0]).statistic), 3),
        "rank_correlation_network_alone": round(
            float(stats.spearmanr([row["features"]["network_median"] for row in rows], truth).statistic), 3
        ),
        "median_absolute_error_mm": round(float(np.median(np.abs(estimates - truth))), 3),
        "interval_factor": round(float(np.exp(values["quantile"])), 2),
        "threshold_mm": values["threshold_mm"],
        "clean_below_threshold": round(float((clean < threshold).mean()), 3),
    }
    return SeverityModel.from_section({"severity": values}), figures, estimates, tried


def left_out(rows: list[Row], names: tuple[str, ...], ridge: float) -> np.ndarray:
    """Estimated logarithm of the severity of every row, from a model fitted to the other subjects."""
    logs = np.zeros(len(rows))
    for subject in {row["subject"] for row in rows}:
        model = model_of([row for row in rows if row["subject"] != subject], names, ridge, {})
        for n, row in enumerate(rows):
            if row["subject"] == subject:
                logs[n] = model.logarithm(row["features"])
    return logs


def model_of(rows: list[Row], names: tuple[str, ...], ridge: float, levels: dict) -> SeverityModel:
    values = fit([row["features"] for row in rows], [row["severity_mm"] for row in rows], names=names, ridge=ridge)
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return SeverityModel(
        **values,
        quantile=1.0,
        coverage=COVERAGE,
        threshold_mm=0.0,
        largest_mm=LARGEST_MM,
        familiar=levels,
        familiar_limit=1.0,
    )


def familiar_levels(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the features that tell the contrast."""
    table = {n: [row["features"][n] for row in rows] for n in CONTRAST}
    return {n: (float(np.mean(v)), float(np.std(v))) for n, v in table.items()}


if __name__ == "__main__":
    sys.exit(main())
