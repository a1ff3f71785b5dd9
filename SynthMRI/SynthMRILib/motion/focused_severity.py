"""The severity of motion [mm] from what autofocus sees in a volume.

Autofocus tells well whether a head moved, and how well k-space foretells itself (`agreement.py`) how much. Both and a
few features of the image (`features.py`) go into a kernel ridge regression of the logarithm of the severity (Saunders
et al. 1998): the severity of a volume is that of the examples whose features are near. Examples and weights are
numbers in the metadata of the bundle; nothing is evaluated. The interval is conformal, as in `severity.py`.

There are two such models: one that also knows what the correcting network would change (`block_severity.py`), for the
weights of that network which it was fitted with, and one for when these are not installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..errors import BundleError
from .condition import log_severity, severity_of_log
from .severity import SeverityEstimate

SECTION = "severity_focused"
SECTION_WITH_NETWORK = "severity_with_network"
NAMES = (
    *("focus_fall", "focus_ahead", "agreement_start_least", "agreement_start_most"),
    *("agreement_lost_most", "agreement_lost_second", "anisotropy"),
    *("gradient_entropy", "air_ghosting"),
)
NAMES_WITH_NETWORK = (*NAMES, "change_low", "change_size", "roughness_low", "air_direction")
OFFSET_MM = 0.2
"""Of `log_severity`: larger than for a network, so that slight motion does not count most."""
FARTHEST = 4.0
"""Features count as at most so many standard deviations from their mean."""
LINEAR = 0.3
"""Share of a linear kernel beside the Gaussian one: where no example is near, the trend goes on."""
WIDTH, RIDGE = 1.5, 0.3
"""Of the Gaussian kernel [standard deviations a feature]; penalty on the weights."""


@dataclass(frozen=True)
class FocusedSeverityModel:
    """Numbers of the estimate.

    Args:
        names: features in the order of the other lists.
        center, spread: mean and standard deviation of each feature over the volumes that were learned from.
        examples: (volumes, features) standardized; weights: of each volume.
        intercept: mean of `log_severity`, with `OFFSET_MM`, over these volumes.
        quantile: half width of the interval, in the logarithm; coverage: the share it covers.
        threshold_mm: below this estimate a volume counts as one without motion.
        left: slope and intercept on the logarithm for a volume that autofocus has changed. It makes edges few and lines
            agree, which is what the estimate is made from, so that what is left would be told too low.
        left_quantile: half width of the interval of such a volume, in the logarithm; without one that of all volumes.
        network_sha256: weights of the correcting network that the features are partly of; empty for none.
    """

    names: tuple[str, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    examples: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    intercept: float
    quantile: float = 0.0
    coverage: float = 0.0
    threshold_mm: float = 0.0
    left: tuple[float, float] = (1.0, 0.0)
    left_quantile: float | None = None
    network_sha256: str = ""

    @classmethod
    def from_section(cls, section: dict[str, Any], name: str = SECTION) -> FocusedSeverityModel | None:
        """From the `synthmri` section of a bundle; None when it holds none. Raises BundleError for a broken one.

        Args:
            name: of the model, `SECTION` or `SECTION_WITH_NETWORK`.
        """
        if name not in section:
            return None
        try:
            values = dict(section[name])
            lists = {n: tuple(values[n]) for n in ("names", "center", "spread", "weights", "left") if n in values}
            examples = tuple(tuple(map(float, example)) for example in values["examples"])
            model = cls(**{**values, **lists, "examples": examples})
            if np.shape(model.examples) != (len(model.weights), len(model.names)) or len(model.left) != 2:
                raise ValueError
            known = NAMES_WITH_NETWORK if model.network_sha256 else NAMES
            if not set(model.names) <= set(known):  # of an earlier version
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise BundleError("The severity model of the bundle is broken. Install it again.") from None
        return model

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def logarithm(self, features: dict[str, float], *, focused: bool = False) -> float:
        """The estimate of `log_severity` from features by name. Raises KeyError for one that is missing.

        Args:
            focused: whether autofocus has changed the volume.
        """
        values = standardized(np.array([[features[name] for name in self.names]]), self.center, self.spread)
        value = float(self.intercept + (kernel(values, np.array(self.examples)) @ np.array(self.weights))[0])
        return self.left[0] * value + self.left[1] if focused else value

    def improved(
        self, quick: SeverityEstimate, features: dict[str, float], *, focused: bool = False
    ) -> SeverityEstimate:
        """The estimate that was made from the image alone, with severity, interval and threshold of this model."""
        middle, half = self.logarithm(features, focused=focused), self.quantile
        if focused and self.left_quantile is not None:
            half = self.left_quantile
        low, high = (severity_of_log(middle + sign * half, OFFSET_MM) for sign in (-1, 1))
        severity = severity_of_log(middle, OFFSET_MM)
        limits = {"coverage": self.coverage, "threshold_mm": self.threshold_mm}
        limits |= {"looked": True, "network_sha256": self.network_sha256}
        return replace(quick, severity_mm=severity, low_mm=low, high_mm=high, **limits)


def standardized(table: np.ndarray, center: Any, spread: Any) -> np.ndarray:
    """Features (volumes, features) as standard deviations from their means, at most `FARTHEST`."""
    return np.clip((table - np.asarray(center)) / np.asarray(spread), -FARTHEST, FARTHEST)


def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How alike volumes are (first, second), by their standardized features (volumes, features)."""
    number = first.shape[1]
    distance = ((first[:, None] - second[None]) ** 2).sum(axis=2) / number
    return np.exp(-distance / (2 * WIDTH**2)) + LINEAR * first @ second.T / number


def fit_focused(
    features: list[dict[str, float]], severities_mm: list[float], *, names: tuple[str, ...] = NAMES
) -> FocusedSeverityModel:
    """A model without interval and threshold, from features by name and true severities [mm] of volumes."""
    table = np.array([[row[name] for name in names] for row in features])
    target = np.array([log_severity(s, OFFSET_MM) for s in severities_mm])
    center, spread = table.mean(axis=0), table.std(axis=0) + 1e-6
    examples = standardized(table, center, spread).round(4)
    weights = np.linalg.solve(kernel(examples, examples) + RIDGE * np.eye(len(examples)), target - target.mean())
    return FocusedSeverityModel(
        names=names,
        center=tuple(center.tolist()),
        spread=tuple(spread.tolist()),
        examples=tuple(map(tuple, examples.tolist())),
        weights=tuple(weights.tolist()),
        intercept=float(target.mean()),
    )
