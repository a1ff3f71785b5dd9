"""Plots of a report, as PNG: forest of accuracy, ROC curves, counts and ratings by arm, Bland-Altman, reading time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.agreement import bland_altman
from ..evaluation.detection import roc_curve
from .analysis import paired, per_subject, readers_of
from .lines import EVERYBODY, Line
from .table import Row

RATES = ("accuracy", "false identification rate", "acquired called synthetic", "sensitivity", "specificity")
MISSING = "The report needs matplotlib for its plots: pip install 'synthmri[demo]'."


def plots_of(rows: Sequence[Row], lines: Sequence[Line], questions: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    """PNG by caption, in the order of the questions. Raises InputError when matplotlib is missing."""
    _figure()
    first = [row for row in rows if not row.repeat]
    plots: dict[str, bytes] = {}
    for name, question in questions.items():
        own = [row for row in first if row.question == name]
        if own:
            plots |= {f"{name}: {what}": png for what, png in _of_question(name, question, own, lines).items()}
    singles = [row for row in first if len(row.arms) == 1]
    once = list({(row.reader, row.position): row for row in singles}.values())
    if once:
        plots["Reading time by arm [s]"] = by_arm(once, {"seconds": lambda row: row.seconds}, "reading time [s]")
    return plots


def _of_question(name: str, question: dict[str, Any], rows: Sequence[Row], lines: Sequence[Line]) -> dict[str, bytes]:
    paradigm = question["paradigm"]
    found: dict[str, bytes] = {}
    shares = [entry for entry in lines if entry["question"] == name and _is_share(entry)]
    if shares:
        found["shares with exact 95 % intervals"] = forest(shares)
    if any(row.is_signal for row in rows) and any(row.is_signal is False for row in rows):
        found["ROC curves from confidence"] = roc_plot(rows)
    if paradigm in ("lesions", "new-lesions"):
        total: dict[str, Callable[[Row], float]] = {"total": lambda row: float(sum(row.counts.values()))}
        regions = {region: (lambda row, r=region: float(row.counts[r])) for region in question["regions"]}
        found["lesions per subject by arm, mean of the readers"] = by_arm(rows, total | regions, "lesions")
        found |= bland_altman_plots(rows, total["total"])
    if paradigm == "rating":
        items = {item: (lambda row, i=item: float(row.answer[i])) for item in question["items"]}
        found["ratings by arm, mean of the readers"] = by_arm(rows, items, "rating")
    return found


def _is_share(entry: Line) -> bool:
    is_known = entry["statistic"] in RATES or entry["statistic"].startswith("prefers ")
    return is_known and entry["value"] is not None


def forest(shares: Sequence[Line]) -> bytes:
    """Shares with their intervals, one below the other."""
    figure, axes = _figure(height=1.0 + 0.26 * len(shares))
    for place, entry in enumerate(reversed(shares)):
        axes.plot([entry["low"], entry["high"]], [place, place], color="0.35")
        axes.plot(entry["value"], place, "s", color="#1f5fa8", markersize=4)
    axes.axvline(0.5, color="0.75", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(shares)))
    axes.set_yticklabels([_share_label(entry) for entry in reversed(shares)], fontsize=7)
    axes.set_xlim(-0.02, 1.02)
    return _png(figure)


def _share_label(entry: Line) -> str:
    who = "all readers" if entry["reader"] == EVERYBODY else entry["reader"]
    return f"{entry['statistic']}, {who}, {entry['of']}"


def roc_plot(rows: Sequence[Row]) -> bytes:
    figure, axes = _figure(width=4.2, height=4.2)
    for reader in readers_of(rows):
        own = [row for row in rows if row.reader == reader]
        signals, noises = ([row.score for row in own if row.is_signal is truth] for truth in (True, False))
        if signals and noises:
            axes.plot(*roc_curve(signals, noises), marker=".", label=reader)
    axes.plot([0, 1], [0, 1], color="0.75", linewidth=0.8)
    axes.set_xlabel("false alarm rate")
    axes.set_ylabel("hit rate")
    axes.legend(fontsize=8)
    return _png(figure)


def by_arm(rows: Sequence[Row], values: dict[str, Callable[[Row], float]], label: str) -> bytes:
    """A box for every value and arm; a dot is a subject."""
    arms = sorted({row.arm for row in rows})
    figure, axes = _figure(width=max(4.0, 1.0 + 0.65 * len(values) * len(arms)))
    ticks = []
    for n, (what, value) in enumerate(values.items()):
        if len(values) > 1:
            middle = n * (len(arms) + 1) + (len(arms) - 1) / 2
            axes.text(middle, -0.09, what, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=8)
        for m, arm in enumerate(arms):
            numbers = [*per_subject(rows, arm, value).values()]
            place = n * (len(arms) + 1) + m
            axes.boxplot([numbers], positions=[place], widths=0.6, showfliers=False)
            axes.plot(place + np.linspace(-0.2, 0.2, len(numbers)), numbers, ".", color="#1f5fa8", markersize=4)
            ticks.append((place, arm))
    axes.set_xticks([place for place, _ in ticks])
    axes.set_xticklabels([text for _, text in ticks], fontsize=7)
    axes.set_ylabel(label)
    return _png(figure)


def bland_altman_plots(rows: Sequence[Row], value: Callable[[Row], float]) -> dict[str, bytes]:
    """Difference against mean of every two arms, mean of the readers for each subject."""
    plots = {}
    for pair in combinations(sorted({row.arm for row in rows}), 2):
        first, second = (np.array(numbers) for numbers in paired(rows, pair, value))
        agreement = bland_altman(first, second)
        if agreement.bias.count < 2:
            continue
        figure, axes = _figure()
        axes.plot((first + second) / 2, first - second, ".", color="#1f5fa8")
        for estimate, style in ((agreement.lower, "--"), (agreement.bias, "-"), (agreement.upper, "--")):
            axes.axhline(estimate.value, linestyle=style, color="0.35", linewidth=0.9)
        axes.set_xlabel("mean of both arms")
        axes.set_ylabel(f"{pair[0]} - {pair[1]}")
        plots[f"Bland-Altman of {pair[0]} and {pair[1]} with 95 % limits of agreement"] = _png(figure)
    return plots


def _figure(*, width: float = 6.0, height: float = 3.4) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(MISSING) from error
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
