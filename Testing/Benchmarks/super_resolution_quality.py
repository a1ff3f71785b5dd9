"""Measure super-resolution on subjects and keep the record that README and model cards quote.

    python Testing/Benchmarks/super_resolution_quality.py FOLDER... --split train|validate|test [--bundle NAME]

A FOLDER is one subject and holds volumes named by their contrast (T1.nii.gz, T2.nii.gz, ...). For each subject this
writes `Documentation/figures/super_resolution_<subject>.json` and adds its lines to `Documentation/evaluations.csv`:
a test subject is opened once for each final bundle, and every opening stays on record. `--documentation` keeps a trial
elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SynthMRILib.cli import sentence
from SynthMRILib.commands.common import ConsoleProgress
from SynthMRILib.commands.evaluate import add_task_options, check_task_options, chosen_bundles, options_in_words
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import records
from SynthMRILib.evaluation.super_resolution import evaluate
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRASTS = ("T1", "T2", "FLAIR", "T1POST")
#: What differs from volume to volume in a record; the rest is written once.
OF_A_VOLUME = ("reference", "mask", "data_range", "rows")


def main(words: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(words)
    try:
        check_task_options(arguments)
        subjects = {
            folder.name: contrast_files(folder, arguments.contrast or CONTRASTS) for folder in arguments.folders
        }
        commit = records.current_commit(CHECKOUT)
        for subject, files in subjects.items():
            measure(subject, files, arguments, commit=commit)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"super_resolution_quality: {sentence(error)}\n")
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="one subject each")
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"], help="what the subject is for")
    parser.add_argument("--contrast", action="append", help=f"repeatable; default: {', '.join(CONTRASTS)}")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    add_task_options(parser)
    return parser


def contrast_files(folder: Path, contrasts: tuple[str, ...] | list[str]) -> dict[str, Path]:
    """The volumes of a subject by contrast. Raises InputError when it has none of them."""
    files = {contrast: folder / f"{contrast}.nii.gz" for contrast in contrasts}
    files = {contrast: path for contrast, path in files.items() if path.is_file()}
    if not files:
        raise InputError(f"'{folder.name}' holds none of {', '.join(f'{c}.nii.gz' for c in contrasts)}.")
    return files


def measure(subject: str, files: dict[str, Path], arguments: argparse.Namespace, *, commit: str) -> None:
    """Score every contrast of a subject and write its record; each opening is noted before the next begins."""
    bundles = chosen_bundles(arguments.bundle)
    figures: dict[str, Any] = {}
    for contrast, path in files.items():
        record = evaluate(
            read_volume(path),
            degradations=arguments.degrade,
            bundles=bundles,
            parameters={name: getattr(arguments, name) for name in ("device", "precision", "tile")},
            progress=ConsoleProgress(),
        )
        records.append_opening(
            arguments.documentation / records.TABLE.name, subject=f"{subject}/{contrast}", commit=commit, record=record
        )
        figures[contrast] = {name: record.pop(name) for name in OF_A_VOLUME}
    command = f"python Testing/Benchmarks/{Path(__file__).name} {subject} --split {arguments.split}"
    facts = {"subject": subject, "split": arguments.split, "commit": commit}
    facts["command"] = " ".join([command, *options_in_words(arguments, bundles)])
    target = arguments.documentation / "figures" / f"super_resolution_{subject}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, {**record, **facts, "contrasts": figures})
    sys.stdout.write(f"{target.name} written\n")


if __name__ == "__main__":
    sys.exit(main())
