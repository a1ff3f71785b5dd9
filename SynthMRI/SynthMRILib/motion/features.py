"""Figures of an image that change when a head moves during the scan; none of them needs a reference.

- gradient entropy: motion spreads edges (McGee et al. 2000, where it is minimized to correct motion);
- entropy focus criterion: ghosts and blur spread signal (Atkinson et al. 1997);
- coefficient of joint variation of the two brightest of three classes (Ganzetti et al. 2016, there of grey and white);
- ripples: fluctuation at a scale of a few voxels in the flattest parts of the head;
- roughness of k-space along each axis: motion sets lines of k-space against their neighbors;
- ghosting in air: signal beside the head along one axis over that in the rest of the air (zero for a stripped volume);
- direction: how much stronger ghosts in air, and ripples in the head, are along one axis than along another, because
  motion acts along the axes of phase encoding and noise along all.

All are dimensionless. Arrays are (k, j, i) in network units (see `intensity.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

FOREGROUND = 0.05
MIDDLE = 112
ITERATIONS = 12


def image_features(voxels: np.ndarray) -> dict[str, float]:
    """All features by name; finite for any volume with signal."""
    box = head_box(voxels)
    head = voxels[middle_of(box, voxels.shape)]
    mask = ndimage.binary_fill_holes(ndimage.binary_closing(head > FOREGROUND, iterations=2))
    roughness = sorted(k_space_roughness(head))
    ghosts = air_levels(voxels, box)
    return {
        "gradient_entropy": gradient_entropy(head, mask),
        "entropy_focus": entropy_focus(head[mask]),
        "joint_variation": joint_variation(head[mask]),
        "ripples_fine": ripples(head, mask, size=3),
        "ripples_coarse": ripples(head, mask, size=7),
        "roughness_low": roughness[0],
        "roughness_high": roughness[-1],
        "air_ghosting": air_ghosting(ghosts),
        "air_direction": direction(list(ghosts.beside)),
        "ripple_direction": direction(directed_ripples(head, mask)),
    }


def head_box(voxels: np.ndarray, *, margin: int = 3) -> tuple[slice, ...]:
    """The box of the largest bright part of the volume and a few voxels around it."""
    labels, count = ndimage.label(ndimage.binary_opening(voxels > 2 * FOREGROUND, iterations=1))
    if not count:
        return (slice(None),) * 3
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    found = ndimage.find_objects(labels)[largest - 1]
    return tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in found)


def middle_of(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The middle of a box, at most `MIDDLE` voxels along each axis: the rest says little more and takes time."""
    parts = []
    for part, n in zip(box, shape):
        start, stop, _ = part.indices(n)
        cut = max(stop - start - MIDDLE, 0)
        parts.append(slice(start + cut // 2, stop - (cut - cut // 2)))
    return tuple(parts)


def gradient_entropy(voxels: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Entropy of the gradient magnitude over the mask, 0 (one edge) to 1 (edges everywhere)."""
    magnitude = np.sqrt(sum(g**2 for g in np.gradient(voxels)))
    return normalized_entropy(magnitude if mask is None else magnitude[mask])


def edge_entropy(voxels: np.ndarray, mask: np.ndarray) -> float:
    """Entropy of the squared gradient over the mask, 0 to 1: strong edges count more than noise and ringing in air."""
    return normalized_entropy(sum(g**2 for g in np.gradient(voxels))[mask])


def normalized_entropy(values: np.ndarray) -> float:
    """Entropy of values taken as shares of their sum, over its largest possible value; zeros count as values."""
    largest, values = np.log(max(values.size, 2)), values[values > 0].astype(np.float64)
    if values.size < 2:
        return 0.0
    shares = values / values.sum()
    return float(-(shares * np.log(shares)).sum() / largest)


def entropy_focus(values: np.ndarray) -> float:
    """Entropy of intensities over their root sum of squares, relative to that of a uniform image."""
    values = values[values > 0].astype(np.float64)
    if values.size < 2:
        return 0.0
    shares = values / np.sqrt((values**2).sum())
    return float(-(shares * np.log(shares)).sum() / (np.sqrt(values.size) * np.log(np.sqrt(values.size))))


def joint_variation(values: np.ndarray) -> float:
    """(s1 + s2) / |m1 - m2| of the two brightest of three classes found by the intensities alone; at most 10."""
    sample = np.sort(values[:: max(values.size // 100_000, 1)]).astype(np.float64)
    centers = np.percentile(sample, (20, 50, 80))
    for _ in range(ITERATIONS):
        borders = np.searchsorted(sample, (centers[:-1] + centers[1:]) / 2)
        classes = np.split(sample, borders)
        centers = np.array([c.mean() if c.size else old for c, old in zip(classes, centers)])
    spread = sum(c.std() for c in classes[1:] if c.size)
    return float(min(spread / max(abs(centers[2] - centers[1]), 1e-6), 10.0))


def ripples(voxels: np.ndarray, mask: np.ndarray, *, size: int) -> float:
    """Logarithm of the local standard deviation in the flattest tenth of the head, relative to its mean intensity."""
    inside = ndimage.binary_erosion(mask, iterations=size // 2 + 1)
    if not inside.any():
        return 0.0
    mean = ndimage.uniform_filter(voxels, size)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(voxels**2, size) - mean**2, 1e-12))
    return float(np.log(np.percentile(deviation[inside], 10) / max(voxels[inside].mean(), 1e-6) + 1e-4))


def k_space_roughness(voxels: np.ndarray) -> list[float]:
    """For each axis, how much the logarithm of the energy of lines of k-space jumps from line to line."""
    energy = np.abs(fft.rfftn(voxels, axes=(0, 1, 2))) ** 2
    found = []
    for axis, n in enumerate(voxels.shape):
        lines = energy.sum(axis=tuple(a for a in range(3) if a != axis))[: n // 2]
        logarithm = np.log(lines[max(n // 16, 1) :] + 1e-12)
        second = np.diff(logarithm, 2) if logarithm.size > 3 else np.zeros(1)
        found.append(float(np.median(np.abs(second))))
    return found


def directed_ripples(voxels: np.ndarray, mask: np.ndarray) -> list[float]:
    """For each axis the root mean square second difference along it, over the flattest third of the head."""
    inside = ndimage.binary_erosion(mask, iterations=2)
    if not inside.any():
        return [0.0] * 3
    slope = sum(g**2 for g in np.gradient(ndimage.gaussian_filter(voxels, 1.5)))
    flat = inside & (slope <= np.percentile(slope[inside], 33))
    found = []
    for axis in range(3):
        second = np.roll(voxels, 1, axis) + np.roll(voxels, -1, axis) - 2 * voxels
        found.append(float(np.sqrt(np.mean(second[flat] ** 2))))
    return found


def direction(levels: list[float]) -> float:
    """Logarithm of the largest level over the smallest; 0 where fewer than two are above zero."""
    levels = [level for level in levels if level > 1e-5]
    return float(np.log(max(levels) / min(levels))) if len(levels) > 1 else 0.0


@dataclass(frozen=True)
class AirLevels:
    """Mean signal in the air beside the head along each axis that has some, and in the rest of the air."""

    beside: tuple[float, ...]
    rest: float


def air_levels(voxels: np.ndarray, box: tuple[slice, ...]) -> AirLevels:
    """The levels of a volume whose head lies in `box`; zero where there is no air."""
    outside = np.ones(voxels.shape, dtype=bool)
    outside[box] = False
    beside = []
    for axis in range(3):
        column = np.zeros(voxels.shape, dtype=bool)
        column[tuple(slice(None) if a == axis else box[a] for a in range(3))] = True
        beside.append(column & outside)
    rest = outside & ~np.logical_or.reduce(beside)
    levels = tuple(float(voxels[b].mean()) for b in beside if b.sum() > 100)
    return AirLevels(levels, float(voxels[rest].mean()) if rest.any() else 0.0)


def air_ghosting(levels: AirLevels) -> float:
    """Logarithm of the largest level beside the head over that in the rest of the air; 0 without air."""
    largest = max(levels.beside, default=0.0)
    return float(np.log(largest / levels.rest)) if levels.rest > 1e-4 and largest > 0 else 0.0
