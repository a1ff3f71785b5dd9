"""Do lesions stay? Contrast and volume of each lesion before and after an enhancement, and whether a simple detector
still finds it.

The reference is a volume with a mask of numbered lesions. Surroundings of a lesion are the voxels 2 to 4 mm away from
it that belong to the brain and to no lesion. Everything is measured in the same mask before and after, so that nothing
depends on a segmentation of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

SMALLEST_MM3 = 27.0
CONTRAST_SD = 3.0
DETECTOR_SD = 1.5
DETECTOR_SHARE = 0.5
RING_MM = (2.0, 4.0)
FEWEST_AROUND = 10

DEFINITIONS = {
    "surroundings": f"brain voxels {RING_MM[0]:g} to {RING_MM[1]:g} mm from the lesion that belong to no lesion",
    "contrast": "mean in the lesion's mask minus mean of its surroundings, in the units of the volume",
    "volume": "volume of the voxels in the mask, dilated by 2 voxels, that lie above the mean of the surroundings by "
    "more than half of the reference's contrast",
    "eligible": f"lesions of more than {SMALLEST_MM3:g} mm3 whose contrast in the reference is above "
    f"{CONTRAST_SD:g} standard deviations of the noise, and that the detector finds there",
    "detector": f"at least {DETECTOR_SHARE:.0%} of the mask's voxels lie more than {DETECTOR_SD:g} standard deviations "
    "of the reference's noise above the mean of the surroundings",
}


@dataclass(frozen=True)
class LesionChange:
    """One lesion before and after.

    Args:
        number: as in the mask; volume_mm3: of its mask.
        contrast_sd: contrast in the reference over the noise.
        contrast_ratio, volume_ratio: after over before.
        found: whether the detector finds it after.
    """

    number: int
    volume_mm3: float
    contrast_sd: float
    contrast_ratio: float
    volume_ratio: float
    found: bool


def compare_lesions(
    reference: np.ndarray,
    result: np.ndarray,
    lesions: np.ndarray,
    brain: np.ndarray,
    *,
    noise: float,
    spacing: tuple[float, float, float],
) -> list[LesionChange]:
    """The change of every eligible lesion.

    Args:
        reference, result: (k, j, i) on the grid of the mask.
        lesions: numbers from 1, 0 outside; brain: boolean.
        noise: standard deviation of the reference's noise, in its units.
        spacing: along (i, j, k) [mm].
    """
    changes = []
    for number, box, mask, ring in surroundings(lesions, brain, spacing):
        volume = float(mask.sum() * np.prod(spacing))
        if volume <= SMALLEST_MM3 or ring.sum() < FEWEST_AROUND:
            continue
        before, after = reference[box], result[box]
        contrast = _contrast(before, mask, ring)
        if contrast <= CONTRAST_SD * noise or not _found(before, mask, ring, noise):
            continue
        near = ndimage.binary_dilation(mask, iterations=2)
        sizes = [np.count_nonzero(near & (v > v[ring].mean() + contrast / 2)) for v in (before, after)]
        changes.append(
            LesionChange(
                number,
                volume,
                contrast / noise,
                _contrast(after, mask, ring) / contrast,
                sizes[1] / max(sizes[0], 1),
                _found(after, mask, ring, noise),
            )
        )
    return changes


def surroundings(
    lesions: np.ndarray, brain: np.ndarray, spacing: tuple[float, float, float]
) -> Iterator[tuple[int, tuple[slice, ...], np.ndarray, np.ndarray]]:
    """Number, box, mask and surroundings of each lesion; the latter two within the box."""
    margin = [int(np.ceil(RING_MM[1] / s)) + 1 for s in spacing[::-1]]
    for number, found in enumerate(ndimage.find_objects(lesions), 1):
        if found is None:
            continue
        box = tuple(slice(max(0, part.start - m), part.stop + m) for part, m in zip(found, margin))
        mask = lesions[box] == number
        distance = ndimage.distance_transform_edt(~mask, sampling=spacing[::-1])
        ring = (distance >= RING_MM[0]) & (distance <= RING_MM[1]) & brain[box] & (lesions[box] == 0)
        yield number, box, mask, ring


def _contrast(voxels: np.ndarray, mask: np.ndarray, ring: np.ndarray) -> float:
    return float(voxels[mask].mean(dtype=np.float64) - voxels[ring].mean(dtype=np.float64))


def _found(voxels: np.ndarray, mask: np.ndarray, ring: np.ndarray, noise: float) -> bool:
    above = voxels[mask] > voxels[ring].mean() + DETECTOR_SD * noise
    return bool(above.mean() >= DETECTOR_SHARE)


def summary(changes: list[LesionChange]) -> dict[str, Any]:
    """Counts, bounds (5th, 50th and 95th percentile) and every miss; JSON types only."""
    if not changes:
        return {"lesions": 0}
    return {
        "lesions": len(changes),
        "found": sum(c.found for c in changes),
        "found_percent": round(100 * sum(c.found for c in changes) / len(changes), 2),
        "contrast_ratio_5_50_95": _percentiles([c.contrast_ratio for c in changes]),
        "volume_ratio_5_50_95": _percentiles([c.volume_ratio for c in changes]),
        "misses": [
            {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(c).items()}
            for c in changes
            if not c.found
        ],
    }


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(v), 3) for v in np.percentile(values, (5, 50, 95))]
