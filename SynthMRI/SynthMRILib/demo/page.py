"""The page that the demo leaves behind: pictures, figures and what they do and do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from .. import INTENDED_USE
from ..evaluation.metrics import MASK_RULE, METRICS, RANGE_RULE
from ..evaluation.report import figure, titled

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #1b1b1b; }
img { max-width: 100%; display: block; background: black; }
figure { margin: 1.5em 0; } figcaption { color: #444; }
table { border-collapse: collapse; } th, td { padding: 0.3em 1em; border-bottom: 1px solid #bbb; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.use { border-left: 5px solid #b35900; padding: 0.3em 1em; background: #fff6ec; }
code { background: #eee; padding: 0 0.2em; }
"""


def write_page(
    path: Path,
    *,
    paragraphs: Sequence[str],
    pictures: Mapping[str, str],
    figures: Mapping[str, Mapping[str, float]],
    notices: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: HTML file.
        paragraphs: what was done, plain text.
        pictures: caption by file name of a PNG beside the page.
        figures: value by metric, for each method.
        notices: licence texts of what is shown, plain text.
    """
    body = [
        "<h1>SynthMRI demo</h1>",
        f'<p class="use"><strong>{escape(INTENDED_USE)}</strong> {escape(CAUTION)}</p>',
        *(f"<p>{escape(text)}</p>" for text in paragraphs),
        *(_figure(name, caption) for name, caption in pictures.items()),
        "<h2>How close to the reference</h2>",
        _table(figures),
        f"<p>Taken over a mask ({escape(MASK_RULE)}); data range: {escape(RANGE_RULE)}.</p>",
        "<h2>In Slicer</h2>",
        "<p>Drag <code>SynthMRI-demo.mrml</code> into Slicer's window: before, after and difference open side by side, "
        "axial above coronal, and scroll together. The reference is loaded too.</p>",
        *(f"<p><small>{escape(notice)}</small></p>" for notice in notices),
    ]
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>SynthMRI demo</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n",
        encoding="utf-8",
    )


CAUTION = (
    "The scan on this page is simulated from one volume, so the figures say nothing about patients: scanners differ, "
    "and a network can show detail that is not there."
)


def _figure(name: str, caption: str) -> str:
    text = escape(caption)
    return f'<figure><img src="{escape(name)}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(figures: Mapping[str, Mapping[str, float]]) -> str:
    arrows = {name: "↑" if metric.higher_is_better else "↓" for name, metric in METRICS.items()}
    names = next(iter(figures.values()))
    header = "".join(f"<th>{escape(titled(name))} {arrows[name]}</th>" for name in names)
    rows = (
        f"<tr><td>{escape(method)}</td>"
        + "".join(f"<td>{figure(v, name)}</td>" for name, v in values.items())
        + "</tr>"
        for method, values in figures.items()
    )
    return f"<table><tr><th></th>{header}</tr>\n" + "\n".join(rows) + "</table>"
