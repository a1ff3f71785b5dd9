"""Rigid poses of a head in physical units, and volumes moved by them.

A pose is six numbers: translation along R, A, S [mm], then rotation about the R axis (nodding, pitch), the A axis
(tilting, roll) and the S axis (shaking, yaw) [deg], applied in that order about a pivot given in RAS [mm].
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..volume import Grid

IDENTITY = np.zeros(6)


def rotation_matrix(angles_deg: np.ndarray) -> np.ndarray:
    """3x3 rotation in RAS: about R, then A, then S [deg]."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles_deg)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def pose_matrix(pose: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """4x4 matrix that takes a RAS point of the head at rest to where it is in this pose."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(pose[3:])
    matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot + pose[:3]
    return matrix


def pose_of(matrix: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """The pose of a 4x4 rigid matrix: inverse of `pose_matrix` (tilting stays within 90 degrees)."""
    r = matrix[:3, :3]
    angles = (np.arctan2(r[2, 1], r[2, 2]), -np.arcsin(np.clip(r[2, 0], -1, 1)), np.arctan2(r[1, 0], r[0, 0]))
    translation = matrix[:3, 3] - pivot + r @ pivot
    return np.concatenate([translation, np.rad2deg(angles)])


def relative_pose(pose: np.ndarray, reference: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """The pose as seen from a reference pose: what takes the head from there to here, in the frame at rest."""
    matrix = np.linalg.inv(pose_matrix(reference, pivot)) @ pose_matrix(pose, pivot)
    return pose_of(matrix, pivot)


def move(voxels: np.ndarray, grid: Grid, pose: np.ndarray, *, pivot: np.ndarray, order: int = 3) -> np.ndarray:
    """The volume as scanned with the head in a pose: resampled on the same grid, zero outside.

    Args:
        voxels: real or complex (k, j, i).
        order: spline order of the interpolation.
    """
    if not np.any(pose):
        return voxels.copy()
    to_index = np.linalg.inv(grid.ijk_to_ras)
    backward = to_index @ np.linalg.inv(pose_matrix(pose, pivot)) @ grid.ijk_to_ras
    matrix, offset = backward[:3, :3][::-1, ::-1], backward[:3, 3][::-1]
    if np.iscomplexobj(voxels):
        parts = [ndimage.affine_transform(p, matrix, offset, order=order) for p in (voxels.real, voxels.imag)]
        return (parts[0] + 1j * parts[1]).astype(voxels.dtype)
    return ndimage.affine_transform(voxels, matrix, offset, order=order)


def head_pivot(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """RAS point [mm] about which a lying head turns: at the back of the head, level with its center.

    Args:
        mask: True in the head (k, j, i).
    """
    indices = np.argwhere(mask[::4, ::4, ::4]) * 4
    if not indices.size:
        return grid.index_to_ras((np.array(grid.size) - 1) / 2)
    ras = grid.index_to_ras(indices[:, ::-1])
    low, high = np.percentile(ras, (2, 98), axis=0)
    pivot = ras.mean(axis=0)
    pivot[1] = low[1] + 0.1 * (high[1] - low[1])
    return pivot


def rms_displacement(pose: np.ndarray, *, pivot: np.ndarray, center: np.ndarray, spread: np.ndarray) -> float:
    """Root mean square displacement [mm] of the points of a mask.

    Args:
        center: mean RAS position of the mask [mm]; spread: 3x3 covariance of its positions [mm^2].
    """
    change = pose_matrix(pose, pivot)[:3]
    difference = change[:, :3] - np.eye(3)
    mean = difference @ center + change[:, 3]
    return float(np.sqrt(mean @ mean + np.trace(difference @ spread @ difference.T)))
