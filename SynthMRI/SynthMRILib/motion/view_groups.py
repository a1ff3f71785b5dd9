"""Which samples of k-space were acquired with the head in one pose, as far as a magnitude volume can tell.

Two kinds of 3D sequence are known: one shot of an MPRAGE holds a whole line (all samples of one frequency along one
axis), one shot of a reordered turbo spin echo a spoke (samples in one direction from the center). The frequencies of a
magnitude volume come in pairs of opposite sign that cannot be told apart, so samples of both signs share a pose here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from scipy import fft

CENTER = 0.04
"""Samples up to this frequency [cycles a voxel] say where the head is; they are not moved."""
ACROSS = 0.35
"""Highest frequency of samples that are compared, along axes that are not cut into groups [cycles a voxel]."""
GROWTH, LEAST_BLOCK = 0.25, 0.03
"""Width of a block of lines: share of the frequency where it begins, and at least so many cycles a voxel."""
SECTORS, SECTOR_BLOCKS = 48, 8
"""Number of spokes that are told apart in half a turn, and of blocks that they are taken in."""
FARTHEST = 0.45
"""Highest frequency of samples of spokes that are compared [cycles a voxel]."""


class ViewGroups(ABC):
    """Groups of samples that share a pose, over the first two axes of a volume; the third is the readout.

    Args:
        shape: of the volume.

    Attributes:
        number: of groups; group `number` holds what is never moved.
        cut: axes along which a part of the volume may be cut out without mixing groups.
        circular: whether the first group follows the last.
    """

    cut: tuple[int, ...]
    circular: bool
    number: int

    def padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of at least that size whose transform is faster; axes that are cut into groups stay as they are."""
        return tuple(fft.next_fast_len(n, real=a == 2) if a in self.cut else n for a, n in enumerate(shape))

    @abstractmethod
    def of(self, shape: tuple[int, ...]) -> np.ndarray:
        """Group of every sample of the first two axes (n, m) of a part of the volume."""

    @abstractmethod
    def blocks(self) -> list[np.ndarray]:
        """Groups that are looked at together, block by block."""

    @abstractmethod
    def compared(self, shape: tuple[int, ...]) -> np.ndarray:
        """Which samples of the first two axes are compared, bool (n, m)."""

    @abstractmethod
    def ring(self, nu: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Where a sample lies between the best (0) and the least (1) foretold ones of its block."""


class Lines(ViewGroups):
    """Samples of one frequency along the first axis; group n is n lines from the center."""

    cut, circular = (1, 2), False

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.lines = shape[0]
        self.number = self.lines // 2 + 1

    def of(self, shape: tuple[int, ...]) -> np.ndarray:
        number = np.arange(self.lines)
        return np.repeat(np.minimum(number, self.lines - number)[:, None], shape[1], axis=1)

    def frequency(self, group: int) -> float:
        """Of a group along the first axis [cycles a voxel]."""
        return group / self.lines

    def blocks(self) -> list[np.ndarray]:
        """Inner blocks first; every line beyond the center is in one of them."""
        blocks, number = [], np.arange(self.number)
        low = CENTER
        while low < 0.5:
            high = low + max(LEAST_BLOCK, low * GROWTH)
            block = number[(number / self.lines > low) & (number / self.lines <= high) & (number > 1)]
            blocks += [block] if block.size else []
            low = high
        return blocks

    def compared(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.repeat(np.abs(fft.fftfreq(shape[1]))[None] < ACROSS, shape[0], axis=0)

    def ring(self, nu: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        return np.hypot(nu[1], nu[2]) / (ACROSS * np.sqrt(2))


class Spokes(ViewGroups):
    """Samples in one direction from the center of the plane of the first two axes."""

    cut, circular, number = (2,), True, SECTORS

    def __init__(self, shape: tuple[int, ...]) -> None:
        del shape

    def of(self, shape: tuple[int, ...]) -> np.ndarray:
        a, b = (fft.fftfreq(n) for n in shape[:2])
        turns = np.arctan2(b[None], a[:, None]) / np.pi
        group = (
            np.floor(np.round(turns * SECTORS, 6)).astype(int) % SECTORS
        )  # samples of opposite sign differ by rounding alone
        return np.where(np.hypot(a[:, None], b[None]) > CENTER, group, SECTORS)

    def blocks(self) -> list[np.ndarray]:
        return np.array_split(np.arange(SECTORS), SECTOR_BLOCKS)

    def compared(self, shape: tuple[int, ...]) -> np.ndarray:
        a, b = (fft.fftfreq(n) for n in shape[:2])
        return np.hypot(a[:, None], b[None]) < FARTHEST

    def ring(self, nu: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        return np.sqrt(nu[0] ** 2 + nu[1] ** 2 + nu[2] ** 2) / np.hypot(FARTHEST, ACROSS)
