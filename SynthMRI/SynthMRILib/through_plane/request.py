"""What a request for thick slices asks for: the grid of its result, and what can be said of it before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..inference.memory import readable, total_memory
from ..slice_profile import PROFILES
from ..volume import Grid
from .resampling import SAME, grid_of_spacing, thick_axis

if TYPE_CHECKING:
    from ..tasks.through_plane import ThroughPlaneParameters

METHODS = ("network", "total-variation", "bspline")
#: Slices that are less than this many voxels of the result apart hold next to nothing to restore.
LEAST_RATIO = 1.5
#: Slice distances, in voxels of the result, that the network was trained for.
TRAINED_RATIO = 6.0
#: Smallest automatic spacing, smallest and largest one that can be asked for [mm].
FINEST, LEAST, MOST = 0.5, 0.1, 10.0
#: Volumes of float32 on the grid of the result that total variation holds at its peak; a test measures it.
VOLUMES_IN_MEMORY = 9


def target_grid(grid: Grid, parameters: ThroughPlaneParameters) -> Grid:
    """The grid that was asked for. Raises InputError when it cannot be."""
    automatic = max(min(grid.spacing), FINEST)
    return grid_of_spacing(grid, tuple(float(s or automatic) for s in parameters.spacing or (0, 0, 0)))


def memory_needed(target: Grid) -> float:
    """What total variation needs at its peak for a result on this grid [bytes]."""
    return 4 * VOLUMES_IN_MEMORY * float(np.prod(target.shape, dtype=float))


def check_parameters(parameters: ThroughPlaneParameters) -> list[Finding]:
    if parameters.method not in METHODS:
        text = f"Unknown method '{parameters.method}'. Choose one of: {', '.join(METHODS)}."
        return [Finding("error", "method", text)]
    if parameters.profile not in PROFILES:
        text = f"Unknown slice profile '{parameters.profile}'. Choose one of: {', '.join(PROFILES)}."
        return [Finding("error", "profile", text)]
    if parameters.spacing and (len(parameters.spacing) != 3 or not all(map(is_possible, parameters.spacing))):
        shown = " x ".join(f"{s:g}" if isinstance(s, int | float) else str(s) for s in parameters.spacing)
        text = f"The spacing must be three lengths between {LEAST:g} and {MOST:g} mm, or 0 for automatic, not {shown}."
        return [Finding("error", "spacing", text)]
    if parameters.gap < 0:
        return [Finding("error", "gap", f"The gap between slices must not be negative, as {parameters.gap:g} mm is.")]
    if parameters.tile < 0:
        return [Finding("error", "tile", "The tile size must be positive, or 0 to choose it automatically.")]
    return []


def is_possible(spacing: float) -> bool:
    """Whether a spacing [mm], 0 for automatic, can be asked for."""
    return isinstance(spacing, int | float) and (spacing == 0 or LEAST <= spacing <= MOST)


def check_slices(grid: Grid, parameters: ThroughPlaneParameters) -> list[Finding]:
    """Whether the grid asked for can be had, and is one to sharpen for."""
    try:
        target = target_grid(grid, parameters)
    except InputError as error:
        return [Finding("error", "spacing", str(error))]
    return (
        check_memory(target, parameters)
        or check_gap(grid, target, parameters)
        or [*check_ratio(grid, target, parameters), *check_coarser(grid, target)]
    )


def check_memory(target: Grid, parameters: ThroughPlaneParameters) -> list[Finding]:
    if parameters.method != "total-variation" or memory_needed(target) <= total_memory():
        return []
    text = (
        f"The result would have {' x '.join(map(str, target.size))} voxels and need about "
        f"{readable(memory_needed(target))} of memory; this computer has {readable(total_memory())}. "
        "Choose a larger spacing."
    )
    return [Finding("error", "slices-memory", text)]


def check_gap(grid: Grid, target: Grid, parameters: ThroughPlaneParameters) -> list[Finding]:
    distance = grid.spacing[2 - thick_axis(grid, target)]
    if parameters.gap < distance:
        return []
    text = f"The gap ({parameters.gap:g} mm) must be smaller than the distance of slices ({distance:.3g} mm)."
    return [Finding("error", "slices-gap", text)]


def check_ratio(grid: Grid, target: Grid, parameters: ThroughPlaneParameters) -> list[Finding]:
    """How much finer the thick axis gets."""
    axis = 2 - thick_axis(grid, target)
    before, after = grid.spacing[axis], target.spacing[axis]
    if before / after < (1 + SAME if parameters.method == "bspline" else LEAST_RATIO):
        text = (
            f"At the spacing asked for no axis gets much finer ({before:.3g} mm become {after:.3g} mm): there is "
            "hardly anything to restore. Super-resolution is what makes voxels finer that are nearly cubes already."
        )
        return [Finding("info", "slices-thin", text)]
    if parameters.method == "network" and before / after > TRAINED_RATIO:
        text = (
            f"The slices are {before / after:.1f} voxels of the result apart; the network was trained for up to "
            f"{TRAINED_RATIO:g}. Ask for a larger spacing."
        )
        return [Finding("warning", "slices-thick", text)]
    return []


def check_coarser(grid: Grid, target: Grid) -> list[Finding]:
    """Tell where voxels get larger than they were."""
    pairs = dict.fromkeys(
        (round(b, 3), round(a, 3)) for b, a in zip(grid.spacing, target.spacing) if a > b * (1 + SAME)
    )
    if not pairs:
        return []
    shown = ", ".join(f"{before:.3g} mm become {after:.3g} mm" for before, after in pairs)
    return [Finding("info", "slices-coarser", f"Voxels get coarser ({shown}): finer detail that was acquired is lost.")]
