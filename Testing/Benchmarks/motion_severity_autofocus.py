"""Fit the estimate of severity that knows what autofocus sees, measure it, and write it into a bundle's metadata.

    python Testing/Benchmarks/motion_severity_autofocus.py BUNDLE [--network BUNDLE] [--record]

Learned from packed pairs, of each the volume with motion and without: three draws of the held-out subjects, which are
judged as well, and training subjects. It also learns from volumes that moved a few times suddenly
(`pack-motion --jumps`). Every volume is estimated by a model that did not see its subject.
There are two models, one that also knows what the correcting network would change, and one that does not.
The whole of autofocus runs as well on the first draw, as in the task: where it undoes something, what is left is
estimated from the volume after it, with a slope and an intercept of its own if these help, and the severity before is
told from both. Without `--record` neither the bundle nor the record is written.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from motion_severity_fit import CHECKOUT, CLEAN_SHARE, COVERAGE, LEAST_THRESHOLD_MM, Row
from motion_severity_fit import calibrated as calibrated_quick
from motion_severity_fit import gathered as gathered_quick
from motion_severity_rows import (
    HELD_OUT,
    HELD_OUT_JUMPS,
    JUMPS,
    MORE_TRAIN,
    TRAIN,
    kept,
    key_of,
    seen,
    seen_of_moved,
    undone,
    with_network,
)
from scipy import stats

sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import METADATA, Bundle, load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.motion.condition import log_severity, severity_of_log
from SynthMRILib.motion.focused_severity import (
    NAMES,
    NAMES_WITH_NETWORK,
    OFFSET_MM,
    SECTION,
    SECTION_WITH_NETWORK,
    FocusedSeverityModel,
    fit_chance,
    fit_focused,
)
from SynthMRILib.motion.severity import SeverityEstimate, before_and_left, conformal_quantile

NETWORK = CHECKOUT / "Resources" / "Models" / "motion-correction"
NO_LINE = (1.0, 0.0)
Names = tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--network", type=Path, default=NETWORK, help="bundle whose network is asked")
    parser.add_argument("--held-out", type=Path, nargs="+", default=HELD_OUT, help="pairs that are judged as well")
    parser.add_argument("--training", type=Path, nargs="+", default=(TRAIN, MORE_TRAIN))
    parser.add_argument("--training-pairs", type=int, default=10**6, help="use the first so many of the first file")
    parser.add_argument("--jumps", type=Path, nargs="+", default=(JUMPS, HELD_OUT_JUMPS), help="with sudden moves")
    parser.add_argument("--record", action="store_true", help="write the models into the bundle, and the record")
    arguments = parser.parse_args()
    bundle, network = load_bundle(arguments.bundle), load_bundle(arguments.network)
    draws = [with_network(kept(path, "focused", seen), path, network) for path in arguments.held_out]
    learned = []
    for n, path in enumerate(arguments.training):
        some = kept(path, "focused", seen)
        some = [row for row in some if n or row["index"] < 2 * arguments.training_pairs]
        learned += with_network(some, path, network)
    moved = (with_network(kept(path, "focused_of_moved", seen_of_moved), path, network) for path in arguments.jumps)
    jumps = [row for rows in moved for row in rows]
    first_draw = arguments.held_out[0]
    corrections = kept(first_draw, "autofocus", undone)
    changed = with_network(corrections, first_draw, network, focused=True)
    rows = [*(row for draw in draws for row in draw), *learned]
    fits = {
        SECTION: Fit(rows, jumps, changed, NAMES),
        SECTION_WITH_NETWORK: Fit(rows, jumps, changed, NAMES_WITH_NETWORK, network.weights_sha256),
    }
    plain, asked = fits.values()
    quick = left_out_quick(bundle, first_draw)
    table = [
        judged(row, plain.estimates[n], asked.estimates[n], corrections[n], asked.left, quick)
        for n, row in enumerate(draws[0])
    ]
    others = of_other_draws(draws, plain.estimates, asked.estimates)
    kinds = ("image_alone_mm", "without_network_mm", "first_mm", "estimate_mm")
    record = {
        "command": f"motion_severity_autofocus.py BUNDLE --training-pairs {arguments.training_pairs} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle_sha256": bundle.weights_sha256,
        "network_sha256": network.weights_sha256,
        "data": f"heads 13 to 15 and longitudinal03, held out, {len(draws)} draws; each subject estimated without "
        f"itself; learned from these and {len(learned) // 2} training pairs, and from {len(jumps)} volumes with sudden "
        f"moves, {len({row['subject'] for row in (*rows, *jumps)})} subjects in all",
        **{kind: figures(table, kind) for kind in kinds},
        "other_draws": {
            f"draw {n}": {kind: figures([r for r in others if r["draw"] == n], kind) for kind in kinds[1:3]}
            for n in range(2, len(draws) + 1)
        },
        "left": figures([row for row in table if row["undone_mm"] > 0], "left_mm", "truly_left_mm"),
        **{name: {**fit.found, "all_subjects": fit.of_all_subjects()} for name, fit in fits.items()},
        "rows": table,
        "rows_of_other_draws": others,
        "examples": [*rows, *jumps],
        "left_examples": changed,
    }
    if arguments.record:
        write_models(bundle, {name: fit.model for name, fit in fits.items()})
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_severity_autofocus.json", record)
    shown = {name: value for name, value in record.items() if not isinstance(value, list)}
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")
    return 0


class Fit:
    """A model of some features, and what it tells of volumes whose subject it did not see.

    Args:
        rows: volumes that are learned from and judged; jumps: volumes that are learned from alone.
        changed: volumes after autofocus, of those that it changed.
        names: features; network_sha256: weights of the network that some of them are of.

    Attributes:
        estimates: severity [mm] of each row; left: what is told to be left [mm] of each volume of `changed`, by key.
    """

    def __init__(
        self, rows: list[Row], jumps: list[Row], changed: list[Row], names: Names, network_sha256: str = ""
    ) -> None:
        self._rows = rows
        model, self.estimates, self.found = calibrated(rows, jumps, names)
        focused = with_logarithms(changed, [*rows, *jumps], names)
        model, self.found["left_of_all"] = calibrated_left(model, focused)
        self.left = {key_of(row): row["told_mm"] for row in focused}
        self.model = replace(model, network_sha256=network_sha256)

    def of_all_subjects(self) -> dict[str, float]:
        """How the estimates agree with the truth, also on the subjects that networks were trained on."""
        table = [{"severity_mm": r["severity_mm"], "mm": float(e)} for r, e in zip(self._rows, self.estimates)]
        return figures(table, "mm")


def calibrated(
    rows: list[Row], jumps: list[Row], names: Names
) -> tuple[FocusedSeverityModel, np.ndarray, dict[str, Any]]:
    """The model of all volumes, the estimate [mm] of each row without its subject, and limits that follow from those.

    The probability of motion is fitted to what models tell of subjects that they did not see; for the estimate of a
    subject, to those of the others.

    Args:
        jumps: volumes that are learned from and not judged: they are no sample of what is usual.
    """
    subjects = np.array([row["subject"] for row in rows])
    truth = np.array([row["severity_mm"] for row in rows])
    models = {s: fitted([row for row in (*rows, *jumps) if row["subject"] != s], names) for s in set(subjects)}
    told = np.array([models[row["subject"]].motion(row["features"]) for row in rows])
    for subject, model in models.items():
        other = subjects != subject
        models[subject] = replace(model, chance=fit_chance(told[other], truth[other] > 0))
    logs = np.array([models[row["subject"]].logarithm(row["features"]) for row in rows])
    estimates = np.array([severity_of_log(log, OFFSET_MM) for log in logs])
    clean = estimates[truth == 0]
    threshold = max(1.05 * float(np.quantile(clean, CLEAN_SHARE, method="higher")), LEAST_THRESHOLD_MM)
    quantile = conformal_quantile(logs - np.array([log_severity(s, OFFSET_MM) for s in truth]), COVERAGE)
    limits = {"quantile": quantile, "coverage": COVERAGE, "threshold_mm": round(threshold, 2)}
    model = replace(fitted([*rows, *jumps], names), chance=fit_chance(told, truth > 0), **limits)
    found = {
        "threshold_mm": model.threshold_mm,
        "clean_below_threshold": round(float((clean < threshold).mean()), 3),
        "interval_factor": round(float(np.exp(quantile)), 2),
    }
    return model, estimates, found


def with_logarithms(changed: list[Row], rows: list[Row], names: Names) -> list[Row]:
    """What autofocus changed, with the logarithm that a model tells which did not see the subject."""
    models = {s: fitted([r for r in rows if r["subject"] != s], names) for s in {row["subject"] for row in changed}}
    return [{**row, "log": models[row["subject"]].logarithm(row["features"], focused=True)} for row in changed]


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


def fitted(rows: list[Row], names: Names) -> FocusedSeverityModel:
    return fit_focused([row["features"] for row in rows], [row["severity_mm"] for row in rows], names=names)


def left_out_quick(bundle: Bundle, path: Path) -> dict[tuple[int, bool], float]:
    """Estimates from the image alone, each without its subject [mm], by pair and whether there was motion."""
    rows = gathered_quick(bundle, path, 10**6)
    estimates = calibrated_quick(rows)[2]
    whole = [(row, estimate) for row, estimate in zip(rows, estimates) if row["amount"] in (0.0, 1.0)]
    return {(row["index"], row["amount"] == 1): float(estimate) for row, estimate in whole}


def of_other_draws(draws: list[list[Row]], plain: np.ndarray, asked: np.ndarray) -> list[Row]:
    """True and estimated severities [mm] of all draws but the first; estimates begin with those of the first."""
    rows = [(n, row) for n, draw in enumerate(draws, start=1) for row in draw]
    return [
        {
            "draw": n,
            "subject": row["subject"],
            "severity_mm": round(row["severity_mm"], 3),
            "without_network_mm": round(float(first), 3),
            "first_mm": round(float(second), 3),
        }
        for (n, row), first, second in zip(rows, plain, asked)
        if n > 1
    ]


def judged(
    row: Row,
    plain: float,
    first: float,
    focus: Row,
    lefts: dict[tuple[int, bool], float],
    quick: dict[tuple[int, bool], float],
) -> Row:
    """True and estimated severities of a held-out volume [mm]; see `severity.before_and_left`.

    Args:
        plain, first: estimates from the first look, without and with the network.
        focus: what autofocus undid; lefts: what was told to be left.
    """
    before = left = estimate_of(first)
    if focus["features"]:
        before, left = before_and_left(before, estimate_of(lefts[key_of(row)]), focus["undone_mm"])
    values = {
        "severity_mm": row["severity_mm"],
        "image_alone_mm": quick[key_of(row)],
        "without_network_mm": float(plain),
        "first_mm": float(first),
        "undone_mm": focus["undone_mm"],
        "left_mm": left.severity_mm,
        "truly_left_mm": focus["truly_left_mm"],
        "estimate_mm": before.severity_mm,
    }
    return {"index": row["index"], "subject": row["subject"], **{n: round(v, 3) for n, v in values.items()}}


def estimate_of(severity_mm: float) -> SeverityEstimate:
    """An estimate of which only the severity counts."""
    value = float(severity_mm)
    return SeverityEstimate(value, value, value, 0.0, 0.0, np.inf, 0.0, "", looked=True)


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


def write_models(bundle: Bundle, models: dict[str, FocusedSeverityModel]) -> None:
    """Into the metadata of the bundle."""
    file = bundle.folder / METADATA
    metadata = json.loads(file.read_text(encoding="utf-8"))
    metadata["synthmri"] |= {name: model.as_dict() for name, model in models.items()}
    file.write_text(json.dumps(metadata, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
