"""Blocks of a prepared input, so that a bundle can be calibrated on a sample of each volume instead of all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..evaluation.metrics import MASK_DILATION, MASK_FRACTION
from ..tasks.base import NetworkInput
from ..volume import Grid, Volume
from .deviation import raw_total, voxel_terms

#: Edge of a block, and the border of it that is left out because the network sees nothing beyond [input voxels].
EDGE, BORDER = 32, 4
#: A network sees an input voxel where a channel is above this [network units].
SIGNAL = 0.02


def block_starts(prepared: NetworkInput, blocks: int, *, seed: int) -> list[tuple[int, int, int]]:
    """First voxels (k, j, i) of blocks around random voxels with signal, within the volume; the same for one seed."""
    channels = prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])
    signal = np.flatnonzero(channels.max(axis=0) > SIGNAL)
    if not signal.size:
        raise InputError("The volume holds no signal, so nothing can be calibrated on it.")
    chosen = np.random.default_rng([seed, 17]).choice(signal, blocks)
    centers = np.stack(np.unravel_index(chosen, channels.shape[1:]), -1)
    highest = np.maximum(np.array(channels.shape[1:]) - EDGE, 0)
    return [tuple(int(x) for x in np.clip(center - EDGE // 2, 0, highest)) for center in centers]


def block_at(prepared: NetworkInput, start: tuple[int, int, int]) -> NetworkInput:
    """The prepared input of one block, in its place."""
    box = tuple(slice(s, s + EDGE) for s in start)
    voxels = np.ascontiguousarray(prepared.voxels[(..., *box)])
    matrix = prepared.volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] = prepared.volume.grid.index_to_ras(np.array(start[::-1]))
    volume = Volume(prepared.volume.voxels[box], Grid(voxels.shape[-3:], matrix), prepared.volume.header)
    return replace(prepared, voxels=voxels, volume=volume)


def inner_voxels(
    maps: dict[str, np.ndarray],
    start: tuple[int, int, int],
    prepared: NetworkInput,
    truth: Volume,
    lesions: Volume | None,
    *,
    unit: float,
) -> dict[str, np.ndarray]:
    """Flat arrays of the inner part of a block.

    On the fine grid "mean", "total" [network units], "truth", "lesion", "counts" (in the quality mask as far as the
    block shows it) and "term ..." by name of a term of `deviation.voxel_terms`; on the coarse one "residual" and
    "acquired" [network units].

    Args:
        unit: reference intensity of the truth.

    Raises InputError when the truth does not lie on the grid of the result.
    """
    factor = maps["mean"].shape[0] // min(EDGE, prepared.volume.shape[0])
    grid = prepared.volume.grid.upsampled(factor) if factor > 1 else prepared.volume.grid
    if not grid.matches(truth.grid, tolerance=1e-3):
        raise InputError(
            "A reference does not lie on the grid of the result. Resample it, or calibrate without blocks."
        )
    shape = tuple(n // factor for n in maps["mean"].shape)
    inner = tuple(slice(BORDER * factor, (n - BORDER) * factor) for n in shape)
    box = tuple(slice(s * factor, (s + n) * factor) for s, n in zip(start, shape))
    block = truth.voxels[box][inner]
    result = maps["mean"][inner]
    coarse = tuple(slice(s + BORDER, s + n - BORDER) for s, n in zip(start, shape))
    channels = prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])
    acquired = channels[0][coarse]
    means = result.reshape(*(v for n in acquired.shape for v in (n, factor))).mean(axis=(1, 3, 5))
    seen = channels[0][tuple(slice(s, s + n) for s, n in zip(start, shape))]
    terms = voxel_terms(maps, seen if prepared.same_contrast else None)
    found = {
        "mean": result,
        "total": raw_total(maps)[inner],
        "truth": block,
        "lesion": np.zeros(block.shape) if lesions is None else lesions.voxels[box][inner],
        "counts": ndimage.binary_dilation(block > MASK_FRACTION * unit, iterations=MASK_DILATION),
        "residual": np.where(acquired > SIGNAL, means - acquired, 0),
        "acquired": acquired,
        **{f"term {name}": values[inner] for name, values in terms.items()},
    }
    return {name: values.ravel() for name, values in found.items()}
