"""The standard deviation of each voxel's error from what is measured there: a formula of a few numbers.

A network's own deviation (dropout and predicted variance) orders errors well within a volume, but it does not know how
much noise a reference holds, nor does it see everything that makes errors large. So the logarithm of the deviation is a
sum of weighted terms: the network's deviation, the gradient of the result, the residual against the input, the detail
that was added within an acquired voxel (or the change of it, where both have one grid), brightness, and one number for
the whole volume, how much deviation the network expects for the fine structure that the result has (high where noise
cannot be told from structure). The weights are numbers in the calibration of a bundle; `deviation_fitting` finds them.
All but those of brightness are never negative: an edge or a residual may raise the deviation, not lower it. Each term
is kept within the range that it had in the calibration.

The result is computed in slabs with a margin, so that memory stays small and no slab leaves a seam.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from ..tasks.base import NetworkInput

#: Terms of a voxel, and the one of the whole volume. All in network units; logarithms of what is not brightness.
VOXEL_TERMS = ("predicted", "gradient", "residual", "detail", "intensity", "intensity_squared")
VOLUME_TERM = "noisiness"
#: Terms that may raise the deviation but never lower it.
RISING = ("predicted", "gradient", "residual", "detail", "noisiness")
#: What is added before the logarithm, so that zeros stay finite.
FLOORS = {"predicted": 1e-4, "gradient": 3e-3, "residual": 1e-3, "detail": 1e-3, "energy": 3e-3}
#: Brightness above this counts as this: little of any volume is brighter, and a parabola means nothing out there.
BRIGHTEST = 1.0
#: A voxel has signal, for the term of the whole volume, above this brightness.
SIGNAL = 0.1
#: Widths of the Gaussians [voxels of the result; the residual's in voxels of the input].
GRADIENT_WIDTH, FINE_WIDTH, ENERGY_WIDTH, RESIDUAL_WIDTH = 0.7, 1.0, 1.5, 1.0
#: Voxels of the input in a slab, and beyond it what the Gaussians reach: voxels of the result and of the input.
SLAB, REACH_FINE, REACH_COARSE = 16, 10, 4


@dataclass(frozen=True)
class DeviationModel:
    """log(deviation) = intercept + sum of weight x term, in network units.

    Args:
        weights: by name of a term; terms that it lacks do not count.
        ranges: by name of a term, the lowest and highest value that it was fitted on; a term beyond counts as if it lay
            there, because nobody knows how errors go on. Terms that it lacks have no bounds.
    """

    weights: dict[str, float]
    intercept: float
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def deviation(self, terms: dict[str, Any]) -> np.ndarray:
        """Standard deviation [network units], of the shape of the terms, float32."""
        total = sum(np.float32(weight) * self.within(name, terms[name]) for name, weight in self.weights.items())
        return np.exp(total + np.float32(self.intercept)).astype(np.float32)

    def within(self, name: str, values: Any) -> Any:
        """A term, array or number, kept within its range."""
        return np.clip(values, *self.ranges[name]) if name in self.ranges else values

    def as_dict(self) -> dict[str, Any]:
        ranges = {"ranges": {name: list(ends) for name, ends in self.ranges.items()}} if self.ranges else {}
        return {"weights": dict(self.weights), "intercept": self.intercept, **ranges}

    @classmethod
    def from_dict(cls, record: dict[str, Any] | None) -> DeviationModel | None:
        """The model of a calibration's record; None for one that has none or whose terms are not known here."""
        if not record or not set(record["weights"]) <= {*VOXEL_TERMS, VOLUME_TERM}:
            return None
        ranges = {str(k): (float(low), float(high)) for k, (low, high) in record.get("ranges", {}).items()}
        return cls({str(k): float(v) for k, v in record["weights"].items()}, float(record["intercept"]), ranges)


def raw_total(maps: dict[str, np.ndarray]) -> np.ndarray:
    """What the network alone says: root of the sum of both variances."""
    return np.hypot(maps["epistemic"], maps["aleatoric"])


def acquired_of(prepared: NetworkInput) -> np.ndarray | None:
    """The acquired voxels (k, j, i) that a result has to agree with; None when its contrast is another one."""
    if not prepared.same_contrast:
        return None
    return prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])[0]


