"""Find the volumes of a user in a folder, a BIDS data set or a list, and read those that a network can learn from.

Subjects are called what the folder calls them; nothing else that could name a person leaves this file, except the
relative paths in `LeftOut.place`, which are for the terminal and never written (see `data_report.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..cohort import bids
from ..cohort.cases import Skipped
from ..cohort.discovery import discover, layout_of, read_rows
from ..cohort.files import stem_of
from ..errors import InputError
from ..input_checks import check_volume
from ..provenance import volume_sha256
from ..tasks.base import InputRole
from ..volume import Volume
from ..volume_io import read_volume

ROLE = InputRole("path", "Volume", True, "brain MR")
#: BIDS suffixes that hold intensities, and DIR, for which BIDS has no suffix yet.
BIDS_SUFFIXES = (*bids.SUFFIXES, "DIR")
#: Words of file names, lower case, that tell the contrast.
WORDS = {
    "t1w": ("t1", "t1w", "mprage", "spgr", "bravo", "tfe"),
    "t1w-contrast-enhanced": ("t1post", "t1postcontrast", "t1ce", "t1c", "t1gd", "t1km", "t1wce"),
    "t2w": ("t2", "t2w"),
    "flair": ("flair", "t2flair"),
    "pd": ("pd", "pdw"),
    "dir": ("dir",),
}
#: Words beside a word for T1w that make it contrast-enhanced.
ENHANCED = ("ce", "gd", "gad", "post", "postcontrast", "gadolinium")
#: Findings that rule a volume out for training, with the kind under which they are reported.
KINDS = {
    "volume-modality": "not MR",
    "volume-ct": "not MR",
    "volume-frames": "more than three dimensions",
    "volume-components": "more than three dimensions",
    "volume-two-dimensional": "a single slice",
    "volume-label": "label volume",
    "volume-label-like": "label volume",
    "volume-synthetic": "synthetic",
    "volume-axis-short": "too small",
    "volume-axis-long": "too large",
}


@dataclass(frozen=True)
class TrainingFile:
    """A volume to learn from.

    Args:
        subject: label of the subject, as the folder or list has it.
        contrast: "t1w", "flair", ...; in a list any word.
        path: file or DICOM folder.
        place: where it was found relative to the source, or the line of a list; for the terminal only.
        others: further files of the same row of a list, by column ("target", "mask", roles of a task).
    """

    subject: str
    contrast: str
    path: Path
    place: str
    others: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """Something that is not learned from.

    Args:
        subject: label of its subject, "" when it belongs to none.
        place: as for `TrainingFile`.
        kind: a word or two that group what was left out for the same reason.
        reason: one sentence; names no file and no person.
    """

    subject: str
    place: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a source holds: `layout` is "folder", "bids" or "csv"."""

    layout: str
    files: list[TrainingFile]
    left_out: list[LeftOut]


def find_files(source: Path, *, output: Path, columns: Sequence[str] = ("target", "mask")) -> Found:
    """Every volume of a source whose subject and contrast are known; nothing is opened yet.

    Args:
        source: a folder, a BIDS data set, or a .csv or .tsv list with the columns subject, contrast and path.
        output: nothing in this folder is taken for an input.
        columns: columns of a list that may name further files.

    Raises:
        InputError: there is nothing, or the list lacks a column.
    """
    if not source.exists():
        raise InputError(f"There is no file or folder '{source.name}'; check its name.")
    layout = layout_of(source)
    if layout == "csv":
        return Found(layout, *_listed(source, columns))
    found = discover(source, (ROLE,), output=output, layout=layout, suffixes=BIDS_SUFFIXES if layout == "bids" else ())
    files, left_out = [], [_left_out(source, item) for item in found.skipped]
    for case in found.cases:
        path = case.inputs["path"]
        place = path.relative_to(source.resolve()).as_posix()
        contrast = contrast_of(case.name.rpartition("/")[2])
        if contrast:
            files.append(TrainingFile(subject_of(place), contrast, path, place))
        else:
            left_out.append(
                LeftOut(subject_of(place), place, "contrast unknown", "Its name tells no contrast; list it in a CSV.")
            )
    return Found(layout, files, left_out)


