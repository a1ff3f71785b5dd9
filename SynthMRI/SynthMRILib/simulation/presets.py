"""Acquisitions as they are met: isotropic research scans, clinical thick slices, low resolution, low field."""

from __future__ import annotations

import numpy as np

from . import bias, coils, noise, protocols
from .acquisition import AcquisitionRecord
from .coils import CoilRecord
from .noise import NoiseRecord
from .protocols import ProtocolRecord
from .records import draw_seed

ACQUISITIONS = ("isotropic", "thick-slices", "low-resolution", "low-field")
LOW_FIELDS = (0.064, 0.35, 0.55)


def draw_acquisition(
    rng: np.random.Generator, kind: str, *, voxel_mm: float = 1.0, slice_axis: int | None = None
) -> AcquisitionRecord:
    """An acquisition of one of the kinds in ACQUISITIONS.

    Args:
        voxel_mm: voxel size of the volume it will be taken from; nothing is acquired finer than this [mm].
        slice_axis: array axis across thick slices; any when None.
    """
    if kind not in _DRAWS:
        raise ValueError(f"unknown acquisition {kind!r}; known: {', '.join(ACQUISITIONS)}")
    axis = int(rng.integers(3)) if slice_axis is None else slice_axis
    return _DRAWS[kind](rng, voxel_mm, axis)


def draw_low_field_protocol(rng: np.random.Generator, contrast: str) -> ProtocolRecord:
    """A protocol at 0.064, 0.35 or 0.55 T; relaxation times shorten with the field by themselves."""
    return protocols.draw(rng, contrast, field_strength=float(rng.choice(LOW_FIELDS)))


def _common(rng: np.random.Generator, *, least: float, most: float) -> dict:
    """Coils, noise and bias; the noise's channels are those of the coils."""
    return {
        "partial_fourier": float(rng.choice([1.0, 1.0, 0.875, 0.75])),
        "window": float(rng.choice([0.0, rng.uniform(0.1, 0.6)])),
        "coils": coils.draw(rng),
        "normalized": bool(rng.random() < 0.8),
        "adaptive": bool(rng.random() < 0.5),
        "masked_air": bool(rng.random() < 0.4),
        "noise": noise.draw(rng, least=least, most=most),
        "bias": bias.draw_bias(rng, largest=0.2),
    }


def _isotropic(rng: np.random.Generator, voxel_mm: float, _axis: int) -> AcquisitionRecord:
    return AcquisitionRecord(
        resolution_mm=(voxel_mm,) * 3, phase_axis=int(rng.integers(3)), **_common(rng, least=0.004, most=0.04)
    )


def _thick_slices(rng: np.random.Generator, voxel_mm: float, axis: int) -> AcquisitionRecord:
    in_plane = float(rng.uniform(1.0, 1.3) * voxel_mm)
    thickness = float(rng.uniform(2.5, 6.0))
    return AcquisitionRecord(
        slice_axis=axis,
        thickness_mm=thickness,
        gap_mm=float(rng.choice([0.0, rng.uniform(0.1, 0.3) * thickness])),
        profile=float(rng.uniform(2.0, 6.0)),
        resolution_mm=(in_plane,) * 3,
        phase_axis=int(rng.choice([a for a in range(3) if a != axis])),
        zero_filling=float(rng.choice([1.0, 1.5, 2.0])),
        **_common(rng, least=0.004, most=0.03),
    )


def _low_resolution(rng: np.random.Generator, voxel_mm: float, _axis: int) -> AcquisitionRecord:
    size = tuple(float(voxel_mm * factor) for factor in rng.uniform(1.4, 3.0) * rng.uniform(0.85, 1.15, 3))
    return AcquisitionRecord(
        resolution_mm=size, phase_axis=int(rng.integers(3)), **_common(rng, least=0.004, most=0.03)
    )


def _low_field(rng: np.random.Generator, voxel_mm: float, axis: int) -> AcquisitionRecord:
    in_plane = float(max(rng.uniform(1.3, 1.8), voxel_mm))
    return AcquisitionRecord(
        slice_axis=axis,
        thickness_mm=float(rng.uniform(4.0, 6.0)),
        profile=2.0,
        resolution_mm=(in_plane,) * 3,
        phase_axis=int(rng.choice([a for a in range(3) if a != axis])),
        window=float(rng.uniform(0.3, 0.8)),
        coils=CoilRecord(1, 0.5, float(rng.uniform(0.5, 2.0)), draw_seed(rng)),
        noise=NoiseRecord(float(rng.uniform(0.04, 0.1)), 1, 0.0, 60.0, draw_seed(rng)),
        bias=bias.draw_bias(rng, largest=0.2),
    )


_DRAWS = {
    "isotropic": _isotropic,
    "thick-slices": _thick_slices,
    "low-resolution": _low_resolution,
    "low-field": _low_field,
}
