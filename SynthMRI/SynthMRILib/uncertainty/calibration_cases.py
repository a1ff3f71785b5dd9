"""Where calibration cases come from: good volumes that are made worse, pairs of files, or a packed cache.

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
from ..intensity import reference_intensity
from ..volume import Grid, Volume
from ..volume_io import read_volume

#: Inputs by role, truth on the grid of the result, lesions on the grid of the truth or None.
Contents = tuple[dict[str, Volume], Volume, Volume | None]

#: Noise of the inputs that are made for denoising, share of the reference intensity.
NOISE_LEVELS = (0.03, 0.06, 0.09, 0.12)


@dataclass(frozen=True)
class Case:
    """One calibration case; its volumes are read when they are needed.

    Args:
        name: for figures.
        contrast: in words, "" when it is not known.
        read: gives inputs, truth and lesions.
        options: parameters of the task for this case.
        subject: whose volume it is; cases of one subject are left out together. Its own name when empty.
        group: kind of data ("real", "simulated"); groups count alike.
        trained_on: the network saw this subject in training: it helps to find the form of the deviation, but neither
            multipliers nor ranges come from it.
    """

    name: str
    contrast: str
    read: Callable[[], Contents]
    options: dict[str, Any] = field(default_factory=dict)
    subject: str = ""
    group: str = ""
    trained_on: bool = False


def made_from_files(files: list[Path], task: str) -> list[Case]:
    """Cases of a task from good volumes alone, which become the truth; see `MAKERS`. Each is a subject of its own."""
    return [
        Case(f"volume {n}", "", lambda path=path, n=n: maker(task)(read_volume(path), n))
        for n, path in enumerate(files, 1)
    ]


def made_from_cache(path: Path, task: str, *, source: str = "all", trained_on: bool = False) -> list[Case]:
    """Cases of a task from the volumes of a packed cache, which become the truth.

    Args:
        source: "all", "real" or "simulated". A cache that does not state a spacing is taken to have 1 mm, which real
            volumes seldom have: their files are the better choice where spacing matters.
        trained_on: see `Case`.
    """
    from ..training.cache import Cache

    make, cache = maker(task), Cache(path)

    def read(index: int) -> Contents:
        voxels = cache.volume(index).astype(np.float32)
        spacing = tuple(cache.entries[index].extra.get("spacing_kji", (1.0, 1.0, 1.0)))[::-1]
        return make(Volume(voxels, Grid.from_spacing(voxels.shape, spacing)), index)

    return [
        Case(
            f"{entry.subject} {entry.contrast} {index}",
            entry.contrast,
            lambda index=index: read(index),
            subject=entry.subject,
            group=entry.source,
            trained_on=trained_on,
        )
        for index, entry in enumerate(cache.entries)
        if source in ("all", entry.source)
    ]


def maker(task: str) -> Callable[[Volume, int], Contents]:
    """What makes an input of a good volume. Raises InputError for a task that needs pairs."""
    if task not in MAKERS:
        raise InputError(f"The input of {task} cannot be made from its result: name pairs of volumes with --cases.")
    return MAKERS[task]


def halved(truth: Volume, number: int = 0) -> Contents:  # noqa: ARG001
    """The volume as truth, its block means as input."""
    truth = crop_to_multiple(truth)
    return {"input": degrade(truth, "mean")}, truth, None


def noisy(truth: Volume, number: int) -> Contents:
    """The volume as truth; with Rician noise of 3, 6, 9 or 12 % of its reference intensity, in turn, as input."""
    level = NOISE_LEVELS[number % len(NOISE_LEVELS)]
    sigma = level * reference_intensity(truth.voxels)
    noise = sigma * np.random.default_rng([3, number]).standard_normal((2, *truth.shape), dtype=np.float32)
    with_noise = np.hypot(truth.voxels + noise[0], noise[1]).astype(np.float32)
    return {"input": truth.with_voxels(with_noise)}, truth, None


MAKERS: dict[str, Callable[[Volume, int], Contents]] = {"super-resolution": halved, "denoising": noisy}


def listed(path: Path) -> list[Case]:
    """Cases of any task from a JSON file.

    The file holds a list of objects with "reference" (file of the truth), "inputs" (file by role; left out for
    super-resolution of the halved truth) and, if wanted, "name", "contrast", "lesions" (file of a segmentation),
    "options" (parameters of the task), "subject", "group" and "trained_on" (see `Case`). File names are relative to the
    list. Raises InputError for another form.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [_listed_case(entry, path.parent, n) for n, entry in enumerate(entries, 1)]
    except FileNotFoundError:
        raise InputError(f"There is no list of cases '{path.name}'.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
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
    return Case(
        name,
        str(entry.get("contrast", "")),
        read,
        dict(entry.get("options", {})),
        subject=str(entry.get("subject", "")),
        group=str(entry.get("group", "")),
        trained_on=bool(entry.get("trained_on", False)),
    )
