"""Where a volume is least to be trusted: the largest clusters of high uncertainty, in numbers and plain sentences.

Every sentence is a fixed template filled with numbers that stand beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ..intensity import reference_intensity
from ..volume import Volume

#: A voxel is highly uncertain when its total exceeds this share of the volume's reference intensity.
HIGH_SHARE = 0.05
SMALLEST_MM3 = 8.0
SIGNAL_SHARE = 0.02


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
    """

    volume_mm3: float
    peak: float
    peak_percent: float
    position_ras: tuple[float, float, float]
    voxel_ijk: tuple[int, int, int]
    side: str

    def sentence(self) -> str:
        position = ", ".join(f"{x:.0f}" for x in self.position_ras)
        return (
            f"{self.volume_mm3:.0f} mm3 of high uncertainty, {self.side}, around R A S {position} mm; "
            f"peak standard deviation {self.peak:.3g} ({self.peak_percent:.1f} % of the signal)."
        )


def find_clusters(total: Volume, image: Volume, *, most: int = 10) -> list[Cluster]:
    """The largest clusters of high total uncertainty, largest first.

    Args:
        total: standard deviations in the units of `image`.
        image: the volume they belong to.
        most: clusters wanted.
    """
    unit = reference_intensity(image.voxels)
    labels, count = ndimage.label(total.voxels > HIGH_SHARE * unit, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * np.prod(total.spacing)
    order = [n for n in np.argsort(-sizes) if sizes[n] >= SMALLEST_MM3][:most]
    boxes = ndimage.find_objects(labels)
    return [_describe(total, labels, boxes[n], n + 1, sizes[n], unit) for n in order]


def _describe(total: Volume, labels: np.ndarray, box: tuple, label: int, size: float, unit: float) -> Cluster:
    inside = np.where(labels[box] == label, total.voxels[box], -1)
    peak = np.array(np.unravel_index(inside.argmax(), inside.shape)) + [s.start for s in box]
    ijk = tuple(int(x) for x in peak[::-1])
    ras = tuple(float(x) for x in total.grid.index_to_ras(np.array(ijk)))
    side = "midline" if abs(ras[0]) < 2 else "right" if ras[0] > 0 else "left"
    value = float(inside.max())
    return Cluster(float(size), value, 100 * value / unit, ras, ijk, side)


def findings_record(outputs: dict[str, Volume], provenance: dict[str, Any]) -> dict[str, Any]:
    """What `findings.json` holds: whole-volume numbers, clusters, sentences and interval multipliers."""
    image, total = outputs["output"], outputs["total"]
    unit = reference_intensity(image.voxels)
    values = total.voxels[image.voxels > SIGNAL_SHARE * unit]
    clusters = find_clusters(total, image)
    high = float(100 * np.mean(values > HIGH_SHARE * unit)) if values.size else 0.0
    return {
        "intended_use": provenance["intended_use"],
        "calibrated": provenance["calibration"] is not None,
        "interval_multipliers": (provenance["calibration"] or {}).get("interval_multipliers"),
        "reference_intensity": unit,
        "median_total": float(np.median(values)) if values.size else 0.0,
        "percentile_95_total": float(np.percentile(values, 95)) if values.size else 0.0,
        "high_uncertainty_percent_of_signal_voxels": high,
        "high_uncertainty_rule": f"total above {HIGH_SHARE:.0%} of the 99.5th percentile of the non-zero voxels",
        "summary": summary(high, calibrated=provenance["calibration"] is not None),
        "clusters": [{**asdict(c), "sentence": c.sentence()} for c in clusters],
        "provenance": provenance,
    }


def summary(high: float, *, calibrated: bool) -> str:
    """One line for the whole volume, with its rule."""
    mark = "" if calibrated else " The model is not calibrated, so the numbers are relative."
    return f"{high:.2f} % of the voxels with signal are above the limit of high uncertainty.{mark}"
