"""From slices in any order to one grid, or a sentence that says which slice does not fit.

Geometry: DICOM PS3.3 C.7.6.2.1.1, equation 1; the slice step comes from the positions. DICOM is LPS, grids are RAS.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .dicom_headers import ACQUISITION_TAGS, Frame
from .errors import InputError
from .volume import Grid

#: Directions given with few decimals differ by less than this between slices of one stack.
ORIENTATION_TOLERANCE = 1e-3
#: How far a slice may lie from its place [mm]: positions are often rounded to 0.01 mm.
POSITION_TOLERANCE = 0.02
#: Largest drift of the slices against each other, as a share of the slice distance: 0.06 degrees.
TILT_TOLERANCE = 1e-3


def arrange(frames: Sequence[Frame], title: str) -> tuple[list[Frame], Grid]:
    """The frames in order and their grid.

    Args:
        frames: all frames of one acquisition, in any order, all with a place in space.
        title: how messages name them, e.g. "Series 4".

    Raises:
        InputError: the frames are no rectangular stack of evenly spaced slices; the sentence names the place.
    """
    _check_alike(frames, title)
    if len(frames) < 2:
        raise InputError(f"{title} has a single slice; a volume is needed.")
    normal = _normal(frames[0])
    frames = sorted(frames, key=lambda frame: float(frame.position @ normal))
    positions = np.array([frame.position for frame in frames])
    _check_gaps((positions - positions[0]) @ normal, title)
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    _check_tilt(positions, step, normal, title)
    return frames, _grid(frames, step)


def acquisitions(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split frames that share positions into acquisitions (echoes, time points, ...) by the first tag that does."""
    frames = list({(f.instance, f.index, _place(f)): f for f in frames}.values())
    if len({_place(frame) for frame in frames}) == len(frames):
        return [frames]
    for tag in ACQUISITION_TAGS:
        groups: dict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[frame.acquisition[tag]].append(frame)
        stacks = [{_place(frame) for frame in group} for group in groups.values()]
        if len(groups) > 1 and all(len(s) == len(g) for s, g in zip(stacks, groups.values())) and _overlap(stacks):
            return list(groups.values())
    return [frames]


def _overlap(stacks: list[set]) -> bool:
    """Acquisitions repeat each other's positions. Time stamps that differ for every slice do not count."""
    return min(map(len, stacks)) > 1 and max(map(len, stacks)) <= 2 * min(map(len, stacks))


def _place(frame: Frame) -> tuple[float, ...]:
    return tuple(np.round(frame.position, 3))


def _normal(frame: Frame) -> np.ndarray:
    normal = np.cross(*frame.orientation)
    return normal / np.linalg.norm(normal)


def _check_alike(frames: Sequence[Frame], title: str) -> None:
    first = frames[0]
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) > 1:
        shown = " and ".join(f"{columns} x {rows}" for columns, rows in sizes[:2])
        raise InputError(f"{title} mixes slices of {shown} pixels; keep the slices of one volume.")
    if min(first.spacing) <= 0:
        shown = " x ".join(f"{s:g}" for s in first.spacing)
        raise InputError(f"{title} has a pixel spacing of {shown} mm, which must be positive; export it again.")
    if any(not np.allclose(frame.spacing, first.spacing, rtol=1e-4) for frame in frames):
        raise InputError(f"{title} mixes slices of different pixel spacing; keep the slices of one volume.")
    lengths = np.linalg.norm([frame.orientation for frame in frames], axis=2)
    if np.abs(lengths - 1).max() > ORIENTATION_TOLERANCE:
        raise InputError(f"{title} holds directions that are not of unit length; export it again.")
    turned = [np.abs(frame.orientation - first.orientation).max() > ORIENTATION_TOLERANCE for frame in frames]
    if any(turned):
        raise InputError(f"{title} mixes slices of different orientation; keep the slices of one volume.")
    if np.linalg.norm(np.cross(*first.orientation)) < 0.5:
        raise InputError(f"{title} holds rows parallel to its columns; export it again.")


def _check_gaps(heights: np.ndarray, title: str) -> None:
    """Refuse slices that are not evenly spaced. `heights` ascend from 0 [mm]."""
    gaps = np.diff(heights)
    doubled = np.flatnonzero(gaps < POSITION_TOLERANCE)
    if doubled.size:
        where = _where(heights, doubled[0])
        raise InputError(f"{title} has two slices at one place ({where}); remove one of them.")
    usual = float(np.median(gaps))
    wrong = np.flatnonzero(np.abs(gaps - usual) > POSITION_TOLERANCE)
    if not wrong.size:
        return
    index, gap = wrong[0], gaps[wrong[0]]
    missing = round(gap / usual) - 1
    between = f"between slice {index} ({heights[index]:.2f} mm) and slice {index + 1} ({heights[index + 1]:.2f} mm)"
    if missing > 0 and abs(gap - (missing + 1) * usual) <= (missing + 2) * POSITION_TOLERANCE:
        count = "A slice is" if missing == 1 else f"{missing} slices are"
        raise InputError(f"{count} missing in {title.lower()} {between}; export all slices again.")
    raise InputError(f"{title} has a gap of {gap:.2f} instead of {usual:.2f} mm {between}; resample it evenly first.")


def _where(heights: np.ndarray, index: int) -> str:
    return f"slice {index}, {heights[index]:.2f} mm from the first"


def _check_tilt(positions: np.ndarray, step: np.ndarray, normal: np.ndarray, title: str) -> None:
    distance = float(step @ normal)
    drift = float(np.linalg.norm(step - distance * normal))
    if drift > TILT_TOLERANCE * distance:
        angle = np.degrees(np.arctan2(drift, distance))
        message = f"{title} is sheared by {angle:.1f} degrees (gantry tilt); resample it to a rectangular grid first."
        raise InputError(message)
    expected = positions[0] + np.arange(len(positions))[:, None] * step
    index = int(np.linalg.norm(positions - expected, axis=1).argmax())
    if np.linalg.norm(positions[index] - expected[index]) > 2 * POSITION_TOLERANCE:
        raise InputError(f"{title} has slice {index} shifted sideways; resample it to a rectangular grid first.")


def _grid(frames: list[Frame], step: np.ndarray) -> Grid:
    first = frames[0]
    row, column = first.orientation / np.linalg.norm(first.orientation, axis=1, keepdims=True)
    lps = np.eye(4)
    lps[:3] = np.column_stack([row * first.spacing[0], column * first.spacing[1], step, first.position])
    columns, rows = first.size
    return Grid((len(frames), rows, columns), np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