def subject_of(place: str) -> str:
    """Label of a subject: the first folder, or of a file beside others the start of its name.

    That is the shortest run of parts between `_` that holds a digit ("sub-01", "patient_07"), without the contrast;
    "subject" for a file that is named by its contrast alone.
    """
    first, nested, _ = place.partition("/")
    if nested:
        return first
    parts = [part for part in map(_without_contrast, stem_of(first).split("_")) if part] or ["subject"]
    end = next((n for n, part in enumerate(parts, start=1) if re.search(r"\d", part)), 1)
    return "_".join(parts[:end])


def _without_contrast(part: str) -> str:
    words = re.split(r"(?<=[^-.])(?=[-.])", part)
    return "".join(word for word in words if not contrast_of(word.strip("-."))).strip("-.")


def contrast_of(name: str) -> str:
    """The contrast that a file name tells, or "" when it tells none or several."""
    words = [word for word in re.split(r"[^a-z0-9]+", stem_of(name).lower()) if word]
    told = {contrast for contrast, known in WORDS.items() if set(known) & set(words)}
    if "flair" in told:
        told.discard("t2w")
    if told == {"t1w"} and set(ENHANCED) & set(words):
        told = {"t1w-contrast-enhanced"}
    told -= {"t1w"} if "t1w-contrast-enhanced" in told else set()
    return told.pop() if len(told) == 1 else ""


def _left_out(source: Path, item: Skipped) -> LeftOut:
    belongs = (source / item.name.partition("/")[0]).is_dir() or "volume file" not in item.reason
    return LeftOut(subject_of(item.name) if belongs else "", item.name, item.reason, f"It is {item.reason}.")


def _listed(source: Path, columns: Sequence[str]) -> tuple[list[TrainingFile], list[LeftOut]]:
    rows = read_rows(source)
    missing = [name for name in ("subject", "contrast", "path") if name not in (rows[0] if rows else ())]
    if missing:
        raise InputError(f"The list '{source.name}' lacks the column {missing[0]}; its first line names the columns.")
    files, left_out = [], []
    for number, row in enumerate(rows, start=2):
        place, subject = f"line {number}", row["subject"]
        contrast = contrast_of(row["contrast"]) or re.sub(r"[^a-z0-9]+", "-", row["contrast"].lower()).strip("-")
        if not (subject and contrast and row["path"]):
            left_out.append(LeftOut(subject, place, "incomplete line", "The line lacks subject, contrast or path."))
            continue
        others = {name: (source.parent / row[name]).resolve() for name in columns if row.get(name)}
        files.append(TrainingFile(subject, contrast, (source.parent / row["path"]).resolve(), place, others))
    return files, left_out


class Reader:
    """Reads volumes one after another and tells those apart that a network should not learn from.

    The same voxels twice would count twice, or be on both sides of a split: the first reading wins.

    Args:
        seen: subjects by the hash of volumes that were read before (see `provenance.volume_sha256`).
    """

    def __init__(self, seen: dict[str, str] | None = None) -> None:
        self._seen = dict(seen or {})

    def read(self, file: TrainingFile) -> Volume | LeftOut:
        """The volume, or why it is left out."""
        volume = readable(file.path)
        if isinstance(volume, tuple):
            return LeftOut(file.subject, file.place, *volume)
        key = volume_sha256(volume)
        if key in self._seen:
            text = f"It has the same voxels as another volume of subject {self._seen[key]}."
            return LeftOut(file.subject, file.place, "duplicate", text)
        self._seen[key] = file.subject
        return volume


def readable(path: Path) -> Volume | tuple[str, str]:
    """A volume fit for training, or the kind and the reason why it is not."""
    try:
        volume = read_volume(path)
    except InputError as error:
        text = str(error).replace(f"'{path.name}'", "The file")
        if path.is_dir():  # what follows is the text of DICOM tags
            text = text.partition(":")[0].rstrip(".") + "."
        return KINDS.get(error.code, "unreadable"), text
    for finding in check_volume(volume):
        if finding.severity == "error" or finding.code in KINDS:
            return KINDS.get(finding.code, "unusable"), finding.message
    return volume
