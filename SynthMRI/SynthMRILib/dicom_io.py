"""One volume from a DICOM folder or file: classic slices or enhanced multi-frame, compressed or not.

Which series is meant is decided by one rule: the only one that is a 3D volume. Messages name series by number, modality
and size, never by description, date or anything of the patient.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .dicom_geometry import acquisitions, arrange
from .dicom_headers import Frame, ImageFile, is_dicom, read_image_file
from .dicom_pixels import stored_values
from .errors import InputError
from .findings import raise_on_error
from .input_checks import MIN_AXIS, check_layout
from .volume import Volume

__all__ = ["is_dicom", "read_dicom_file", "read_dicom_folder"]

#: Kinds of DICOM objects that have frames in space but are no acquired volume.
NOT_VOLUMES = ("SEG", "RTDOSE", "PR", "SR")
SERIES_LISTED = 6


@dataclass(frozen=True, eq=False)
class Series:
    """The image files of one series."""

    files: list[ImageFile]

    @property
    def title(self) -> str:
        return f"Series {self.files[0].number}"

    @property
    def frames(self) -> list[Frame]:
        return [frame for file in self.files for frame in file.frames]

    @property
    def summary(self) -> str:
        """Number, modality and size: all that a message may tell."""
        frames = self.frames
        columns, rows = frames[0].size
        return f"{self.files[0].number} ({self.files[0].modality}, {columns} x {rows} x {len(frames)})"

    def is_volume(self) -> bool:
        """Whether enough of its frames are parallel for a 3D volume. Localizers are not."""
        if self.files[0].modality in NOT_VOLUMES or self.files[0].is_localizer:
            return False
        placed = [frame for frame in self.frames if frame.position is not None]
        orientations = Counter(tuple(np.round(frame.orientation, 2).ravel()) for frame in placed)
        return max(orientations.values(), default=0) >= MIN_AXIS


def read_dicom_folder(folder: Path) -> Volume:
    """The one volume in a folder and the folders below it. Raises InputError when there is none or several."""
    series = _by_series(Path(root) / name for root, _, names in os.walk(folder) for name in names)
    if not series:
        raise InputError(f"The folder '{folder.name}' holds no DICOM images; choose the folder with the slices.")
    volumes = [s for s in series if s.is_volume()] or series
    if len(volumes) > 1:
        listed = [s.summary for s in volumes[:SERIES_LISTED]]
        more = f" and {len(volumes) - SERIES_LISTED} more" if len(volumes) > SERIES_LISTED else ""
        raise InputError(
            f"The folder '{folder.name}' holds {len(volumes)} series: {', '.join(listed)}{more}; "
            "choose one file of the series you mean."
        )
    return _read_series(volumes[0])


def read_dicom_file(path: Path) -> Volume:
    """The volume that one file stands for: its own frames, or the acquisition it belongs to in its folder."""
    chosen = read_image_file(path)
    if chosen is None:
        raise InputError(f"'{path.name}' is damaged or holds no image; choose another DICOM file.")
    if len(chosen.frames) > 1:
        return _read_series(Series([chosen]))
    series = _by_series(path.parent.iterdir())
    own = next(s for s in series if s.files[0].series == chosen.series)
    return _read_series(own, like=chosen.frames[0])


def _by_series(paths: Iterable[Path]) -> list[Series]:
    """All image files, grouped, in the order of their series numbers."""
    groups: dict[str, list[ImageFile]] = defaultdict(list)
    for path in sorted(path for path in paths if path.is_file()):
        file = read_image_file(path)
        if file is not None:
            groups[file.series].append(file)
    return sorted((Series(files) for files in groups.values()), key=lambda s: s.files[0].number.zfill(12))


def _read_series(series: Series, like: Frame | None = None) -> Volume:
    first = series.files[0]
    if first.samples != 1:
        raise_on_error(check_layout((*first.frames[0].size, len(series.frames)), first.samples))
    if any(frame.position is None for frame in series.frames):
        raise InputError(f"{series.title} does not say where its slices lie; a volume needs positions and spacing.")
    frames, grid = arrange(_choose(acquisitions(series.frames), series.title, like), series.title)
    raise_on_error(check_layout(grid.size))
    file = next(f for f in series.files if f.path == frames[0].path)
    return Volume(_voxels(frames, series.title), grid, dict(file.facts))


def _choose(stacks: list[list[Frame]], title: str, like: Frame | None) -> list[Frame]:
    """The only acquisition, or the one that holds the file the user gave."""
    if len(stacks) == 1:
        return stacks[0]
    if like is not None:
        return next(stack for stack in stacks if any(frame.instance == like.instance for frame in stack))
    raise InputError(
        f"{title} holds {len(stacks)} acquisitions of the same slices; choose one file of the acquisition you mean."
    )


def _voxels(frames: Sequence[Frame], title: str) -> np.ndarray:
    """float32 array (k, j, i) in the units of the source; every file is decoded once."""
    columns, rows = frames[0].size
    voxels = np.empty((len(frames), rows, columns), dtype=np.float32)
    places: dict[Path, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        places[frame.path].append(place)
    for path, own in places.items():
        try:
            values = stored_values(path)
            for place in own:
                frame = frames[place]
                voxels[place] = values[frame.index].reshape(rows, columns) * frame.slope + frame.intercept
        except (ValueError, IndexError) as error:
            message = f"The pixels of slice {own[0]} of {title.lower()} are damaged or incomplete; export it again."
            raise InputError(message) from error
    return voxels
