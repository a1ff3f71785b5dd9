"""Tiny heads for the tests of the simulation: fast, and with every place a lesion can have."""

from __future__ import annotations

import numpy as np
from SynthMRILib.volume import Grid, Volume


def ball(shape: tuple[int, ...], center: tuple[float, ...], radius: float) -> np.ndarray:
    grid = np.indices(shape).astype(float)
    return sum((g - c) ** 2 for g, c in zip(grid, center)) < radius**2


def small_head(shape: tuple[int, int, int] = (48, 56, 52)) -> np.ndarray:
    """Labels (k, j, i): skin, soft tissue, bone, fluid, cortex, white matter, ventricles and brain stem."""
    center, unit = tuple(n / 2 for n in shape), min(shape) / 48
    labels = np.zeros(shape, dtype=np.int32)
    for label, radius in ((511, 23), (507, 22), (515, 20), (24, 18), (42, 17), (41, 13)):
        labels[ball(shape, center, radius * unit)] = label
    labels[ball(shape, (center[0] - 12 * unit, center[1] + 3 * unit, center[2]), 4 * unit)] = 16
    labels[ball(shape, (center[0], center[1], center[2] + 4 * unit), 3 * unit)] = 4
    labels[ball(shape, (center[0], center[1], center[2] - 4 * unit), 3 * unit)] = 43
    left = np.indices(shape)[2] > center[2]
    labels[(labels == 42) & left] = 3
    labels[(labels == 41) & left] = 2
    return labels


def textured_ball(shape: tuple[int, int, int], spacing: tuple[float, float, float], *, seed: int = 0) -> Volume:
    """A smooth, band-limited object well inside its field of view, identity axes, spacing (i, j, k) [mm]."""
    rng = np.random.default_rng(seed)
    positions = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing[::-1])]
    z, y, x = np.meshgrid(*positions, indexing="ij")
    size = 0.22 * min(n * s for n, s in zip(shape, spacing[::-1]))
    image = np.zeros(shape)
    for _ in range(12):
        center = rng.uniform(-0.6, 0.6, 3) * size
        width = rng.uniform(0.35, 0.6) * size
        distance = (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
        image += rng.uniform(0.3, 1.0) * np.exp(-distance / (2 * width**2))
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = [positions[2][0], positions[1][0], positions[0][0]]
    return Volume(image.astype(np.float32), Grid(shape, matrix))
