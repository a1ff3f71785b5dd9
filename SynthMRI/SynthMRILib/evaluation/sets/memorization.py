"""Whether synthetic volumes are copies of real ones: distance to the nearest real volume, against that among real ones.

A network can learn its training volumes by heart. The check needs the very volumes it was trained on as the real set;
against others it says nothing about memory. Distance is one minus the correlation of voxels in the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: A synthetic volume this much nearer to a real one than any two real ones are to each other is called a copy.
COPY_RATIO = 0.5


@dataclass(frozen=True)
class Memorization:
    """What the check found.

    Args:
        nearest: for each synthetic volume the distance to its nearest real one.
        nearest_real: name index of that one.
        among_real: for each real volume the distance to its nearest other real one.
        copies: indices of the synthetic volumes that are called copies.
        closer_than_real: share of synthetic volumes that are nearer to their nearest real one than that one is to any
            other real one; about 0.5 when both sets come from one distribution (after the authenticity of Alaa et al.,
            ICML 2022, of which this is the complement).
    """

    nearest: np.ndarray
    nearest_real: np.ndarray
    among_real: np.ndarray
    copies: tuple[int, ...]
    closer_than_real: float


def check_memorization(real: np.ndarray, synthetic: np.ndarray) -> Memorization:
    """Compare sets (volumes, k, j, i) in one frame; the real one has at least two."""
    between = correlation_distances(synthetic, real)
    within = correlation_distances(real, real)
    np.fill_diagonal(within, np.inf)
    among_real = within.min(axis=1)
    owner = between.argmin(axis=1)
    nearest = between.min(axis=1)
    copies = tuple(int(n) for n in np.flatnonzero(nearest < COPY_RATIO * among_real.min()))
    return Memorization(nearest, owner, among_real, copies, float((nearest < among_real[owner]).mean()))


def correlation_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One minus Pearson's correlation of the voxels of every pair."""
    tables = []
    for voxels in (first, second):
        flat = voxels.reshape(len(voxels), -1).astype(np.float64)
        flat = flat - flat.mean(axis=1, keepdims=True)
        tables.append(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))
    return np.maximum(1 - tables[0] @ tables[1].T, 0)
