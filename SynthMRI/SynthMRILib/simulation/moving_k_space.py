"""K-space of a head that moves between shots.

A rotated object has a rotated k-space and a translated one has a phase ramp: F'(k) = exp(-2 pi i k.t) F(R^T k). Every
sample is thus read at its own place from one k-space, so a scan costs one padded transform and one interpolation,
however many poses it has. The interpolation is a cubic B-spline on an oversampled grid after dividing the image by the
transform of the spline (gridding, Jackson 1991), not linear interpolation of the image, which would leave a blur that a
network could learn. Coil sensitivity and phase move with the head here; `slow_k_space` keeps them still and is the
reference for tests.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from ..volume import Grid
from .rigid import move, pose_matrix
from .view_orders import ViewOrder

OVERSAMPLING = 2.0
"""Grid of k-space over the extent of the head: at 2, the interpolation errs by about 0.1 % of the range."""
STILL_MM = 1e-3
"""Poses that move no corner of the volume by more than this are not moved at all."""
STILL_DEGREES = 1e-6
"""A head that never turns by more than this is only shifted."""


def moving_k_space(
    image: np.ndarray, grid: Grid, order: ViewOrder, poses: np.ndarray, *, pivot: np.ndarray
) -> np.ndarray:
    """Unshifted k-space of a 3D acquisition, complex64 of the shape of the image.

    Args:
        image: complex (k, j, i), the head at rest.
        poses: pose of every shot (shots, 6) [mm, deg], about `pivot` (RAS) [mm].
    """
    still = fft.fftn(image).astype(np.complex64, copy=False)
    moved_shots = moves(poses, grid, pivot)
    if not moved_shots.any():
        return still
    readout, phase, partition = order.axes
    # Work with the readout last, so that a point of the plane of encoding is a contiguous line.
    layout = (phase, partition, readout)
    result = np.ascontiguousarray(still.transpose(layout))
    frequencies = [fft.fftfreq(n) for n in image.shape]
    if np.abs(poses[:, 3:]).max() < STILL_DEGREES:
        _shift_lines(result, order, frequencies, index_motion(grid, poses, pivot, np.zeros(3))[1])
        return result.transpose(np.argsort(layout))
    sampler = KSpaceSampler(image)
    turns, shifts = index_motion(grid, poses, pivot, sampler.center)
    for line in range(result.shape[0]):
        points = np.flatnonzero(moved_shots[order.shots[line]])
        if points.size:
            result[line, points] = _line(line, points, order, frequencies, turns, shifts, sampler)
    return result.transpose(np.argsort(layout))


def _shift_lines(spectrum: np.ndarray, order: ViewOrder, frequencies: list[np.ndarray], shifts: np.ndarray) -> None:
    """Phase ramps on a spectrum (phase, partition, readout), in place: all that a head does which never turns."""
    readout, phase, partition = order.axes
    for line in range(spectrum.shape[0]):
        shift = shifts[order.shots[line]].astype(np.float32)
        turns = shift[:, phase] * frequencies[phase][line] + shift[:, partition] * frequencies[partition]
        along = shift[:, readout, None] * frequencies[readout]
        spectrum[line] *= np.exp(-2j * np.pi * (turns[:, None] + along)).astype(np.complex64)


def _line(line, points, order: ViewOrder, frequencies, turns, shifts, sampler: KSpaceSampler) -> np.ndarray:
    """Samples (points, readout) of one phase-encoding line."""
    readout, phase, partition = order.axes
    shots = order.shots[line, points]
    nu = np.empty((3, points.size, frequencies[readout].size))
    nu[phase] = frequencies[phase][line]
    nu[partition] = frequencies[partition][points][:, None]
    nu[readout] = frequencies[readout]
    turned = np.einsum("pab,bpr->apr", turns[shots], nu)
    ramp = np.exp(-2j * np.pi * np.einsum("pa,apr->pr", shifts[shots], nu))
    return (sampler(turned) * ramp).astype(np.complex64)


def moves(poses: np.ndarray, grid: Grid, pivot: np.ndarray) -> np.ndarray:
    """Whether each pose moves any corner of the volume by more than `STILL_MM`: bool (shots,)."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.size])).reshape(3, -1).T
    ras = grid.index_to_ras(corners)
    change = np.array([pose_matrix(pose, pivot)[:3] for pose in poses])
    moved = np.einsum("pab,cb->pca", change[:, :, :3], ras) + change[:, None, :, 3] - ras
    return np.linalg.norm(moved, axis=-1).max(axis=1) > STILL_MM


