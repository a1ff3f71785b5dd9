"""What a cohort is made of: cases with the files they need, and what was left out and why."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..tasks.base import InputRole

#: Outputs are written in this format.
OUTPUT_SUFFIX = ".nii.gz"


@dataclass(frozen=True)
class Case:
    """One run of the task.

    Args:
        name: the user's own name of the case; unique in a cohort, also where upper and lower case are the same.
        inputs: absolute path of the file or DICOM folder by role.
        folder: where its outputs go, a POSIX path below the output folder; "" for that folder itself.
        start, end: the output "output" is called `<start>_desc-<label><end>.nii.gz`.
        facts: what goes into the JSON file beside the outputs, besides provenance.
        key: hash of the settings and of the state of the input files; "" until the batch is planned.
    """

    name: str
    inputs: dict[str, Path]
    folder: str
    start: str
    end: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    key: str = ""

    def output(self, label: str) -> str:
        """POSIX path of an output below the output folder; `label` is alphanumeric."""
        name = f"{self.start}_desc-{label}{self.end}{OUTPUT_SUFFIX}"
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class Skipped:
    """Something that was found and left out.

    Args:
        name: where it was found, relative to the input.
        reason: why, in a few words that also suit a list of many.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Discovery:
    """What an input holds.

    Args:
        layout: "folder", "bids" or "csv".
        cases: in a fixed order.
        skipped: in a fixed order.
    """

    layout: str
    cases: list[Case]
    skipped: list[Skipped]


def only_role(roles: Iterable[InputRole]) -> InputRole:
    """The role a single file fills. Raises InputError for a task that combines several volumes."""
    roles = tuple(roles)
    if len(roles) != 1:
        names = ", ".join(role.name for role in roles)
        raise InputError(f"This task combines several volumes: list them in a CSV file with the columns case, {names}.")
    return roles[0]


def without_repeats(cases: Iterable[Case]) -> tuple[list[Case], list[Skipped]]:
    """Cases of which each name and each place of output occurs once, and the rest."""
    kept, skipped = [], []
    seen: set[str] = set()
    for case in cases:
        keys = {f"name {case.name.casefold()}", f"output {case.output('').casefold()}"}
        if keys & seen:
            skipped.append(Skipped(case.name, "another case has this name"))
        else:
            kept.append(case)
            seen |= keys
    return kept, skipped


def input_signature(inputs: dict[str, Path]) -> str:
    """SHA-256 that changes when a file of the case changes: of sizes and times of change, not of names or contents."""
    digest = hashlib.sha256()
    for role, path in sorted(inputs.items()):
        digest.update(role.encode())
        for file in _files_of(path):
            digest.update(_status_of(file))
    return digest.hexdigest()


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(Path(root) / name for root, _, names in os.walk(path) for name in names)


def _status_of(file: Path) -> bytes:
    try:
        status = file.stat()
    except OSError:
        return b"missing"
    return f"{status.st_size} {status.st_mtime_ns};".encode()
