"""How a head lay while each group of samples of k-space was acquired, found from what the other samples foretell.

A head that is shifted while a line of k-space is acquired gives that line a phase ramp; one that turns gives each of
its parts a ramp of its own. Edges make the frequencies of an image depend on each other: from the lines near the
center a sharpened image foretells, roughly, the lines further out. The correlation is weak (0.2 to 0.6) but each line
has thousands of samples and its pose has six numbers, so the pose is that which makes a line agree best with what is
foretold. Lines are corrected from the center outward, each block of them by the image
of those within it, and then once more by all others; spokes, which all begin at the center, by all others at once.

Sharpening: Kramer and Bruckner, Pattern Recognition 7 (1975), 53-58. Correction of k-space that is guided by an
estimate of the image without motion: Haskell et al., Magn Reson Med 82 (2019), 1452-1461, who use a network for it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .head_parts import ARM_MM, parts_of
from .view_groups import Lines, ViewGroups

NEIGHBORS = 0.15
"""Standard deviation of the change of a shift or turn from one group to the next [voxels]."""
LARGEST = 1.5
"""Standard deviation of a shift or turn [voxels]."""
STEPS, LONGEST = 4, 0.6
"""Of the search in a block: how many, and the most that one may change [voxels]."""
SHARPENED = 0.4
"""Frequency from which an image is sharpened that lacks one block of groups only [cycles a voxel]."""
SHIFTS, RIGID = 3, 6
"""How many numbers of a pose are looked for."""
WHOLE = (1, 1, 1)


def sharpened(image: np.ndarray, frequency: float) -> np.ndarray:
    """Every voxel replaced by the nearer of the largest and the smallest value around it: edges become steps.

    Args:
        frequency: highest one of the image along its first axis [cycles a voxel]; sets the size of the surroundings.
    """
    size = (max(3, round(0.5 / frequency) // 2 * 2 + 1), 3, 3)
    high, low = (_extreme(image, size, of_two) for of_two in (np.maximum, np.minimum))
    return np.where(high - image < image - low, high, low)


def _extreme(image: np.ndarray, size: tuple[int, int, int], of_two: np.ufunc) -> np.ndarray:
    """Largest or smallest value in a box of odd edges, which ends at the border of the image."""
    for axis, edge in enumerate(size):
        made = image.copy()
        for step in range(1, min(edge // 2, image.shape[axis] - 1) + 1):
            front, back = (tuple(s if a == axis else slice(None) for a in range(3)) for s in _shifted(step))
            of_two(made[front], image[back], out=made[front])
            of_two(made[back], image[front], out=made[back])
        image = made
    return image


def _shifted(step: int) -> tuple[slice, slice]:
    return slice(None, -step), slice(step, None)


class PoseSearch:
    """The k-space of a volume, and how the head lay for each group of its samples.

    Args:
        voxels: magnitude in any unit; its first axis, or the first two, are cut into groups.
        spacing: of the axes [mm].
        groups: which samples share a pose.
        parts: into how many parts the volume is divided along each axis; turns are only seen if there are several.
        center: about which the head turns [voxels]; the center of its mass by default.
        poses: first guess, as the attribute.
        fast: see `HeadPart`: for a search, not for the last correction.

    Attributes:
        poses: (groups + 1, 6) what is to be undone: shifts along the three array axes [mm] and turns about them, each
            as the displacement at `ARM_MM` [mm]; the last one, of what is never moved, is zero.
    """

    def __init__(
        self,
        voxels: np.ndarray,
        spacing: tuple[float, float, float] | np.ndarray,
        groups: ViewGroups,
        *,
        parts: tuple[int, int, int] = WHOLE,
        center: np.ndarray | None = None,
        poses: np.ndarray | None = None,
        fast: bool = False,
    ) -> None:
        self.groups, self.shape = groups, voxels.shape
        self.center = np.array(ndimage.center_of_mass(voxels)) if center is None else np.asarray(center, dtype=float)
        self.poses = np.zeros((groups.number + 1, RIGID)) if poses is None else poses.copy()
        self._size = float(np.prod(spacing) ** (1 / 3))
        self.parts = list(parts_of(voxels, groups, np.asarray(spacing, dtype=float), self.center, parts, fast=fast))

    @property
    def turns_deg(self) -> np.ndarray:
        """Turns of the poses (groups + 1, 3) [deg]."""
        return np.rad2deg(self.poses[:, SHIFTS:] / ARM_MM)

    def corrected(self, weight: np.ndarray | None = None) -> np.ndarray:
        """The volume with the poses undone, float32; of groups weighted (groups + 1,) where weights are given."""
        made = np.zeros(self.shape, dtype=np.float32)
        for part in self.parts:
            made[part.box] += part.displaced(self.poses, weight)
        return made

    def outward(self, doubt: float, *, numbers: int = SHIFTS) -> None:
        """Find the poses of lines from the center outward, each block foretold by the lines within it."""
        if not isinstance(self.groups, Lines):
            raise TypeError("only lines lie one outside the other")
        for block in self.groups.blocks():
            inside = np.arange(len(self.poses)) < block[0]
            image = sharpened(self.corrected(inside), self.groups.frequency(block[0] - 1))
            self.poses[block] = self.poses[block[0] - 1]
            self._fit(block, image, doubt, numbers)

    def refine(self, doubt: float, *, numbers: int = SHIFTS) -> None:
        """Improve the poses of each block by what all other groups foretell."""
        for block in self.groups.blocks():
            others = np.ones(len(self.poses))
            others[block] = 0
            self._fit(block, sharpened(self.corrected(others), SHARPENED), doubt, numbers)

    def fit_to(self, truth: np.ndarray, doubt: float, *, numbers: int = SHIFTS) -> None:
        """Improve the poses by the volume without motion, where it is known: how much could poses of this kind gain?"""
        for block in self.groups.blocks():
            self._fit(block, truth, doubt, numbers)

    def follow(self, image: np.ndarray, change_mm: float, doubt: float) -> float:
        """Set poses that were zero to those that a network asks for, which made the image from this very volume.

        Returns how well they explain it: the logarithm of the likelihood over that of poses of zero.

        Args:
            change_mm: severity of the motion, see `BlockSamples.asked`.
            doubt: see `BlockSamples.derivatives`.
        """
        explained = 0.0
        for block in self.groups.blocks():
            asked = [
                part.of_block(block, image).asked(len(block), change_mm / self._size, doubt) for part in self.parts
            ]
            slope, curvature = (np.sum(values, axis=0) for values in zip(*asked))
            self.poses[block] = step = self._step(block, slope, curvature)
            explained += float((slope * step).sum() - 0.5 * np.einsum("gi,gij,gj", step, curvature, step))
        self.anchor()
        return explained

    def anchor(self) -> None:
        """Take out of the poses of spokes what is common to all.

        Spokes all go through the center of k-space, which stays where it is and lies where they do on the mean: a pose
        common to all would only tear them from it.
        """
        if self.groups.circular:
            self.poses[:-1] -= self.poses[:-1].mean(axis=0)

    def _fit(self, block: np.ndarray, image: np.ndarray, doubt: float, numbers: int) -> None:
        """Move the samples of a block to where they agree best with an image.

        Each sample is taken as a multiple of what is foretold plus noise, both by rings of frequency; neighboring
        groups have similar poses. Gauss-Newton.

        Args:
            doubt: see `BlockSamples.derivatives`.
            numbers: of a pose that are looked for, `SHIFTS` or `RIGID`.
        """
        seen = [part.of_block(block, image) for part in self.parts]
        for _ in range(STEPS):
            slope, curvature = np.zeros((len(block), RIGID)), np.zeros((len(block), RIGID, RIGID))
            for samples in seen:
                first, second = samples.derivatives(self.poses[block], doubt)
                slope += first
                curvature += second
            step = self._step(block, slope[:, :numbers], curvature[:, :numbers, :numbers])
            self.poses[block, :numbers] += step * min(1.0, LONGEST * self._size / max(np.abs(step).max(), 1e-9))

    def _step(self, block: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> np.ndarray:
        """Change of the poses of a block (number, numbers) that fits best and keeps neighbors alike."""
        number, numbers = slope.shape
        poses = self.poses[:, :numbers]
        ties = np.zeros((number, number))
        pull = np.zeros((number, numbers))
        near, large = ((deviation * self._size) ** -2 for deviation in (NEIGHBORS, LARGEST))
        for n, group in enumerate(block):
            for other in self._neighbors(group):
                if other > block[-1] and not poses[other].any():
                    continue
                ties[n, n] += near
                pull[n] += near * (poses[other] - poses[group])
                if block[0] <= other <= block[-1]:
                    ties[n, other - block[0]] -= near
        matrix = np.kron(ties + np.eye(number) * large, np.eye(numbers))
        for n in range(number):
            own = slice(numbers * n, numbers * (n + 1))
            matrix[own, own] += curvature[n]
        right = slope + pull - poses[block] * large
        return np.linalg.solve(matrix, right.ravel()).reshape(number, numbers)

    def _neighbors(self, group: int) -> list[int]:
        number = self.groups.number
        if self.groups.circular:
            return [(group - 1) % number, (group + 1) % number]
        return [other for other in (group - 1, group + 1) if other < number]