def index_motion(grid: Grid, poses: np.ndarray, pivot: np.ndarray, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What every pose does to frequencies: matrices (poses, 3, 3) and shifts (poses, 3) in array order.

    A frequency nu (cycles a voxel) is read at turn @ nu, with a phase of -2 pi nu.shift; positions are counted from
    `center` (array order), about which the image was transformed, except that the result counts them from voxel 0.
    """
    to_index = np.linalg.inv(grid.ijk_to_ras)
    turns, shifts = [], []
    for pose in poses:
        motion = (to_index @ pose_matrix(pose, pivot) @ grid.ijk_to_ras)[:3]
        matrix, offset = motion[::-1, :3][:, ::-1], motion[::-1, 3]
        # Voxel n goes to matrix @ n + offset, so the sample at nu is the transform at matrix.T @ nu.
        turns.append(matrix.T)
        shifts.append(matrix @ center + offset)
    return np.array(turns), np.array(shifts)


class KSpaceSampler:
    """The transform of an image, about the center of what it shows, at any frequency."""

    def __init__(self, image: np.ndarray) -> None:
        bright = np.abs(image) > 1e-3 * np.abs(image).max()
        spans = [np.flatnonzero(bright.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
        self.center = np.array([(span[0] + span[-1]) // 2 if span.size else 0 for span in spans], dtype=float)
        extents = [span[-1] - span[0] + 1 if span.size else 1 for span in spans]
        self._size = [
            fft.next_fast_len(int(max(np.ceil(OVERSAMPLING * extent), n))) for extent, n in zip(extents, image.shape)
        ]
        weighted, places = image.astype(np.complex64), []
        for axis, (n, size, middle) in enumerate(zip(image.shape, self._size, self.center)):
            position = np.arange(n) - int(middle)
            weight = (1 / np.sinc(np.clip(position / size, -0.5, 0.5)) ** 4).astype(np.float32)
            weighted *= weight.reshape([-1 if a == axis else 1 for a in range(3)])
            places.append(position % size)
        padded = np.zeros(self._size, dtype=np.complex64)
        padded[np.ix_(*places)] = weighted
        self._spectrum = fft.fftn(padded, overwrite_x=True)

    def __call__(self, nu: np.ndarray) -> np.ndarray:
        """Values at frequencies (3, ...) [cycles a voxel]; zero beyond half a cycle, where the image holds nothing."""
        places = nu * np.array(self._size).reshape(3, *[1] * (nu.ndim - 1))
        values = ndimage.map_coordinates(self._spectrum, places, order=3, prefilter=False, mode="grid-wrap")
        return np.where((np.abs(nu) <= 0.5).all(axis=0), values, 0)


def slow_k_space(
    image: np.ndarray,
    grid: Grid,
    order: ViewOrder,
    poses: np.ndarray,
    *,
    pivot: np.ndarray,
    fixed: np.ndarray | None = None,
) -> np.ndarray:
    """The same, pose by pose: the image is moved by cubic interpolation and transformed for every shot.

    Args:
        fixed: complex factor that stays with the scanner (coil sensitivity, phase).
    """
    factor = 1 if fixed is None else fixed
    layout = (order.axes[1], order.axes[2], order.axes[0])
    result = np.zeros([image.shape[a] for a in layout], dtype=np.complex64)
    for shot, pose in enumerate(poses):
        spectrum = fft.fftn(move(image, grid, pose, pivot=pivot) * factor).transpose(layout)
        mine = order.shots == shot
        result[mine] = spectrum[mine]
    return result.transpose(np.argsort(layout))


def moving_slices(
    image: np.ndarray, grid: Grid, order: ViewOrder, poses: np.ndarray, *, pivot: np.ndarray, most_poses: int = 6
) -> np.ndarray:
    """K-space (unshifted, both in-plane axes) of interleaved 2D slices, complex64 of the shape of the image.

    Each slice is cut from the moved head where the scanner put it, so that motion through the plane shows other
    anatomy. Poses of one slice are merged to at most `most_poses` means of consecutive trains.
    """
    readout, phase, partition = order.axes
    result = np.empty(image.shape, dtype=np.complex64)
    coefficients = [ndimage.spline_filter(part, order=3) for part in (image.real, image.imag)]
    for position in range(image.shape[partition]):
        shots = np.unique(order.shots[:, position])
        shots = shots[np.argsort(order.times[shots])]
        index = [slice(None)] * 3
        index[partition] = position
        for group in np.array_split(shots, min(most_poses, shots.size)):
            pose = poses[group].mean(axis=0)
            still = not moves(pose[None], grid, pivot)[0]
            cut = image[tuple(index)] if still else _slice_at(coefficients, grid, pose, pivot, partition, position)
            spectrum = fft.fft2(cut)
            mine = np.isin(order.shots[:, position], group)
            lines = [slice(None)] * 2
            lines[int(phase > readout)] = np.flatnonzero(mine)
            target = result[tuple(index)]
            target[tuple(lines)] = spectrum[tuple(lines)]
    return result


def _slice_at(coefficients, grid: Grid, pose: np.ndarray, pivot: np.ndarray, axis: int, position: int) -> np.ndarray:
    backward = np.linalg.inv(grid.ijk_to_ras) @ np.linalg.inv(pose_matrix(pose, pivot)) @ grid.ijk_to_ras
    matrix, offset = backward[:3, :3][::-1, ::-1], backward[:3, 3][::-1]
    axes = [np.arange(n) if a != axis else np.array([position]) for a, n in enumerate(grid.shape)]
    places = np.tensordot(matrix, np.array(np.meshgrid(*axes, indexing="ij")), axes=1) + offset[:, None, None, None]
    real, imaginary = (ndimage.map_coordinates(c, places, order=3, prefilter=False) for c in coefficients)
    return (real + 1j * imaginary).squeeze(axis)
