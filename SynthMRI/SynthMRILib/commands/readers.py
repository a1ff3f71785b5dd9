"""`synthmri readers STUDY`: make, check, audit, lock and analyze a reader study; `synthmri sample-size`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any

from ..errors import InputError
from .common import ConsoleProgress, print_json, warn


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("readers", help="make, audit, lock and analyze a blinded reader study")
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of the study")
    step = parser.add_mutually_exclusive_group()
    step.add_argument("--create", type=Path, metavar="PLAN", help="make the study from a plan (JSON)")
    step.add_argument(
        "--audit", action="store_true", help="look for what tells the arms apart; readers must not see it"
    )
    step.add_argument("--status", action="store_true", help="verify all files and show how far each reader is")
    step.add_argument("--lock", action="store_true", help="end the reading for good, so that it can be analyzed")
    parser.add_argument("--incomplete", action="store_true", help="with --lock: although answers are missing")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the key; by default STUDY.key.json beside STUDY")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="of the report; by default STUDY-report")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing report")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_readers)
    add_sample_size(subparsers)


def add_sample_size(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("sample-size", help="cases that a real-or-synthetic study needs for each reader")
    aim = parser.add_mutually_exclusive_group(required=True)
    aim.add_argument("--accuracy", type=float, help="share of right answers that is to be told from chance")
    aim.add_argument("--margin", type=float, help="show that accuracy is within chance +- MARGIN (equivalence)")
    aim.add_argument("--cases", type=int, help="right answers that differ from chance among so many cases")
    parser.add_argument("--chance", type=float, default=0.5, help="share of right answers when guessing")
    parser.add_argument("--alpha", type=float, default=0.05, help="error of the first kind, two-sided")
    parser.add_argument("--power", type=float, default=0.8, help="probability to find what is there")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run_sample_size)


def run_readers(arguments: argparse.Namespace) -> int:
    if arguments.incomplete and not arguments.lock:
        raise InputError("--incomplete goes with --lock only.")
    if arguments.create:
        return create(arguments)
    from ..readers.study import Study

    study = Study(arguments.study)
    if arguments.audit:
        return audit(arguments, study)
    if arguments.status:
        return status(arguments, study)
    if arguments.lock:
        lock = study.lock(incomplete=arguments.incomplete)
        return finish(arguments, lock, "The study is locked; analyze it with: synthmri readers STUDY")
    return report(arguments, study)


def create(arguments: argparse.Namespace) -> int:
    from ..readers.creation import create_study

    study = create_study(arguments.create, arguments.study, key_path=arguments.key, progress=ConsoleProgress())
    sessions = {reader: [len(steps) for steps in study.sessions(reader)] for reader in study.readers}
    facts = {"study": study.protocol["id"], "cases": len(study.protocol["cases"]), "sessions": sessions}
    key = arguments.key or study.default_key_path
    text = f"{facts['cases']} cases for {len(sessions)} readers. Keep '{key.name}' away from the readers."
    return finish(arguments, facts, text)


def audit(arguments: argparse.Namespace, study: Any) -> int:
    from ..readers.blinding import audit_study

    comparisons, findings = audit_study(study, study.read_key(arguments.key))
    facts = {
        "comparisons": [{**asdict(c), "area": _defined(c.area), "p": _defined(c.p)} for c in comparisons],
        "findings": [finding.as_dict() for finding in findings],
    }
    if arguments.json:
        warn(findings)
    areas = ["not tested" if isnan(c.area) else f"area {c.area:.2f}" for c in comparisons]
    rows = [f"{' and '.join(c.arms)}: {area}" for c, area in zip(comparisons, areas)]
    rows += [f"{finding.severity}: {finding.message}" for finding in findings] or ["no findings"]
    return finish(arguments, facts, "\n".join(rows))


def status(arguments: argparse.Namespace, study: Any) -> int:
    study.check_cases()
    if study.is_locked:
        study.check_lock()
    missing = {reader: study.missing(reader) for reader in study.readers}
    rows = [f"{reader}: {count} answers missing" for reader, count in missing.items()]
    text = "\n".join([*rows, "locked" if study.is_locked else "not locked", "no file was altered"])
    return finish(arguments, {"missing": missing, "locked": study.is_locked}, text)


def report(arguments: argparse.Namespace, study: Any) -> int:
    from ..readers.report import shown, write_report

    folder = arguments.output or study.folder.resolve().with_name(f"{study.folder.resolve().name}-report")
    result = write_report(study, folder, key_path=arguments.key, overwrite=arguments.overwrite)
    fields = ("question", "statistic", "reader", "of", "value", "low", "high", "p")
    rows = [
        "  ".join(shown(line[field]) for field in fields) for line in result["statistics"] if line["reader"] == "all"
    ]
    return finish(arguments, result, "\n".join([*rows, f"{folder}: {', '.join(result['files'])}"]))


def run_sample_size(arguments: argparse.Namespace) -> int:
    from ..evaluation.detection import critical_count, equivalence_sample_size, sample_size

    options = {"chance": arguments.chance, "alpha": arguments.alpha}
    if arguments.cases is not None:
        if not 0 < arguments.cases <= 1_000_000 or not all(0 < value < 1 for value in options.values()):
            raise InputError("--cases must be 1 to 1000000; --chance and --alpha must lie between 0 and 1.")
        count = critical_count(arguments.cases, **options)
        text = f"{count} or more of {arguments.cases} right answers differ from chance."
        if count > arguments.cases:
            text = f"No number of right answers among {arguments.cases} differs from chance; take more cases."
        return finish(arguments, {"cases": arguments.cases, "critical": count}, text)
    if arguments.accuracy is not None:
        size = sample_size(arguments.accuracy, power=arguments.power, **options)
        text = f"{size.cases} cases for each reader; {size.critical} or more right answers differ from chance."
    else:
        size = equivalence_sample_size(arguments.margin, power=arguments.power, **options)
        text = f"{size.cases} cases for each reader; at most {size.critical} right answers stay within the margin."
    return finish(arguments, asdict(size), f"{text} Power {size.power:.3f}.")


def finish(arguments: argparse.Namespace, facts: dict[str, Any], text: str) -> int:
    if arguments.json:
        print_json(facts)
    else:
        sys.stdout.write(text + "\n")
    return 0


def _defined(value: float) -> float | None:
    return None if value != value else value
