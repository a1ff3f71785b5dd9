"""Find the cases in a folder of volumes, a BIDS data set or a list in a CSV file, and say what was left out and why."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..dicom_io import is_dicom
from ..errors import InputError
from ..tasks.base import InputRole
from . import bids, sessions
from .cases import Case, Discovery, Skipped, only_role, without_repeats
from .files import reason_if_synthetic, stem_of, volume_suffix, walk

LAYOUTS = ("folder", "bids", "csv")
LISTS = (".csv", ".tsv")
#: How file names end that hold regions, not intensities.
REGION_NAME = re.compile(r"(?:^|[-_.])(?:mask|brainmask|dseg|probseg|seg|segmentation|labels?|aseg|lesions?)$", re.I)
#: How many files of a folder are looked into to tell whether it holds DICOM images.
FILES_TRIED = 3


def discover(
    source: Path,
    roles: Sequence[InputRole],
    *,
    output: Path,
    layout: str = "auto",
    suffixes: Sequence[str] = (),
    output_suffix: str = "anat",
) -> Discovery:
    """Everything in `source` that the task can be run on.

    Args:
        source: a folder of volumes, a BIDS data set, or a .csv or .tsv file.
        roles: inputs of the task.
        output: the batch's output folder; nothing in it is taken for an input.
        layout: "folder", "bids", "csv", or "auto" to tell by what is there.
        suffixes: BIDS suffixes to take ("T1w", ...); all anatomical MR contrasts when empty. Of tasks with one input.
        output_suffix: BIDS suffix of the outputs of a task that combines the volumes of a session.

    Raises:
        InputError: there is nothing, or it cannot be read as that layout.
    """
    if not source.exists():
        raise InputError(f"There is no file or folder '{source.name}'; check its name.")
    layout = layout_of(source) if layout == "auto" else layout
    if (layout == "csv") == source.is_dir():
        raise InputError(f"'{source.name}' cannot be read with --layout {layout}; choose another layout or input.")
    if layout == "csv":
        cases, skipped = list_cases(source, roles)
    elif layout == "bids" and len(roles) > 1:
        if suffixes:
            raise InputError("This task needs several contrasts, so no suffix can be chosen; leave out --suffix.")
        cases, skipped = sessions.session_cases(source, roles, output=output, output_suffix=output_suffix)
    elif layout == "bids":
        cases, skipped = bids.data_set_cases(source, only_role(roles), output=output, suffixes=suffixes)
    else:
        cases, skipped = folder_cases(source, only_role(roles), output=output)
    kept, repeated = without_repeats(cases)
    if not kept:
        raise InputError(f"'{source.name}' holds no case: {reasons_of(skipped) or 'it is empty'}.")
    return Discovery(layout, kept, skipped + repeated)


def layout_of(source: Path) -> str:
    """The layout a source has. Raises InputError for a single file that is no list."""
    if source.is_dir():
        return "bids" if (source / bids.DESCRIPTION).is_file() else "folder"
    if source.suffix.lower() in LISTS:
        return "csv"
    raise InputError(f"'{source.name}' is neither a folder nor a .csv or .tsv list; name one of these.")


def reasons_of(skipped: list[Skipped]) -> str:
    """One line: how many were left out for which reason."""
    counts = Counter(item.reason for item in skipped)
    return "; ".join(f"{count} x {reason}" for reason, count in counts.most_common())


def folder_cases(source: Path, role: InputRole, *, output: Path) -> tuple[list[Case], list[Skipped]]:
    """One case for each volume file and each folder of DICOM images in `source` and below it."""
    cases, skipped = [], []
    for folder, names in walk(source, output):
        relative = folder.relative_to(source)
        volumes = [name for name in names if volume_suffix(name)]
        others = [name for name in names if not volume_suffix(name)]
        images = [folder / name for name in others[:FILES_TRIED] if is_dicom(folder / name)]
        reason = next(filter(None, map(reason_if_synthetic, images)), "")
        if reason:
            skipped.append(Skipped(relative.as_posix(), reason))
        elif images:
            cases.append(_dicom_case(source, folder, role))
        else:
            skipped += [Skipped((relative / name).as_posix(), "no volume file") for name in others]
        stems = Counter(stem_of(name).casefold() for name in volumes)
        for name in volumes:
            reason = reason_to_skip(folder / name)
            if reason:
                skipped.append(Skipped((relative / name).as_posix(), reason))
            else:
                cases.append(_file_case(source, folder / name, role, alone=stems[stem_of(name).casefold()] == 1))
    return cases, skipped


def reason_to_skip(file: Path) -> str:
    """Why a volume file is left out, or "" when it is taken."""
    if REGION_NAME.search(stem_of(file.name)):
        return "named like a mask or label map"
    return reason_if_synthetic(file)


def _file_case(source: Path, file: Path, role: InputRole, *, alone: bool) -> Case:
    folder = file.parent.relative_to(source).as_posix()
    folder = "" if folder == "." else folder
    start = stem_of(file.name) if alone else file.name.replace(".", "-")
    name = f"{folder}/{start}" if folder else start
    return Case(name, {role.name: file.resolve()}, folder, start)


def _dicom_case(source: Path, folder: Path, role: InputRole) -> Case:
    relative = folder.relative_to(source)
    start = relative.name or "dicom"
    parent = "" if relative.parent == Path() else relative.parent.as_posix()
    return Case(f"{parent}/{start}" if parent else start, {role.name: folder.resolve()}, parent, start)


def list_cases(source: Path, roles: Sequence[InputRole]) -> tuple[list[Case], list[Skipped]]:
    """One case for each row; columns are the task's roles and, if wanted, `case`. Paths may be relative to the list."""
    rows = read_rows(source)
    columns = set(rows[0]) if rows else set()
    missing = [role.name for role in roles if role.required and role.name not in columns]
    if missing or not columns & {role.name for role in roles}:
        wanted = ", ".join(missing or [role.name for role in roles])
        raise InputError(f"The list '{source.name}' lacks the column {wanted}; its first line names the columns.")
    cases, skipped = [], []
    for number, row in enumerate(rows, start=2):
        inputs = {role.name: (source.parent / row[role.name]).resolve() for role in roles if row.get(role.name)}
        if not inputs or any(role.required and role.name not in inputs for role in roles):
            skipped.append(Skipped(f"line {number}", "line without the needed files"))
            continue
        name = row.get("case") or stem_of(next(iter(inputs.values())).name)
        cases.append(Case(name, inputs, "", safe_name(name)))
    return cases, skipped


def read_rows(source: Path) -> list[dict[str, str]]:
    """The lines of a list by column, stripped of blanks. Raises InputError when it is no UTF-8 text."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"The list '{source.name}' is not UTF-8 text; save it as CSV UTF-8.") from None
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    return [{(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str | None)} for row in rows]


def safe_name(name: str) -> str:
    """A name that every file system takes and that leads nowhere else; different names stay different."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name).strip(".")[:80]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
