"""Whole examinations for the hybrid network of synthetic DIR: degraded heads with the dictionary fit of their inputs.

A dictionary fit depends on the whole brain (its tissues scale the contrasts), so it cannot be made for a patch. Packed
heads (`dir_packing.py`) are therefore degraded as a whole, a few times each, and go through the very steps of the
task: tissue fit, scaling, dictionary. What the network sees of each subset of the inputs is kept, and patches are cut
from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from scipy import ndimage

from ..dir_synthesis import network
from ..dir_synthesis.network import FIRST_FIT_CHANNEL, FIT_CHANNELS
from ..dir_synthesis.preprocessing import Prepared
from ..dir_synthesis.tissue_fit import fit_tissues
from ..errors import InputError
from ..volume import Grid
from .cache import Cache, Entry
from .dir_packing import INPUTS, MAPS, VOLUMES, HeadCache, strip_mask, unpacked_depth
from .dir_samples import REMNANTS_MM, SUBSETS, SampleConfig, degraded, draw_input, toned

#: Distance [mm] of the stripped border from the pia, and how much it wanders: ranges.
STRIP_MM, STRIP_SPREAD_MM = (-0.7, 3.5), (0.0, 1.5)
#: Real examinations are few; each is degraded so many times as often as a simulated head.
REAL_FACTOR = 2


@dataclass(frozen=True, eq=False)
class Examination:
    """One head, degraded as a whole and cropped to its brain, on a grid of 1 mm.

    Args:
        contrasts: stripped FLAIR, T1w and T2w in units of white matter, float32 (k, j, i) by role.
        target: the DIR to learn, 1 at nominal cortex, zero outside of the brain, float32 (k, j, i).
        lesion, brain: boolean (k, j, i).
        lesions: a row for each lesion, with its center in "center_kji".
    """

    contrasts: dict[str, np.ndarray]
    target: np.ndarray
    lesion: np.ndarray
    brain: np.ndarray
    lesions: list[dict[str, Any]]


def pack_examinations(
    heads: Path,
    output: Path,
    *,
    versions: int,
    subsets: int,
    seed: int,
    config: SampleConfig,
    report: Callable[[str], None],
) -> list[Entry]:
    """Write degraded versions of packed heads, with what a hybrid network sees of them, to one file.

    Args:
        heads: file of `dir_packing.pack_heads`.
        output: safetensors file to write.
        versions: degraded versions of each simulated head; of a real one REAL_FACTOR times as many.
        subsets: subsets of the inputs that each version is packed for, 1 to 7; that of all inputs is one of them.
        seed: seed of the degradation.
        config: its ranges; of the size of patches and the errors of landmarks nothing is read.
        report: told of every version as it is packed.

    Raises:
        InputError: no tissue fit of any head succeeded.
    """
    cache = HeadCache(heads)
    tensors: dict[str, np.ndarray] = {}
    entries: list[Entry] = []
    for index, version in versions_of(cache, versions):
        rng = np.random.default_rng([seed, index, version])
        examination = degraded_head(cache, index, rng, config)
        number = len({entry.extra["examination"] for entry in entries})
        packed, volumes = packed_subsets(examination, cache.entries[index], drawn_subsets(rng, subsets), number)
        if packed:
            tensors |= {f"volume_{len(entries) + n:04d}": voxels for n, voxels in enumerate(volumes)}
            tensors |= truth_tensors(examination, number)
            entries += packed
        report(f"{cache.entries[index].subject} {version} {['+'.join(e.extra['subset']) for e in packed]}")
    if not entries:
        raise InputError(f"No head of '{heads.name}' could be fitted; pack others.")
    output.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"entries": json.dumps([asdict(e) for e in entries]), "data": json.dumps(cache.data)}
    save_file(tensors, output, metadata=metadata)
    return entries


def versions_of(cache: HeadCache, versions: int) -> Iterator[tuple[int, int]]:
    """(index of the head, number of the version), one round over the heads after another."""
    for version in range(versions * REAL_FACTOR):
        for index, entry in enumerate(cache.entries):
            if entry.source == "real" or version < versions:
                yield index, version


def drawn_subsets(rng: np.random.Generator, number: int) -> list[tuple[str, ...]]:
    """All inputs, and other subsets by how often samples have them, without repetition."""
    first, *others = SUBSETS
    shares = np.array([SUBSETS[s] for s in others])
    chosen = rng.choice(len(others), size=min(number, len(SUBSETS)) - 1, replace=False, p=shares / shares.sum())
    return [first, *(others[n] for n in sorted(chosen))]


def degraded_head(cache: HeadCache, index: int, rng: np.random.Generator, config: SampleConfig) -> Examination:
    """A packed head as a scanner and a stripping tool would have left it."""
    volumes, maps = cache.head(index)
    entry = cache.entries[index]
    factor = config.real_corruption if entry.source == "real" else 1.0
    depth = unpacked_depth(maps[MAPS.index("depth")])
    brain = stripped(depth, rng)
    fluid = maps[MAPS.index("fluid")].astype(np.float32) / 255
    thick_axis = 0 if rng.random() < 0.7 else int(rng.integers(3))
    contrasts = {}
    for n, role in enumerate(INPUTS):
        drawn = draw_input(rng, role, thick_axis, config)
        drawn = replace(drawn, noise=factor * drawn.noise, tone=factor * drawn.tone)
        marks = entry.extra["landmarks"][role]
        clean = toned(role, volumes[n].astype(np.float32), marks["fluid"], drawn.tone)
        contrasts[role] = np.where(brain, degraded(clean, brain, fluid, drawn), 0).astype(np.float32)
    target = np.where(brain & (depth < REMNANTS_MM), volumes[VOLUMES.index("dir")].astype(np.float32), 0)
    lesion, box = (maps[MAPS.index("lesion")] > 0) & brain, network.bounding_box(brain)
    rows = [
        {"center_kji": [int(c) - b.start for c, b in zip(row["center_kji"], box)]} for row in entry.extra["lesions"]
    ]
    return Examination({n: v[box] for n, v in contrasts.items()}, target[box], lesion[box], brain[box], rows)


def stripped(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The brain as the task finds it in a stripped volume: one part without holes, boolean (k, j, i)."""
    mean, spread = rng.uniform(*STRIP_MM), rng.uniform(*STRIP_SPREAD_MM)
    labels, _ = ndimage.label(strip_mask(depth, rng, mean_mm=float(mean), spread_mm=float(spread)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return ndimage.binary_fill_holes(labels == sizes.argmax())


def packed_subsets(
    examination: Examination, head: Entry, subsets: Sequence[tuple[str, ...]], number: int
) -> tuple[list[Entry], list[np.ndarray]]:
    """An entry and float16 channels (contrasts given, then FIT_CHANNELS) for each subset whose tissues are found."""
    entries, volumes = [], []
    extra = {"examination": number, "lesions": examination.lesions}
    for subset in subsets:
        try:
            channels = seen(examination, subset)
        except InputError:
            continue
        given = [INPUTS.index(role) for role in subset]
        kept = [*given, *range(FIRST_FIT_CHANNEL, FIRST_FIT_CHANNEL + len(FIT_CHANNELS))]
        entries.append(replace(head, stripped=True, extra={**extra, "subset": list(subset)}))
        volumes.append(np.clip(channels[kept], 0, 60).astype(np.float16))
    return entries, volumes


def seen(examination: Examination, subset: tuple[str, ...]) -> np.ndarray:
    """What the hybrid network sees of a subset of the inputs, by the steps of the task; float32 (9, k, j, i)."""
    contrasts = {role: examination.contrasts[role] for role in subset}
    brain = examination.brain
    prepared = Prepared(contrasts, dict.fromkeys(subset, brain), brain, Grid(brain.shape, np.eye(4)), {})
    tissues = fit_tissues(contrasts, brain, spacing=(1.0, 1.0, 1.0))
    scales = {role: network.contrast_scale(role, voxels, tissues) for role, voxels in contrasts.items()}
    fit = network.fitted(prepared, tissues)
    return np.concatenate([network.contrast_channels(prepared, scales), network.fit_channels(fit)])


def truth_tensors(examination: Examination, number: int) -> dict[str, np.ndarray]:
    """Target (float16) and the maps of lesions and brain (uint8, (2, k, j, i)) of an examination, by name."""
    return {
        f"truth_{number:04d}": np.clip(examination.target, 0, 60).astype(np.float16)[None],
        f"maps_{number:04d}": np.stack([examination.lesion, examination.brain]).astype(np.uint8),
    }


class ExaminationCache(Cache):
    """Reads packed examinations: every entry is one subset of the inputs of one degraded head."""

    def shape(self, index: int) -> tuple[int, int, int]:
        return self._shapes[index][1:]

    def blocks(self, index: int, start: tuple[int, ...], size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From `start` (k, j, i): channels (9, s, s, s), target and maps of lesion and brain; zero beyond the brain."""
        extra = self.entries[index].extra
        names = [f"volume_{index:04d}", *(f"{kind}_{extra['examination']:04d}" for kind in ("truth", "maps"))]
        kept, target, maps = (self._block(name, self.shape(index), start, size) for name in names)
        channels = np.zeros((FIRST_FIT_CHANNEL + len(FIT_CHANNELS), *kept.shape[1:]), dtype=np.float32)
        for n, role in enumerate(extra["subset"]):
            channels[INPUTS.index(role)], channels[len(INPUTS) + INPUTS.index(role)] = kept[n], maps[1]
        channels[FIRST_FIT_CHANNEL:] = kept[len(extra["subset"]) :]
        return channels, target, maps

    def _block(self, name: str, shape: tuple[int, ...], start: tuple[int, ...], size: int) -> np.ndarray:
        stored = self._file.get_slice(name)
        block = np.zeros((stored.get_shape()[0], *(size,) * 3), dtype=np.float32)
        inside = tuple(slice(max(0, s), max(0, min(n, s + size))) for s, n in zip(start, shape))
        if all(part.stop > part.start for part in inside):
            target = tuple(slice(part.start - s, part.stop - s) for part, s in zip(inside, start))
            block[(slice(None), *target)] = stored[(slice(None), *inside)]
        return block


class Examinations:
    """The entries of one file of packed examinations or of several, in order.

    Args:
        files: path of a file, or paths.
    """

    def __init__(self, files: Path | Sequence[Path]) -> None:
        caches = [ExaminationCache(path) for path in ([files] if isinstance(files, Path) else files)]
        self._places = [(cache, n) for cache in caches for n in range(len(cache))]
        self.entries = [cache.entries[n] for cache, n in self._places]

    def shape(self, index: int) -> tuple[int, int, int]:
        cache, n = self._places[index]
        return cache.shape(n)

    def blocks(self, index: int, start: tuple[int, ...], size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of an `ExaminationCache`."""
        cache, n = self._places[index]
        return cache.blocks(n, start, size)
