"""Where a volume is least to be trusted: the largest clusters of high uncertainty, in numbers and plain sentences.

Every sentence is a fixed template filled with numbers that stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from ..intensity import reference_intensity
from ..volume import Grid, Volume
from .limits import MULTIPLES, USUAL_LIMIT, limit_of, limit_rule
from .places import place_of

SMALLEST_MM3 = 8.0
#: A cluster larger than this is no place to go to: it is taken apart at the next multiple of the limit.
LARGEST_MM3 = 20_000.0
SIGNAL_SHARE = 0.02
MIDLINE_MM = 2.0
#: A cluster lies at the border when its peak is within so many voxels of it.
BORDER_VOXELS = 3
#: A cluster lies at strong edges when its mean gradient is above this percentile of the voxels with signal.
EDGE_PERCENTILE = 90
#: A cluster departs from the acquired volume when its mean residual is so many times the median where there is signal.
RESIDUAL_FACTOR = 3.0


@dataclass(frozen=True)
class Cluster:
    """One connected region (26 neighbors) of high uncertainty.

    Args:
        volume_mm3: its volume.
        peak: highest total, in the units of the volume.
        peak_percent: the same in per cent of the reference intensity.
        position_ras: RAS position of the peak [mm].
        voxel_ijk: voxel index of the peak.
        side: "right", "left" or "midline" (within 2 mm of the RAS origin's plane).
        slice: where to look, e.g. "axial slice 38 of 182", counted from 1 along the grid.
        place: what a segmentation says is there, with the share of the cluster in it; empty without one.
        hints: what was measured there that may explain it, a sentence each.
        limit_percent: all of it lies above this, per cent of the reference intensity.
        apart: whether that is above the limit, because it was a part of a region too large to go to.
    """

    volume_mm3: float
    peak: float
    peak_percent: float
    position_ras: tuple[float, float, float]
    voxel_ijk: tuple[int, int, int]
    side: str
    slice: str = ""
    place: str = ""
    hints: tuple[str, ...] = ()
    limit_percent: float = USUAL_LIMIT
    apart: bool = False

    def sentence(self) -> str:
        position = ", ".join(f"{x:.0f}" for x in self.position_ras)
        where = f"{self.place}, " if self.place else ""
        look = f", {self.slice}" if self.slice else ""
        above = f" (above {self.limit_percent:g} % of the signal)" if self.apart else ""
        return " ".join(
            [
                f"{self.volume_mm3:.0f} mm3 of high uncertainty{above}, {where}{self.side}, "
                f"around R A S {position} mm{look}; "
                f"peak standard deviation {self.peak:.3g} ({self.peak_percent:.1f} % of the signal).",
                *self.hints,
            ]
        )


def find_clusters(
    total: Volume,
    image: Volume,
    *,
    most: int = 10,
    segmentation: Volume | None = None,
    names: Mapping[int, str] | None = None,
    residual: np.ndarray | None = None,
    limit: float = USUAL_LIMIT,
) -> list[Cluster]:
    """The largest clusters of high total uncertainty, largest first.

    Args:
        total: standard deviations in the units of `image`.
        image: the volume they belong to.
        most: clusters wanted.
        segmentation: labels of what is where, on any grid; names: of its labels (see `places`).
        residual: |residual| against the acquired volume on the grid of `image`, in its units.
        limit: what counts as high, per cent of the reference intensity (see `limits`).
    """
    unit = reference_intensity(image.voxels)
    voxel = float(np.prod(total.spacing))
    shares = tuple(multiple * limit / 100 for multiple in MULTIPLES)
    regions = sorted(high_regions(total.voxels, unit, voxel_mm3=voxel, shares=shares), key=lambda r: -len(r[0]))[:most]
    if not regions:
        return []
    hints = Hints(image, residual)
    found = []
    for index, share in regions:
        place = "" if segmentation is None else place_of(segmentation, total.grid.index_to_ras(index[:, ::-1]), names)
        found.append(replace(_describe(total, index, share, unit, place, hints), apart=share > shares[0]))
    return found


def high_regions(
    total: np.ndarray, unit: float, *, voxel_mm3: float, shares: tuple[float, ...]
) -> list[tuple[np.ndarray, float]]:
    """Connected regions above the first share of `unit`, those too large taken apart at the next ones.

    Returns the voxels (n, 3) in (k, j, i) of each region and the share it lies above.
    """
    labels, _ = ndimage.label(total > shares[0] * unit, np.ones((3, 3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[box] == number
        size = np.count_nonzero(inside) * voxel_mm3
        if size < SMALLEST_MM3:
            continue
        start = np.array([s.start for s in box])
        if size > LARGEST_MM3 and len(shares) > 1:
            parts = high_regions(np.where(inside, total[box], 0), unit, voxel_mm3=voxel_mm3, shares=shares[1:])
            found += [(index + start, share) for index, share in parts]
        else:
            found.append((np.argwhere(inside) + start, shares[0]))
    return found


def _describe(total: Volume, index: np.ndarray, share: float, unit: float, place: str, hints: Hints) -> Cluster:
    values = total.voxels[tuple(index.T)]
    ijk = tuple(int(x) for x in index[values.argmax()][::-1])
    ras = tuple(float(x) for x in total.grid.index_to_ras(np.array(ijk)))
    value = float(values.max())
    return Cluster(
        volume_mm3=len(index) * float(np.prod(total.spacing)),
        peak=value,
        peak_percent=100 * value / unit,
        position_ras=ras,
        voxel_ijk=ijk,
        side=side_of(ras),
        slice=slice_of(total.grid, ijk),
        place=place,
        hints=hints.of(index, ijk),
        limit_percent=float(f"{100 * share:.3g}"),
    )


def side_of(ras: tuple[float, float, float]) -> str:
    """Side of the patient, as far as the origin lies in the middle of the head."""
    return "midline" if abs(ras[0]) < MIDLINE_MM else "right" if ras[0] > 0 else "left"


def slice_of(grid: Grid, ijk: tuple[int, int, int]) -> str:
    """The slice of the grid most nearly axial that holds a voxel, counted from 1."""
    axis = int(np.abs(grid.directions[2]).argmax())
    return f"axial slice {ijk[axis] + 1} of {grid.size[axis]}"


class Hints:
    """What can be measured at a cluster that may explain it; nothing is guessed.

    Args:
        image: the result.
        residual: |residual| against the acquired volume on its grid, or None.
    """

    def __init__(self, image: Volume, residual: np.ndarray | None) -> None:
        signal = image.voxels > SIGNAL_SHARE * reference_intensity(image.voxels)
        self._unit = reference_intensity(image.voxels)
        self._gradient = ndimage.gaussian_gradient_magnitude(image.voxels, 1.0)
        self._strong = float(np.percentile(self._gradient[signal], EDGE_PERCENTILE)) if signal.any() else np.inf
        self._residual = residual
        self._usual = float(np.median(residual[signal])) if residual is not None and signal.any() else 0.0

    def of(self, index: np.ndarray, ijk: tuple[int, int, int]) -> tuple[str, ...]:
        """Sentences about a cluster: its voxels (n, 3) in (k, j, i), its peak in (i, j, k)."""
        at, hints = tuple(index.T), []
        size = np.array(self._gradient.shape[::-1])
        if min(np.minimum(ijk, size - 1 - np.array(ijk))) < BORDER_VOXELS:
            hints.append(f"It lies within {BORDER_VOXELS} voxels of the border of the field of view.")
        if self._gradient[at].mean() > self._strong:
            hints.append(f"It lies at edges stronger than {EDGE_PERCENTILE} % of the volume.")
        if self._residual is not None and self._residual[at].mean() > RESIDUAL_FACTOR * self._usual > 0:
            percent = 100 * self._residual[at].mean() / self._unit
            hints.append(f"There the result departs from the acquired volume by {percent:.1f} % of the signal.")
        return tuple(hints)


def whole_volume_numbers(total: Volume, image: Volume, *, limit: float) -> dict[str, float]:
    """Median and 95th percentile of the total where there is signal, and the share of voxels above `limit` [%]."""
    unit = reference_intensity(image.voxels)
    values = total.voxels[image.voxels > SIGNAL_SHARE * unit]
    if not values.size:
        return {"median_total": 0.0, "percentile_95_total": 0.0, "high_uncertainty_percent": 0.0, "unit": unit}
    return {
        "median_total": float(np.median(values)),
        "percentile_95_total": float(np.percentile(values, 95)),
        "high_uncertainty_percent": float(100 * np.mean(values > limit / 100 * unit)),
        "unit": unit,
    }


def findings_record(
    outputs: dict[str, Volume],
    provenance: dict[str, Any],
    *,
    segmentation: Volume | None = None,
    names: Mapping[int, str] | None = None,
    residual: np.ndarray | None = None,
) -> dict[str, Any]:
    """What `findings.json` holds: whole-volume numbers, clusters, sentences and interval multipliers."""
    image, total = outputs["output"], outputs["total"]
    limit = limit_of(provenance)
    numbers = whole_volume_numbers(total, image, limit=limit)
    calibrated = provenance["calibration"] is not None
    high = numbers["high_uncertainty_percent"]
    clusters = find_clusters(total, image, segmentation=segmentation, names=names, residual=residual, limit=limit)
    return {
        "intended_use": provenance["intended_use"],
        "calibrated": calibrated,
        "interval_multipliers": (provenance["calibration"] or {}).get("interval_multipliers"),
        "reference_intensity": numbers["unit"],
        "median_total": numbers["median_total"],
        "percentile_95_total": numbers["percentile_95_total"],
        "high_uncertainty_percent_of_signal_voxels": high,
        "high_uncertainty_limit_percent": limit,
        "high_uncertainty_rule": limit_rule(provenance),
        "summary": summary(high, calibrated=calibrated),
        "confidence": provenance["quality"]["sentence"],
        "quality": provenance["quality"],
        "gate": provenance["gate"],
        "consistency": provenance["consistency"],
        "hints": global_hints(provenance),
        "clusters": [{**asdict(c), "sentence": c.sentence()} for c in clusters],
        "provenance": provenance,
    }


def global_hints(provenance: dict[str, Any]) -> list[str]:
    """Sentences about the whole volume: what was judged, what the gate found, what was not given."""
    hints = [*filter(None, [provenance.get("judged_note")]), *provenance["gate"]["reasons"]]
    missing = provenance.get("missing_inputs") or []
    if missing:
        hints.append(f"Not given, though the task could use it: {', '.join(missing)}.")
    return hints


def summary(high: float, *, calibrated: bool) -> str:
    """One line for the whole volume."""
    mark = " (5 % in a usual volume)." if calibrated else ". The model is not calibrated, so the numbers are relative."
    return f"{high:.2f} % of the voxels with signal are above the limit of high uncertainty{mark}"
