"""The Brain Imaging Data Structure (BIDS 1.10): anatomical volumes of a data set, and derivatives laid out beside it.

Only what a cohort needs: names are read and made here, nothing is validated beyond them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .. import INTENDED_USE, __version__
from ..errors import InputError
from ..tasks.base import InputRole
from .cases import Case, Skipped
from .files import read_json, reason_if_synthetic, sidecar_of, stem_of, volume_suffix, walk, write_json, write_text

DESCRIPTION = "dataset_description.json"
VERSION = "1.10.0"
#: Anatomical contrasts that are intensities in arbitrary units, as SynthMRI expects them.
SUFFIXES = ("T1w", "T2w", "FLAIR", "PDw")
#: What tasks make that combine several contrasts; not all of these are suffixes of BIDS.
DERIVED_SUFFIX = {"synthetic-dir": "DIR"}
IGNORED_BY_VALIDATORS = ("manifest/", "summary.csv", "summary.json", "**/*_DIR.*")
ENTITY = re.compile(r"[a-z]+-[A-Za-z0-9+]+")


def data_set_cases(
    source: Path, role: InputRole, *, output: Path, suffixes: Sequence[str] = ()
) -> tuple[list[Case], list[Skipped]]:
    """One case for each anatomical volume of a data set (not of the derivatives inside it)."""
    cases, skipped = [], []
    for subject in sorted(path for path in source.glob("sub-*") if path.is_dir()):
        for folder, names in walk(subject, output):
            for name in (n for n in names if volume_suffix(n)):
                reason = reason_to_skip(folder / name, suffixes or SUFFIXES)
                if reason:
                    skipped.append(Skipped((folder / name).relative_to(source).as_posix(), reason))
                else:
                    cases.append(make_case(source, folder / name, role))
    return cases, skipped


def reason_to_skip(file: Path, suffixes: Sequence[str]) -> str:
    """Why a volume of a data set is left out, or ""."""
    if file.parent.name != "anat":
        return f"not anatomical ({file.parent.name})"
    *entities, suffix = stem_of(file.name).split("_")
    if not entities or not all(ENTITY.fullmatch(entity) for entity in entities):
        return "not named as BIDS asks"
    if suffix not in suffixes:
        return f"contrast {suffix}, not {' or '.join(suffixes)}"
    part = next((e.partition("-")[2] for e in entities if e.startswith("part-")), "mag")
    if part != "mag":
        return f"{part}, not magnitude"
    return reason_if_synthetic(file)


def make_case(source: Path, file: Path, role: InputRole) -> Case:
    """The case of one volume; its outputs keep all its entities but `desc`."""
    stem = stem_of(file.name)
    *entities, suffix = stem.split("_")
    start = "_".join(entity for entity in entities if not entity.startswith("desc-"))
    folder = file.parent.relative_to(source).as_posix()
    return Case(stem, {role.name: file.resolve()}, folder, start, f"_{suffix}", sidecar_facts(file))


def sidecar_facts(file: Path) -> dict[str, Any]:
    """What of the JSON file beside a volume is still true of what is made from it."""
    content = read_json(sidecar_of(file))
    stripped = content.get("SkullStripped")
    return {"SkullStripped": stripped} if isinstance(stripped, bool) else {}


def description_of(title: str, source: Path) -> dict[str, Any]:
    """Contents of the `dataset_description.json` of derivatives made from `source`, which is named by its DOI only."""
    description: dict[str, Any] = {
        "Name": f"SynthMRI: {title}",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "SynthMRI", "Version": __version__, "Description": INTENDED_USE}],
    }
    doi = read_json(source / DESCRIPTION).get("DatasetDOI")
    if isinstance(doi, str):
        description["SourceDatasets"] = [{"DOI": doi}]
    return description


def write_description(output: Path, title: str, source: Path) -> None:
    """Make `output` a derivatives data set. Raises InputError when it is a data set that another program made."""
    file = output / DESCRIPTION
    if file.exists() and not is_ours(read_json(file)):
        raise InputError(f"'{output.name}' is a data set of its own; choose another output folder.")
    write_json(file, description_of(title, source))
    write_text(output / ".bidsignore", "".join(f"{line}\n" for line in IGNORED_BY_VALIDATORS))


def is_ours(description: dict[str, Any]) -> bool:
    makers: Iterable[Any] = description.get("GeneratedBy") or ()
    return any(isinstance(maker, dict) and maker.get("Name") == "SynthMRI" for maker in makers)
