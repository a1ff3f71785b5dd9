"""One self-contained HTML page of a result's uncertainty: the light and its rule, numbers, sentences, pictures.

It names nobody: no file, no path, no patient; inputs appear by role and by a hash of their voxels.
"""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from .. import INTENDED_USE
from ..demo.page import STYLE
from ..volume import Volume
from .gate import SIGNALS
from .lesions import RANK_RULE
from .pictures import middle_of, triple
from .quality import NUMBERS

MOST_PICTURES = 6
LIGHTS = {"green": "#2e7d32", "amber": "#b26a00", "red": "#b3261e", "unknown": "#555"}
EXTRA_STYLE = """
.light { color: white; padding: 0.3em 1em; border-radius: 4px; font-weight: bold; display: inline-block; }
small { color: #444; }
"""
LESION_TITLES = (
    "lesion",
    "mm3",
    "side",
    "R A S [mm]",
    "median SD [% of signal]",
    "95th percentile [% of signal]",
    "rank [%]",
    "uncertainty",
)
MIDDLE = "The middle of the volume, axial. Outlined: what is above the limit of high uncertainty."
CAUTION = (
    "Low uncertainty does not prove that something is there, and what a network leaves out may show none at all. "
    "Read the acquired volume first."
)


def write_page(path: Path, record: dict[str, Any], *, acquired: Volume, result: Volume, total: Volume) -> None:
    """Write the page.

    Args:
        path: HTML file.
        record: what `findings.findings_record` gave, "lesions" added where there are any.
        acquired, result, total: volumes to show.

    Raises:
        InputError: matplotlib is missing.
    """
    quality, limit = record["quality"], record["high_uncertainty_limit_percent"]
    body = [
        "<h1>How far to trust this volume</h1>",
        f'<p class="use"><strong>{escape(INTENDED_USE)}</strong> {escape(CAUTION)}</p>',
        f'<p><span class="light" style="background:{LIGHTS[quality["flag"]]}">{escape(quality["flag"])}</span></p>',
        f"<p>{escape(record['confidence'])}</p>",
        f"<p>{escape(record['summary'])} <small>({escape(record['high_uncertainty_rule'])})</small></p>",
        f"<p><small>Rule of the light: {escape(quality['rule'])}.</small></p>",
        _picture(triple(acquired, result, total, middle_of(result), limit=limit), MIDDLE),
        *_clusters(record, acquired, result, total),
        *_lesions(record),
        *_hints(record),
        *_numbers(record),
        *_provenance(record["provenance"]),
    ]
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Uncertainty</title>\n'
        f"<style>{STYLE}{EXTRA_STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _picture(png: bytes, caption: str) -> str:
    data, text = base64.b64encode(png).decode("ascii"), escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _clusters(record: dict[str, Any], acquired: Volume, result: Volume, total: Volume) -> list[str]:
    clusters = record["clusters"]
    if not clusters:
        return ["<h2>Where to look</h2>", "<p>No cluster of high uncertainty.</p>"]
    parts = ["<h2>Where to look</h2>", "<ol>", *(f"<li>{escape(c['sentence'])}</li>" for c in clusters), "</ol>"]
    for number, cluster in enumerate(clusters[:MOST_PICTURES], 1):
        limit = record["high_uncertainty_limit_percent"]
        png = triple(acquired, result, total, tuple(cluster["position_ras"]), limit=limit, close=True)
        parts.append(_picture(png, f"Place {number} of the list, {cluster['slice']}: the cross marks its peak."))
    return parts


def _lesions(record: dict[str, Any]) -> list[str]:
    lesions = record.get("lesions")
    if not lesions:
        return []
    titles = "".join(f"<th>{escape(title)}</th>" for title in LESION_TITLES)
    rows = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _lesion_cells(lesion))}</tr>" for lesion in lesions)
    rule = f"<p><small>{escape(RANK_RULE)}. Low uncertainty of a lesion is no sign that it is real.</small></p>"
    return ["<h2>Given lesions</h2>", "<table>", f"<tr>{titles}</tr>", *rows, "</table>", rule]


def _lesion_cells(lesion: dict[str, Any]) -> list[str]:
    return [
        str(lesion["number"]),
        f"{lesion['volume_mm3']:.0f}",
        lesion["side"],
        ", ".join(f"{x:.0f}" for x in lesion["position_ras"]),
        f"{lesion['median_percent']:.1f}",
        f"{lesion['percentile_95_percent']:.1f}",
        f"{lesion['rank_percent']:.0f}",
        lesion["grade"],
    ]


def _hints(record: dict[str, Any]) -> list[str]:
    if not record["hints"]:
        return []
    items = (f"<li>{escape(hint)}</li>" for hint in record["hints"])
    return ["<h2>What to know about the input</h2>", "<ul>", *items, "</ul>"]


def _numbers(record: dict[str, Any]) -> list[str]:
    rows = [_row("", name, value, NUMBERS) for name, value in record["quality"]["numbers"].items()]
    for role, measured in record["gate"]["measured"].items():
        rows += [_row(f"{role}: ", name, value, SIGNALS) for name, value in measured.items() if name in SIGNALS]
    multipliers = record["interval_multipliers"]
    if multipliers:
        shown = ", ".join(f"{level} %: ± {m:.2f} SD" for level, m in multipliers.items())
        rows.append(("intervals", shown))
    facts = record["provenance"]
    rows.append(("passes", str(facts["passes"])))
    rows.append(("standard error of the total, median", f"{100 * facts['total_relative_standard_error']:.2g} %"))
    cells = (f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return ["<h2>Numbers</h2>", "<table>", *cells, "</table>"]


def _row(before: str, name: str, value: float, titles: dict[str, tuple[str, str]]) -> tuple[str, str]:
    title, unit = titles[name]
    return before + title, f"{value:.3g} {unit}".strip()


def _provenance(provenance: dict[str, Any]) -> list[str]:
    bundle = provenance["bundle"] or {}
    hashes = ", ".join(f"{role} {facts['sha256'][:16]}" for role, facts in provenance["inputs"].items())
    text = (
        f"Bundle {bundle.get('name')} ({str(bundle.get('sha256'))[:16]}), {provenance['software']}, "
        f"seed {provenance['parameters']['seed']}, {provenance['created']}; inputs by hash of their voxels: {hashes}."
    )
    return [f"<p><small>{escape(text)}</small></p>"]
