"""Pairs for a network that follows autofocus: those of some caches, and what autofocus makes of them.

    python Testing/Benchmarks/motion_focused_pairs.py OUTPUT.safetensors PAIRS.safetensors [PAIRS.safetensors ...]

The output holds all pairs as they are. Where autofocus changes the volume with motion, the pair is in it once more,
with that volume laid rigidly onto the one without motion, and with the severity that is left. With `--as-they-are` the
caches are only put together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from motion_quality import registered

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.intensity import IntensityScale  # noqa: E402
from SynthMRILib.motion.autofocus import autofocus  # noqa: E402
from SynthMRILib.simulation.motion import effective_displacement  # noqa: E402
from SynthMRILib.training.cache import Cache, Entry, write_cache  # noqa: E402
from SynthMRILib.volume import Grid  # noqa: E402

Packed = tuple[Entry, np.ndarray]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--as-they-are", action="store_true", help="leave autofocus out")
    arguments = parser.parse_args()
    caches = [Cache(path) for path in arguments.pairs]
    as_they_are = [(entry, cache.volume(n)) for cache in caches for n, entry in enumerate(cache.entries)]
    focused = [] if arguments.as_they_are else [packed for cache in caches for packed in focused_pairs(cache)]
    data = list(dict.fromkeys(statement for cache in caches for statement in cache.data))
    write_cache(arguments.output, [*as_they_are, *focused], data=data)
    sys.stdout.write(f"{len(as_they_are) // 2} pairs, {len(focused) // 2} of them once more after autofocus\n")
    return 0


def focused_pairs(cache: Cache) -> Iterator[Packed]:
    """Of every pair that autofocus changes, the volume after it and the one without motion."""
    for index in range(0, len(cache), 2):
        moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
        grid = Grid.from_spacing(moved.shape, tuple(cache.entries[index].extra["spacing_kji"][::-1]))
        scale = IntensityScale.fit(moved)
        found = autofocus(scale.apply(moved), grid)
        sys.stderr.write(f"{index // 2 + 1} of {len(cache) // 2}: {found.kind or 'nothing found'}\n")
        if found.found:
            yield from focused_pair(cache, index, found.voxels * np.float32(scale.unit), still, grid)


def focused_pair(cache: Cache, index: int, focused: np.ndarray, still: np.ndarray, grid: Grid) -> tuple[Packed, Packed]:
    """A pair of a volume after autofocus (k, j, i) and the one without motion."""
    aligned = registered(still, focused, grid)
    facts = {"severity_mm": effective_displacement(aligned, still, grid.spacing), "after": "autofocus"}
    entries = [replace(entry, extra={**entry.extra, **facts}) for entry in cache.entries[index : index + 2]]
    voxels = np.clip(aligned, 0, 16).astype(np.float16)
    return (entries[0], voxels), (entries[1], still.astype(np.float16))


if __name__ == "__main__":
    sys.exit(main())
