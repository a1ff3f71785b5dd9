"""Parts of a head, each seen through a smooth window, and the k-space of each.

A head that turns displaces each of its parts by another shift. Within a part that shift is nearly the same everywhere,
so that what a pose does to its k-space is again a phase ramp.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy import fft, ndimage

from .view_groups import ACROSS, ViewGroups

RINGS = 10
"""Groups of samples by frequency, each with its own reliability."""
ARM_MM = 50.0
"""A turn is counted as the displacement of a point that lies so far from the center of the head [mm]."""


def windows(length: int, number: int) -> np.ndarray:
    """Smooth weights (number, length) along an axis, each with one peak, that add up to 1 everywhere."""
    if number == 1:
        return np.ones((1, length), dtype=np.float32)
    place = (np.arange(length) + 0.5) / length * number - 0.5
    ramps = np.clip(1 - np.abs(place - np.arange(number)[:, None]), 0, 1)
    ramps[0][place < 0] = ramps[-1][place > number - 1] = 1
    weights = np.sin(0.5 * np.pi * ramps) ** 2
    return (weights / weights.sum(axis=0)).astype(np.float32)


def parts_of(
    voxels: np.ndarray,
    groups: ViewGroups,
    spacing: np.ndarray,
    center: np.ndarray,
    number: tuple[int, int, int],
    *,
    fast: bool = False,
) -> Iterator[HeadPart]:
    """The parts of a volume, `number` along each axis; see `HeadPart`."""
    along = [windows(n, parts) for n, parts in zip(voxels.shape, number)]
    for weights in itertools.product(*along):
        yield HeadPart(voxels, groups, spacing, center, weights, fast=fast)


class HeadPart:
    """One part of a volume and its k-space.

    Args:
        voxels: magnitude of the whole volume in any unit; the third axis is the readout.
        groups: which samples share a pose.
        spacing: of the axes [mm]; center: about which the head turns [voxels].
        weights: the window along each axis.
        fast: pad the part with zeros for faster transforms; shifts are then not circular.

    Attributes:
        box: where the part lies; window: its weights, of the shape of the box.
        displacement: matrix (3, 6) that takes a pose, three shifts and three turns about the array axes [mm], to the
            shift of the part [voxels]; a turn is counted as told at `ARM_MM`.
    """

    def __init__(
        self,
        voxels: np.ndarray,
        groups: ViewGroups,
        spacing: np.ndarray,
        center: np.ndarray,
        weights: tuple[np.ndarray, ...],
        *,
        fast: bool = False,
    ) -> None:
        ends = [(0, len(w)) if a not in groups.cut else _ends(w) for a, w in enumerate(weights)]
        self.box = tuple(slice(*e) for e in ends)
        first, second, third = (w[part] for w, part in zip(weights, self.box))
        self.window = first[:, None, None] * second[:, None] * third
        seen = np.asarray(voxels[self.box], dtype=np.float32) * self.window
        start = np.array([e[0] for e in ends])
        self.displacement = displacement_matrix(_middle(seen) + start - center, np.asarray(spacing, dtype=float))
        self._groups = groups
        self._padded = groups.padded(seen.shape) if fast else seen.shape
        self._group = groups.of(self._padded)
        self._compared = groups.compared(self._padded)
        self._nu = [f(n).astype(np.float32) for f, n in zip((fft.fftfreq, fft.fftfreq, fft.rfftfreq), self._padded)]
        self._near = self._nu[2] < ACROSS
        self._spectrum = fft.rfftn(seen, self._padded, workers=-1)

    def displaced(self, poses: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """The part with the poses (groups + 1, 6) undone and groups weighted (groups + 1,), float32."""
        shifts = (poses @ self.displacement.T).astype(np.float32)
        ramp = self._plane_ramp(shifts[self._group], *np.meshgrid(*self._nu[:2], indexing="ij"))
        if weight is not None:
            ramp *= weight.astype(np.float32)[self._group]
        along = np.exp(-2j * np.pi * shifts[:, 2, None] * self._nu[2]).astype(np.complex64)
        spectrum = self._spectrum * ramp[..., None]
        whole_lines = (self._group == self._group[:, :1]).all()
        spectrum *= along[self._group[:, :1] if whole_lines else self._group]
        made = fft.irfftn(spectrum, self._padded, overwrite_x=True, workers=-1)
        return made[tuple(slice(n) for n in self.window.shape)]

    @staticmethod
    def _plane_ramp(shifts: np.ndarray, nu_first: np.ndarray, nu_second: np.ndarray) -> np.ndarray:
        return np.exp(-2j * np.pi * (shifts[..., 0] * nu_first + shifts[..., 1] * nu_second)).astype(np.complex64)

    def of_block(self, block: np.ndarray, image: np.ndarray) -> BlockSamples:
        """The samples of a block of groups, and what an image of the whole volume foretells of them."""
        taken = np.isin(self._group, block) & self._compared
        foretold = fft.rfftn(image[self.box] * self.window, self._padded, workers=-1)[taken][:, self._near]
        first, second = np.nonzero(taken)
        nu = [self._nu[0][first], self._nu[1][second], self._nu[2][self._near]]
        ring = self._groups.ring((nu[0][:, None], nu[1][:, None], nu[2][None]))
        ring = np.broadcast_to(np.minimum((ring * RINGS).astype(np.int8), RINGS - 1), foretold.shape)
        owner = np.searchsorted(block, self._group[taken])
        return BlockSamples(self._spectrum[taken][:, self._near], foretold, nu, ring, owner, self.displacement)


class BlockSamples:
    """Samples (points, readout) of a part that belong to a block of groups.

    Args:
        found, foretold: what is there and what an image says, complex.
        nu: frequencies of the points along the first and second axis, and of the readout [cycles a voxel].
        ring: of every sample; owner: number of the group within the block of every point.
        displacement: of the part, see `HeadPart`.
    """

    def __init__(
        self,
        found: np.ndarray,
        foretold: np.ndarray,
        nu: list[np.ndarray],
        ring: np.ndarray,
        owner: np.ndarray,
        displacement: np.ndarray,
    ) -> None:
        self.nu, self.owner, self.displacement = nu, owner, displacement
        self._found, self._foretold = found, foretold
        self._ring = np.ascontiguousarray(ring).ravel()
        self._product = np.conj(found) * foretold
        self._power = self._by_ring(np.abs(foretold) ** 2)
        self._energy = self._by_ring(np.abs(found) ** 2)
        self._count = np.bincount(self._ring, minlength=RINGS)

    def _by_ring(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._ring, values.ravel(), RINGS)

    def derivatives(self, poses: np.ndarray, doubt: float) -> tuple[np.ndarray, np.ndarray]:
        """Slope (groups, 6) of the agreement with the poses (groups, 6) and its negative curvature, not below 0.

        Args:
            doubt: factor on the variance of the noise, because errors of neighboring samples are not independent.
        """
        shifts = (poses @ self.displacement.T).astype(np.float32)
        of_point = shifts[self.owner]
        turn = np.exp(2j * np.pi * (of_point[:, 0] * self.nu[0] + of_point[:, 1] * self.nu[1])).astype(np.complex64)
        along = np.exp(2j * np.pi * shifts[:, 2, None] * self.nu[2]).astype(np.complex64)
        agreement = self._product * turn[:, None] * along[self.owner]
        agreement *= self._reliability(agreement.real)[self._ring].reshape(agreement.shape) / np.float32(doubt)
        return self._of_poses(agreement.imag, agreement.real, len(poses))

    def asked(self, number: int, change: float, doubt: float) -> tuple[np.ndarray, np.ndarray]:
        """As `derivatives`, at poses of zero, where a network has made what is foretold from what was found.

        Such an image is nearly the one that it was made from: its difference tells where a sample should go, and is
        only a share of the way. That share is the energy of the difference over that which motion has changed.

        Args:
            number: of groups of the block.
            change: root mean square change that motion made, over the root mean square gradient [voxels].
            doubt: see `derivatives`.
        """
        power = np.abs(self._found) ** 2
        squared = (2 * np.pi) ** 2 * (self.nu[0] ** 2 + self.nu[1] ** 2)[:, None] + (2 * np.pi * self.nu[2]) ** 2
        changed = np.maximum(change**2 * self._by_ring(power * squared), 1e-20)
        foreseen = np.minimum(self._by_ring(np.abs(self._foretold - self._found) ** 2) / changed, 1)
        trust = self._count / changed / doubt
        first, second = ((w.astype(np.float32))[self._ring].reshape(power.shape) for w in (trust, trust * foreseen))
        return self._of_poses(self._product.imag * first, power * second, number)

    def _of_poses(self, first: np.ndarray, second: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Slope and negative curvature of a number of poses, from weighted samples (points, readout) for each."""
        twice = np.where(self.nu[2] == 0, 1, 2).astype(np.float32)  # the other half of k-space says the same
        basis = twice[:, None] * np.stack([np.ones_like(self.nu[2]), self.nu[2], self.nu[2] ** 2], axis=1)
        first, second = first @ basis[:, :2], second @ basis
        a, b = self.nu[0], self.nu[1]
        slopes = np.stack([a * first[:, 0], b * first[:, 0], first[:, 1]], axis=1)
        c, d, e = second.T
        curvatures = np.stack([a * a * c, a * b * c, a * d, a * b * c, b * b * c, b * d, a * d, b * d, e], axis=1)
        slope = -2 * np.pi * _sums(self.owner, slopes, number)
        curvature = (2 * np.pi) ** 2 * _sums(self.owner, curvatures, number).reshape(-1, 3, 3)
        values, vectors = np.linalg.eigh(curvature)
        curvature = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, 0), vectors)
        return slope @ self.displacement, self.displacement.T @ curvature @ self.displacement

    def _reliability(self, agreement: np.ndarray) -> np.ndarray:
        """How much a sample of each ring counts: how much what is foretold explains, over the variance of the rest."""
        common = np.maximum(self._by_ring(agreement), 0)
        factor = common / np.maximum(self._power, 1e-20)
        noise = np.maximum(self._energy - factor * common, 1e-3 * self._energy) / np.maximum(self._count, 1)
        return (factor / np.maximum(noise, 1e-20)).astype(np.float32)


def _sums(owner: np.ndarray, values: np.ndarray, number: int) -> np.ndarray:
    return np.stack([np.bincount(owner, column, number) for column in values.T], axis=1)


def _ends(weights: np.ndarray) -> tuple[int, int]:
    inside = np.flatnonzero(weights)
    return int(inside[0]), int(inside[-1]) + 1


def _middle(seen: np.ndarray) -> np.ndarray:
    bright = np.maximum(seen, 0)
    return np.array(ndimage.center_of_mass(bright)) if bright.any() else (np.array(seen.shape) - 1) / 2


def displacement_matrix(offset: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Matrix (3, 6) from a pose [mm] to the shift [voxels] of a point at an offset [voxels] from the center."""
    z, y, x = offset * spacing / ARM_MM
    turns = np.array([[0, x, -y], [-x, 0, z], [y, -z, 0]])
    return np.concatenate([np.eye(3), turns], axis=1) / spacing[:, None]
