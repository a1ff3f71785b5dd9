"""The results of a locked study as files: one self-contained page, and all numbers behind it as CSV."""

from __future__ import annotations

import base64
import csv
import shutil
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..errors import InputError
from .analysis import analyze
from .chain import Record
from .lines import FIELDS, Line
from .plots import plots_of
from .study import Study
from .table import Row, answer_line, mark_lines, study_rows

FILES = ("report.html", "responses.csv", "marks.csv", "statistics.csv")
USE = "Research use only, not for diagnosis. Some of the volumes in this study are synthetic."
CAUTIONS = (
    "A count is no accuracy: without a reference, false marks raise counts. Look at sensitivity and false marks, too.",
    "A result that is not significant does not show that two arms are alike; synthmri sample-size --margin tells how "
    "many cases that takes.",
    "Several statistics were calculated; Holm-adjusted p values account for their number within one question only.",
)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }
img { max-width: 100%; display: block; } figcaption { color: #444; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: 0.2em 0.7em; border-bottom: 1px solid #ccc; text-align: left; }
.use { border-left: 5px solid #b35900; padding: 0.3em 1em; background: #fff6ec; }
"""


def write_report(
    study: Study, folder: Path, *, key_path: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Unblind a locked study, analyze it and write `FILES` into `folder`, all or none.

    Returns:
        "study", "answers", "statistics" (rows of statistics.csv) and "files".

    Raises:
        InputError: the study is not locked, was altered, holds no answer, the folder cannot be used, or matplotlib is
            missing.
    """
    check_folder(study, folder, overwrite=overwrite)
    lock = study.check_lock()
    rows = study_rows(study, study.unblind(key_path))
    if not rows:
        raise InputError("The study holds no answer; there is nothing to analyze.")
    lines = analyze(rows, study.questions)
    plots = plots_of(rows, lines, study.questions)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".synthmri-", dir=folder.parent))
    try:
        write_csv(staging / "responses.csv", [answer_line(row) for row in rows])
        write_csv(staging / "marks.csv", mark_lines(rows))
        write_csv(staging / "statistics.csv", lines, fields=FIELDS)
        (staging / "report.html").write_text(page(study, lock, rows, lines, plots), encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in FILES:
            (staging / name).replace(folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {"study": study.protocol["id"], "answers": len(rows), "statistics": lines, "files": list(FILES)}


def check_folder(study: Study, folder: Path, *, overwrite: bool) -> None:
    """Raises InputError when the report may not go there."""
    if folder.resolve() == study.folder.resolve() or study.folder.resolve() in folder.resolve().parents:
        raise InputError("The report names the arms, so it may not lie in the study's folder; choose another one.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder.name}' is a file; choose a folder for the report.")
    present = [name for name in FILES if (folder / name).exists()]
    if present and not overwrite:
        raise InputError(f"'{folder.name}' holds '{present[0]}' already. Choose another folder or add --overwrite.")


def write_csv(path: Path, lines: Sequence[dict[str, Any]], *, fields: Sequence[str] | None = None) -> None:
    """One line for each entry; the columns are all names that occur, in the order of their first appearance."""
    names = list(fields or dict.fromkeys(name for entry in lines for name in entry))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _safe(value) for name, value in entry.items()} for entry in lines)


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is kept text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "@", "-") else value


def page(study: Study, lock: Record, rows: Sequence[Row], lines: Sequence[Line], plots: dict[str, bytes]) -> str:
    """The report as HTML that needs no other file."""
    body = [
        f"<h1>{escape(study.title)}</h1>",
        f'<p class="use"><strong>{escape(USE)}</strong></p>',
        f"<p>Study {escape(study.protocol['id'])}, locked {escape(lock['time'])}, {escape(_mode(study))}. "
        f"{len(study.protocol['cases'])} cases, {len(rows)} answers.</p>",
        _readers_table(study, lock),
        "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in CAUTIONS) + "</ul>",
    ]
    for name in [*study.questions, "reading time"]:
        own = [entry for entry in lines if entry["question"] == name]
        prompt = study.questions.get(name, {}).get("prompt", "")
        body.append(f"<h2>{escape(name)}</h2><p>{escape(prompt)}</p>")
        body += [
            _figure(text, png) for text, png in plots.items() if text.lower().startswith((f"{name}:", f"{name} by"))
        ]
        body.append(_table(own, [field for field in FIELDS if field != "question"]) if own else "<p>No answers.</p>")
    body.append(f"<p>Protocol {study.protocol_sha256}. Intervals: 95 %.</p>")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(study.title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _mode(study: Study) -> str:
    is_consensus = study.protocol.get("mode") == "consensus"
    return "each reader stands for a consensus of several people" if is_consensus else "independent readers"


def _readers_table(study: Study, lock: Record) -> str:
    entries = []
    for reader in study.readers:
        profile = next((r["profile"] for r in study.records(reader) if r["kind"] == "opened"), {})
        seal = lock["answers"][reader]
        facts = {"reader": reader, "role": profile.get("role"), "years of experience": profile.get("years")}
        entries.append({**facts, "missing answers": lock["missing"].get(reader, 0), "receipt": seal["head"][:16]})
    return _table(entries, list(entries[0]))


def _table(entries: Sequence[dict[str, Any]], fields: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(field)}</th>" for field in fields)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(entry.get(field)))}</td>" for field in fields) + "</tr>\n"
        for entry in entries
    )
    return f"<table><tr>{head}</tr>\n{body}</table>"


def shown(value: Any) -> str:
    """A cell: three digits, and what is left of a rounding error is zero."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{0.0 if abs(value) < 1e-12 else value:.3g}"
    return str(value)


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    text = escape(caption)
    image = f'<img src="data:image/png;base64,{data}" alt="{text}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
