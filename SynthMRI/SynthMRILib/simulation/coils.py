"""Receive coils around a head and the smooth phase of its image: why an acquired image is complex and multi-channel.

Elements sit on two rings around the head. A sensitivity is a Gaussian of the distance to its element with a linear
phase: smooth, separable and cheap, not a Biot-Savart field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .fields import smooth_field
from .records import Record, draw_seed


@dataclass(frozen=True)
class CoilRecord(Record):
    """A receive array and the phase of the image.

    Args:
        channels: number of elements; 1 stands for a volume coil of uniform sensitivity.
        width: standard deviation of an element's sensitivity, fraction of the field of view.
        phase: standard deviation of the image's smooth phase [rad].
        field_seed: seed of phases and positions.
    """

    kind: ClassVar[str] = "coils"
    channels: int = 1
    width: float = 0.45
    phase: float = 0.8
    field_seed: int = 0


def draw(rng: np.random.Generator, *, channels: int | None = None) -> CoilRecord:
    """A receive array; 1, 4 or 8 elements unless given."""
    channels = int(rng.choice([1, 4, 8])) if channels is None else channels
    return CoilRecord(channels, float(rng.uniform(0.35, 0.7)), float(rng.uniform(0.2, 1.5)), draw_seed(rng))


def object_phase(record: CoilRecord, shape: tuple[int, ...]) -> np.ndarray:
    """Unit complex64 (k, j, i): smooth phase of the transverse magnetization."""
    rng = np.random.default_rng(record.field_seed)
    phase = record.phase * smooth_field(shape, rng, length=tuple(max(n / 2.5, 4.0) for n in shape))
    return np.exp(1j * phase).astype(np.complex64)


def sensitivities(record: CoilRecord, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Complex64 sensitivities (k, j, i), one channel after the other.

    Their root sum of squares is about 1 on average over the volume.
    """
    if record.channels == 1:
        yield np.ones(shape, dtype=np.complex64)
        return
    gain = np.float32(1 / np.sqrt(_mean_power(record, shape)))
    for profiles in _profiles(record, shape):
        yield gain * profiles[0][:, None, None] * profiles[1][:, None] * profiles[2]


def combined_sensitivity(record: CoilRecord, shape: tuple[int, ...]) -> np.ndarray:
    """Root sum of squares of the sensitivities, float32 (k, j, i)."""
    return np.sqrt(sum(np.abs(s) ** 2 for s in sensitivities(record, shape))).astype(np.float32)


def _profiles(record: CoilRecord, shape: tuple[int, ...]) -> Iterator[list[np.ndarray]]:
    """Three complex64 profiles along k, j and i of every element."""
    rng = np.random.default_rng([record.field_seed, 1])
    start = rng.uniform(0, 2 * np.pi)
    for element in range(record.channels):
        angle = start + 2 * np.pi * element / record.channels
        place = (0.25 if element % 2 else -0.25, 0.55 * np.sin(angle), 0.55 * np.cos(angle))
        slope = rng.uniform(-1.5, 1.5, 3)
        profiles = []
        for n, at, phase in zip(shape, place, slope):
            position = (np.arange(n) - (n - 1) / 2) / n
            profile = np.exp(-0.5 * ((position - at) / record.width) ** 2 + 1j * phase * position)
            profiles.append(profile.astype(np.complex64))
        yield profiles


def _mean_power(record: CoilRecord, shape: tuple[int, ...]) -> float:
    powers = [np.prod([np.mean(np.abs(p) ** 2) for p in profiles]) for profiles in _profiles(record, shape)]
    return float(np.sum(powers))
