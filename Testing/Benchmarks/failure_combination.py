"""Fit how signals combine to find failures, and say by leaving out each validation head what the combination is worth.

    python Testing/Benchmarks/failure_combination.py --data FOLDER [--bundle NAME] [--keep FOLDER] [--record]

Places and failures are those of `failure_detection.py --split validate`. For every head the
exponents and the usual levels are found on the other heads; areas under the ROC curve of the combination and of each of
its members are then taken over all left-out heads together and head by head. The exponents of the fit on all heads are
what `uncertainty/combination.py` holds. `--record` writes `Documentation/figures/failure_combination.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing")]
from Benchmarks.failure_detection import HEADS, Place, all_places, error_of, head_of, rounded  # noqa: E402

#: Voxels of each place that are used, drawn at random.
VOXELS_EACH = 12_000


def main() -> int:
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation import records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", help="name or folder; the best one for super-resolution by default")
    parser.add_argument("--contrasts", type=int, default=1, help="contrasts of each head and structure, 1 to 3")
    parser.add_argument("--keep", type=Path, help="folder in which simulated crops are kept, and taken from")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
    heads: dict[str, list[dict[str, Any]]] = {}
    for place in all_places(arguments.data, HEADS["validate"], bundle, arguments.contrasts, arguments.keep):
        heads.setdefault(place.name.split()[0], []).append(drawn(place))
        sys.stderr.write(f"{place.name}\n")
    record = {
        "split": "validate",
        "command": f"python Testing/Benchmarks/{Path(__file__).name} --data FOLDER --record",
        "commit": records.current_commit(CHECKOUT),
        "contrasts_each": arguments.contrasts,
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        **leave_one_out(heads),
        "weights": fitted([place for places in heads.values() for place in places])[1],
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "failure_combination.json", record)
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
    return 0


def drawn(place: Place) -> dict[str, Any]:
    """Flat signals of random voxels of a place, with the structure and without, and which of the former have failed."""
    from SynthMRILib.uncertainty.combination import SIGNALS

    limit = float(np.percentile(error_of(place.usual)[head_of(place.usual)], 99))
    found: dict[str, Any] = {}
    for kind, maps in (("usual", place.usual), ("foreign", place.foreign)):
        voxels = np.flatnonzero(head_of(maps))
        chosen = np.random.default_rng(0).permutation(voxels)[:VOXELS_EACH]
        found[kind] = {name: maps[name].ravel()[chosen] for name in SIGNALS}
        found["failed"] = (error_of(maps) > limit).ravel()[chosen]
    return found


def fitted(places: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Usual levels and exponents."""
    from SynthMRILib.uncertainty.combination import SIGNALS, fit_weights, usual_levels

    levels = usual_levels({name: np.concatenate([p["usual"][name] for p in places]) for name in SIGNALS})
    return levels, fit_weights([p["foreign"] for p in places], [p["failed"] for p in places], levels)


def leave_one_out(heads: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Areas under the ROC curve, and mean precision, with exponents from the other heads."""
    from SynthMRILib.uncertainty.calibration import area_under_roc, average_precision
    from SynthMRILib.uncertainty.combination import SIGNALS, combined

    scores: dict[str, dict[str, np.ndarray]] = {}
    failed, weights = {}, {}
    for head, places in heads.items():
        levels, weights[head] = fitted([p for other, ps in heads.items() if other != head for p in ps])
        members = {n: np.concatenate([p["foreign"][n] for p in places]) for n in SIGNALS}
        scores[head] = {**members, "combination": combined(members, levels, weights[head])}
        failed[head] = np.concatenate([p["failed"] for p in places])
    names, every = (*SIGNALS, "combination"), np.concatenate(list(failed.values()))
    joined = {n: np.concatenate([scores[head][n] for head in heads]) for n in names}
    return {
        "auroc_left_out": {n: rounded(area_under_roc(every, values)) for n, values in joined.items()},
        "auprc_left_out": {n: rounded(average_precision(every, values)) for n, values in joined.items()},
        "auroc_by_head": {h: {n: rounded(area_under_roc(failed[h], scores[h][n])) for n in names} for h in heads},
        "weights_without": weights,
    }


if __name__ == "__main__":
    sys.exit(main())
