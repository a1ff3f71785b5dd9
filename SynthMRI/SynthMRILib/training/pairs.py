"""Find pairs of input and target in a user's folder, BIDS-like data set or list, and read those that fit together.

In a folder the words `input` and `target` in the file names tell which is which (`sub-01_desc-input_T1w.nii.gz` and
`sub-01_desc-target_T1w.nii.gz`); what is left of the names pairs them. A task with several inputs takes all inputs of a
folder by their contrast, for the one target in it. In a list the columns are subject, contrast, target, and path or the
roles of the task. Super-resolution also takes sharp volumes alone and simulates the input.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..cohort.discovery import layout_of, read_rows
from ..cohort.files import stem_of, volume_suffix, walk
from ..errors import InputError
from ..evaluation.degrade import crop_to_multiple, degrade
from ..tasks.base import InputRole
from ..volume import Grid, Volume
from .data import Found, LeftOut, TrainingFile, contrast_of, find_files, readable, subject_of

WORD = re.compile(r"(?:^|(?<=[-_.]))(?:desc-)?(input|target)(?=[-_.]|$)", re.IGNORECASE)
#: Contrast of the volume that fills a role, for tasks with several inputs.
ROLE_CONTRASTS = {"flair": "flair", "t1": "t1w", "t2": "t2w", "pd": "pd"}
#: How far corners of grids that match may lie apart, in voxels.
TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Pair:
    """Volumes of one pair: inputs by role, and the target on the grid of the result."""

    inputs: dict[str, Volume]
    target: Volume


def find_pairs(source: Path, roles: Sequence[InputRole], *, output: Path, alone: bool) -> Found:
    """Pairs as `TrainingFile`s whose `path` is the target and whose `others` are the inputs by role.

    Args:
        source: folder, BIDS-like data set or list.
        roles: inputs of the task.
        output: nothing in this folder is taken for an input.
        alone: where no file is called a target, take every volume for a target without input.

    Raises:
        InputError: there is no pair.
    """
    if not source.exists():
        raise InputError(f"There is no file or folder '{source.name}'; check its name.")
    if layout_of(source) == "csv":
        found = listed_pairs(source, roles, alone=alone)
    else:
        found = pairs_in_folder(source, roles, output=output)
        if alone and not found.files:
            with suppress(InputError):  # there is nothing at all: said below
                found = find_files(source, output=output)
    if not found.files:
        raise InputError(
            f"'{source.name}' holds no pairs; name the files of a pair alike but for the words input and target, "
            "e.g. sub-01_desc-input_T1w.nii.gz and sub-01_desc-target_T1w.nii.gz."
        )
    return found


def pairs_in_folder(source: Path, roles: Sequence[InputRole], *, output: Path) -> Found:
    """Pairs told by file names."""
    groups: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for folder, names in walk(source, output):
        for name in (n for n in names if volume_suffix(n)):
            word = WORD.search(stem_of(name))
            if word:
                key = "" if len(roles) > 1 else re.sub(r"[-_.]+", "_", WORD.sub("", stem_of(name))).strip("_")
                group = groups.setdefault((folder.relative_to(source).as_posix(), key), {"input": [], "target": []})
                group[word[1].lower()].append(folder / name)
    found = Found("folder", [], [])
    for group in groups.values():
        add_group(found, source, group, roles)
    return found


def add_group(found: Found, source: Path, group: dict[str, list[Path]], roles: Sequence[InputRole]) -> None:
    """Add the pair of a group of files, or what is missing of it."""
    first = (group["target"] or group["input"])[0]
    place = first.relative_to(source).as_posix()
    subject = subject_of(WORD.sub("", place).replace("__", "_"))
    contrast = contrast_of(WORD.sub("", first.name)) or "unknown"
    inputs = inputs_by_role(group["input"], roles)
    if len(group["target"]) == 1 and inputs:
        found.files.append(TrainingFile(subject, contrast, first, place, inputs))
        return
    kind = "several targets" if len(group["target"]) > 1 else "no target" if inputs else "no input"
    found.left_out.append(LeftOut(subject, place, kind, f"Its pair has {kind}; name one input and one target alike."))


def inputs_by_role(files: Sequence[Path], roles: Sequence[InputRole]) -> dict[str, Path]:
    """Files of a pair by the role they fill; empty when a required one is missing or two fill the same."""
    if len(roles) == 1:
        return {roles[0].name: files[0]} if len(files) == 1 else {}
    contrasts = {contrast_of(WORD.sub("", file.name)): file for file in files}
    filled = {role.name: contrasts.get(ROLE_CONTRASTS.get(role.name, role.name)) for role in roles}
    missing = [role for role in roles if role.required and not filled[role.name]]
    return {} if missing else {name: file for name, file in filled.items() if file}


def listed_pairs(source: Path, roles: Sequence[InputRole], *, alone: bool) -> Found:
    """Pairs of a list."""
    rows = read_rows(source)
    columns = set(rows[0]) if rows else set()
    if alone and "target" not in columns:
        return find_files(source, output=source.parent)
    missing = [name for name in ("subject", "contrast", "target") if name not in columns]
    if missing:
        raise InputError(f"The list '{source.name}' lacks the column {missing[0]}; its first line names the columns.")
    found = Found("csv", [], [])
    for number, row in enumerate(rows, start=2):
        place = f"line {number}"
        named = {role.name: row.get(role.name) or (row.get("path") if len(roles) == 1 else "") for role in roles}
        inputs = {role: (source.parent / name).resolve() for role, name in named.items() if name}
        complete = all(role.name in inputs for role in roles if role.required) and inputs
        if not (row["subject"] and row["contrast"] and row["target"] and complete):
            text = "The line lacks subject, contrast, target or an input."
            found.left_out.append(LeftOut(row["subject"], place, "incomplete line", text))
            continue
        contrast = contrast_of(row["contrast"]) or row["contrast"].lower()
        target = (source.parent / row["target"]).resolve()
        found.files.append(TrainingFile(row["subject"], contrast, target, place, inputs))
    return found


def read_pair(file: TrainingFile) -> Pair | LeftOut:
    """The volumes of a pair; for a target without input, its own blocks of 2 x 2 x 2 voxels."""
    volumes = {}
    for name, path in {"target": file.path, **file.others}.items():
        volume = readable(path)
        if isinstance(volume, tuple):
            kind, reason = volume
            return LeftOut(file.subject, file.place, kind, f"Its {name}: {reason}")
        volumes[name] = volume
    target = volumes.pop("target")
    if volumes:
        return Pair(volumes, target)
    target = crop_to_multiple(target)
    return Pair({"input": degrade(target, "mean")}, target)


def on_result_grid(pair: Pair, grid: Grid, scale: int) -> Pair | None:
    """The pair with its target cut to the grid of the result (`scale` times as fine as `grid`), or None elsewhere."""
    wanted = grid.upsampled(scale) if scale > 1 else grid
    target = pair.target
    if any(have < want for have, want in zip(target.shape, wanted.shape)):
        return None
    part = target.voxels[tuple(slice(n) for n in wanted.shape)]
    cut = target.with_voxels(part, Grid(wanted.shape, target.grid.ijk_to_ras))
    if not cut.grid.matches(wanted, tolerance=TOLERANCE * min(wanted.spacing)):
        return None
    return replace(pair, target=cut)
