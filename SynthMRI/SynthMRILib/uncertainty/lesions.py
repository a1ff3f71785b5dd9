"""How far to trust a result at given lesions or points: a number and a rank for each; no diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..intensity import reference_intensity
from ..volume import Grid, Volume
from .blending import resampled
from .findings import SIGNAL_SHARE, side_of

#: Radius of the ball around a point [mm].
POINT_RADIUS_MM = 3.0
#: Below the first percentage of the voxels with signal the variance is called low, above the second one high.
LOW_RANK, HIGH_RANK = 50.0, 90.0
NO_LESION = "The segmentation holds no lesion inside of the volume. Choose the one that belongs to it."
OUTSIDE = "Point {} lies outside of the volume. Move it, or remove it."
RANK_RULE = (
    f"rank: share of the voxels with signal whose total is lower than the lesion's median; below {LOW_RANK:g} % low, "
    f"above {HIGH_RANK:g} % high"
)


@dataclass(frozen=True)
class LesionUncertainty:
    """Uncertainty of one lesion or point.

    Args:
        number: of the lesion, from 1.
        volume_mm3: voxels that were looked at.
        position_ras: their center [mm]; side: of the patient.
        median_percent, percentile_95_percent: of the total in the lesion, per cent of the reference intensity.
        rank_percent: see RANK_RULE.
        grade: "low", "intermediate" or "high".
    """

    number: int
    volume_mm3: float
    position_ras: tuple[float, float, float]
    side: str
    median_percent: float
    percentile_95_percent: float
    rank_percent: float
    grade: str

    def sentence(self) -> str:
        position = ", ".join(f"{x:.0f}" for x in self.position_ras)
        return (
            f"Lesion {self.number} ({self.volume_mm3:.0f} mm3, {self.side}, R A S {position} mm): {self.grade} model "
            f"variance, median standard deviation {self.median_percent:.1f} % of the signal, higher than "
            f"{self.rank_percent:.0f} % of the volume. Not a diagnosis."
        )


def check_places(
    grid: Grid, *, lesions: Volume | None = None, points: Sequence[tuple[float, float, float]] = ()
) -> None:
    """Raises InputError where no lesion, or a point (RAS, mm), lies in a volume on this grid: before it is sampled."""
    if lesions is not None:
        places = lesions.grid.index_to_ras(np.argwhere(lesions.voxels > 0.5)[:, ::-1])
        if not _inside(grid, places).any():
            raise InputError(NO_LESION)
    for number, point in enumerate(points, 1):
        if not _inside(grid, np.array([point]), reach_mm=POINT_RADIUS_MM).all():
            raise InputError(OUTSIDE.format(number))


def _inside(grid: Grid, places: np.ndarray, *, reach_mm: float = 0.0) -> np.ndarray:
    """Whether places (n, 3) in RAS [mm] lie in the voxels of a grid, or at most so far from them along its axes."""
    border = 0.5 + reach_mm / np.array(grid.spacing)
    index = grid.ras_to_index(places)
    return ((index >= -border) & (index <= np.array(grid.size) - 1 + border)).all(axis=1)


def lesion_uncertainty(total: Volume, image: Volume, lesions: Volume) -> list[LesionUncertainty]:
    """One entry for each lesion of a segmentation, in the order of their labels.

    Args:
        total: standard deviations in the units of `image`.
        lesions: labels on any grid; a mask of one label is taken apart into its connected parts (26 neighbors).

    Raises:
        InputError: no lesion lies in the volume.
    """
    labels = np.rint(resampled(lesions, total, labels=True)).astype(int)
    if len(np.unique(labels)) <= 2:
        labels, _ = ndimage.label(labels, np.ones((3, 3, 3)))
    found = [np.argwhere(labels == n) for n in np.unique(labels) if n > 0]
    if not found:
        raise InputError(NO_LESION)
    return _described(total, image, found)


def point_uncertainty(
    total: Volume, image: Volume, points: Sequence[tuple[float, float, float]]
) -> list[LesionUncertainty]:
    """One entry for each point (RAS, mm): the ball of 3 mm around it. Raises InputError for a point outside."""
    reach = [int(np.ceil(POINT_RADIUS_MM / s)) + 1 for s in total.spacing]
    offsets = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
    found = []
    for number, point in enumerate(points, 1):
        ijk = np.rint(total.grid.ras_to_index(np.array(point))).astype(int) + offsets
        near = np.linalg.norm(total.grid.index_to_ras(ijk) - point, axis=1) <= POINT_RADIUS_MM
        ijk = ijk[near & ((ijk >= 0) & (ijk < total.grid.size)).all(axis=1)]
        if not len(ijk):
            raise InputError(OUTSIDE.format(number))
        found.append(ijk[:, ::-1])
    return _described(total, image, found)


def _described(total: Volume, image: Volume, found: list[np.ndarray]) -> list[LesionUncertainty]:
    unit = reference_intensity(image.voxels)
    usual = np.sort(total.voxels[image.voxels > SIGNAL_SHARE * unit])
    entries = []
    for number, index in enumerate(found, 1):
        values = total.voxels[tuple(index.T)]
        center = tuple(float(x) for x in total.grid.index_to_ras(index[:, ::-1].mean(axis=0)))
        median = float(np.median(values))
        rank = 100 * float(np.searchsorted(usual, median)) / max(usual.size, 1)
        entries.append(
            LesionUncertainty(
                number=number,
                volume_mm3=float(len(index) * np.prod(total.spacing)),
                position_ras=center,
                side=side_of(center),
                median_percent=100 * median / unit,
                percentile_95_percent=100 * float(np.percentile(values, 95)) / unit,
                rank_percent=rank,
                grade="low" if rank < LOW_RANK else "high" if rank > HIGH_RANK else "intermediate",
            )
        )
    return entries
