"""The packed cache: one safetensors file with all the volumes a trainer needs, so that it can run anywhere.

Volumes are stored as float16 in units of their reference intensity (see `intensity.py`), cropped to the head, and read
through the operating system's page cache, so that a cache larger than memory still works.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ..errors import InputError
from ..intensity import reference_intensity

FOREGROUND = 0.02


@dataclass(frozen=True)
class Entry:
    """One volume of a cache.

    Args:
        subject: whose volume it is ("patient07", "head_03").
        contrast: "t1w", "t2w", "flair", "t1w-contrast-enhanced" or "random".
        source: "real" or "simulated".
        stripped: whether only the brain is left.
        extra: anything else worth keeping, JSON types only.
    """

    subject: str
    contrast: str
    source: str
    stripped: bool
    extra: dict[str, Any] = field(default_factory=dict)


def crop_to_head(voxels: np.ndarray, *, margin: int = 4) -> np.ndarray:
    """The part of a volume (k, j, i) above 2 % of its reference intensity, and `margin` voxels around it."""
    foreground = voxels > FOREGROUND * reference_intensity(voxels)
    box = []
    for axis in range(3):
        hits = np.flatnonzero(foreground.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, hits[0] - margin), hits[-1] + margin + 1) if hits.size else slice(None))
    return voxels[tuple(box)]


def prepared(voxels: np.ndarray) -> np.ndarray:
    """Cropped float16 voxels in units of the reference intensity."""
    cropped = crop_to_head(voxels)
    return np.clip(cropped / reference_intensity(voxels), 0, 16).astype(np.float16)


def write_cache(path: Path, volumes: list[tuple[Entry, np.ndarray]]) -> None:
    """Write prepared volumes and their entries to one file."""
    tensors = {f"volume_{n:04d}": np.ascontiguousarray(v) for n, (_, v) in enumerate(volumes)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"entries": json.dumps([asdict(e) for e, _ in volumes])})


class Cache:
    """Reads a packed cache. Volumes come as float16 arrays (k, j, i)."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"There is no packed cache '{path.name}'. Make it with: synthmri pack-training.")
        self._file = safe_open(path, framework="numpy")
        self.entries = [Entry(**e) for e in json.loads(self._file.metadata()["entries"])]
        self._shapes = [tuple(self._file.get_slice(self._name(n)).get_shape()) for n in range(len(self))]

    def __len__(self) -> int:
        return len(self.entries)

    @staticmethod
    def _name(index: int) -> str:
        return f"volume_{index:04d}"

    def shape(self, index: int) -> tuple[int, int, int]:
        return self._shapes[index]

    def volume(self, index: int) -> np.ndarray:
        return self._file.get_tensor(self._name(index))

    def block(self, index: int, start: tuple[int, int, int], size: int) -> np.ndarray:
        """float32 cube of `size` voxels from `start` (k, j, i), zero beyond the volume."""
        shape = self._shapes[index]
        inside = tuple(slice(max(0, s), min(n, s + size)) for s, n in zip(start, shape))
        block = np.zeros((size,) * 3, dtype=np.float32)
        if all(part.stop > part.start for part in inside):
            target = tuple(slice(part.start - s, part.stop - s) for part, s in zip(inside, start))
            block[target] = self._file.get_slice(self._name(index))[inside]
        return block
