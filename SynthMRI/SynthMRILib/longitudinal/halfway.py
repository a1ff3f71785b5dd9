"""Bring two visits to the space halfway between them, so that both are moved and interpolated alike.

The rigid transform between the visits is split into two equal halves (Reuter et al., NeuroImage 2010; Smith et al.,
NeuroImage 2002 for the idea of the halfway space). A volume that is resampled loses sharpness; were one visit left as
it is, every edge would differ between the visits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ..dir_synthesis.network import working_grid
from ..dir_synthesis.registration import register, resampled
from ..itk_io import image_from_volume
from ..volume import Grid, Volume

#: RAS from LPS and back.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class HalfwaySpace:
    """Where both visits meet.

    Args:
        grid: of the space, axes along those of the first visit.
        to_visits: 4x4 matrices from RAS points of the space to those of the first and of the second visit [mm].
        facts: what was found, JSON types.
    """

    grid: Grid
    to_visits: tuple[np.ndarray, np.ndarray]
    facts: dict[str, Any]

    def bring(self, volume: Volume, visit: int, *, linear: bool = False) -> Volume:
        """A volume of a visit (0 or 1) in this space; untouched when nothing moves and the grids are the same."""
        if volume.grid.matches(self.grid) and np.allclose(self.to_visits[visit], np.eye(4), atol=1e-9):
            return Volume(volume.voxels, self.grid)
        fixed = image_from_volume(Volume(np.zeros(self.grid.shape, dtype=np.float32), self.grid))
        voxels = resampled(image_from_volume(volume), fixed, transform_of(self.to_visits[visit]), linear=linear)
        return Volume(voxels, self.grid)

    def reaches(self, volume: Volume, visit: int) -> np.ndarray:
        """Where a volume of a visit has data, boolean (k, j, i)."""
        everywhere = volume.with_voxels(np.ones(volume.shape, dtype=np.float32))
        return self.bring(everywhere, visit, linear=True).voxels > 0.99


def halfway_space(
    first: Volume,
    second: Volume,
    brain: np.ndarray,
    second_brain: np.ndarray | None = None,
    *,
    registered: bool = False,
) -> HalfwaySpace:
    """Register two visits and split the way between them.

    Args:
        first, second: the same contrast of both visits.
        brain: of the first visit, boolean (k, j, i).
        second_brain: of the second, on its grid: visits that lie far apart are brought together by it first.
        registered: the visits are aligned already.

    Raises:
        InputError: the visits do not overlap or do not register.
    """
    whole, facts = np.eye(4), {"method": "none, taken as aligned"}
    identical = first.grid.matches(second.grid) and np.array_equal(first.voxels, second.voxels)
    if not registered and not identical:
        names = {"name": "second visit's", "reference_name": "first visit's"}
        found = register(first, second, brain, moving_brain=second_brain, **names)
        whole, facts = FLIP @ matrix_of(found.transform) @ FLIP, found.as_dict()
    half = square_root(whole)
    inverse = np.linalg.inv(half)
    middle = first.grid.ijk_to_ras @ np.append((np.array(first.grid.size) - 1) / 2, 1.0)
    shift = (half @ middle - middle)[:3]
    matrix = first.grid.ijk_to_ras.copy()
    matrix[:3, 3] += shift
    return HalfwaySpace(working_grid(Grid(first.grid.shape, matrix)), (inverse, half), facts)


def square_root(rigid: np.ndarray) -> np.ndarray:
    """The rigid 4x4 matrix that applied twice gives `rigid`; for rotations of less than 180 degrees."""
    root = np.eye(4)
    root[:3, :3] = Rotation.from_rotvec(Rotation.from_matrix(rigid[:3, :3]).as_rotvec() / 2).as_matrix()
    root[:3, 3] = np.linalg.solve(np.eye(3) + root[:3, :3], rigid[:3, 3])
    return root


def matrix_of(transform: sitk.Euler3DTransform) -> np.ndarray:
    """4x4 matrix of a SimpleITK rigid transform, LPS to LPS."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    center = np.array(transform.GetCenter())
    matrix[:3, 3] = np.array(transform.GetTranslation()) + center - matrix[:3, :3] @ center
    return matrix


def transform_of(ras: np.ndarray) -> sitk.AffineTransform:
    """SimpleITK transform (LPS) of a 4x4 RAS matrix."""
    lps = FLIP @ ras @ FLIP
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform
