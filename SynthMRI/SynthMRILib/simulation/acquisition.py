"""What a scanner makes of a sharp head: thick slices, a finite k-space, several coils, noise, interpolation.

Order of effects as in a scan: the slice profile weighs signal through the plane; the object times coil sensitivity and
phase is sampled in a finite k-space (truncation gives Gibbs ringing, partial Fourier leaves one side out); noise enters
each channel on the acquired matrix; zero filling interpolates signal and noise alike; channels are combined by their
sensitivities or root sum of squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy import fft, ndimage

from ..volume import Grid, Volume
from . import bias, coils
from .bias import BiasRecord
from .coils import CoilRecord
from .fields import smooth_field
from .noise import NoiseRecord
from .records import Record


@dataclass(frozen=True)
class AcquisitionRecord(Record):
    """How one volume is acquired. Axes are array axes: 0 is k, 1 is j, 2 is i.

    Args:
        slice_axis: axis across the slices of a 2D acquisition, or None for a 3D one.
        thickness_mm: full width at half maximum of the slice profile; gap_mm: between slices.
        profile: exponent of the profile exp(-ln 2 |2 z / thickness|^profile): 2 is Gaussian, larger is more like a box.
        resolution_mm: acquired voxel size along (k, j, i) [mm], ignored along the slice axis.
        phase_axis: axis of partial Fourier; partial_fourier: acquired fraction (0.6 to 1).
        window: share of k-space over which a raised cosine damps the outer frequencies (0 none, 1 all).
        zero_filling: factor of in-plane interpolation of the result (1 or more).
        coils: receive array and phase of the image.
        adaptive: combine channels by their sensitivities (noise stays Rician) instead of by root sum of squares.
        normalized: divide by the combined sensitivity, so that noise varies instead of signal.
        masked_air: blank the air far from the head, as many scanners do; only a rim of noise is left.
        noise: `sigma` relative to the 99.5th percentile; `channels` is taken from `coils`.
        bias: remaining intensity bias.
    """

    kind: ClassVar[str] = "acquisition"
    slice_axis: int | None = None
    thickness_mm: float = 1.0
    gap_mm: float = 0.0
    profile: float = 4.0
    resolution_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phase_axis: int = 1
    partial_fourier: float = 1.0
    window: float = 0.0
    zero_filling: float = 1.0
    coils: CoilRecord = field(default_factory=CoilRecord)
    adaptive: bool = False
    normalized: bool = True
    masked_air: bool = False
    noise: NoiseRecord = field(default_factory=NoiseRecord)
    bias: BiasRecord = field(default_factory=BiasRecord)


def apply(record: AcquisitionRecord, volume: Volume) -> Volume:
    """The acquired magnitude volume on its own grid, which covers the same field of view (whole voxels)."""
    volume = slices(record, volume)
    image = bias.apply_bias(record.bias, volume.voxels, spacing=volume.spacing)
    acquired = acquired_shape(record, volume.grid)
    target = _display_shape(record, acquired)
    bright = image[image > 0]
    sigma = record.noise.sigma * (float(np.percentile(bright, 99.5)) if bright.size else 1.0)
    rng = np.random.default_rng(record.noise.noise_seed)
    factor = _noise_factor(record.noise, acquired, rng)
    phase = coils.object_phase(record.coils, image.shape)
    total = np.zeros(target, dtype=np.complex64 if record.adaptive else np.float32)
    maps = zip(coils.sensitivities(record.coils, image.shape), coils.sensitivities(record.coils, target))
    for sensitivity, own in maps:
        channel = resample_k_space(image * phase * sensitivity, acquired)
        if sigma > 0:
            channel += np.float32(sigma) * factor * _complex_noise(acquired, rng)
        channel = resample_k_space(_limit_k_space(record, channel), target)
        total += own.conj() * channel if record.adaptive else np.abs(channel) ** 2
    result = _combined(record, total, target)
    if record.normalized and record.coils.channels > 1:
        result /= coils.combined_sensitivity(record.coils, target)
    if record.masked_air:
        result = np.where(_near_head(result), result, 0)
    return Volume(result, rescaled_grid(volume.grid, target), dict(volume.header))


def _combined(record: AcquisitionRecord, total: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Magnitude (k, j, i) of the channels, weighted by the combined sensitivity."""
    if not record.adaptive:
        return np.sqrt(total)
    return np.abs(total) / np.maximum(coils.combined_sensitivity(record.coils, shape), 1e-3)


def _near_head(image: np.ndarray) -> np.ndarray:
    """Where the smoothed signal stands out of the noise: the head and about three voxels around it."""
    smooth = ndimage.uniform_filter(image, 5)
    bright = smooth > 0.1 * np.percentile(smooth, 99)
    return ndimage.binary_dilation(ndimage.binary_opening(bright, iterations=2), iterations=5)


def slices(record: AcquisitionRecord, volume: Volume) -> Volume:
    """The volume seen through a slice profile, one voxel a slice; unchanged for a 3D acquisition."""
    if record.slice_axis is None:
        return volume
    axis = record.slice_axis
    spacing = volume.spacing[2 - axis]
    step = record.thickness_mm + record.gap_mm
    number = max(int(volume.shape[axis] * spacing / step), 1)
    matrix = slice_matrix(
        volume.shape[axis], number, spacing=spacing, step=step, thickness=record.thickness_mm, exponent=record.profile
    )
    voxels = np.moveaxis(np.tensordot(matrix, volume.voxels, axes=(1, axis)), 0, axis)
    return Volume(voxels, _sliced_grid(volume.grid, axis, number, step / spacing), dict(volume.header))