def voxel_terms(maps: dict[str, np.ndarray], acquired: np.ndarray | None) -> dict[str, np.ndarray]:
    """Terms of each voxel (VOXEL_TERMS; no "residual" and "detail" without acquired ones), and "energy" of the volume.

    Args:
        maps: "mean", "epistemic" and "aleatoric" (k, j, i) in network units.
        acquired: on the same grid or one that is a whole number of times coarser.
    """
    mean = np.asarray(maps["mean"], dtype=np.float32)
    bright = np.clip(mean, 0, BRIGHTEST)
    fine = (mean - ndimage.gaussian_filter(mean, FINE_WIDTH)) ** 2
    terms = {
        "predicted": _log(raw_total(maps).astype(np.float32), "predicted"),
        "gradient": _log(ndimage.gaussian_gradient_magnitude(mean, GRADIENT_WIDTH), "gradient"),
        "intensity": bright,
        "intensity_squared": bright**2,
        "energy": _log(np.sqrt(np.maximum(ndimage.gaussian_filter(fine, ENERGY_WIDTH), 0)), "energy"),
    }
    if acquired is not None:
        terms["residual"] = _log(smoothed_residual(mean, acquired), "residual")
        terms["detail"] = _log(np.abs(mean - repeated(acquired, mean.shape)), "detail")
    return terms


def smoothed_residual(mean: np.ndarray, acquired: np.ndarray) -> np.ndarray:
    """|mean of the result over an acquired voxel - that voxel|, smoothed, on the grid of the result."""
    factor = mean.shape[0] // acquired.shape[0]
    seen = mean.reshape(*(v for n in acquired.shape for v in (n, factor))).mean(axis=(1, 3, 5))
    return repeated(ndimage.gaussian_filter(np.abs(seen - acquired), RESIDUAL_WIDTH), mean.shape)


def repeated(voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every voxel as a block of equal ones, on a grid that is a whole number of times finer."""
    for axis in range(3):
        voxels = voxels.repeat(shape[axis] // voxels.shape[axis], axis=axis)
    return voxels


def noisiness(energy: np.ndarray, predicted: np.ndarray, intensity: np.ndarray) -> float:
    """The term of the whole volume, from terms of its voxels: mean log of expected deviation over fine structure."""
    signal = intensity > SIGNAL
    return float(np.mean((predicted - energy)[signal])) if signal.any() else 0.0


def deviation_map(maps: dict[str, np.ndarray], prepared: NetworkInput, model: DeviationModel) -> np.ndarray:
    """Standard deviation (k, j, i) in network units, before the interval multipliers."""
    acquired, mean = acquired_of(prepared), maps["mean"]
    factor = mean.shape[0] // prepared.voxels.shape[-3]
    local = {name: weight for name, weight in model.weights.items() if name in VOXEL_TERMS}
    voxelwise = DeviationModel(local, model.intercept, model.ranges)
    deviation, balance, voxels = np.empty(mean.shape, np.float32), 0.0, 0
    for inner, outer in slabs(prepared.voxels.shape[-3], factor):
        fine = slice(outer.start * factor, outer.stop * factor)
        parts = {name: maps[name][fine] for name in ("mean", "epistemic", "aleatoric")}
        kept = slice((inner.start - outer.start) * factor, (inner.stop - outer.start) * factor)
        terms = voxel_terms(parts, None if acquired is None else acquired[outer])
        terms = {name: values[kept] for name, values in terms.items()}
        deviation[inner.start * factor : inner.stop * factor] = voxelwise.deviation(terms)
        signal = int((terms["intensity"] > SIGNAL).sum())
        balance += signal * noisiness(terms["energy"], terms["predicted"], terms["intensity"])
        voxels += signal
    whole = model.weights.get(VOLUME_TERM, 0.0) * model.within(VOLUME_TERM, balance / max(voxels, 1))
    return deviation * np.float32(np.exp(whole))


def slabs(length: int, factor: int) -> list[tuple[slice, slice]]:
    """Runs of SLAB slices of the input, and the same with a margin that reaches as far as the Gaussians do."""
    margin = max(-(-REACH_FINE // factor), REACH_COARSE)
    starts = range(0, length, SLAB)
    inner = [slice(start, min(start + SLAB, length)) for start in starts]
    return [(run, slice(max(0, run.start - margin), min(length, run.stop + margin))) for run in inner]


def _log(values: np.ndarray, name: str) -> np.ndarray:
    return np.log(np.maximum(values, 0) + np.float32(FLOORS[name]))
