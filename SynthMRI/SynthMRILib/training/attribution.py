"""Whose data a network learned from: one statement a source, carried from the packed cache into the model card."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..cohort import bids
from ..cohort.files import read_json

CROSS_SECTIONAL = (
    "Lesjak et al., Neuroinformatics 2017, doi 10.1007/s12021-017-9348-7, processed copies of open_ms_data, CC-BY."
)
LONGITUDINAL = "Lesjak et al., longitudinal multiple-sclerosis set of the same laboratory, CC-BY."
LABEL_MAPS = "Label maps: Billot et al., SynthSeg, Apache-2.0."
UNSTATED = "license and attribution not stated"
#: Statement by the way the subjects of the shared data are called; for caches that hold no statements yet.
BY_NAME = {"patient": CROSS_SECTIONAL, "longitudinal": LONGITUDINAL, "head": LABEL_MAPS}


def of_shared_data(subjects: Iterable[str]) -> list[str]:
    """Statements for subjects named as `packing.SPLIT` names them; others are the owner's own."""
    subjects = sorted(set(subjects))
    known = [s for start, s in BY_NAME.items() if any(name.startswith(start) for name in subjects)]
    others = [name for name in subjects if not name.startswith(tuple(BY_NAME))]
    return known + ([of_own_data(len(others))] if others else [])


def of_own_data(subjects: int, *, license_text: str = "", attribution: str = "") -> str:
    """Statement for data that are not part of the project's sets; they are counted, never named."""
    stated = "; ".join(text.rstrip(". ") for text in (attribution, license_text) if text) or UNSTATED
    return f"Own data of whoever trained this network, {subjects} subjects: {stated}."


def stated_by_data_set(source: Path) -> dict[str, str]:
    """License and attribution as the description of a BIDS data set states them; empty where it does not."""
    description = read_json(source / bids.DESCRIPTION) if source.is_dir() else {}
    doi, license_text = description.get("DatasetDOI"), description.get("License")
    return {
        "license_text": license_text if isinstance(license_text, str) else "",
        "attribution": f"data set {doi}" if isinstance(doi, str) else "",
    }
