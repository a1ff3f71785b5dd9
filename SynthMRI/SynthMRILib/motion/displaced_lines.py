"""Where a head lay while each line of k-space was acquired, found from what the other lines foretell.

A head that is shifted while a line of k-space is acquired gives that line a phase ramp. Edges make the frequencies of
an image depend on each other: from the lines near the center a sharpened image foretells, roughly, the lines further
out. The correlation is weak (0.2 to 0.6) but each line has thousands of samples and its shift has three numbers, so the
shift that makes a line agree best with what is foretold is known to hundredths of a voxel. The lines are corrected from
the center outward, each block of them by the image of those within it, and then once more by all others.

The frequencies of a magnitude volume come in pairs of opposite sign that cannot be told apart. So lines of both signs
share one shift here: the mean of theirs. Rotations are not looked for.

Sharpening: Kramer and Bruckner, Pattern Recognition 7 (1975), 53-58. Correction of k-space that is guided by an
estimate of the image without motion: Haskell et al., Magn Reson Med 82 (2019), 1452-1461, who use a network for it.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

CENTER = 0.04
"""Lines up to this frequency [cycles a voxel] say where the head is; they are not moved."""
GROWTH, LEAST_BLOCK = 0.25, 0.03
"""Width of a block of lines: share of the frequency where it begins, and at least so many cycles a voxel."""
ACROSS = 0.35
"""Highest frequency along the two other axes of samples that are compared [cycles a voxel]."""
RINGS = 10
"""Groups of samples by that frequency, each with its own reliability."""
NEIGHBORS = 0.15
"""Standard deviation of the change of the shift from one line to the next [voxels]."""
LARGEST = 1.5
"""Standard deviation of the shift [voxels]."""
STEPS, LONGEST = 4, 0.6
"""Of the search in a block: how many, and the most that one may change [voxels]."""
SHARPENED = 0.4
"""Frequency from which an image is sharpened that lacks one block of lines only [cycles a voxel]."""


def sharpened(image: np.ndarray, frequency: float) -> np.ndarray:
    """Every voxel replaced by the nearer of the largest and the smallest value around it: edges become steps.

    Args:
        frequency: highest one of the image along its first axis [cycles a voxel]; sets the size of the surroundings.
    """
    size = (max(3, round(0.5 / frequency) // 2 * 2 + 1), 3, 3)
    high, low = ndimage.maximum_filter(image, size), ndimage.minimum_filter(image, size)
    return np.where(high - image < image - low, high, low)


class DisplacedLines:
    """The lines of k-space along the first axis of a volume, and how far each was displaced.

    Args:
        voxels: magnitude (lines, n, m) in any unit.
        shifts: first guess, as the attribute.

    Attributes:
        shifts: (lines // 2 + 1, 3) [voxels], by the distance of a line from the center of k-space: what is to be undone
            along the three array axes.
    """

    def __init__(self, voxels: np.ndarray, *, shifts: np.ndarray | None = None) -> None:
        self.lines = len(voxels)
        self.spectrum = fft.fftn(np.asarray(voxels, dtype=np.float32), workers=-1)
        self._nu = [fft.fftfreq(n).astype(np.float32) for n in voxels.shape]
        self.distance = np.minimum(np.arange(self.lines), self.lines - np.arange(self.lines))
        self.shifts = np.zeros((self.lines // 2 + 1, 3)) if shifts is None else shifts.copy()
        a, b = np.meshgrid(self._nu[1], self._nu[2], indexing="ij")
        self._inner = (np.abs(a) < ACROSS) & (np.abs(b) < ACROSS)
        a, b = a[self._inner], b[self._inner]
        self._basis = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=1)
        self._ring = np.minimum((np.hypot(a, b) / (ACROSS * np.sqrt(2)) * RINGS).astype(int), RINGS - 1)

    def corrected(self, weight: np.ndarray | None = None) -> np.ndarray:
        """The volume with the shifts undone, float32; of lines weighted by their `distance` where weights are given."""
        shift = self.shifts[self.distance]
        ramps = [np.exp(-2j * np.pi * np.outer(s, nu)).astype(np.complex64) for s, nu in zip(shift.T[1:], self._nu[1:])]
        own = np.exp(-2j * np.pi * shift[:, 0] * self._nu[0]).astype(np.complex64)
        if weight is not None:
            own = own * weight[self.distance].astype(np.float32)
        spectrum = self.spectrum * (own[:, None] * ramps[0])[:, :, None] * ramps[1][:, None, :]
        return fft.ifftn(spectrum, overwrite_x=True, workers=-1).real

    def outward(self, doubt: float) -> None:
        """Find the shifts from the center outward, each block foretold by the lines within it."""
        for block in self.blocks():
            inside = np.arange(len(self.shifts)) < block[0]
            image = sharpened(self.corrected(inside), (block[0] - 1) / self.lines)
            self.shifts[block] = self.shifts[block[0] - 1]
            self._fit(block, image, doubt)

    def refine(self, doubt: float) -> None:
        """Improve the shifts of each block by what all other lines foretell."""
        for block in self.blocks():
            others = np.ones(len(self.shifts))
            others[block] = 0
            self._fit(block, sharpened(self.corrected(others), SHARPENED), doubt)

    def blocks(self) -> list[np.ndarray]:
        """Distances from the center of the lines of each block, inner blocks first."""
        blocks, number = [], np.arange(len(self.shifts))
        low = CENTER
        while low < 0.5:
            high = low + max(LEAST_BLOCK, low * GROWTH)
            block = number[(number / self.lines > low) & (number / self.lines <= high) & (number > 1)]
            blocks += [block] if block.size else []
            low = high
        return blocks

    def _fit(self, block: np.ndarray, image: np.ndarray, doubt: float) -> None:
        """Shift the lines of a block to where they agree best with an image.

        Each sample is taken as a multiple of what is foretold plus noise, both by rings of frequency; neighboring lines
        have similar shifts. Gauss-Newton.

        Args:
            doubt: factor on the variance of the noise, because errors of neighboring samples are not independent.
        """
        lines = np.flatnonzero(np.isin(self.distance, block))
        owner = self.distance[lines] - block[0]
        foretold = fft.fftn(image, workers=-1)[lines][:, self._inner]
        found = self.spectrum[lines][:, self._inner]
        power = self._by_ring(np.abs(foretold) ** 2)
        energy, count = self._by_ring(np.abs(found) ** 2), np.bincount(self._ring, minlength=RINGS) * len(lines)
        for _ in range(STEPS):
            agreement = np.conj(found * self._ramp(lines)) * foretold
            common = np.maximum(self._by_ring(agreement.real), 0)
            factor = common / np.maximum(power, 1e-20)
            noise = np.maximum(energy - factor * common, 1e-3 * energy) / np.maximum(count, 1)
            weight = (factor / np.maximum(noise, 1e-20) / doubt)[self._ring]
            slope, curvature = self._derivatives(lines, owner, agreement * weight, len(block))
            step = self._step(block, slope, curvature)
            self.shifts[block] += step * min(1.0, LONGEST / max(np.abs(step).max(), 1e-9))

    def _by_ring(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._ring, values.sum(axis=0), RINGS)

    def _ramp(self, lines: np.ndarray) -> np.ndarray:
        shift = self.shifts[self.distance[lines]]
        turns = np.outer(shift[:, 1], self._basis[:, 1]) + np.outer(shift[:, 2], self._basis[:, 2])
        return np.exp(-2j * np.pi * (turns + (shift[:, 0] * self._nu[0][lines])[:, None])).astype(np.complex64)

    def _derivatives(
        self, lines: np.ndarray, owner: np.ndarray, agreement: np.ndarray, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slope (number, 3) of the agreement with the shifts and its negative curvature (number, 3, 3), not below 0."""
        nu = self._nu[0][lines].astype(np.float64)
        first, second = agreement.imag @ self._basis[:, :3], agreement.real @ self._basis
        slopes = -2 * np.pi * np.stack([nu * first[:, 0], first[:, 1], first[:, 2]], axis=1)
        s = [nu**2 * second[:, 0], nu * second[:, 1], nu * second[:, 2], *second.T[3:]]
        curvatures = (2 * np.pi) ** 2 * np.stack([s[0], s[1], s[2], s[1], s[3], s[4], s[2], s[4], s[5]], axis=1)
        slope, curvature = np.zeros((number, 3)), np.zeros((number, 3, 3))
        np.add.at(slope, owner, slopes)
        np.add.at(curvature, owner, curvatures.reshape(-1, 3, 3))
        values, vectors = np.linalg.eigh(curvature)
        return slope, np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, 0), vectors)

    def _step(self, block: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """Change of the shifts of a block (number, 3) that fits best and keeps neighbors alike."""
        number = len(block)
        ties = np.zeros((number, number))
        pull = np.zeros((number, 3))
        near = 1 / NEIGHBORS**2
        for n, line in enumerate(block):
            for other in (line - 1, line + 1):
                if other >= len(self.shifts) or (other > block[-1] and not self.shifts[other].any()):
                    continue
                ties[n, n] += near
                pull[n] += near * (self.shifts[other] - self.shifts[line])
                if block[0] <= other <= block[-1]:
                    ties[n, other - block[0]] -= near
        matrix = np.kron(ties + np.eye(number) / LARGEST**2, np.eye(3))
        for n in range(number):
            matrix[3 * n : 3 * n + 3, 3 * n : 3 * n + 3] += curvature[n]
        right = slope + pull - self.shifts[block] / LARGEST**2
        return np.linalg.solve(matrix, right.ravel()).reshape(number, 3)
