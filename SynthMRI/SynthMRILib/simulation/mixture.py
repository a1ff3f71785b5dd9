"""A head as a mixture of tissues: what every voxel holds, how much of each, and how it deviates from its tissue's mean.

Signals add up over the parts of a voxel (partial volume happens in the signal, not in the relaxation times), so a voxel
keeps its two main tissues with their shares, and one overlay (lesion, tumor) that displaces both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from .tissue import TISSUE_INDEX


@dataclass(frozen=True, eq=False)
class Mixture:
    """Tissue composition of a volume; all arrays (k, j, i).

    Args:
        first, second: uint8 tissue index of the two main tissues.
        share: float32 share of the first (0 to 1); the second has the rest.
        variation: float32, deviation of the voxel from its tissue's mean, in standard deviations (about -3 to 3).
        overlay: uint8 tissue index of what displaces both, 0 (air) where nothing does.
        overlay_share: float32 share of the overlay (0 to 1).
        overlay_level: float32 deviation of the overlay's tissue, in standard deviations.
    """

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray
    variation: np.ndarray
    overlay: np.ndarray
    overlay_share: np.ndarray
    overlay_level: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.first.shape

    def fraction(self, *names: str) -> np.ndarray:
        """float32 fraction of the voxel that any of these tissues fill (0 to 1)."""
        wanted = np.zeros(256, dtype=np.float32)
        wanted[[TISSUE_INDEX[name] for name in names]] = 1
        main = wanted[self.first] * self.share + wanted[self.second] * (1 - self.share)
        return main * (1 - self.overlay_share) + wanted[self.overlay] * self.overlay_share

    def crop(self, box: tuple[slice, ...]) -> Mixture:
        """The part of the mixture in a box (views)."""
        return Mixture(*(getattr(self, f.name)[box] for f in fields(self)))

    def editable(self) -> Mixture:
        """A mixture whose overlay arrays may be written in place (`write_overlay`); the rest is shared."""
        return replace(
            self,
            overlay=self.overlay.copy(),
            overlay_share=self.overlay_share.copy(),
            overlay_level=self.overlay_level.copy(),
        )


def write_overlay(
    head: Mixture,
    box: tuple[slice, ...],
    name: str,
    share: np.ndarray,
    level: np.ndarray | float = 0.0,
    *,
    on_top: bool = False,
) -> None:
    """Write an overlay into a box of an editable mixture; where two overlays meet, the larger share wins.

    Args:
        name: tissue of the overlay.
        share: float32 share of the voxel (0 to 1), of the shape of the box.
        level: deviation from the tissue's mean, in standard deviations.
        on_top: also win wherever the share is at least half.
    """
    wins = share > head.overlay_share[box]
    if on_top:
        wins |= share >= 0.5
    head.overlay[box][wins] = TISSUE_INDEX[name]
    head.overlay_share[box][wins] = share[wins]
    head.overlay_level[box][wins] = np.broadcast_to(np.asarray(level, dtype=np.float32), share.shape)[wins]


def mix(tissues: np.ndarray, variation: np.ndarray, *, sharpness: float = 2.0, blend: float = 1.0) -> Mixture:
    """Soften a map of tissue indices into a mixture: boundaries become partial volume over about one voxel.

    Each tissue's indicator is smoothed by (1, 3, 1) / 5 along every axis; the two largest scores share the voxel in
    proportion to their power `sharpness` (1: plain smoothing; 2 to 3: edges as steep as those of 1 mm scans).

    Args:
        tissues: uint8 (k, j, i).
        variation: float32 (k, j, i).
        blend: the power between white and gray matter, which merge: myelin reaches into the deep cortical layers.
    """
    best, runner_up = _two_best(tissues)
    first, second = (best & 255).astype(np.uint8), (runner_up & 255).astype(np.uint8)
    merging = _WHITE[first] & _GRAY[second] | _GRAY[first] & _WHITE[second]
    # Rows of the table: ordinary and merging neighbors.
    scores = np.arange(126, dtype=np.float32) ** np.array([[sharpness], [blend]], dtype=np.float32)
    row = merging.astype(np.uint16) * np.uint16(126)
    high, low = scores.ravel()[row + (best >> 8)], scores.ravel()[row + (runner_up >> 8)]
    share = high / (high + low)
    nothing = [np.zeros(tissues.shape, dtype=kind) for kind in (np.uint8, np.float32, np.float32)]
    return Mixture(first, second, share, variation, *nothing)


def _members(*names: str) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[[TISSUE_INDEX[name] for name in names]] = True
    return table


_WHITE = _members("white-matter", "cerebellar-white-matter", "brain-stem", "lesion")
_GRAY = _members("cortex", "deep-gray", "thalamus", "pallidum", "cerebellar-cortex")


def _two_best(tissues: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two largest (score << 8 | tissue) of every voxel; scores reach 125, so 8-bit arithmetic smooths them."""
    best = np.zeros(tissues.shape, dtype=np.uint16)
    runner_up = np.zeros(tissues.shape, dtype=np.uint16)
    for index in np.flatnonzero(np.bincount(tissues.ravel(), minlength=1)):
        packed = _smooth_mask(tissues == index).astype(np.uint16)
        packed <<= 8
        packed |= np.uint16(index)
        np.maximum(runner_up, np.minimum(best, packed), out=runner_up)
        np.maximum(best, packed, out=best)
    return best, runner_up


def _smooth_mask(mask: np.ndarray) -> np.ndarray:
    scores = mask.view(np.uint8)
    for axis in range(mask.ndim):
        moved = np.moveaxis(scores, axis, 0)
        out = moved * np.uint8(3)
        out[1:] += moved[:-1]
        out[:-1] += moved[1:]
        out[0] += moved[0]
        out[-1] += moved[-1]
        scores = np.moveaxis(out, 0, axis)
    return scores
