"""Bring FLAIR, T1w and T2w to the units of the DIR network: fluid and white matter at fixed places, zero at zero.

Scanners differ in unit and contrast. With two tissues at fixed places what is left to learn is small: how bright gray
matter and lesions are between and beyond them. The map is piecewise linear, rises everywhere, and is the same for
training and use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Where fluid and white matter come to lie [network units].
PLACES = {"flair": (0.15, 0.8), "t1": (0.3, 1.0), "t2": (1.4, 0.4)}
#: Darkest fluid that is believed, relative to white matter: below, noise would be stretched.
LEAST_FLUID = 0.1
#: Ratio of the brighter to the darker tissue below which they are not told apart.
LEAST_RATIO = 1.1


@dataclass(frozen=True)
class ContrastScale:
    """From the units of one input to those of the network.

    Args:
        contrast: "flair", "t1" or "t2".
        fluid, white: intensity of cerebrospinal fluid and white matter in the input.
    """

    contrast: str
    fluid: float
    white: float

    def knots(self) -> tuple[list[float], list[float]]:
        """Intensities of the input and of the network that the map joins, both rising from zero."""
        fluid_place, white_place = PLACES[self.contrast]
        white = max(self.white, 1e-9)
        if fluid_place > white_place:
            told_apart = self.fluid > LEAST_RATIO * white
            return ([0.0, white, self.fluid], [0.0, white_place, fluid_place]) if told_apart else _alone(white, self)
        fluid = max(self.fluid, LEAST_FLUID * white)
        told_apart = white > LEAST_RATIO * fluid
        return ([0.0, fluid, white], [0.0, fluid_place, white_place]) if told_apart else _alone(white, self)

    def apply(self, voxels: np.ndarray) -> np.ndarray:
        """float32 array in network units; beyond the last tissue in proportion to it."""
        x, y = self.knots()
        beyond = voxels * np.float32(y[-1] / x[-1])
        return np.where(voxels > x[-1], beyond, np.interp(voxels, x, y)).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        places = dict(zip(("fluid", "white-matter"), PLACES[self.contrast]))
        return {"fluid": round(self.fluid, 4), "white-matter": round(self.white, 4), "network_units": places}


def _alone(white: float, scale: ContrastScale) -> tuple[list[float], list[float]]:
    return [0.0, white], [0.0, PLACES[scale.contrast][1]]
