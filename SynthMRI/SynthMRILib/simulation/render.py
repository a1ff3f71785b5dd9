"""From a mixture of tissues and a protocol to a volume of signal.

A signal depends on the tissue, on the voxel's deviation from its mean and, smoothly, on B1+. It is tabulated over
tissue and deviation at three B1+ values; every voxel looks up its parts and sums them (signed, before any magnitude).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .mixture import Mixture
from .protocols import ProtocolRecord, protocol_signal
from .relaxation import RelaxationRecord, table

LEVELS = np.linspace(-5, 5, 501)
B1_STEP = 0.3


def render(
    head: Mixture,
    relaxation: RelaxationRecord,
    protocol: ProtocolRecord,
    *,
    b1: np.ndarray | None = None,
    signed: bool = False,
) -> np.ndarray:
    """Signal of every voxel: float32 (k, j, i), relative to that of fully relaxed water.

    Args:
        b1: transmit field relative to nominal, float32 (k, j, i); None for 1 everywhere.
        signed: keep the sign (phase-sensitive reconstruction) instead of the magnitude.
    """
    tissues = table(relaxation, field_strength=protocol.field_strength, gadolinium=protocol.gadolinium)

    def signal(b1_value: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda level: protocol_signal(protocol, tissues, level, b1=b1_value)

    image = weighted_sum(head, signal(1.0))
    if b1 is not None:
        above, below = (weighted_sum(head, signal(1.0 + step)) for step in (B1_STEP, -B1_STEP))
        change = (b1 - 1) / np.float32(B1_STEP)
        image = image + change * (0.5 * (above - below) + 0.5 * change * (above + below - 2 * image))
    return image if signed else np.abs(image)


def weighted_sum(head: Mixture, values: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Sum over the parts of every voxel of share times value.

    Args:
        values: function from levels (n,) to an array (tissues, n).
    """
    lookup = values(LEVELS).astype(np.float32)
    level = _level_index(head.variation)
    total = head.share * _take(lookup, head.first, level)
    mixed = np.flatnonzero(head.share.ravel() < 1)
    flat = total.ravel()
    rest = 1 - head.share.ravel()[mixed]
    flat[mixed] += rest * _take(lookup, head.second.ravel()[mixed], level.ravel()[mixed])
    covered = np.flatnonzero(head.overlay_share.ravel() > 0)
    if covered.size:
        share = head.overlay_share.ravel()[covered]
        own = _take(lookup, head.overlay.ravel()[covered], _level_index(head.overlay_level.ravel()[covered]))
        flat[covered] = (1 - share) * flat[covered] + share * own
    return flat.reshape(head.shape)


def _level_index(level: np.ndarray) -> np.ndarray:
    step = LEVELS[1] - LEVELS[0]
    index = (level - np.float32(LEVELS[0])) * np.float32(1 / step) + np.float32(0.5)
    return np.clip(index, 0, LEVELS.size - 1).astype(np.int32)


def _take(lookup: np.ndarray, tissue: np.ndarray, level: np.ndarray) -> np.ndarray:
    return lookup.ravel()[tissue * np.int32(lookup.shape[1]) + level]
