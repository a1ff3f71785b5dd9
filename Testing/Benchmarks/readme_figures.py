"""Fill the README's table of figures from the records in `Documentation/figures`.

    python Testing/Benchmarks/readme_figures.py [--check | --commits]

Only test subjects are shown. `--check` changes nothing and fails, with a sentence for each reason, when the README
differs from the records or a record was made with other weights than those shipped. `--commits` lists the records made
from uncommitted code and those whose commit is not in the history of this checkout, where their code cannot be had.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from SynthMRILib.evaluation.metrics import METRICS
from SynthMRILib.evaluation.records import stale_figures, unsound_commits
from SynthMRILib.evaluation.report import figure, is_best, titled

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "Testing"))

from Benchmarks import readme_sections  # noqa: E402

BLOCK = re.compile(r"(<!-- figures: begin -->\n).*?(<!-- figures: end -->)", re.DOTALL)
SHOWN = ("psnr", "ssim", "hfen")
NOTHING = "No figures of test subjects have been recorded yet.\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something is out of date")
    parser.add_argument("--commits", action="store_true", help="change nothing; list commits that cannot be had")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="folder of the checkout")
    parsed = parser.parse_args(arguments)
    readme = parsed.checkout / "README.md"
    before = readme.read_text(encoding="utf-8")
    folder = parsed.checkout / "Documentation" / "figures"
    if parsed.commits:
        sys.stdout.write("".join(f"{line}\n" for line in unsound_commits(parsed.checkout)))
        return 0
    after = filled(before, [*map(section, records_of_test_subjects(folder)), *further_sections(folder)])
    if not parsed.check:
        readme.write_text(after, encoding="utf-8")
        return 0
    problems = stale_figures(parsed.checkout / "Documentation" / "figures", parsed.checkout / "Resources" / "Models")
    if before != after:
        problems.append("The README's figures differ from the records. Run Testing/Benchmarks/readme_figures.py.")
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


def filled(readme: str, sections: list[str]) -> str:
    """The README with its block made anew. Raises ValueError when it has no block."""
    if not BLOCK.search(readme):
        raise ValueError("README.md has no block of figures: '<!-- figures: begin -->' to '<!-- figures: end -->'.")
    body = "\n".join(sections) or NOTHING
    return BLOCK.sub(lambda match: match[1] + body + match[2], readme)


def records_of_test_subjects(folder: Path) -> list[dict[str, Any]]:
    """Records of super-resolution of subjects that were kept for testing, in the order of their file names."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [r for r in found if r.get("task") == "super-resolution" and r.get("split") == "test" and "contrasts" in r]


def section(record: dict[str, Any]) -> str:
    """One test subject: what was measured, a table, and how to measure it again."""
    bundles = ", ".join(f"{name} (SHA-256 {sha256[:12]})" for name, sha256 in record["bundles"].items())
    metrics = ", ".join(f"{titled(n)} {'↑' if METRICS[n].higher_is_better else '↓'}" for n in SHOWN)
    return (
        f"Test subject {record['subject']}, super-resolution x{record['factor']}: {metrics}; best in bold.\n\n"
        f"{table(record)}\n"
        f"Bundles: {bundles or 'none'}. {record['caveat']} "
        f"{readme_sections.measured(record)}"
    )


def table(record: dict[str, Any]) -> str:
    """A row for each contrast and kind of simulated input, a column for each method."""
    rows = [(contrast, row) for contrast, facts in record["contrasts"].items() for row in facts["rows"]]
    methods = list(dict.fromkeys(row["method"] for _, row in rows))
    cases = dict.fromkeys((contrast, row["degradation"]) for contrast, row in rows)
    lines = [["contrast", "simulated input", *methods], ["---"] * (2 + len(methods))]
    for contrast, kind in cases:
        peers = [row for c, row in rows if c == contrast and row["degradation"] == kind]
        by_method = {row["method"]: cell(row, peers) for row in peers}
        lines.append([contrast, kind, *(by_method.get(method, "") for method in methods)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def further_sections(folder: Path) -> list[str]:
    """The sections of records that are there, each with its own layout."""
    paths = {folder / f"{name}.json": made for name, made in readme_sections.SECTIONS.items()}
    return [made(json.loads(path.read_text(encoding="utf-8"))) for path, made in paths.items() if path.is_file()]


def cell(row: dict[str, Any], peers: list[dict[str, Any]]) -> str:
    """The figures of one method, the best of its peers in bold."""
    texts = {name: figure(row[name], name) for name in SHOWN}
    return " / ".join(f"**{text}**" if is_best(row, peers, name) else text for name, text in texts.items())


if __name__ == "__main__":
    sys.exit(main())
