"""Bring intensities to the scale a network was trained on, and back to the units of the input.

Scale: division by the 99.5th percentile of the non-zero voxels, zero stays zero. No offset is removed, because air is
zero in a magnitude image and background of a stripped volume is zero by construction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError

REFERENCE_PERCENTILE = 99.5


def reference_intensity(voxels: np.ndarray) -> float:
    """99.5th percentile of the non-zero voxels: the data range of all quality figures. Zero for an empty volume."""
    values = voxels[voxels != 0]
    return float(np.percentile(values, REFERENCE_PERCENTILE)) if values.size else 0.0


@dataclass(frozen=True)
class IntensityScale:
    """A linear map between the units of the input and the units of a network.

    Args:
        unit: intensity in the input's units that becomes 1.
    """

    unit: float

    @classmethod
    def fit(cls, voxels: np.ndarray) -> IntensityScale:
        """Scale of a volume. Raises InputError when it has no positive signal."""
        unit = reference_intensity(voxels)
        if not np.isfinite(unit) or unit <= 0:
            raise InputError("The volume holds no positive signal, so its intensities cannot be scaled.")
        return cls(unit)

    def apply(self, voxels: np.ndarray) -> np.ndarray:
        """float32 array in network units."""
        return (voxels / np.float32(self.unit)).astype(np.float32)

    def invert(self, voxels: np.ndarray) -> np.ndarray:
        """float32 array in the units of the input. Standard deviations invert the same way."""
        return (voxels * np.float32(self.unit)).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "percentile", "percentile": REFERENCE_PERCENTILE, "unit": self.unit}
