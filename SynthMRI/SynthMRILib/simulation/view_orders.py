"""In which order a sequence fills k-space: which shot acquires which line, and when.

Motion artifacts depend on it more than on anything else: an MPRAGE shot holds one phase-encoding line and all
partitions; a reordered 3D turbo spin echo (SPACE, CUBE, VISTA: T2, FLAIR, DIR) holds one spoke of points across the
whole plane; a 2D turbo spin echo holds a comb of lines of one slice, and slices are interleaved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import fft

from ..volume import Grid
from .records import Record

SEQUENCES = ("mprage", "tse-3d", "tse-2d")


@dataclass(frozen=True)
class ViewOrderRecord(Record):
    """View order of one scan.

    Args:
        sequence: one of SEQUENCES.
        order: "linear" or "centric" (mprage, tse-2d); "sweep" (spokes turn steadily) or "interleaved" (tse-3d).
        phase, partition: RAS axes ("R", "A", "S") of phase encoding and of partitions (or slices).
        seconds: time from shot to shot (TR).
        train: points or lines acquired by one shot of a turbo spin echo.
        passes: groups of interleaved slices (tse-2d).
        acceleration: neighboring lines that come from one acquired line (parallel imaging).
    """

    kind: ClassVar[str] = "view-order"
    sequence: str
    order: str = "linear"
    phase: str = "A"
    partition: str = "R"
    seconds: float = 2.3
    train: int = 128
    passes: int = 2
    acceleration: int = 1


@dataclass(frozen=True, eq=False)
class ViewOrder:
    """A view order on a grid.

    Args:
        shots: int32 (phase, partition): number of the shot, phase and 3D partitions in unshifted FFT order.
        times: [s] of every shot, float64 (number of shots,).
        duration: of the scan [s].
        axes: array axes (readout, phase, partition).
        sliced: partitions are slices, not encoded.
    """

    shots: np.ndarray
    times: np.ndarray
    duration: float
    axes: tuple[int, int, int]
    sliced: bool


def draw(rng: np.random.Generator, *, sequence: str | None = None) -> ViewOrderRecord:
    """A view order as used clinically for this or any sequence."""
    sequence = str(rng.choice(SEQUENCES)) if sequence is None else sequence
    acceleration = int(rng.choice([1, 2]))
    if sequence == "mprage":
        order = str(rng.choice(["linear", "centric"], p=(0.7, 0.3)))
        phase, partition = (("A", "R"), ("R", "S"))[int(rng.random() < 0.25)]
        return ViewOrderRecord(sequence, order, phase, partition, float(rng.uniform(1.9, 2.5)), 1, 1, acceleration)
    if sequence == "tse-3d":
        order = str(rng.choice(["sweep", "interleaved"]))
        train = int(rng.integers(100, 250))
        return ViewOrderRecord(sequence, order, "A", "R", float(rng.uniform(3, 8)), train, 1, acceleration)
    if sequence == "tse-2d":
        phase = str(rng.choice(["R", "A"], p=(0.7, 0.3)))
        order = str(rng.choice(["linear", "centric"]))
        seconds, passes = float(rng.uniform(3, 9)), int(rng.choice([1, 2, 3]))
        return ViewOrderRecord(sequence, order, phase, "S", seconds, int(rng.integers(8, 24)), passes, acceleration)
    raise ValueError(f"unknown sequence {sequence!r}; known: {', '.join(SEQUENCES)}")


def apply(record: ViewOrderRecord, grid: Grid) -> ViewOrder:
    """The view order on a grid; RAS axes become the nearest array axes."""
    axes = array_axes(record, grid)
    lines, partitions = grid.shape[axes[1]], grid.shape[axes[2]]
    if record.sequence == "mprage":
        shots = np.repeat(_line_order(record, lines)[:, None], partitions, axis=1)
    elif record.sequence == "tse-3d":
        shots = _spokes(record, lines, partitions)
    else:
        return _slices(record, lines, partitions, axes)
    number = int(shots.max()) + 1
    times = np.arange(number) * record.seconds
    return ViewOrder(shots.astype(np.int32), times, number * record.seconds, axes, sliced=False)


def array_axes(record: ViewOrderRecord, grid: Grid) -> tuple[int, int, int]:
    """Array axes (readout, phase, partition) nearest to the wanted RAS axes, all different."""
    strength = np.abs(grid.directions[:, ::-1])
    phase = int(np.argmax(strength["RAS".index(record.phase)]))
    left = [axis for axis in range(3) if axis != phase]
    partition = max(left, key=lambda axis: strength["RAS".index(record.partition), axis])
    return 3 - phase - partition, phase, partition


def _line_order(record: ViewOrderRecord, lines: int) -> np.ndarray:
    """Shot of every line, unshifted; with acceleration, neighbors share one."""
    group = np.rint(fft.fftfreq(lines, 1 / lines)).astype(int) // record.acceleration
    rank = group - group.min() if record.order != "centric" else _centric_rank(group)
    return np.unique(rank, return_inverse=True)[1]


def _centric_rank(group: np.ndarray) -> np.ndarray:
    return np.where(group < 0, -2 * group - 1, 2 * group)


def _spokes(record: ViewOrderRecord, lines: int, partitions: int) -> np.ndarray:
    """Rings of equal numbers of points, one point of every ring to each shot, at about the same angle."""
    # Positions within an ellipse of equal radii, so that rings fill both axes evenly.
    a = np.rint(fft.fftfreq(lines, 1 / lines)) // record.acceleration * record.acceleration / lines
    b = fft.fftfreq(partitions)
    radius = np.hypot(a[:, None], b[None]).ravel()
    angle = np.arctan2(b[None] + 1e-9, a[:, None] + 1e-9).ravel()
    number = max(int(np.ceil(radius.size / record.train / record.acceleration)), 1)
    by_radius = np.argsort(radius, kind="stable")
    shots = np.empty(radius.size, dtype=np.int64)
    ring = number * record.acceleration
    for start in range(0, radius.size, ring):
        points = by_radius[start : start + ring]
        around = points[np.argsort(angle[points], kind="stable")]
        shots[around] = (np.arange(points.size) * number) // points.size
    if record.order == "interleaved":
        shots = np.argsort(_bit_reversed(number))[shots]
    return shots.reshape(lines, partitions)


def _bit_reversed(number: int) -> np.ndarray:
    """A permutation of range(number) in which neighbors in angle are far apart in time."""
    bits = max(int(np.ceil(np.log2(max(number, 2)))), 1)
    reversed_ = [int(f"{value:0{bits}b}"[::-1], 2) for value in range(2**bits)]
    return np.array([value for value in reversed_ if value < number])


def _slices(record: ViewOrderRecord, lines: int, slices: int, axes: tuple[int, int, int]) -> ViewOrder:
    """Trains of lines, interleaved over blocks of k-space; slices interleaved over the passes."""
    rank = _line_order(record, lines)
    trains = max(int(np.ceil((rank.max() + 1) / record.train)), 1)
    train = rank % trains
    passes = max(min(record.passes, slices), 1)
    of_pass = np.arange(slices) % passes
    place = np.arange(slices) // passes
    per_pass = np.bincount(of_pass, minlength=passes)
    shots = np.arange(slices)[None] * trains + train[:, None]
    start = (of_pass[:, None] * trains + np.arange(trains)) * record.seconds
    times = start + (place / per_pass[of_pass] * record.seconds)[:, None]
    return ViewOrder(shots.astype(np.int32), times.ravel(), passes * trains * record.seconds, axes, sliced=True)
