"""Make a packed cache fit into so many megabytes, losing as little as possible.

In this order: volumes as they are; as uint8; one cube of each; cubes of fewer volumes, subjects and contrasts taking
turns. Masks follow their volumes; label maps that lie on no volume stay whole. A step of uint8 is 1/255 of the largest
value that is kept, which is below the noise of any scan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .cache import Entry, stored_labels, write_cache

Packed = tuple[Entry, np.ndarray]
Box = tuple[slice, slice, slice]

WHOLE: Box = (slice(None),) * 3
#: Edge [voxels] below which a cube gives no patch with enough around it.
SMALLEST_CUBE = 64
#: Share of the brightest voxels that uint8 clips.
CLIPPED_PERCENT = 0.01
#: Bytes of the file for each tensor besides its voxels, and for the rest of the header.
BYTES_A_TENSOR, BYTES_BESIDE = 900, 20_000


@dataclass(frozen=True)
class Plan:
    """What of the volumes goes into a cache.

    Args:
        text: the plan in a few words.
        kept: index and box of every volume that stays.
        as_bytes: store uint8 instead of float16.
    """

    text: str
    kept: list[tuple[int, Box]]
    as_bytes: bool = True


def write_within(
    path: Path,
    volumes: Sequence[Packed],
    labels: Sequence[Packed] = (),
    *,
    megabytes: float | None,
    seed: int,
    data: Sequence[str] | None = None,
) -> str:
    """Write a cache of at most so many megabytes (10^6 bytes; None for no limit); says what was done for that.

    Args:
        volumes: float16 voxels (k, j, i).
        labels: label maps (k, j, i); those with "of" in `extra` lie on the volume of that index.
        seed: decides where cubes are cut and which volumes are left out.
        data: see `cache.write_cache`.

    Raises:
        InputError: not even one cube fits beside the label maps.
    """
    plan = Plan("whole volumes, float16", [(n, WHOLE) for n in range(len(volumes))], as_bytes=False)
    if megabytes is not None:
        plan = plan_within(volumes, labels, int(megabytes * 1e6), np.random.default_rng(seed))
    packed = [cut(volumes[n], box) for n, box in plan.kept]
    packed = [as_bytes(*one) for one in packed] if plan.as_bytes else packed
    write_cache(path, packed, labels=labels_that_follow(labels, plan), data=data)
    return plan.text


def plan_within(volumes: Sequence[Packed], labels: Sequence[Packed], limit: int, rng: np.random.Generator) -> Plan:
    """The plan that loses least and stays within `limit` bytes."""
    masks = Counter(entry.extra["of"] for entry, _ in labels if "of" in entry.extra)
    apart = sum(stored_labels(v)[0].nbytes for entry, v in labels if "of" not in entry.extra)
    room = limit - BYTES_BESIDE - BYTES_A_TENSOR * (len(volumes) + len(labels)) - apart
    shapes = [voxels.shape for _, voxels in volumes]

    def size(edge: int, *, voxel: int) -> int:
        """Bytes of all volumes and their masks, cut to cubes."""
        return sum(int(np.prod(np.minimum(shape, edge))) * (voxel + masks[n]) for n, shape in enumerate(shapes))

    longest = max(max(shape) for shape in shapes)
    whole = [(n, WHOLE) for n in range(len(volumes))]
    if size(longest, voxel=2) <= room:
        return Plan("whole volumes, float16", whole, as_bytes=False)
    if size(longest, voxel=1) <= room:
        return Plan("whole volumes, uint8", whole)
    edge = max((e for e in range(SMALLEST_CUBE, longest) if size(e, voxel=1) <= room), default=0)
    if edge:
        return Plan(
            f"a cube of {edge} voxels of each volume, uint8", [(n, cube(shapes[n], edge, rng)) for n, _ in whole]
        )
    layers = {n: 1 + masks[n] for n in in_turns([entry for entry, _ in volumes], rng)}
    return smallest_cubes(shapes, layers, limit - BYTES_BESIDE - apart, rng)


def smallest_cubes(
    shapes: Sequence[tuple[int, ...]], layers: dict[int, int], room: int, rng: np.random.Generator
) -> Plan:
    """As many of the smallest cubes as fit into `room` bytes.

    Args:
        layers: index of each volume, in the order in which they are taken: arrays on it (itself and its masks).
    """
    kept: list[tuple[int, Box]] = []
    for n, number in layers.items():
        room -= (SMALLEST_CUBE**3 + BYTES_A_TENSOR) * number
        if room < 0:
            break
        kept.append((n, cube(shapes[n], SMALLEST_CUBE, rng)))
    if not kept:
        raise InputError("Not even one cube of 64 voxels fits into that many megabytes; allow more.")
    text = f"a cube of {SMALLEST_CUBE} voxels of {len(kept)} of {len(shapes)} volumes, uint8"
    return Plan(text, sorted(kept, key=lambda one: one[0]))


def cut(packed: Packed, box: Box) -> Packed:
    """The part of a volume or mask in a box; a whole one stays as it is."""
    entry, voxels = packed
    if box == WHOLE:
        return packed
    return replace(entry, extra={**entry.extra, "crop": True}), voxels[box]


def labels_that_follow(labels: Sequence[Packed], plan: Plan) -> list[Packed]:
    """Label maps of the plan: cut as their volumes are, and told the new place of those."""
    places = {n: (place, box) for place, (n, box) in enumerate(plan.kept)}
    following = []
    for entry, voxels in labels:
        if "of" not in entry.extra:
            following.append((entry, voxels))
        elif entry.extra["of"] in places:
            place, box = places[entry.extra["of"]]
            following.append(cut((replace(entry, extra={**entry.extra, "of": place}), voxels), box))
    return following


def as_bytes(entry: Entry, voxels: np.ndarray) -> Packed:
    """Voxels as uint8, with the value of a step in `extra["unit"]`."""
    voxels = voxels.astype(np.float32)
    unit = (float(np.percentile(voxels, 100 - CLIPPED_PERCENT)) or 1.0) / 255
    stored = np.clip(np.rint(voxels / np.float32(unit)), 0, 255).astype(np.uint8)
    return replace(entry, extra={**entry.extra, "unit": unit}), stored


def cube(shape: tuple[int, ...], edge: int, rng: np.random.Generator) -> Box:
    """A cube from near the middle of a volume; as much of an axis as there is where it is shorter."""
    starts = [round((0.5 + rng.uniform(-0.15, 0.15)) * n - edge / 2) for n in shape]
    starts = [min(max(start, 0), max(n - edge, 0)) for start, n in zip(starts, shape)]
    return tuple(slice(start, min(start + edge, n)) for start, n in zip(starts, shape))


def in_turns(entries: Sequence[Entry], rng: np.random.Generator) -> list[int]:
    """Indices in an order in which pairs of subject and contrast take turns."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for n in rng.permutation(len(entries)):
        waiting.setdefault((entries[n].subject, entries[n].contrast), []).append(int(n))
    order: list[int] = []
    while any(waiting.values()):
        order += [group.pop() for group in waiting.values() if group]
    return order
