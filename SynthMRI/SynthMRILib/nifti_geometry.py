"""Where the voxels of a NIfTI-1 file lie: sform, qform or spacing alone (nifti1.h, methods 3, 2 and 1).

Of several positions the one Slicer would take (ITK 5.4) is taken, so that panels and command line agree: the sform when
its code is 1 or it is the only one, else the qform.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from .errors import InputError
from .volume import Grid

UNIT_IN_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
QFORM_TOLERANCE = 1e-3
CONFLICT_TOLERANCE = 0.1


def affine_of(header: np.ndarray, name: str) -> np.ndarray:
    """4x4 float64 matrix from (i, j, k, 1) to RAS [mm]. Raises InputError for a spacing that is not positive."""
    spacing = header["pixdim"][1:4]
    if not (spacing > 0).all() or not np.isfinite(spacing).all():
        shown = " x ".join(f"{s:g}" for s in spacing)
        raise InputError(f"'{name}' has a spacing of {shown} mm, which must be positive; correct its header.")
    if _uses_sform(header):
        affine = sform(header)
    elif header["qform_code"] > 0:
        affine = qform(header)
    else:
        affine = np.diag([*spacing.astype(np.float64), 1.0])
    affine[:3] *= UNIT_IN_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def orientation_facts(header: np.ndarray) -> dict[str, Any]:
    """Header facts for `input_checks`: an unknown orientation, or two that differ [mm]."""
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        return {"OrientationUnknown": True}
    if header["sform_code"] <= 0 or header["qform_code"] <= 0:
        return {}
    distance = _distance(sform(header), qform(header), header["dim"][1:4])
    return {"OrientationConflict": distance} if distance > CONFLICT_TOLERANCE else {}


def geometry_fields(grid: Grid) -> dict[str, Any]:
    """Header fields for a grid. Both forms are written; the qform only where 32-bit quaternions hold it."""
    rotation = grid.directions.copy()
    is_left_handed = np.linalg.det(rotation) < 0
    if is_left_handed:
        rotation[:, 2] *= -1
    quaternion = Rotation.from_matrix(rotation).as_quat(canonical=True)
    fields = {
        "pixdim": np.array([-1 if is_left_handed else 1, *grid.spacing, 0, 0, 0, 0], np.float32),
        "quatern": quaternion[:3].astype(np.float32),
        "qoffset": np.array(grid.origin, np.float32),
        "srow": grid.ijk_to_ras[:3].astype(np.float32),
        "sform_code": 1,
    }
    is_close = _distance(qform(fields), grid.ijk_to_ras, grid.size) <= QFORM_TOLERANCE
    return {**fields, "qform_code": int(is_close)}


def sform(header: Any) -> np.ndarray:
    return np.vstack([header["srow"].astype(np.float64), [0, 0, 0, 1]])


def qform(header: Any) -> np.ndarray:
    """Matrix of the quaternion (b, c, d), whose first part is what is missing to unit length."""
    b, c, d = (float(q) for q in header["quatern"])
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    scale = header["pixdim"][1:4].astype(np.float64)
    scale[2] *= -1 if header["pixdim"][0] < 0 else 1
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_quat([b, c, d, a]).as_matrix() * scale
    affine[:3, 3] = header["qoffset"]
    return affine


def _uses_sform(header: np.ndarray) -> bool:
    return header["sform_code"] == 1 or (header["sform_code"] > 0 and header["qform_code"] <= 0)


def _distance(one: np.ndarray, other: np.ndarray, size: Any) -> float:
    """Largest distance [mm] between the corners of two placements of one volume."""
    corners = np.array(np.meshgrid(*[(0, int(n) - 1) for n in size], [1])).reshape(4, -1)
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())
