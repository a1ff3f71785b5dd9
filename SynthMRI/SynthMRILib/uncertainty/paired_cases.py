"""Calibration cases of tasks whose input cannot be made from a good volume alone: packed pairs and simulated heads.

Motion correction is calibrated on pairs of one scan with motion and without, as its training packs them. Synthetic DIR
is calibrated on simulated heads, where the DIR of the very anatomy is known exactly; no acquired DIR takes part, so its
intervals speak of simulated examinations alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..volume import Grid, Volume
from .calibration_cases import Case, Contents, made_from_cache

if TYPE_CHECKING:
    from ..training.dir_packing import HeadCache

#: Contrasts that the simulated examinations hold, in turn: every head has each of these.
DIR_INPUTS = (("flair", "t1", "t2"), ("flair", "t1"), ("flair", "t2"), ("flair",))
#: White matter of the inputs [arbitrary units of a scanner].
DIR_INPUT_UNIT = 100.0
#: Distance of the stripped border from the pia and how much it wanders [mm].
STRIP_MM, STRIP_SPREAD_MM = 1.5, 0.7
DIR_SEED = 29


def packed_cases(path: Path, task: str, *, source: str = "all", trained_on: bool = False) -> list[Case]:
    """Cases of a task from a file that its packing command wrote.

    Of good volumes for super-resolution and denoising (see `calibration_cases.made_from_cache`), of pairs for motion
    correction, of simulated heads for synthetic DIR.

    Args:
        source: "all", "real" or "simulated".
        trained_on: see `calibration_cases.Case`.

    Raises InputError when there is no such file, or for a task that no such file is for.
    """
    if task not in PACKED:
        return made_from_cache(path, task, source=source, trained_on=trained_on)
    cases = PACKED[task](path, trained_on=trained_on)
    return [case for case in cases if source in ("all", case.group)]


def moved_pairs(path: Path, *, trained_on: bool = False) -> list[Case]:
    """A case for each pair of a packed cache of motion pairs: with motion is the input, without is the truth.

    Args:
        trained_on: see `calibration_cases.Case`.

    Raises InputError when there is no such file.
    """
    from ..training.cache import Cache

    cache = Cache(path)

    def read(index: int) -> Contents:
        spacing = tuple(cache.entries[index].extra["spacing_kji"])[::-1]
        moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
        grid = Grid.from_spacing(moved.shape, spacing)
        return {"input": Volume(moved, grid)}, Volume(still, grid), None

    return [
        Case(
            f"{entry.subject} {entry.contrast} {entry.extra['severity_mm']:.1f} mm {index // 2}",
            entry.contrast,
            lambda index=index: read(index),
            subject=entry.subject,
            group=entry.source,
            trained_on=trained_on,
        )
        for index, entry in enumerate(cache.entries)
        if index % 2 == 0
    ]


def simulated_examinations(path: Path, *, trained_on: bool = False) -> list[Case]:
    """Cases of synthetic DIR from packed heads: every simulated one with each set of `DIR_INPUTS`.

    Inputs are degraded as a scanner and a stripping tool would; the truth is the noise-free DIR in the units of the
    result. A head is degraded alike for all of its sets.

    Args:
        trained_on: see `calibration_cases.Case`.

    Raises InputError when there is no such file.
    """
    from ..training.dir_packing import HeadCache

    cache = HeadCache(path)
    return [
        Case(
            f"{entry.subject} {'+'.join(given)} {index}",
            "+".join(given),
            lambda index=index, given=given: examination(cache, index, given),
            {"registered": True, "method": "network"},
            subject=entry.subject,
            group=entry.source,
            trained_on=trained_on,
        )
        for index, entry in enumerate(cache.entries)
        if entry.source == "simulated"
        for given in DIR_INPUTS
    ]


def examination(cache: HeadCache, index: int, given: tuple[str, ...]) -> Contents:
    """Degraded, stripped inputs of a packed head by role, its true DIR [a.u.] and its lesions, alike for every set."""
    from ..dir_synthesis.network import CORTEX
    from ..training import dir_packing
    from ..training.dir_samples import REMNANTS_MM, SampleConfig, degraded, draw_input, toned

    rng = np.random.default_rng([DIR_SEED, index])
    volumes, maps = cache.head(index)
    lesion, fluid, depth = (maps[dir_packing.MAPS.index(name)] for name in ("lesion", "fluid", "depth"))
    depth = dir_packing.unpacked_depth(depth)
    brain = dir_packing.strip_mask(depth, rng, mean_mm=STRIP_MM, spread_mm=STRIP_SPREAD_MM)
    grid = Grid(brain.shape, np.eye(4))
    inputs = {}
    for n, role in enumerate(dir_packing.INPUTS):
        plan = replace(draw_input(rng, role, 0, SampleConfig()), bias=(0.0,) * 6)
        if role not in given:
            continue
        marks = cache.entries[index].extra["landmarks"][role]
        clean = toned(role, volumes[n].astype(np.float32), marks["fluid"], plan.tone)
        scanned = degraded(clean, brain, fluid.astype(np.float32) / 255, plan)
        inputs[role] = Volume(np.float32(DIR_INPUT_UNIT) * scanned * brain, grid)
    known = volumes[dir_packing.VOLUMES.index("dir")].astype(np.float32) * np.float32(CORTEX)
    truth = np.where(brain & (depth < REMNANTS_MM), known, 0)
    return inputs, Volume(truth, grid), Volume((lesion > 0) & brain, grid)


PACKED: dict[str, Callable[..., list[Case]]] = {
    "motion-correction": moved_pairs,
    "synthetic-dir": simulated_examinations,
}
