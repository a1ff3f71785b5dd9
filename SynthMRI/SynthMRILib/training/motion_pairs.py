"""Pairs of volumes with and without motion, packed once: motion of a whole volume takes seconds, a patch none.

Each pair is a volume of an ordinary packed cache, with a bias field, scanned twice by `simulation.motion`: moving and
still, with the same phase and noise. Wanted displacements are spread evenly on a logarithmic scale, because traces as
they are drawn are mostly slight. The severity that is learned is the effective one, which the volumes themselves show
(`simulation.motion.effective_displacement`): it is measured after everything that is done to a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from scipy import ndimage

from ..intensity import reference_intensity
from ..simulation import bias, motion
from ..simulation.bias import BiasRecord
from ..simulation.motion import MotionRecord, MotionResult
from ..simulation.records import Record, sample_generator
from ..simulation.traces import EventRecord, TraceRecord
from ..volume import Grid, Volume
from ..volume_io import read_volume
from .cache import FOREGROUND, Cache, Entry, write_cache
from .packing import real_paths

SEVERITY_MM = (0.3, 4.0)
"""Range of the wanted displacement, weighted by edge energy."""
SEQUENCES = {"t1w": (0.7, 0.25, 0.05), "t1w-contrast-enhanced": (0.7, 0.25, 0.05), "random": (0.4, 0.5, 0.1)}
"""Share of (mprage, tse-3d, tse-2d) by contrast."""
OTHER_SEQUENCES = (0.15, 0.75, 0.1)
THICK = 2.0
HEIGHT_MM = 150.0
"""Height of the part of a head that is kept, from the vertex down: neck and jaw only cost time."""
SLAB = 88
"""Voxels along the readout that are kept of a volume for training: half the time, so twice the motion traces."""
TRIM = 8
"""Voxels at either end of such a part that are dropped after the scan: a turning head lacks what lies beyond them."""
FAMILIES = {"ordinary": 0.55, "steps": 0.25, "wander": 0.1, "nods": 0.1}
"""Share of each kind of trace: everything people do at once, only shifts that persist, only wander, only nods."""
TURNING = 0.6
"""Share of pairs whose head also turns; where it does not, a scan takes a fifth of the time."""
JUMPS_MM = (0.7, 5.0)
"""Range of the wanted displacement of `draw_jumps`, weighted by edge energy."""
MOST_JUMPS, JUMP_STARTS = 3, (0.08, 0.92)
"""How many sudden moves it makes at most, and in which part of the scan."""
NOISE = (0.002, 0.05)
"""Range of the noise that is the same with motion and without, fraction of the 99.5th percentile."""
TURNS = (0, 1, 0, 1, 0, 1, 0, 2)
"""Groups of volumes in the order in which they take turns: simulated, real, real of thick slices."""
WHOLE_EVERY = 4
"""Of every fourth pair for validation the whole volume is scanned."""
SAVE_EVERY = 32


@dataclass(frozen=True)
class MotionPairRecord(Record):
    """What was drawn for one pair.

    Args:
        severity_mm: displacement that is aimed at, weighted by edge energy; the effective one is measured.
        margin: voxels of air added around the volume (k, j, i).
        masked: a stripped volume is stripped again after the scan, as in practice.
        slab: where the part along the readout lies that is kept, 0 (low) to 1, or None for the whole volume.
        trim: whether the ends of that part are dropped after the scan.
    """

    kind: ClassVar[str] = "motion-pair"
    motion: MotionRecord
    bias: BiasRecord
    severity_mm: float
    margin: tuple[int, int, int]
    masked: bool
    slab: float | None = None
    trim: bool = False


def draw(rng: np.random.Generator, *, contrast: str, thick: bool) -> MotionPairRecord:
    """A pair of a contrast; volumes of thick slices are scanned slice by slice."""
    shares = (0.0, 0.0, 1.0) if thick else SEQUENCES.get(contrast, OTHER_SEQUENCES)
    sequence = str(rng.choice(motion.view_orders.SEQUENCES, p=shares))
    scan = motion.draw(rng, sequence=sequence, severity=1.0)
    noise = float(np.exp(rng.uniform(*np.log(NOISE))))
    return MotionPairRecord(
        motion=replace(scan, trace=draw_trace(rng, scan.trace), noise=noise),
        bias=bias.draw_bias(rng) if rng.random() < 0.6 else BiasRecord(),
        severity_mm=float(np.exp(rng.uniform(*np.log(SEVERITY_MM)))),
        margin=tuple(int(m) for m in rng.integers(4, 17, 3)),
        masked=bool(rng.random() < 0.7),
        slab=float(rng.uniform(0.1, 0.9)),
        trim=True,
    )


def draw_jumps(rng: np.random.Generator, *, contrast: str, thick: bool = False) -> MotionPairRecord:
    """A head that lies still but for one to three sudden moves, scanned line by line: the estimate of severity learns
    from such pairs as well, because what a few large moves leave is unlike what many small ones do.
    """
    record = draw(rng, contrast=contrast, thick=thick)
    scan = motion.draw(rng, sequence="mprage", severity=1.0)
    starts = np.sort(rng.uniform(*JUMP_STARTS, rng.integers(1, 1 + MOST_JUMPS)))
    events = tuple(EventRecord("step", float(start), amplitude(rng)) for start in starts)
    trace = TraceRecord(drift=0.02, events=events, walk_seed=scan.trace.walk_seed, turning=True)
    severity = float(np.exp(rng.uniform(*np.log(JUMPS_MM))))
    return replace(record, motion=replace(scan, trace=trace, noise=record.motion.noise), severity_mm=severity)


def draw_trace(rng: np.random.Generator, ordinary: TraceRecord) -> TraceRecord:
    """A trace of one of the `FAMILIES`; of the ordinary one, that which is given."""
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    events = ()
    if family == "steps":
        starts = np.sort(rng.uniform(0.03, 0.97, rng.integers(1, 7)))
        events = tuple(EventRecord("step", float(start), amplitude(rng)) for start in starts)
    elif family == "nods":
        pose = np.array(amplitude(rng))
        sizes = rng.uniform(0.4, 1.3, rng.integers(3, 12))
        events = tuple(
            EventRecord("nod", float(rng.random()), tuple((size * pose).tolist()), float(rng.uniform(3, 20)))
            for size in sizes
        )
    alone = TraceRecord(drift=0.02, events=events, walk_seed=ordinary.walk_seed)
    wander = replace(alone, smooth=1.0, smooth_seconds=float(rng.uniform(30, 240)))
    trace = {"ordinary": ordinary, "wander": wander}.get(family, alone)
    return replace(trace, turning=bool(rng.random() < TURNING))


def amplitude(rng: np.random.Generator) -> tuple[float, ...]:
    """A pose (R, A, S [mm], pitch, roll, yaw [deg]) in any direction: heads do not always follow what is usual."""
    return tuple(rng.standard_normal(6).tolist())


def apply(record: MotionPairRecord, volume: Volume, *, stripped: bool) -> MotionResult:
    """The volume scanned with this motion and without, with air around it."""
    volume = slab_of(volume, record)
    spacing = volume.spacing
    voxels = bias.apply_bias(record.bias, np.maximum(volume.voxels, 0), spacing=spacing)
    around = [(m, m) for m in record.margin]
    if max(spacing) > THICK * min(spacing):
        around[int(np.argmax(spacing[::-1]))] = (0, 0)
    voxels = np.pad(voxels, around)
    padded = Volume(voxels, Grid(voxels.shape, volume.grid.ijk_to_ras))
    aimed = motion.scaled_to(record.motion, padded, severity_mm=record.severity_mm)
    result = motion.apply(aimed, padded)
    kept = [result.moved.voxels, result.still.voxels]
    if stripped and record.masked:
        inside = ndimage.binary_dilation(voxels > FOREGROUND * reference_intensity(voxels), iterations=2)
        kept = [np.where(inside, v, 0) for v in kept]
    part = trimmed_part(record, volume)
    moved, still = (np.ascontiguousarray(v[part]) for v in kept)
    grid = Grid(moved.shape, volume.grid.ijk_to_ras)
    effective = motion.effective_displacement(moved, still, grid.spacing)
    return replace(result, moved=Volume(moved, grid), still=Volume(still, grid), effective_mm=effective)


def trimmed_part(record: MotionPairRecord, volume: Volume) -> tuple[slice, ...]:
    """What is kept of a scan of a part of a volume: all but the margin and `TRIM` voxels at its ends."""
    order, part = record.motion.order, [slice(None)] * 3
    readout = motion.view_orders.array_axes(order, volume.grid)[0]
    if record.trim and record.slab is not None and order.sequence != "tse-2d" and volume.shape[readout] == SLAB:
        end = record.margin[readout] + TRIM
        part[readout] = slice(end, -end)
    return tuple(part)


def slab_of(volume: Volume, record: MotionPairRecord) -> Volume:
    """The part of the volume that is scanned; the origin of the grid is not kept."""
    order = record.motion.order
    if record.slab is None or order.sequence == "tse-2d":
        return volume
    readout = motion.view_orders.array_axes(order, volume.grid)[0]
    start = round(record.slab * max(volume.shape[readout] - SLAB, 0))
    voxels = volume.voxels[tuple(slice(start, start + SLAB) if a == readout else slice(None) for a in range(3))]
    return volume.with_voxels(voxels, Grid(voxels.shape, volume.grid.ijk_to_ras))


def sources(cache: Cache, data: Path, part: str) -> Iterator[tuple[Entry, Volume]]:
    """Volumes of a packed cache on grids of the spacing and orientation of their files."""
    real = (path for _, path in real_paths(data, part))
    grids: dict[str, Grid] = {}
    for index, entry in enumerate(cache.entries):
        if entry.source == "real":
            grid = read_volume(next(real)).grid
        elif entry.subject in grids:
            grid = grids[entry.subject]
        else:
            grid = grids[entry.subject] = read_volume(data / "label_maps" / f"{entry.subject}.nii.gz").grid
        voxels = cache.volume(index).astype(np.float32)
        yield entry, upper_part(Volume(voxels, Grid(voxels.shape, grid.ijk_to_ras)))


def upper_part(volume: Volume) -> Volume:
    """The uppermost `HEIGHT_MM` of a head; the origin of the grid is not kept."""
    upward = volume.grid.directions[2, ::-1]
    axis = int(np.argmax(np.abs(upward)))
    kept = min(volume.shape[axis], int(np.ceil(HEIGHT_MM / volume.spacing[::-1][axis])))
    part = [slice(None)] * 3
    part[axis] = slice(volume.shape[axis] - kept, None) if upward[axis] > 0 else slice(kept)
    voxels = volume.voxels[tuple(part)]
    return volume.with_voxels(voxels, Grid(voxels.shape, volume.grid.ijk_to_ras))


def pack_motion(
    source: Path,
    data: Path,
    output: Path,
    *,
    part: str,
    pairs: int,
    seed: int,
    jumps: bool = False,
    report: Callable[[str], None],
) -> list[Entry]:
    """Write a cache of pairs: at 2 n the volume with motion, at 2 n + 1 the same without.

    What is done is saved every few pairs, so that a run that is stopped leaves a smaller cache.

    Args:
        source: packed cache of the same part of the split (see `packing.pack`).
        data: folder from which `source` was packed; spacing and orientation are read there.
        pairs: number of pairs; the volumes of the source take turns.
        jumps: sudden moves alone (`draw_jumps`), of volumes whose slices are not thick.
    """
    volumes = list(sources(Cache(source), data, part))
    thick = [max(volume.spacing) > THICK * min(volume.spacing) for _, volume in volumes]
    if jumps:
        volumes = [volume for volume, is_thick in zip(volumes, thick) if not is_thick]
        thick = [False] * len(volumes)
    groups = [0 if entry.source == "simulated" else 1 + thick[n] for n, (entry, _) in enumerate(volumes)]
    packed: list[tuple[Entry, np.ndarray]] = []
    for number, index in enumerate(turns(groups, pairs)):
        entry, volume = volumes[index]
        record = (draw_jumps if jumps else draw)(
            sample_generator(seed, number), contrast=entry.contrast, thick=thick[index]
        )
        if part == "validate" and number % WHOLE_EVERY == 0:
            record = replace(record, slab=None)
        result = apply(record, volume, stripped=entry.stripped)
        packed += pair_of_entries(entry, result, record)
        report(f"{entry.subject} {entry.contrast} {record.motion.order.sequence} {result.effective_mm:.2f} mm")
        if (number + 1) % SAVE_EVERY == 0 or number + 1 == pairs:
            write_whole(output, packed)
    return [entry for entry, _ in packed]


def write_whole(output: Path, packed: list[tuple[Entry, np.ndarray]]) -> None:
    """Write a cache beside the one that is there and put it in its place: a training may be reading that."""
    part = output.with_suffix(".part")
    write_cache(part, packed)
    part.replace(output)


def turns(groups: list[int], number: int) -> list[int]:
    """Indices of volumes: groups take turns as in `TURNS`, and so do the volumes of a group, a few apart."""
    members = {g: [n for n, group in enumerate(groups) if group == g] for g in set(groups)}
    pattern = [g for g in TURNS if g in members]
    seen = dict.fromkeys(members, 0)
    chosen = []
    for n in range(number):
        group = pattern[n % len(pattern)]
        step = next(s for s in (5, 7, 1) if np.gcd(s, len(members[group])) == 1)
        chosen.append(members[group][seen[group] * step % len(members[group])])
        seen[group] += 1
    return chosen


def pair_of_entries(entry: Entry, result: MotionResult, record: MotionPairRecord) -> list[tuple[Entry, np.ndarray]]:
    """Both volumes of a pair in units of the reference intensity of the one with motion."""
    unit = reference_intensity(result.moved.voxels)
    extra: dict[str, Any] = {
        "severity_mm": result.effective_mm,
        "displacement_mm": result.severity_mm,
        "sequence": record.motion.order.sequence,
        "order": record.motion.order.order,
        "spacing_kji": list(result.moved.spacing[::-1]),
        "crop": record.trim and record.slab is not None,
        "phase_axis": motion.view_orders.array_axes(record.motion.order, result.moved.grid)[1],
    }
    return [
        (replace(entry, extra={**extra, "moved": moved}), np.clip(volume.voxels / unit, 0, 16).astype(np.float16))
        for moved, volume in ((True, result.moved), (False, result.still))
    ]
