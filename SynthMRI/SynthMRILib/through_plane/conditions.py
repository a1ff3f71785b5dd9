"""What a through-plane network sees: the interpolated volume with the thick axis first, and facts of its slices.

Channels: the volume; the distance of every plane to the nearest slice; slice spacing and slice thickness, in voxels of
the result, each divided by `UNIT`.
"""

from __future__ import annotations

import numpy as np

#: Slice spacing and thickness [voxels of the result] become about 1 when divided by this.
UNIT = 4.0


def channels(volume: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Volume (k, j, i), slices along k, and the distance of each plane: float32 (2, k, j, i)."""
    planes = np.broadcast_to(distance[:, None, None], volume.shape)
    return np.stack([volume, planes]).astype(np.float32)


def conditions(spacing: float, thickness: float) -> tuple[float, float]:
    """Slice spacing and thickness in voxels of the result, as the network sees them."""
    return spacing / UNIT, thickness / UNIT
