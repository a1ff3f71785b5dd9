"""Where calibration cases come from: high-resolution volumes, pairs of files, or a packed cache.

A case is what a task is given and what its result should be. Files are named by number, never by path.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.degrade import crop_to_multiple, degrade
from ..volume import Grid, Volume
from ..volume_io import read_volume

#: Inputs by role, truth on the grid of the result, lesions on the grid of the truth or None.
Contents = tuple[dict[str, Volume], Volume, Volume | None]


@dataclass(frozen=True)
class Case:
    """One calibration case; its volumes are read when they are needed.

    Args:
        name: for figures.
        contrast: in words, "" when it is not known.
        read: gives inputs, truth and lesions.
        options: parameters of the task for this case.
    """

    name: str
    contrast: str
    read: Callable[[], Contents]
    options: dict[str, Any] = field(default_factory=dict)


def degraded_files(files: list[Path]) -> list[Case]:
    """Super-resolution of the halved resolution of each volume."""
    return [Case(f"volume {n}", "", lambda path=path: halved(read_volume(path))) for n, path in enumerate(files, 1)]


def halved(truth: Volume) -> Contents:
    """The volume as truth, its block means as input."""
    truth = crop_to_multiple(truth)
    return {"input": degrade(truth, "mean")}, truth, None


def cached(path: Path, *, source: str = "all") -> list[Case]:
    """Super-resolution of the halved resolution of the volumes of a packed cache.

    Args:
        source: "all", "real" or "simulated". A cache that does not state a spacing is taken to have 1 mm, which real
            volumes seldom have: their files are the better choice.
    """
    from ..training.cache import Cache

    cache = Cache(path)

    def read(index: int) -> Contents:
        voxels = cache.volume(index).astype(np.float32)
        spacing = tuple(cache.entries[index].extra.get("spacing_kji", (1.0, 1.0, 1.0)))[::-1]
        return halved(Volume(voxels, Grid.from_spacing(voxels.shape, spacing)))

    return [
        Case(f"{entry.subject} {entry.contrast} {index}", entry.contrast, lambda index=index: read(index))
        for index, entry in enumerate(cache.entries)
        if source in ("all", entry.source)
    ]


def listed(path: Path) -> list[Case]:
    """Cases of any task from a JSON file.

    The file holds a list of objects with "reference" (file of the truth), "inputs" (file by role; left out for
    super-resolution of the halved truth) and, if wanted, "name", "contrast", "lesions" (file of a segmentation) and
    "options" (parameters of the task). File names are relative to the list. Raises InputError for another form.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [_listed_case(entry, path.parent, n) for n, entry in enumerate(entries, 1)]
    except FileNotFoundError:
        raise InputError(f"There is no list of cases '{path.name}'.") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"'{path.name}' is not a list of cases: JSON objects with 'reference' and 'inputs' by role are needed."
        ) from None


def _listed_case(entry: dict[str, Any], folder: Path, number: int) -> Case:
    inputs = {str(role): folder / name for role, name in entry.get("inputs", {}).items()}
    reference = folder / entry["reference"]
    lesions = folder / entry["lesions"] if entry.get("lesions") else None

    def read() -> Contents:
        if not inputs:
            return halved(read_volume(reference))
        volumes = {role: read_volume(file) for role, file in inputs.items()}
        return volumes, read_volume(reference), read_volume(lesions) if lesions else None

    name = str(entry.get("name", f"case {number}"))
    return Case(name, str(entry.get("contrast", "")), read, dict(entry.get("options", {})))
