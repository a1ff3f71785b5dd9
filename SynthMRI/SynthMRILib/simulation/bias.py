"""Smooth fields of a scanner: receive bias, and the transmit field B1+ with its bright or dark middle of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .fields import smooth_field
from .records import Record, draw_seed

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class BiasRecord(Record):
    """A multiplicative intensity bias: exp(strength * smooth field of unit deviation), length in mm."""

    kind: ClassVar[str] = "bias"
    strength: float = 0.0
    length_mm: float = 90.0
    field_seed: int = 0


def draw_bias(rng: np.random.Generator, *, largest: float = 0.25) -> BiasRecord:
    """A bias of standard deviation up to `largest` (of the logarithm)."""
    return BiasRecord(float(rng.uniform(0, largest)), float(rng.uniform(60, 120)), draw_seed(rng))


def apply_bias(record: BiasRecord, image: np.ndarray, *, spacing: Spacing = (1.0, 1.0, 1.0)) -> np.ndarray:
    """The image times the bias, float32 (k, j, i)."""
    if record.strength <= 0:
        return image.astype(np.float32, copy=True)
    rng = np.random.default_rng(record.field_seed)
    field = smooth_field(image.shape, rng, length=tuple(record.length_mm / s for s in spacing[::-1]))
    return (image * np.exp(np.float32(record.strength) * field)).astype(np.float32)


@dataclass(frozen=True)
class TransmitRecord(Record):
    """B1+ over nominal: 1 + middle * (bump - mean of the bump) + ripple * smooth field.

    Args:
        middle: how much higher the field is in the middle of the head than at its border.
        ripple: standard deviation of further variation.
        shift: displacement of the bump, fraction of the field of view along (k, j, i).
    """

    kind: ClassVar[str] = "transmit"
    middle: float = 0.0
    ripple: float = 0.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field_seed: int = 0


def draw_transmit(rng: np.random.Generator, *, field_strength: float) -> TransmitRecord:
    """B1+ of a head coil; its spread grows with the field strength [T] as wavelengths shorten."""
    size = 0.4 * min(field_strength / 7.0, 1.0)
    return TransmitRecord(
        middle=float(rng.uniform(0.4, 1.2) * size),
        ripple=float(rng.uniform(0.0, 0.2) * size),
        shift=tuple(rng.uniform(-0.08, 0.08, 3).tolist()),
        field_seed=draw_seed(rng),
    )


def transmit_field(record: TransmitRecord, shape: tuple[int, ...], *, spacing: Spacing = (1.0, 1.0, 1.0)) -> np.ndarray:
    """B1+ over nominal, float32 (k, j, i)."""
    rng = np.random.default_rng(record.field_seed)
    bumps = []
    for n, shift in zip(shape, record.shift):
        position = (np.arange(n) - (n - 1) / 2) / n - shift
        bumps.append(np.exp(-((position / 0.35) ** 2)).astype(np.float32))
    bump = bumps[0][:, None, None] * bumps[1][:, None] * bumps[2]
    ripple = smooth_field(shape, rng, length=tuple(60 / s for s in spacing[::-1]), order=1)
    field = 1 + np.float32(record.middle) * (bump - bump.mean()) + np.float32(record.ripple) * ripple
    return np.clip(field, 0.2, 2.0)
