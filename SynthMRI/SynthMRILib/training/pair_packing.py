"""Pack pairs as a network sees them: prepared by the task itself, target in network units, cropped alike.

The target is scaled to the input, because two scans of a head rarely share their units: by least squares over the head
where both have the same contrast, otherwise over what the bundle makes of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles import Bundle
from ..errors import InputError
from ..progress import no_progress
from ..provenance import volume_facts
from ..tasks.base import NetworkInput, NetworkTask
from .cache import Cache, Entry, box_of, write_cache
from .data import Found, LeftOut, TrainingFile
from .data_report import DataReport
from .pairs import Pair, on_result_grid, read_pair
from .shrinking import Packed

FOREGROUND = 0.02


@dataclass(frozen=True, eq=False)
class Prepared:
    """A pair as the network sees it.

    Args:
        channels: float32 (c, k, j, i).
        conditions: further channels, each constant.
        target: float32 (s k, s j, s i) in network units.
        spacing: of the input (k, j, i) [mm].
    """

    channels: np.ndarray
    conditions: tuple[float, ...]
    target: np.ndarray
    spacing: tuple[float, ...]


def pack_pairs(
    found: Found,
    output: Path,
    *,
    task: NetworkTask,
    bundle: Bundle,
    chosen: Callable[[TrainingFile], LeftOut | None],
    data: Callable[[int], str],
    report: Callable[[str], None],
) -> DataReport:
    """Write the pairs of one part of a split.

    Args:
        found: see `pairs.find_pairs`.
        output: safetensors file to write.
        chosen: why a pair is not for this part, or None.
        data: the statement for the card from the number of subjects.
        report: told of every pair as it is packed.
    """
    log = DataReport(found, left_out=[])
    packed: list[Packed] = []
    for file in found.files:
        pair = chosen(file) or read_pair(file)
        prepared = pair if isinstance(pair, LeftOut) else prepare(pair, file, task, bundle)
        if isinstance(prepared, LeftOut):
            log.leave_out(prepared)
            continue
        packed += entries_of(prepared, file, len(log.used))
        log.take(file, **volume_facts(pair.target))
        report(f"{file.subject} {file.contrast} {prepared.target.shape}")
    if packed:
        write_cache(output, packed, data=[data(len({entry.subject for entry, _ in packed}))])
    return log


def prepare(pair: Pair, file: TrainingFile, task: NetworkTask, bundle: Bundle) -> Prepared | LeftOut:
    """The pair in network units, or why it cannot be used."""
    try:
        seen = task.prepare(pair.inputs, bundle, task.parameters_class(), no_progress)
    except InputError as error:
        return LeftOut(file.subject, file.place, "not accepted by the task", str(error))
    matched = on_result_grid(pair, seen.volume.grid, bundle.section.get("scale", 1))
    if matched is None:
        shapes = [" x ".join(map(str, v.shape[::-1])) for v in (seen.volume, pair.target)]
        text = f"The grids of input ({shapes[0]}) and target ({shapes[1]}) do not match; resample the target."
        return LeftOut(file.subject, file.place, "grids do not match", text)
    channels = seen.voxels.reshape(-1, *seen.voxels.shape[-3:])
    target = matched.target.voxels
    reference = channels[0] if seen.same_contrast else output_of(bundle, seen)
    factor = scale_to(target, reference)
    if not factor > 0:
        return LeftOut(file.subject, file.place, "unlike", "Input and target do not correlate; check that they pair.")
    return Prepared(channels, seen.conditions, target * np.float32(factor), seen.volume.spacing[::-1])


def scale_to(target: np.ndarray, reference: np.ndarray) -> float:
    """Least-squares factor that brings a target (k, j, i) to a reference, which may be coarser, over the head."""
    step = target.shape[0] // reference.shape[0]
    k, j, i = reference.shape
    coarse = target[: k * step, : j * step, : i * step].reshape(k, step, j, step, i, step).mean(axis=(1, 3, 5))
    head = reference > FOREGROUND
    power = float((coarse[head] ** 2).sum())
    return float((coarse[head] * reference[head]).sum()) / power if power > 0 else 0.0


def output_of(bundle: Bundle, seen: NetworkInput) -> np.ndarray:
    """What the network of the bundle makes of an input, in network units."""
    from ..inference import runner
    from ..tasks.base import Parameters
    from ..tasks.super_resolution import forward_mean

    channels, *_ = runner.run_volume(
        bundle,
        seen.voxels,
        Parameters(),
        forward=forward_mean,
        outputs=1,
        progress=no_progress,
        conditions=seen.conditions,
    )
    return channels[0]


def entries_of(prepared: Prepared, file: TrainingFile, number: int) -> list[Packed]:
    """The channels and the target of a pair, cropped to the head."""
    box = box_of(prepared.channels[0] > FOREGROUND)
    step = prepared.target.shape[0] // prepared.channels.shape[1]
    ends = [part.indices(n) for part, n in zip(box, prepared.channels.shape[1:])]
    fine = tuple(slice(start * step, stop * step) for start, stop, _ in ends)
    facts: dict[str, Any] = {
        "pair": number,
        "conditions": list(prepared.conditions),
        "spacing_kji": [round(s, 4) for s in prepared.spacing],
    }
    volumes = {f"channel {n}": channel[box] for n, channel in enumerate(prepared.channels)}
    volumes["target"] = prepared.target[fine]
    return [
        (Entry(file.subject, file.contrast, "real", False, {**facts, "role": role}), voxels.astype(np.float16))
        for role, voxels in volumes.items()
    ]


class PairCache:
    """Reads packed pairs."""

    def __init__(self, path: Path) -> None:
        self.cache = Cache(path)
        self.pairs: list[dict[str, int]] = []
        for index, entry in enumerate(self.cache.entries):
            if "pair" not in entry.extra:
                raise InputError(f"'{path.name}' holds no pairs; make it with: synthmri finetune.")
            if entry.extra["pair"] == len(self.pairs):
                self.pairs.append({})
            self.pairs[-1][entry.extra["role"]] = index

    def __len__(self) -> int:
        return len(self.pairs)

    def entry(self, pair: int) -> Entry:
        return self.cache.entries[self.pairs[pair]["target"]]

    def shape(self, pair: int) -> tuple[int, int, int]:
        """Of the input (k, j, i)."""
        return self.cache.shape(self.pairs[pair]["channel 0"])

    @property
    def scale(self) -> int:
        return self.cache.shape(self.pairs[0]["target"])[0] // self.shape(0)[0]

    def blocks(self, pair: int, start: tuple[int, int, int], size: int) -> tuple[np.ndarray, np.ndarray]:
        """Channels with conditions (c, s, s, s) and target, from `start` of the input; zero beyond the volumes."""
        roles = self.pairs[pair]
        channels = (roles[f"channel {n}"] for n in range(len(roles) - 1))
        inputs = [self.cache.block(index, start, size) for index in channels]
        inputs += [np.full_like(inputs[0], value) for value in self.entry(pair).extra["conditions"]]
        target = self.cache.block(roles["target"], tuple(s * self.scale for s in start), size * self.scale)
        return np.stack(inputs), target