def slice_matrix(
    voxels: int, number: int, *, spacing: float, step: float, thickness: float, exponent: float
) -> np.ndarray:
    """Weights (slices, voxels) of a slice profile; rows sum to 1, slices are centered in the field of view [mm]."""
    positions = (np.arange(voxels) - (voxels - 1) / 2) * spacing
    centers = (np.arange(number) - (number - 1) / 2) * step
    # Five points a voxel, so that thin profiles are integrated and not sampled.
    fine = positions[:, None] + (np.arange(5) - 2) / 5 * spacing
    distance = np.abs(fine[None] - centers[:, None, None]) * 2 / thickness
    weights = np.exp(-np.log(2) * distance**exponent).sum(-1)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _sliced_grid(grid: Grid, axis: int, number: int, step: float) -> Grid:
    """Grid whose voxels along an array axis are `step` old voxels apart, centered in the old field of view."""
    column = 2 - axis
    change = np.eye(4)
    change[column, column] = step
    change[column, 3] = (grid.shape[axis] - 1) / 2 - (number - 1) / 2 * step
    shape = tuple(number if a == axis else n for a, n in enumerate(grid.shape))
    return Grid(shape, grid.ijk_to_ras @ change)


def rescaled_grid(grid: Grid, shape: tuple[int, ...]) -> Grid:
    """Grid of another shape over the same field of view."""
    factors = tuple(new / old for new, old in zip(shape[::-1], grid.shape[::-1]))
    return grid if tuple(shape) == grid.shape else grid.scaled(factors, tuple(shape))


def acquired_shape(record: AcquisitionRecord, grid: Grid) -> tuple[int, int, int]:
    """Matrix (k, j, i) of the acquired k-space; never finer than the volume it is taken from."""
    shape = []
    for axis, (n, spacing) in enumerate(zip(grid.shape, grid.spacing[::-1])):
        wanted = n if axis == record.slice_axis else round(n * spacing / record.resolution_mm[axis])
        shape.append(int(np.clip(wanted, 1, n)))
    return tuple(shape)


def _display_shape(record: AcquisitionRecord, acquired: tuple[int, int, int]) -> tuple[int, int, int]:
    factors = [1.0 if axis == record.slice_axis else record.zero_filling for axis in range(3)]
    return tuple(max(round(n * factor), n) for n, factor in zip(acquired, factors))


def resample_k_space(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image on another matrix over the same field of view, by cropping or zero-filling its k-space.

    Voxel edges coincide, so voxel centers move; the shift is a phase ramp. complex64 in, complex64 out.
    """
    for axis, (old, new) in enumerate(zip(image.shape, shape)):
        if old != new:
            image = _resample_axis(image, axis, new)
    return image


def _resample_axis(image: np.ndarray, axis: int, new: int) -> np.ndarray:
    old = image.shape[axis]
    spectrum = fft.fft(image, axis=axis)
    kept = min(old, new)
    frequency = fft.fftfreq(kept, 1 / kept)
    if kept % 2 == 0:
        frequency = frequency[np.arange(kept) != kept // 2]
    shift = np.exp(2j * np.pi * frequency * (0.5 / new - 0.5 / old)).astype(np.complex64)
    resized = np.zeros([new if a == axis else n for a, n in enumerate(image.shape)], dtype=np.complex64)
    source, target = (np.rint(frequency).astype(int) % n for n in (old, new))
    taken = np.take(spectrum, source, axis=axis)
    index = [slice(None)] * image.ndim
    index[axis] = target
    resized[tuple(index)] = taken * shift.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
    return fft.ifft(resized, axis=axis) * np.float32(new / old)


def _limit_k_space(record: AcquisitionRecord, channel: np.ndarray) -> np.ndarray:
    """Partial Fourier along the phase axis and the window along all encoded axes."""
    for axis, n in enumerate(channel.shape):
        weight = np.ones(n, dtype=np.float32)
        if axis == record.phase_axis and axis != record.slice_axis:
            weight[fft.fftfreq(n) > record.partial_fourier - 0.5] = 0
        if axis != record.slice_axis and record.window > 0:
            weight *= window(n, record.window)
        if (weight < 1).any():
            shape = [-1 if a == axis else 1 for a in range(3)]
            channel = fft.ifft(fft.fft(channel, axis=axis) * weight.reshape(shape), axis=axis)
    return channel


def window(n: int, share: float) -> np.ndarray:
    """Raised-cosine (Tukey) window over unshifted frequencies, float32 (n,), 1 in the middle."""
    distance = np.abs(fft.fftfreq(n)) * 2
    ramp = np.clip((distance - (1 - share)) / max(share, 1e-6), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * ramp)).astype(np.float32)


def _noise_factor(record: NoiseRecord, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | np.float32:
    if record.variation <= 0:
        return np.float32(1)
    length = tuple(max(n / 4, 3.0) for n in shape)
    return np.exp(np.float32(record.variation) * smooth_field(shape, rng, length=length))


def _complex_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
