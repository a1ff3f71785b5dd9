"""What a scanner with coarser voxels would have seen of a volume: one matrix an axis.

A voxel is the average of what lies under its profile along each axis: a box, as for block averages and ideal slices, or
a Gaussian, as most slice profiles are. Thickness and distance of slices need not be equal: with a gap slices are
thinner than their distance. Both grids have the same axes; they may differ in spacing and origin.

Along axes that are encoded in k-space a scanner takes no averages: it leaves out the high frequencies. What it has
taken it has taken exactly, so a finer volume can be made to hold just that (`Acquisition.keep`): data consistency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .volume import Grid

PROFILES = ("box", "gaussian")
#: Largest angle between the axes of two grids that count as parallel [cosine of the deviation].
PARALLEL = 1 - 1e-6


def profile_matrix(
    centers: np.ndarray, thickness: float, *, size: int, kind: str = "box", spacing: float = 1.0
) -> np.ndarray:
    """Weights (outputs, size) of the fine voxels of an axis in each coarse one; rows sum to one, float32.

    Args:
        centers: centers of the coarse voxels on the axis of the fine ones, whose centers are 0, 1, ... [fine voxels].
        thickness: full width of the box or full width at half maximum of the Gaussian, in the unit of `spacing`.
        size: number of fine voxels; what lies beyond them is taken as equal to the last of them.
        kind: "box" or "gaussian".
        spacing: distance of fine voxels.
    """
    if kind not in PROFILES:
        raise InputError(f"Unknown slice profile '{kind}'. Choose one of: {', '.join(PROFILES)}.")
    width = thickness / spacing
    reach = int(np.ceil(1.5 * width)) + 2
    positions = np.arange(-reach, size + reach)
    distance = np.abs(np.asarray(centers, dtype=np.float64)[:, None] - positions)
    if kind == "box":
        weights = np.clip(np.minimum(0.5, width / 2 - distance) + np.minimum(0.5, width / 2 + distance), 0, None)
    else:
        weights = np.exp(-4 * np.log(2) * (distance / max(width, 1e-3)) ** 2)
    return held_at_the_ends(weights / weights.sum(axis=1, keepdims=True), reach)


def held_at_the_ends(weights: np.ndarray, reach: int) -> np.ndarray:
    """Columns beyond the volume added to its first and last voxel."""
    inner = weights[:, reach : weights.shape[1] - reach].copy()
    inner[:, 0] += weights[:, :reach].sum(axis=1)
    inner[:, -1] += weights[:, weights.shape[1] - reach :].sum(axis=1)
    return inner.astype(np.float32)


def truncation_matrix(size: int, factor: int) -> np.ndarray:
    """Weights (size, factor * size) of the fine voxels of an axis in coarse ones that k-space was truncated to.

    Frequencies below the coarse Nyquist frequency are kept, and half of that frequency itself; coarse voxels are
    centered on `factor` fine ones. The axis is periodic, as a discrete k-space is. Rows sum to one, float32.
    """
    fine = size * factor
    frequency = np.arange(size // 2 + 1)
    ramp = np.exp(2j * np.pi * frequency / fine * (factor - 1) / 2)
    spectrum = np.fft.rfft(np.eye(fine), axis=1)[:, : frequency.size] * ramp
    return (np.fft.irfft(spectrum, n=size, axis=1) / factor).T.astype(np.float32)


def along_axis(voxels: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """Apply a matrix (outputs, inputs) to one axis of an array (k, j, i): float32."""
    voxels = np.asarray(voxels, dtype=np.float32)
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
        return voxels.copy()
    matrix = matrix.astype(np.float32)
    if axis == 2:
        return voxels @ matrix.T
    if axis == 1:
        return matrix @ voxels
    return (matrix @ voxels.reshape(len(voxels), -1)).reshape(-1, *voxels.shape[1:])


@dataclass(frozen=True, eq=False)
class Acquisition:
    """How a coarse grid sees a fine one: matrices along (k, j, i)."""

    matrices: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def between(
        cls, fine: Grid, coarse: Grid, *, thickness: tuple[float, float, float] | None = None, kind: str = "box"
    ) -> Acquisition:
        """Of two grids with parallel axes.

        Args:
            thickness: width of the coarse voxels along (i, j, k) [mm]; default their spacing (no gap).
            kind: profile along axes that are coarser; the others are interpolated by a box of the fine spacing.

        Raises InputError when the axes are not parallel.
        """
        cosines = np.einsum("ij,ij->j", fine.directions, coarse.directions)
        if (cosines < PARALLEL).any():
            raise InputError("The two volumes have different axes: one cannot be averaged to the voxels of the other.")
        start = fine.ras_to_index(np.array(coarse.origin))
        matrices = []
        for axis in range(3):
            ratio = coarse.spacing[axis] / fine.spacing[axis]
            centers = start[axis] + ratio * np.arange(coarse.size[axis])
            width = (thickness or coarse.spacing)[axis]
            width = max(width, fine.spacing[axis])
            matrices.append(
                profile_matrix(
                    centers, width, size=fine.size[axis], kind=kind if ratio > 1 else "box", spacing=fine.spacing[axis]
                )
            )
        return cls(tuple(matrices[::-1]))

    @classmethod
    def of_k_space(cls, coarse: Grid, *, factor: int = 2) -> Acquisition:
        """Of a volume that came of truncating k-space, and of the grid `coarse.upsampled(factor)`."""
        return cls(tuple(truncation_matrix(n, factor) for n in coarse.shape))

    def keep(self, fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
        """The fine voxels (k, j, i), float32, changed as little as makes `apply` give the coarse ones.

        Least in the sum of squares; it needs rows that are independent of each other, as those of k-space are.
        """
        missing = coarse - self.apply(fine)
        for axis, matrix in enumerate(self.matrices):
            missing = along_axis(missing, np.linalg.pinv(matrix.astype(np.float64)), axis)
        return fine + missing

    def apply(self, voxels: np.ndarray) -> np.ndarray:
        """Fine voxels (k, j, i) as the coarse grid sees them."""
        for axis, matrix in enumerate(self.matrices):
            voxels = along_axis(voxels, matrix, axis)
        return voxels

    def transposed(self, voxels: np.ndarray) -> np.ndarray:
        """The adjoint: coarse voxels spread over the fine ones."""
        for axis, matrix in enumerate(self.matrices):
            voxels = along_axis(voxels, matrix.T, axis)
        return voxels
