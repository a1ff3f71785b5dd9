"""How severe motion is in a volume [mm], with an interval, and whether the volume is like those that was learned from.

Image features and what a network says of the blocks of the volume go into a ridge regression of the logarithm of the
severity. Its interval is conformal: the quantile of the absolute errors on held-out volumes (Vovk et al. 2005), so that
it covers a new volume of the same kind with the stated probability. Coefficients are numbers in the metadata of the
bundle; nothing is evaluated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import BundleError
from .condition import log_severity, severity_of_log

CONTRAST = ("level_10", "level_50", "level_90", "bright_share")
"""Features that tell contrast and intensity; they say whether a volume is familiar, not how severe motion is."""


@dataclass(frozen=True)
class SeverityEstimate:
    """Severity of motion in a volume.

    Args:
        severity_mm, low_mm, high_mm: estimate and interval.
        coverage: share of such intervals that hold the true severity, on volumes like those held out.
        threshold_mm, largest_mm: range of estimates between which correction was learned and helps.
        strangeness: distance from the volumes that were learned from over the largest that passes; above 1 is strange.
        strangest: the feature that differs most.
        looked: whether what autofocus sees at first is part of the estimate.
        network_sha256: weights of the correcting network whose word is part of the estimate; empty when none is.
    """

    severity_mm: float
    low_mm: float
    high_mm: float
    coverage: float
    threshold_mm: float
    largest_mm: float
    strangeness: float
    strangest: str
    looked: bool = False
    network_sha256: str = ""

    def with_undone(self, undone_mm: float) -> SeverityEstimate:
        """The severity before motion of this size was undone, where this is the severity after it.

        Both are root mean square changes over the same edges, taken as unrelated, so their squares add up.
        """
        severity, low, high = (float(np.hypot(v, undone_mm)) for v in (self.severity_mm, self.low_mm, self.high_mm))
        return replace(self, severity_mm=severity, low_mm=low, high_mm=high)

    def between(self, other: SeverityEstimate) -> SeverityEstimate:
        """The geometric mean of two estimates of the same volume, which err in different ways."""
        pairs = ((getattr(self, n), getattr(other, n)) for n in ("severity_mm", "low_mm", "high_mm"))
        severity, low, high = (float(np.sqrt(a * b)) for a, b in pairs)
        return replace(self, severity_mm=severity, low_mm=low, high_mm=high)

    def without(self, undone_mm: float) -> SeverityEstimate:
        """The severity after motion of this size was undone: squares subtract, and at least half is left."""
        left = (np.sqrt(max(v**2 - undone_mm**2, v**2 / 4)) for v in (self.severity_mm, self.low_mm, self.high_mm))
        severity, low, high = (float(v) for v in left)
        return replace(self, severity_mm=severity, low_mm=low, high_mm=high)

    def scaled(self, factor: float) -> SeverityEstimate:
        """The severity where a share of the motion is left."""
        severity, low, high = (factor * v for v in (self.severity_mm, self.low_mm, self.high_mm))
        return replace(self, severity_mm=severity, low_mm=low, high_mm=high)

    def as_dict(self) -> dict[str, Any]:
        return {n: round(v, 4) if isinstance(v, float) else v for n, v in asdict(self).items()}


@dataclass(frozen=True)
class SeverityModel:
    """Coefficients of the estimate.

    Args:
        names: features in the order of the coefficients.
        center, spread: mean and standard deviation of each feature over the volumes that were learned from.
        weights, intercept: of the regression of `condition.log_severity` on the standardized features.
        quantile: half width of the interval, in the logarithm; coverage: the share it covers.
        threshold_mm: below this estimate a volume is left as it is.
        largest_mm: above this estimate motion is worse than anything that was learned from.
        familiar: mean and standard deviation of the features of CONTRAST, and the largest distance that passes.
    """

    names: tuple[str, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    quantile: float
    coverage: float
    threshold_mm: float
    largest_mm: float
    familiar: dict[str, tuple[float, float]] = field(default_factory=dict)
    familiar_limit: float = 4.0

    @classmethod
    def from_section(cls, section: dict[str, Any]) -> SeverityModel:
        """From the `synthmri` section of a bundle. Raises BundleError when it holds no such model."""
        try:
            values = dict(section["severity"])
            lists = {n: tuple(values[n]) for n in ("names", "center", "spread", "weights")}
            familiar = {n: (float(m), float(s)) for n, (m, s) in values["familiar"].items()}
            return cls(**{**values, **lists, "familiar": familiar})
        except (KeyError, TypeError, ValueError):
            raise BundleError("The bundle holds no severity model. Install it again.") from None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def logarithm(self, features: dict[str, float]) -> float:
        standardized = (self._vector(features) - self.center) / np.array(self.spread)
        return float(self.intercept + np.clip(standardized, -5, 5) @ np.array(self.weights))

    def estimate(self, features: dict[str, float]) -> SeverityEstimate:
        """The estimate from features by name. Raises KeyError for one that is missing."""
        middle = self.logarithm(features)
        low, high = (severity_of_log(middle + sign * self.quantile) for sign in (-1, 1))
        distances = {n: abs(features[n] - mean) / spread for n, (mean, spread) in self.familiar.items()}
        strangest = max(distances, key=distances.get, default="")
        strangeness = distances.get(strangest, 0.0) / self.familiar_limit
        return SeverityEstimate(
            severity_mm=severity_of_log(middle),
            low_mm=low,
            high_mm=high,
            coverage=self.coverage,
            threshold_mm=self.threshold_mm,
            largest_mm=self.largest_mm,
            strangeness=strangeness,
            strangest=strangest,
        )

    def _vector(self, features: dict[str, float]) -> np.ndarray:
        return np.array([features[name] for name in self.names])


def before_and_left(
    first: SeverityEstimate, left: SeverityEstimate, undone_mm: float
) -> tuple[SeverityEstimate, SeverityEstimate]:
    """The severity before something was undone, and what is left of it.

    What was undone and what is left tell the severity before as well: the mean with the first estimate counts, and what
    is left is the same share of it. From the image alone, what was undone tells more than the volume before.

    Args:
        first, left: estimates from the volume before and after.
        undone_mm: how much was undone.
    """
    told = left.with_undone(undone_mm)
    if not first.looked:
        return told, left
    before = first.between(told)
    return before, left.scaled(before.severity_mm / max(told.severity_mm, 1e-6))


def contrast_features(voxels: np.ndarray) -> dict[str, float]:
    """Levels of the intensities in the head (network units), and the share of very bright voxels."""
    inside = voxels[voxels > 0.05]
    levels = np.percentile(inside, (10, 50, 90)) if inside.size else np.zeros(3)
    bright = float((inside > 0.9).mean()) if inside.size else 0.0
    return dict(zip(CONTRAST, (*map(float, levels), bright)))


def fit(
    features: list[dict[str, float]], severities_mm: list[float], *, names: tuple[str, ...], ridge: float = 1.0
) -> dict[str, Any]:
    """Center, spread, weights and intercept of a ridge regression; the penalty is `ridge` a sample for unit spread."""
    table = np.array([[row[name] for name in names] for row in features])
    target = np.array([log_severity(s) for s in severities_mm])
    center, spread = table.mean(axis=0), table.std(axis=0) + 1e-6
    standardized = np.clip((table - center) / spread, -5, 5)
    normal = standardized.T @ standardized + ridge * np.eye(len(names))
    weights = np.linalg.solve(normal, standardized.T @ (target - target.mean()))
    return {
        "names": list(names),
        "center": center.tolist(),
        "spread": spread.tolist(),
        "weights": weights.tolist(),
        "intercept": float(target.mean()),
    }


def conformal_quantile(errors: np.ndarray, coverage: float) -> float:
    """The half width that covers a new error with probability `coverage`: the ceil((n + 1) coverage)-th smallest."""
    ordered = np.sort(np.abs(errors))
    rank = int(np.ceil((ordered.size + 1) * coverage))
    return float(ordered[min(rank, ordered.size) - 1])
