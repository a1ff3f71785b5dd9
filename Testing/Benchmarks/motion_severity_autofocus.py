"""How well the severity of motion is estimated with and without what autofocus finds, on held-out pairs.

    python Testing/Benchmarks/motion_severity_autofocus.py BUNDLE [--validate FILE] [--record]

Every subject is estimated by a regression that did not see it, as in `motion_severity_fit.py`. Where autofocus finds
something, the severity of what it leaves is estimated, and what it undid is added, as the task does.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from motion_severity_fit import CHECKOUT, PAIRS, SETS, Row, calibrated, gathered, model_of
from scipy import stats

sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion.autofocus import autofocus
from SynthMRILib.motion.condition import severity_of_log
from SynthMRILib.motion.estimate import all_features
from SynthMRILib.tasks.base import Parameters
from SynthMRILib.training.cache import Cache
from SynthMRILib.volume import Grid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--validate", type=Path, default=PAIRS)
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    bundle, cache = load_bundle(arguments.bundle), Cache(arguments.validate)
    known = gathered(bundle, arguments.validate, 10**6)
    chosen = calibrated(known)[1]
    names = tuple(n for n in SETS[chosen["features"]] if n in known[0]["features"])
    rows = []
    for row in known:
        if row["amount"] in (0.0, 1.0):
            others = [other for other in known if other["subject"] != row["subject"]]
            rows.append(estimated(bundle, cache, row, model_of(others, names, chosen["ridge"], {})))
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    record = {
        "command": "motion_severity_autofocus.py BUNDLE --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle_sha256": bundle.weights_sha256,
        "data": "heads 13 to 15 and longitudinal03, held out; each subject estimated without itself",
        "features": f"{chosen['features']}, ridge {chosen['ridge']:g}",
        **{kind: figures(rows, kind) for kind in ("estimate_mm", "with_undone_mm")},
        "rows": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_severity_autofocus.json", record)
    sys.stdout.write(json.dumps({k: v for k, v in record.items() if k != "rows"}, indent=2) + "\n")
    return 0


def estimated(bundle: Any, cache: Cache, row: Row, model: Any) -> Row:
    """The severity of a volume [mm]: true, estimated alone, and with what autofocus undid."""
    index, extra = row["index"] + (row["amount"] == 0), cache.entries[row["index"]].extra
    voxels = cache.volume(index).astype(np.float32)
    voxels = IntensityScale.fit(voxels).apply(voxels)
    found = autofocus(voxels, Grid.from_spacing(voxels.shape, tuple(extra["spacing_kji"][::-1])))
    rest = row["features"]
    if found.found:
        rest = all_features(bundle, found.voxels, Parameters(device="cpu"), lambda *_: None)
    alone, left = (severity_of_log(model.logarithm(features)) for features in (row["features"], rest))
    return {
        "index": row["index"],
        "subject": row["subject"],
        "severity_mm": round(row["severity_mm"], 3),
        "estimate_mm": round(alone, 3),
        "undone_mm": round(found.undone_mm, 3),
        "with_undone_mm": round(float(np.hypot(left, found.undone_mm)), 3),
    }


def figures(rows: list[Row], kind: str) -> dict[str, float]:
    truth, values = (np.array([row[name] for row in rows]) for name in ("severity_mm", kind))
    moved = truth > 0
    return {
        "rank_correlation": round(float(stats.spearmanr(values, truth).statistic), 3),
        "rank_correlation_of_moved": round(float(stats.spearmanr(values[moved], truth[moved]).statistic), 3),
        "median_absolute_error_of_moved_mm": round(float(np.median(np.abs(values - truth)[moved])), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
