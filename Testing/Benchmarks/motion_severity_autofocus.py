"""Fit the estimate of severity that knows what autofocus sees, measure it, and write it into a bundle's metadata.

    python Testing/Benchmarks/motion_severity_autofocus.py BUNDLE [--pairs FILE FILE] [--jumps FILE] [--record]

Learned from and judged on packed pairs, of each the volume with motion and without. It also learns from volumes that
moved a few times suddenly (`pack-motion --jumps`). Every volume is estimated by a model that did not see its subject.
The whole of autofocus runs as well, as in the task: where it undoes something, what is left is estimated from the
volume after it, with a slope and an intercept of its own if these help, and what was undone is added in squares.
Without `--record` neither the bundle nor the record is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from motion_severity_fit import CHECKOUT, CLEAN_SHARE, COVERAGE, LEAST_THRESHOLD_MM, PAIRS, Row
from motion_severity_fit import calibrated as calibrated_quick
from motion_severity_fit import gathered as gathered_quick
from scipy import stats

sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import METADATA, Bundle, load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion.autofocus import autofocus, first_look
from SynthMRILib.motion.condition import log_severity, severity_of_log
from SynthMRILib.motion.estimate import focused_features
from SynthMRILib.motion.features import image_features
from SynthMRILib.motion.focused_severity import (
    OFFSET_MM,
    SECTION,
    FocusedSeverityModel,
    fit_focused,
)
from SynthMRILib.motion.severity import conformal_quantile
from SynthMRILib.simulation.motion import effective_displacement
from SynthMRILib.training.cache import Cache
from SynthMRILib.volume import Grid

TRAIN = PAIRS.with_name("train64.safetensors")
NO_LINE = (1.0, 0.0)
JUMPS = PAIRS.with_name("jumps.safetensors")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--pairs", type=Path, nargs=2, default=(PAIRS, TRAIN), help="held-out and training pairs")
    parser.add_argument("--training-pairs", type=int, default=10**6, help="use the first so many")
    parser.add_argument("--jumps", type=Path, default=JUMPS, help="training pairs with sudden moves")
    parser.add_argument("--record", action="store_true", help="write the model into the bundle, and the record")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    held_out, training = arguments.pairs
    learned = [row for row in kept(training, "focused", seen) if row["index"] < 2 * arguments.training_pairs]
    rows = [*kept(held_out, "focused", seen), *learned]
    jumps = [row for row in kept(arguments.jumps, "focused_of_moved", seen_of_moved) if row["features"]]
    model, estimates, found = calibrated(rows, jumps)
    corrections = kept(held_out, "autofocus", undone)
    focused = with_logarithms(corrections, [*rows, *jumps])
    model, found["left_of_all"] = calibrated_left(model, focused)
    quick = left_out_quick(bundle, held_out)
    table = [judged(row, estimate, focus, focused, quick) for row, estimate, focus in zip(rows, estimates, corrections)]
    record = {
        "command": f"motion_severity_autofocus.py BUNDLE --training-pairs {len(learned) // 2} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle_sha256": bundle.weights_sha256,
        "data": "heads 13 to 15 and longitudinal03, held out; each subject estimated without itself; "
        f"learned from these and {len(learned) // 2} training pairs, and from {len(jumps)} volumes with sudden moves, "
        f"{len({row['subject'] for row in (*rows, *jumps)})} subjects in all",
        **{kind: figures(table, kind) for kind in ("image_alone_mm", "with_look_mm", "estimate_mm")},
        "left": figures([row for row in table if row["undone_mm"] > 0], "left_mm", "truly_left_mm"),
        "all_subjects_with_look": figures(
            [
                {"severity_mm": row["severity_mm"], "with_look_mm": float(estimate)}
                for row, estimate in zip(rows, estimates)
            ],
            "with_look_mm",
        ),
        **found,
        "rows": table,
        "examples": [*rows, *jumps],
        "left_examples": focused,
    }
    if arguments.record:
        write_model(bundle, model)
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_severity_autofocus.json", record)
    shown = {name: value for name, value in record.items() if not isinstance(value, list)}
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")
    return 0


def kept(path: Path, name: str, measure: Any) -> list[Row]:
    """What was measured of every volume of a cache; kept beside it, as it takes minutes."""
    file = path.with_suffix(f".{name}.json")
    if not file.is_file():
        file.write_text(json.dumps([measure(*volume) for volume in volumes(path)]), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def volumes(path: Path) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray, Grid]]:
    """Of every pair the volume with motion, then the one without: facts, voxels in network units, truth, grid."""
    cache = Cache(path)
    for index in range(0, len(cache), 2):
        entry = cache.entries[index]
        pair = [cache.volume(index + n).astype(np.float32) for n in (0, 1)]
        grid = Grid.from_spacing(pair[0].shape, tuple(entry.extra["spacing_kji"][::-1]))
        for voxels, severity in zip(pair, (entry.extra["severity_mm"], 0.0)):
            scale = IntensityScale.fit(voxels)
            facts = {"index": index, "subject": entry.subject, "severity_mm": severity}
            yield facts, scale.apply(voxels), scale.apply(pair[1]), grid
        sys.stderr.write(f"{path.stem}: {index // 2 + 1} of {len(cache) // 2}\n")


def seen(facts: dict[str, Any], voxels: np.ndarray, _still: np.ndarray, grid: Grid) -> Row:
    """All features of a volume by name."""
    features = image_features(voxels) | focused_features(voxels, grid.spacing, first_look(voxels, grid))
    return {**facts, "features": features}


def seen_of_moved(facts: dict[str, Any], voxels: np.ndarray, still: np.ndarray, grid: Grid) -> Row:
    """As `seen`, of volumes with motion alone."""
    return seen(facts, voxels, still, grid) if facts["severity_mm"] else {**facts, "features": None}


def undone(facts: dict[str, Any], voxels: np.ndarray, still: np.ndarray, grid: Grid) -> Row:
    """What the whole of autofocus undoes, what is truly left [mm], and the features of that if anything was undone."""
    found = autofocus(voxels, grid)
    left = effective_displacement(found.voxels, still, grid.spacing)
    features = seen(facts, found.voxels, still, grid)["features"] if found.found else None
    return {**facts, "undone_mm": found.undone_mm, "truly_left_mm": left, "features": features}


def calibrated(rows: list[Row], jumps: list[Row]) -> tuple[FocusedSeverityModel, np.ndarray, dict[str, Any]]:
    """The model of all volumes, the estimate [mm] of each row without its subject, and limits that follow from those.

    Args:
        jumps: volumes that are learned from and not judged: they are no sample of what is usual.
    """
    logs = np.zeros(len(rows))
    for subject in {row["subject"] for row in rows}:
        model = fitted([row for row in (*rows, *jumps) if row["subject"] != subject])
        for n, row in enumerate(rows):
            if row["subject"] == subject:
                logs[n] = model.logarithm(row["features"])
    truth = np.array([row["severity_mm"] for row in rows])
    estimates = np.array([severity_of_log(log, OFFSET_MM) for log in logs])
    clean = estimates[truth == 0]
    threshold = max(1.05 * float(np.quantile(clean, CLEAN_SHARE, method="higher")), LEAST_THRESHOLD_MM)
    quantile = conformal_quantile(logs - np.array([log_severity(s, OFFSET_MM) for s in truth]), COVERAGE)
    model = replace(fitted([*rows, *jumps]), quantile=quantile, coverage=COVERAGE, threshold_mm=round(threshold, 2))
    found = {
        "threshold_mm": model.threshold_mm,
        "clean_below_threshold": round(float((clean < threshold).mean()), 3),
        "interval_factor": round(float(np.exp(quantile)), 2),
    }
    return model, estimates, found


def with_logarithms(corrections: list[Row], rows: list[Row]) -> list[Row]:
    """What autofocus changed, with the logarithm that a model tells which did not see the subject."""
    changed = [row for row in corrections if row["features"]]
    models = {s: fitted([r for r in rows if r["subject"] != s]) for s in {row["subject"] for row in changed}}
    return [{**row, "log": models[row["subject"]].logarithm(row["features"])} for row in changed]


def line_of(focused: list[Row]) -> tuple[float, float]:
    """Slope and intercept of the true logarithm of what is left over the one that was told."""
    told, true = ([row["log"] for row in focused], [log_severity(r["truly_left_mm"], OFFSET_MM) for r in focused])
    slope, intercept = np.polyfit(told, true, 1)
    return float(slope), float(intercept)


def calibrated_left(model: FocusedSeverityModel, focused: list[Row]) -> tuple[FocusedSeverityModel, dict[str, Any]]:
    """The model as it tells what autofocus left, and how well it does so with each subject left out.

    A line is only used if it makes the median error smaller: a few volumes do not give one that holds for others.
    """
    ways = {name: [told(row, focused) for row in focused] for name, told in (("line", by_line), ("none", as_it_is))}
    found = {
        name: figures(
            [{"severity_mm": r["truly_left_mm"], "left_mm": e} for r, e in zip(focused, estimates)], "left_mm"
        )
        for name, estimates in ways.items()
    }
    used = min(found, key=lambda name: found[name]["median_absolute_error_of_moved_mm"])
    line = line_of(focused) if used == "line" else NO_LINE
    true = np.array([log_severity(row["truly_left_mm"], OFFSET_MM) for row in focused])
    errors = np.array([log_severity(value, OFFSET_MM) for value in ways[used]]) - true
    quantile = conformal_quantile(errors, COVERAGE)
    for row, estimate in zip(focused, ways[used]):
        row["told_mm"] = estimate
    facts = {"used": used, "fitted_line": line_of(focused), "interval_factor": round(float(np.exp(quantile)), 2)}
    return replace(model, left=line, left_quantile=quantile), {**facts, **found}


def by_line(row: Row, focused: list[Row]) -> float:
    """What is left [mm], by a line that did not see the subject."""
    slope, intercept = line_of([other for other in focused if other["subject"] != row["subject"]])
    return severity_of_log(slope * row["log"] + intercept, OFFSET_MM)


def as_it_is(row: Row, _focused: list[Row]) -> float:
    """What is left [mm], as the model tells it of any volume."""
    return severity_of_log(row["log"], OFFSET_MM)


def fitted(rows: list[Row]) -> FocusedSeverityModel:
    return fit_focused([row["features"] for row in rows], [row["severity_mm"] for row in rows])


def left_out_quick(bundle: Bundle, path: Path) -> dict[tuple[int, bool], float]:
    """Estimates from the image alone, each without its subject [mm], by pair and whether there was motion."""
    rows = gathered_quick(bundle, path, 10**6)
    estimates = calibrated_quick(rows)[2]
    whole = [(row, estimate) for row, estimate in zip(rows, estimates) if row["amount"] in (0.0, 1.0)]
    return {(row["index"], row["amount"] == 1): float(estimate) for row, estimate in whole}


def judged(row: Row, estimate: float, focus: Row, focused: list[Row], quick: dict[tuple[int, bool], float]) -> Row:
    """True and estimated severities of a held-out volume [mm]."""
    changed = [r for r in focused if (r["index"], r["subject"]) == (row["index"], row["subject"])]
    left = changed[0]["told_mm"] if focus["features"] else float(estimate)
    values = {
        "severity_mm": row["severity_mm"],
        "image_alone_mm": quick[row["index"], row["severity_mm"] > 0],
        "with_look_mm": float(estimate),
        "undone_mm": focus["undone_mm"],
        "left_mm": left,
        "truly_left_mm": focus["truly_left_mm"],
        "estimate_mm": float(np.hypot(left, focus["undone_mm"])),
    }
    return {"index": row["index"], "subject": row["subject"], **{n: round(v, 3) for n, v in values.items()}}


def figures(rows: list[Row], kind: str, true: str = "severity_mm") -> dict[str, float]:
    """How estimates agree with the truth, of all and of those with motion."""
    truth, values = (np.array([row[name] for row in rows]) for name in (true, kind))
    moved = truth > 0
    return {
        "volumes": len(rows),
        "rank_correlation": round(float(stats.spearmanr(values, truth).statistic), 3),
        "rank_correlation_of_moved": round(float(stats.spearmanr(values[moved], truth[moved]).statistic), 3),
        "median_absolute_error_of_moved_mm": round(float(np.median(np.abs(values - truth)[moved])), 3),
    }


def write_model(bundle: Bundle, model: FocusedSeverityModel) -> None:
    """Into the metadata of the bundle."""
    file = bundle.folder / METADATA
    metadata = json.loads(file.read_text(encoding="utf-8"))
    metadata["synthmri"][SECTION] = model.as_dict()
    file.write_text(json.dumps(metadata, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
