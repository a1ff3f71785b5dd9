"""A scalar volume and the grid it lies on, with exact physical geometry.

Conventions: arrays are indexed (k, j, i) as numpy and Slicer's `arrayFromVolume` have them; spacing and origin are
given in (i, j, k) order, in mm, in RAS coordinates (Right, Anterior, Superior positive).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a volume lie.

    Args:
        shape: number of voxels along (k, j, i).
        ijk_to_ras: 4x4 float64 matrix from voxel index (i, j, k, 1) to the voxel's center in RAS [mm].
    """

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise ValueError(f"ijk_to_ras must be 4x4, not {matrix.shape}")
        matrix.setflags(write=False)
        object.__setattr__(self, "ijk_to_ras", matrix)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def from_spacing(cls, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
        """Axis-aligned grid with its first voxel at the RAS origin; `spacing` (i, j, k) in mm."""
        return cls(shape, np.diag([*spacing, 1.0]))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centers along (i, j, k) [mm]."""
        return tuple(float(s) for s in np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0))

    @property
    def origin(self) -> tuple[float, float, float]:
        """RAS position [mm] of the center of voxel (0, 0, 0)."""
        return tuple(float(x) for x in self.ijk_to_ras[:3, 3])

    @property
    def directions(self) -> np.ndarray:
        """3x3 matrix whose columns are the unit RAS directions of the i, j and k axes."""
        return self.ijk_to_ras[:3, :3] / np.array(self.spacing)

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels along (i, j, k)."""
        return self.shape[::-1]

    @property
    def extent(self) -> tuple[float, float, float]:
        """Physical size of the field of view along (i, j, k) [mm], voxel edges included."""
        return tuple(n * s for n, s in zip(self.size, self.spacing))

    def index_to_ras(self, ijk: np.ndarray) -> np.ndarray:
        """RAS positions [mm] of continuous voxel indices, array (..., 3) in (i, j, k) order."""
        return np.asarray(ijk, dtype=np.float64) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ras_to_index(self, ras: np.ndarray) -> np.ndarray:
        """Continuous voxel indices (i, j, k) of RAS positions [mm], array (..., 3)."""
        inverse = np.linalg.inv(self.ijk_to_ras)
        return np.asarray(ras, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def scaled(self, factor: tuple[float, float, float], shape: tuple[int, int, int]) -> Grid:
        """Grid over the same field of view with spacing divided by `factor` (i, j, k).

        The outer voxel edge at index (0, 0, 0) stays where it is, so voxel centers move by
        (1/factor - 1)/2 of the old spacing: a quarter of it inwards-out for factor 2.
        """
        scale = 1.0 / np.asarray(factor, dtype=np.float64)
        step = np.eye(4)
        step[:3, :3] = np.diag(scale)
        step[:3, 3] = (scale - 1.0) / 2.0
        return Grid(shape, self.ijk_to_ras @ step)

    def upsampled(self, factor: int) -> Grid:
        """Grid with `factor` times the voxels along every axis and the same field of view."""
        return self.scaled((factor,) * 3, tuple(n * factor for n in self.shape))

    def downsampled(self, factor: int) -> Grid:
        """Grid with 1/`factor` of the voxels along every axis (remainder voxels at the end are dropped)."""
        return self.scaled((1.0 / factor,) * 3, tuple(n // factor for n in self.shape))

    def matches(self, other: Grid, *, tolerance: float = 1e-6) -> bool:
        """True when both grids have the same shape and all corners lie within `tolerance` [mm]."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1).T
        return bool(np.abs(self.index_to_ras(corners) - other.index_to_ras(corners)).max() <= tolerance)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and their grid.

    Args:
        voxels: float32 array (k, j, i) in the units of the source.
        grid: geometry of the voxels.
        header: facts worth keeping that are free of any patient identity (modality, contrast hints).
    """

    voxels: np.ndarray
    grid: Grid
    header: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        voxels = np.ascontiguousarray(self.voxels, dtype=np.float32)
        if voxels.shape != self.grid.shape:
            raise ValueError(f"voxels have shape {voxels.shape} but the grid has {self.grid.shape}")
        object.__setattr__(self, "voxels", voxels)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.grid.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.grid.spacing

    def with_voxels(self, voxels: np.ndarray, grid: Grid | None = None) -> Volume:
        """A new volume with other voxels, on the same grid unless another is given."""
        return Volume(voxels, self.grid if grid is None else grid, dict(self.header))
