"""The packed cache: one safetensors file with all the volumes a trainer needs, so that it can run anywhere.

Volumes are stored in units of their reference intensity (see `intensity.py`), cropped to the head, as float16 or, in a
cache that had to be small, as uint8 steps of `extra["unit"]`. Label maps and masks lie beside them. Everything is read
through the operating system's page cache, so that a cache larger than memory still works.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ..errors import InputError
from ..intensity import reference_intensity
from .attribution import of_shared_data

FOREGROUND = 0.02


@dataclass(frozen=True)
class Entry:
    """One volume of a cache.

    Args:
        subject: whose volume it is ("patient07", "head_03").
        contrast: "t1w", "t2w", "flair", "t1w-contrast-enhanced" or "random".
        source: "real" or "simulated".
        stripped: whether only the brain is left.
        extra: anything else worth keeping, JSON types only. Names with a meaning: "unit" (step of uint8 voxels), "crop"
            (True for a part of a volume, from which no patch should reach out), "spacing_kji" [mm]; of label maps
            "values" (the label that each stored number stands for) and "of" (index of the volume it lies on).
    """

    subject: str
    contrast: str
    source: str
    stripped: bool
    extra: dict[str, Any] = field(default_factory=dict)


def head_box(voxels: np.ndarray, *, margin: int = 4) -> tuple[slice, slice, slice]:
    """Where a volume (k, j, i) lies above 2 % of its reference intensity, and `margin` voxels around it."""
    return box_of(voxels > FOREGROUND * reference_intensity(voxels), margin=margin)


def box_of(mask: np.ndarray, *, margin: int = 4) -> tuple[slice, slice, slice]:
    """The smallest box around a mask (k, j, i), and `margin` voxels around it; all of an empty one."""
    box = []
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, hits[0] - margin), hits[-1] + margin + 1) if hits.size else slice(None))
    return tuple(box)


def crop_to_head(voxels: np.ndarray, *, margin: int = 4) -> np.ndarray:
    """The part of a volume in its `head_box`."""
    return voxels[head_box(voxels, margin=margin)]


def prepared(voxels: np.ndarray) -> np.ndarray:
    """Cropped float16 voxels in units of the reference intensity."""
    cropped = crop_to_head(voxels)
    return np.clip(cropped / reference_intensity(voxels), 0, 16).astype(np.float16)


def stored_labels(labels: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Whole numbers (k, j, i) as uint8 with the table of what they stand for, or as int16 where there are too many."""
    values = np.union1d(labels, 0)  # 0 first: what lies beyond a map is background
    if values.size <= 256:
        return np.searchsorted(values, labels).astype(np.uint8), {"values": [int(v) for v in values]}
    return labels.astype(np.int16), {}


def write_cache(
    path: Path,
    volumes: list[tuple[Entry, np.ndarray]],
    *,
    labels: Sequence[tuple[Entry, np.ndarray]] = (),
    data: Sequence[str] | None = None,
) -> None:
    """Write prepared volumes and their entries to one file.

    Args:
        volumes: float16 voxels, or uint8 with "unit" in `extra`.
        labels: label maps and masks of whole numbers.
        data: whose data they are, one statement a source (see `attribution.py`); told from the subjects' labels
            when it is None.
    """
    stored = [stored_labels(voxels) for _, voxels in labels]
    label_entries = [replace(e, extra={**e.extra, **facts}) for (e, _), (_, facts) in zip(labels, stored)]
    tensors = {Cache._name(n): np.ascontiguousarray(v) for n, (_, v) in enumerate(volumes)}
    tensors |= {Cache._label_name(n): np.ascontiguousarray(v) for n, (v, _) in enumerate(stored)}
    entries = {"entries": [e for e, _ in volumes], "label_entries": label_entries}
    metadata = {name: json.dumps([asdict(e) for e in listed]) for name, listed in entries.items()}
    metadata |= {} if data is None else {"data": json.dumps(list(data))}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=metadata)


class Cache:
    """Reads a packed cache. Volumes come as float16 arrays (k, j, i), label maps as int32.

    `entries` and all that takes an index is about volumes; `label_entries`, `labels` and `label_block` are about label
    maps. `data` holds the statements for a model card.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"There is no packed cache '{path.name}'. Make it with: synthmri pack-training.")
        self._file = safe_open(path, framework="numpy")
        metadata = self._file.metadata()
        self.entries = [Entry(**e) for e in json.loads(metadata["entries"])]
        self.label_entries = [Entry(**e) for e in json.loads(metadata.get("label_entries", "[]"))]
        stated = json.loads(metadata["data"]) if "data" in metadata else of_shared_data(e.subject for e in self.entries)
        self.data: list[str] = stated
        self._shapes = [tuple(self._file.get_slice(self._name(n)).get_shape()) for n in range(len(self))]

    def __len__(self) -> int:
        return len(self.entries)

    @staticmethod
    def _name(index: int) -> str:
        return f"volume_{index:04d}"

    @staticmethod
    def _label_name(index: int) -> str:
        return f"labels_{index:04d}"

    def shape(self, index: int) -> tuple[int, int, int]:
        return self._shapes[index]

    def volume(self, index: int) -> np.ndarray:
        return self._in_units(index, self._file.get_tensor(self._name(index))).astype(np.float16, copy=False)

    def block(self, index: int, start: tuple[int, int, int], size: int) -> np.ndarray:
        """float32 cube of `size` voxels from `start` (k, j, i), zero beyond the volume."""
        return self._in_units(index, cut(self._file.get_slice(self._name(index)), start, size)).astype(np.float32)

    def labels(self, index: int) -> np.ndarray:
        """A label map (k, j, i), int32 in its own numbering."""
        return self._own_numbers(index, self._file.get_tensor(self._label_name(index)))

    def label_block(self, index: int, start: tuple[int, int, int], size: int) -> np.ndarray:
        """int32 cube of a label map, as `block` is of a volume."""
        return self._own_numbers(index, cut(self._file.get_slice(self._label_name(index)), start, size))

    def start_of(self, index: int, center: Sequence[float], size: int) -> tuple[int, int, int]:
        """First voxel of a cube around `center`, a fraction of the volume along (k, j, i); see `inside`."""
        return self.inside(index, tuple(round(c * n - size / 2) for c, n in zip(center, self._shapes[index])), size)

    def inside(self, index: int, start: tuple[int, int, int], size: int) -> tuple[int, int, int]:
        """`start` itself where a cube may reach beyond the volume, into air; moved inside in a volume that was cut."""
        if not self.entries[index].extra.get("crop"):
            return start
        return tuple(min(max(s, 0), max(n - size, 0)) for s, n in zip(start, self._shapes[index]))

    def _in_units(self, index: int, voxels: np.ndarray) -> np.ndarray:
        unit = self.entries[index].extra.get("unit") if voxels.dtype == np.uint8 else None
        return voxels if unit is None else voxels * np.float32(unit)

    def _own_numbers(self, index: int, voxels: np.ndarray) -> np.ndarray:
        values = self.label_entries[index].extra.get("values")
        return voxels.astype(np.int32) if values is None else np.array(values, dtype=np.int32)[voxels]


def cut(stored: Any, start: tuple[int, int, int], size: int) -> np.ndarray:
    """Cube of `size` voxels from `start` (k, j, i) of a stored tensor, zero beyond it."""
    shape = stored.get_shape()
    inside = tuple(slice(max(0, s), min(n, s + size)) for s, n in zip(start, shape))
    if not all(part.stop > part.start for part in inside):
        return np.zeros((size,) * 3, dtype=np.float32 if stored.get_dtype() == "F16" else np.uint8)
    found = stored[inside]
    block = np.zeros((size,) * 3, dtype=found.dtype)
    block[tuple(slice(part.start - s, part.stop - s) for part, s in zip(inside, start))] = found
    return block
