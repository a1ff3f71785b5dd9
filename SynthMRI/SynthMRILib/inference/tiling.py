"""Exact tiling: a network without normalization, run on tiles with a halo, gives the result of the whole volume.

Every tile is read with a halo as wide as the receptive field radius, cut off at the border of the volume, where the
network pads with zeros just as it does for the whole volume; only what the halo protects is kept. There is no blending
and there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, prod

Slices = tuple[slice, slice, slice]
MOST_PARTS = 64


@dataclass(frozen=True)
class Tile:
    """One tile, in voxels (k, j, i).

    Args:
        read: part of the input that the network sees.
        keep: part of what it sees whose result is kept.
        write: where that part lies in the volume.
    """

    read: Slices
    keep: Slices
    write: Slices

    @property
    def voxels(self) -> int:
        """Voxels the network computes for this tile."""
        size = 1
        for part in self.read:
            size *= part.stop - part.start
        return size


def scaled(slices: Slices, factor: int) -> Slices:
    """The same part on a grid with `factor` times the voxels."""
    return tuple(slice(s.start * factor, s.stop * factor) for s in slices)


def make_tiles(shape: tuple[int, int, int], parts: tuple[int, int, int], halo: int, stride: int = 1) -> list[Tile]:
    """Cut `shape` into `parts` (k, j, i) of nearly equal size, each with a halo of `halo` voxels or a little more.

    What the network sees starts at a multiple of `stride`, the coarsest grid of a network that lowers the resolution.
    """
    axes = [list(_cut(n, count, halo, stride)) for n, count in zip(shape, parts)]
    return [Tile(*(tuple(axis) for axis in zip(*combination))) for combination in product(*axes)]


def _cut(length: int, count: int, halo: int, stride: int) -> Iterator[tuple[slice, slice, slice]]:
    edges = [round(n * length / count) for n in range(count + 1)]
    for start, stop in pairwise(edges):
        first, last = max(0, start - halo) // stride * stride, min(length, stop + halo)
        yield slice(first, last), slice(start - first, stop - first), slice(start, stop)


def choose_parts(shape: tuple[int, int, int], halo: int, largest: int) -> tuple[int, int, int]:
    """The division that computes the fewest voxels while no tile reads more than `largest` voxels.

    Raises ValueError when even tiles of a few voxels and their halos are larger.
    """
    best: tuple[int, tuple[int, int, int]] | None = None
    for parts in product(*(range(1, min(MOST_PARTS, max(1, n // 8)) + 1) for n in shape)):
        reads = [min(n, ceil(n / count) + min(2, count - 1) * halo) for n, count in zip(shape, parts)]
        if reads[0] * reads[1] * reads[2] > largest:
            continue
        cost = 1
        for n, count in zip(shape, parts):
            cost *= n + 2 * halo * (count - 1)
        if best is None or cost < best[0]:
            best = (cost, parts)
    if best is None:
        raise ValueError("no division is small enough")
    return best[1]


def times_computed(shape: tuple[int, int, int], parts: tuple[int, int, int], halo: int) -> float:
    """How often each voxel is computed on average, halos included; 1 for the whole volume in one tile."""
    reads = [sum(read.stop - read.start for read, _, _ in _cut(n, count, halo, 1)) for n, count in zip(shape, parts)]
    return prod(reads) / prod(shape)


def parts_of_size(shape: tuple[int, int, int], tile: int) -> tuple[int, int, int]:
    """The division into tiles of at most `tile` voxels along every axis, halo not counted."""
    return tuple(max(1, ceil(n / tile)) for n in shape)
