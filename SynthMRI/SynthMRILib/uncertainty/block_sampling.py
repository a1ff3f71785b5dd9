"""Blocks of a prepared input, so that a bundle can be calibrated on a sample of each volume instead of all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..tasks.base import NetworkInput, NetworkTask, Parameters
from ..volume import Grid, Volume
from .deviation import raw_total, voxel_terms

#: A network sees an input voxel where a channel is above this [network units].
SIGNAL = 0.02


@dataclass(frozen=True)
class BlockSize:
    """How large blocks are [input voxels].

    Args:
        edge: of a block.
        border: what is left out at each side, because the network sees nothing beyond it.
    """

    edge: int = 32
    border: int = 4


#: Networks that look far need more around what counts.
SIZES = {"motion-correction": BlockSize(48, 8), "synthetic-dir": BlockSize(48, 8)}


def size_for(task: str) -> BlockSize:
    """The size of the blocks of a task."""
    return SIZES.get(task, BlockSize())


def block_starts(prepared: NetworkInput, blocks: int, *, edge: int, seed: int) -> list[tuple[int, int, int]]:
    """First voxels (k, j, i) of blocks around random voxels with signal, within the volume; the same for one seed."""
    channels = prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])
    signal = np.flatnonzero(channels.max(axis=0) > SIGNAL)
    if not signal.size:
        raise InputError("The volume holds no signal, so nothing can be calibrated on it.")
    chosen = np.random.default_rng([seed, 17]).choice(signal, blocks)
    centers = np.stack(np.unravel_index(chosen, channels.shape[1:]), -1)
    highest = np.maximum(np.array(channels.shape[1:]) - edge, 0)
    return [tuple(int(x) for x in np.clip(center - edge // 2, 0, highest)) for center in centers]


def block_at(prepared: NetworkInput, start: tuple[int, int, int], *, edge: int) -> NetworkInput:
    """The prepared input of one block, in its place; `finish` of its task then gives the result of that block."""
    box = tuple(slice(s, s + edge) for s in start)
    voxels = np.ascontiguousarray(prepared.voxels[(..., *box)])
    volume = cut(prepared.volume, box)
    block = replace(prepared, voxels=voxels, volume=volume)
    target = getattr(prepared, "target", None)
    if target is None:
        return block
    inside = box_in(target.grid, volume.grid)
    fit = None if prepared.fit is None else prepared.fit[(slice(None), *box)]
    return replace(block, target=cut(target, inside), brain=prepared.brain[inside], fit=fit)


def cut(volume: Volume, box: tuple[slice, ...]) -> Volume:
    """A part of a volume, slices (k, j, i), in its place."""
    voxels = volume.voxels[box]
    matrix = volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] = volume.grid.index_to_ras(np.array([part.start for part in box[::-1]]))
    return Volume(voxels, Grid(voxels.shape, matrix), volume.header)


def box_in(whole: Grid, part: Grid) -> tuple[slice, ...]:
    """Where the voxels of a grid lie in another one, slices (k, j, i).

    Raises InputError when they are not voxels of it.
    """
    first = np.rint(whole.ras_to_index(np.array(part.origin))).astype(int)[::-1]
    box = tuple(slice(int(s), int(s) + n) for s, n in zip(first, part.shape))
    matrix = whole.ijk_to_ras.copy()
    matrix[:3, 3] = whole.index_to_ras(first[::-1])
    inside = all(s.start >= 0 and s.stop <= n for s, n in zip(box, whole.shape))
    if not inside or not Grid(part.shape, matrix).matches(part, tolerance=1e-3):
        raise InputError(
            "A reference does not lie on the grid of the result. Resample it, or calibrate without blocks."
        )
    return box


def inner_voxels(
    block: NetworkInput,
    maps: dict[str, np.ndarray],
    task: NetworkTask,
    options: Parameters,
    *,
    known: dict[str, Volume],
    border: int,
) -> dict[str, np.ndarray]:
    """Flat arrays of the inner part of a block.

    On the grid of the result "output" and "total" [units of the result], a part of each volume in `known` by its name,
    and "term ..." by name of a term of `deviation.voxel_terms`; on that of the input "residual" and "acquired"
    [network units].

    Args:
        block: what `block_at` gave, and `maps` what the network made of it.
        known: volumes on the grid of the result that reach beyond the block.

    Raises InputError when the volumes do not lie on the grid of the result.
    """
    factor = maps["mean"].shape[0] // block.volume.shape[0]
    output = task.finish(block, maps["mean"], options)
    total = task.finish(block, raw_total(maps).astype(np.float32), options, spread=True)
    if output.shape != maps["mean"].shape:
        raise InputError("The result lies on another grid than the network's. Calibrate without blocks.")
    inner = tuple(slice(border * factor, (n - border) * factor) for n in block.volume.shape)
    coarse = tuple(slice(border, n - border) for n in block.volume.shape)
    channel = block.voxels.reshape(-1, *block.voxels.shape[-3:])[0]
    result, acquired = maps["mean"][inner], channel[coarse]
    means = result.reshape(*(v for n in acquired.shape for v in (n, factor))).mean(axis=(1, 3, 5))
    terms = voxel_terms(maps, channel if block.same_contrast else None)
    found = {
        "output": output.voxels[inner],
        "total": total.voxels[inner],
        **{name: volume.voxels[box_in(volume.grid, output.grid)][inner] for name, volume in known.items()},
        "residual": np.where(acquired > SIGNAL, means - acquired, 0),
        "acquired": acquired,
        **{f"term {name}": values[inner] for name, values in terms.items()},
    }
    return {name: values.ravel() for name, values in found.items()}
