"""A set of volumes brought into one frame, so that they can be compared voxel by voxel and slice by slice.

The frame is a cube with axes along R, A, S whose center is the center of mass of the head. Intensities are divided by
the reference intensity (see `intensity.py`). Nothing is registered: what differs in pose differs in the figures.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ...cohort.discovery import REGION_NAME
from ...cohort.files import stem_of, volume_suffix, walk
from ...errors import InputError
from ...intensity import reference_intensity
from ...volume import Volume
from ...volume_io import read_volume

#: Fewer volumes than this say nothing about the distribution they come from.
MINIMUM_VOLUMES = 10
PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
#: Part of each axis from whose middle slices are taken.
MIDDLE = 0.6
FOREGROUND = 0.02


@dataclass(frozen=True)
class Frame:
    """The cube in which volumes are compared.

    Args:
        size: voxels along each edge.
        spacing: their distance [mm].
        slices: how many slices are taken of each plane of a volume.
    """

    size: int = 96
    spacing: float = 2.0
    slices: int = 12

    def check(self) -> None:
        """Raises InputError for a frame that cannot be used."""
        if not 24 <= self.size <= 256 or not 0.3 <= self.spacing <= 10 or not 1 <= self.slices <= self.size:
            raise InputError(
                f"A frame of {self.size} voxels of {self.spacing:g} mm with {self.slices} slices cannot be used: "
                "take 24 to 256 voxels of 0.3 to 10 mm."
            )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class VolumeSet:
    """A set in its frame.

    Args:
        names: of the files, without suffix.
        voxels: float32 array (volumes, k, j, i) in units of the reference intensity; k, j, i run along S, A, R.
    """

    names: tuple[str, ...]
    voxels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


def files_of(folder: Path) -> list[Path]:
    """Volumes in a folder and below it, without masks and label maps. Raises InputError when there are too few."""
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder.name}'; name a folder with one volume for each subject.")
    found = [
        path / name
        for path, names in walk(folder, folder / "manifest")
        for name in names
        if volume_suffix(name) and not REGION_NAME.search(stem_of(name))
    ]
    if len(found) < MINIMUM_VOLUMES:
        raise InputError(
            f"'{folder.name}' holds {len(found)} volumes, and sets of fewer than {MINIMUM_VOLUMES} say nothing about "
            "what they were drawn from; add volumes of other subjects."
        )
    return found


def read_set(files: list[Path], frame: Frame, *, progress: Any = None) -> VolumeSet:
    """All volumes in the frame. Raises InputError for one that holds no signal."""
    names = [stem_of(file.name) for file in files]
    voxels = np.empty((len(files), *(frame.size,) * 3), dtype=np.float32)
    for number, file in enumerate(files):
        voxels[number] = in_frame(read_volume(file), frame, name=names[number])
        if progress is not None:
            progress((number + 1) / len(files), f"Read {number + 1} of {len(files)}")
    return VolumeSet(tuple(names), voxels)


def in_frame(volume: Volume, frame: Frame, *, name: str = "") -> np.ndarray:
    """float32 cube (k, j, i) along S, A, R, linearly interpolated after a blur that keeps out what is too fine."""
    reference = reference_intensity(volume.voxels)
    if not np.isfinite(reference):
        raise InputError(f"The volume '{name}' holds voxels that are not finite (NaN or infinite). Replace them first.")
    if reference <= 0:
        raise InputError(f"The volume '{name}' holds no positive signal; take it out of the set.")
    voxels = volume.voxels / reference
    spacing = np.array(volume.spacing[::-1])
    sigma = 0.5 * np.sqrt(np.maximum((frame.spacing / spacing) ** 2 - 1, 0))
    smooth = ndimage.gaussian_filter(voxels, sigma)
    middle = ndimage.center_of_mass(np.clip(voxels, 0, 1) * (voxels > FOREGROUND))
    center = volume.grid.index_to_ras(np.array(middle[::-1]))
    # Output voxel (k, j, i) lies at center + spacing (i, j, k) in RAS, less the middle of the cube.
    to_index = np.linalg.inv(volume.grid.ijk_to_ras)
    matrix = to_index[:3, :3][::-1, ::-1] * frame.spacing
    start = volume.grid.ras_to_index(center - frame.spacing * (frame.size - 1) / 2)[::-1]
    return ndimage.affine_transform(smooth, matrix, start, output_shape=(frame.size,) * 3, order=1, mode="constant")


def slices_of(voxels: np.ndarray, plane: str, frame: Frame) -> np.ndarray:
    """Slices (volumes, slices, rows, columns) of a plane, evenly over its middle."""
    places = (frame.size - 1) * (0.5 + MIDDLE * (np.linspace(0, 1, frame.slices) - 0.5))
    return np.moveaxis(np.take(voxels, np.rint(places).astype(int), axis=1 + PLANES[plane]), 1 + PLANES[plane], 1)
