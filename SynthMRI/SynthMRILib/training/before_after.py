"""What finetuning changed on subjects that were held out: the whole task before and after, on whole volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..bundles import Bundle
from ..errors import InputError
from ..evaluation import metrics
from ..evaluation.bootstrap import mean_of
from ..progress import no_progress
from ..tasks.base import Task
from .data import LeftOut, TrainingFile
from .facts import shown_labels
from .pairs import Pair, on_result_grid, read_pair

METRICS = ("psnr", "ssim")


def compare(
    files: Sequence[TrainingFile], task: Task, bundles: dict[str, Bundle], report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One row for each pair that can be used: subject, contrast, and PSNR [dB] and SSIM for each bundle by name.

    The result is scaled to the target by least squares over the head, for every bundle by the same rule, because two
    scans rarely share their units.
    """
    rows = []
    for file in files:
        pair = read_pair(file)
        if isinstance(pair, LeftOut):
            continue
        try:
            scores = {name: score(pair, task, bundle) for name, bundle in bundles.items()}
        except InputError:
            continue
        row = {"subject": file.subject, "contrast": file.contrast, **scores}
        rows.append(row)
        report(f"{file.subject} {file.contrast}: " + ", ".join(f"{n} {s['psnr']:.2f} dB" for n, s in scores.items()))
    return rows


def score(pair: Pair, task: Task, bundle: Bundle) -> dict[str, float]:
    """PSNR [dB] and SSIM of what the task makes of a pair's inputs, over the quality mask of the target."""
    result = task.run(pair.inputs, bundle, task.parameters_class(), no_progress).outputs["output"]
    matched = on_result_grid(pair, result.grid, 1)
    if matched is None:
        raise InputError("The grids of result and target do not match; resample the target.")
    target, mask = matched.target.voxels, metrics.quality_mask(matched.target.voxels)
    found = result.voxels[mask].astype(np.float64)
    factor = float((found * target[mask]).sum() / max((found**2).sum(), 1e-30))
    peak, scaled = metrics.data_range(target), result.voxels * np.float32(factor)
    psnr = metrics.psnr(target, scaled, mask=mask, peak=peak)
    ssim = metrics.ssim(target, scaled, mask=mask, peak=peak)
    return {"psnr": round(float(psnr), 3), "ssim": round(float(ssim), 4)}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean PSNR before and after by contrast, the mean change over subjects with its interval, and one sentence."""
    figures: dict[str, Any] = {}
    for contrast in sorted({row["contrast"] for row in rows}):
        listed = [row for row in rows if row["contrast"] == contrast]
        for name in ("before", "after"):
            figures[f"{contrast}: PSNR {name} [dB]"] = round(float(np.mean([r[name]["psnr"] for r in listed])), 3)
            figures[f"{contrast}: SSIM {name}"] = round(float(np.mean([r[name]["ssim"] for r in listed])), 4)
    subjects = sorted({row["subject"] for row in rows})
    changes = [np.mean([r["after"]["psnr"] - r["before"]["psnr"] for r in rows if r["subject"] == s]) for s in subjects]
    change = mean_of(changes)
    figures["change in PSNR, mean over held-out subjects [dB]"] = round(change.value, 3)
    if len(subjects) > 1:
        figures["95 % interval of the change (bootstrap over subjects) [dB]"] = (
            f"{change.low:+.3f} to {change.high:+.3f}"
        )
    better = sum(c > 0 for c in changes)
    figures["held-out subjects that gained"] = f"{better} of {len(subjects)}"
    return {
        "figures": figures,
        "change_db": round(change.value, 3),
        "sentence": sentence(change.value, better, subjects),
    }


def sentence(change: float, better: int, subjects: Sequence[str]) -> str:
    """The outcome for a person."""
    counts = f"{better} of {len(subjects)} held-out subjects gained, {change:+.2f} dB in PSNR on average"
    if change > 0 and better > len(subjects) / 2:
        return f"Better than before: {counts}. Look at the results before you use it."
    return f"Not better than before: {counts}. Keep the bundle you started from."


def without_labels(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows for a file that may be passed on: subjects of a user are numbered."""
    labels = shown_labels({row["subject"] for row in rows})
    return [{**row, "subject": labels[row["subject"]]} for row in rows]
