"""What was measured, when, on which data, with which commit and bundle: so that every figure can be traced.

`Documentation/figures/*.json` hold figures; `Documentation/evaluations.csv` has a line for each opening of a subject.
A figure names the bundles it was made with and their SHA-256; it is stale as soon as a bundle's weights change.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from .metrics import METRICS

COLUMNS = ("date", "commit", "task", "subject", "bundle", "bundle_sha256", "figures")
TABLE = Path("Documentation") / "evaluations.csv"
#: Added to the name of a bundle whose results hold the acquired frequencies; scored where k-space was truncated.
KEPT = ", acquired kept"


def find_checkout(start: Path) -> Path:
    """The nearest folder at or above `start` that holds this project. Raises InputError when there is none."""
    for folder in (start, *start.parents):
        if (folder / "Documentation").is_dir() and (folder / "SynthMRI" / "SynthMRILib").is_dir():
            return folder
    raise InputError("A record is kept in a checkout of SynthMRI: run the command inside one, or leave out --record.")


def current_commit(checkout: Path) -> str:
    """Hash of the commit, with "+changes" when tracked files beside Documentation differ; "unknown" without git."""
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        changes = _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", ":!Documentation")
        return commit + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def append_opening(table: Path, *, subject: str, commit: str, record: dict[str, Any]) -> None:
    """Add to the table, for every bundle that was scored on a subject, one line (one also when there was none).

    Args:
        table: CSV file, made with its head when it is missing.
        subject: name of the subject as in the data's own documentation, never a patient's.
        record: what `super_resolution.evaluate` gave; or, instead of its "rows", as "record" the name of the file with
            the figures.
    """
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for name, sha256 in (record["bundles"] or {"": ""}).items():
            writer.writerow(
                {
                    "date": datetime.now(UTC).isoformat(timespec="seconds"),
                    "commit": commit,
                    "task": record["task"],
                    "subject": subject,
                    "bundle": name,
                    "bundle_sha256": sha256,
                    "figures": json.dumps(figures_of(record, name), sort_keys=True),
                }
            )


def figures_of(record: dict[str, Any], method: str) -> dict[str, Any]:
    """Metrics by degradation for one method, as far as it was scored with them; or the file that holds its figures."""
    if "rows" not in record:
        return {"record": record["record"]}
    return {
        row["degradation"] + added: {name: rounded(row[name]) for name in METRICS if name in row}
        for added in ("", KEPT)
        for row in record["rows"]
        if row["method"] == method + added
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON with one key a line, so that versions can be compared."""
    path.write_text(json.dumps(record, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def stale_figures(figures: Path, models: Path) -> list[str]:
    """One sentence for every figure file and bundle whose hashes differ, or whose bundle is not shipped.

    Args:
        figures: folder of the figures' JSON files.
        models: folder of the shipped bundles.
    """
    shipped = shipped_hashes(models)
    found = []
    for path in sorted(figures.glob("*.json")):
        for name, sha256 in sorted(set(hashes_in(json.loads(path.read_text(encoding="utf-8"))))):
            if name not in shipped:
                found.append(f"{path.name} has figures of bundle '{name}', which is not shipped.")
            elif shipped[name] != sha256:
                found.append(f"{path.name} has figures of other weights of bundle '{name}' than those shipped.")
    return found


def unsound_commits(checkout: Path) -> list[str]:
    """One sentence for every figure file with a commit that is not in the history, or with uncommitted changes."""
    found = []
    for path in sorted((checkout / "Documentation" / "figures").glob("*.json")):
        for commit in dict.fromkeys(commits_in(json.loads(path.read_text(encoding="utf-8")))):
            name, plus, _ = commit.partition("+")
            reasons = [*(["has uncommitted changes"] if plus else [])]
            if not is_in_history(checkout, name):
                reasons.append("is not in the history")
            if reasons:
                found.append(f"{path.name}: commit {name[:12]} {' and '.join(reasons)}.")
    return found


def commits_in(part: Any) -> Iterator[str]:
    """Every commit that a record names, at any depth."""
    values = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict) and isinstance(part.get("commit"), str):
        yield part["commit"]
    for value in values:
        yield from commits_in(value)


def is_in_history(checkout: Path, commit: str) -> bool:
    """Whether the commit is the one that is checked out or an ancestor of it; False without git."""
    try:
        _git(checkout, "merge-base", "--is-ancestor", commit, "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def shipped_hashes(models: Path) -> dict[str, str]:
    """SHA-256 of the weights by bundle, as their metadata state them."""
    files = sorted(models.glob("*/configs/metadata.json"))
    return {p.parents[1].name: json.loads(p.read_text(encoding="utf-8"))["synthmri"]["sha256"] for p in files}


def hashes_in(part: Any) -> Iterator[tuple[str, str]]:
    """Every bundle and its hash that a record names, at any depth.

    Forms: "bundles": {name: sha256}; "bundle": {"name": ..., "sha256": ...}; "bundle": name beside "bundle_sha256".
    """
    if isinstance(part, list):
        for item in part:
            yield from hashes_in(item)
    if not isinstance(part, dict):
        return
    bundles, bundle = part.get("bundles"), part.get("bundle")
    if isinstance(bundles, dict):
        yield from ((name, sha256) for name, sha256 in bundles.items() if isinstance(sha256, str))
    if isinstance(bundle, dict) and "sha256" in bundle:
        yield bundle["name"], bundle["sha256"]
    if isinstance(bundle, str) and isinstance(part.get("bundle_sha256"), str):
        yield bundle, part["bundle_sha256"]
    for item in part.values():
        yield from hashes_in(item)
