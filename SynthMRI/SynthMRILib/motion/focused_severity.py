"""The severity of motion [mm] from what autofocus sees in a volume.

Autofocus tells well whether a head moved, and how well k-space foretells itself (`agreement.py`) how much. Both and a
few features of the image (`features.py`) go into two kernel ridge regressions (Saunders et al. 1998), as in a hurdle
model (Cragg 1971): one of whether there was motion, whose value becomes a probability (Platt 1999), and one of the
logarithm of the severity, which learned from volumes with motion alone. So volumes without motion, all of which are
alike to the first, do not hide from the second what tells more motion from less. Examples and weights are numbers in
the metadata of the bundle; nothing is evaluated. The interval is conformal, as in `severity.py`.

There are two such models: one that also knows what the correcting network would change (`block_severity.py`), for the
weights of that network which it was fitted with, and one for when these are not installed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import optimize, special

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
STEEP, MIDDLE = 16.0, 0.55
"""The probability of motion as a logistic curve of what the first regression tells, where none was fitted."""
STEEPEST = 50.0
LISTS = ("names", "center", "spread", "weights", "motion_weights", "chance", "left")


@dataclass(frozen=True)
class FocusedSeverityModel:
    """Numbers of the estimate.

    Args:
        names: features in the order of the other lists.
        center, spread: mean and standard deviation of each feature over the volumes that were learned from.
        examples: (volumes, features) standardized.
        weights: of each volume in the regression of `log_severity`, with `OFFSET_MM`; zero for those without motion.
        intercept: mean of `log_severity` over the volumes with motion.
        motion_weights, motion_intercept: the same of whether there was motion, 1 or 0, over all volumes.
        chance: how steep the logistic curve is that makes a probability of that, and where it is one half.
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
    motion_weights: tuple[float, ...]
    motion_intercept: float
    chance: tuple[float, float] = (STEEP, MIDDLE)
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
            lists = {n: tuple(values[n]) for n in LISTS if n in values}
            examples = tuple(tuple(map(float, example)) for example in values["examples"])
            model = cls(**{**values, **lists, "examples": examples})
            size = len(model.weights), len(model.names)
            if np.shape(model.examples) != size or len(model.motion_weights) != size[0]:
                raise ValueError
            if len(model.left) != 2 or len(model.chance) != 2:
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

        It lies between the value of no motion and that of the motion that there would be, by the probability of motion.

        Args:
            focused: whether autofocus has changed the volume. Then there was motion, and of the rest only how much
                is asked: edges that were made few look as if there were none.
        """
        amount, told = self._told(features)
        none = log_severity(0.0, OFFSET_MM)
        value = max(amount, none)
        if focused:
            return self.left[0] * value + self.left[1]
        steep, middle = self.chance
        return none + float(special.expit(steep * (told - middle))) * (value - none)

    def motion(self, features: dict[str, float]) -> float:
        """What the regression of whether there was motion tells, about 0 to 1."""
        return self._told(features)[1]

    def _told(self, features: dict[str, float]) -> tuple[float, float]:
        """Logarithm of the severity if there was motion, and whether there was."""
        values = standardized(np.array([[features[name] for name in self.names]]), self.center, self.spread)
        alike = kernel(values, np.array(self.examples))[0]
        amount = self.intercept + alike @ np.array(self.weights)
        return float(amount), float(self.motion_intercept + alike @ np.array(self.motion_weights))

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
    """A model without interval and threshold, from features by name and true severities [mm] of volumes.

    Some of the volumes must have motion.
    """
    table = np.array([[row[name] for name in names] for row in features])
    center, spread = table.mean(axis=0), table.std(axis=0) + 1e-6
    examples = standardized(table, center, spread).round(4)
    moved = np.array(severities_mm) > 0
    amounts = np.array([log_severity(s, OFFSET_MM) for s in severities_mm])
    weights = np.zeros(len(examples))
    weights[moved], intercept = regression(examples[moved], amounts[moved])
    motion_weights, motion_intercept = regression(examples, moved.astype(float))
    return FocusedSeverityModel(
        names=names,
        center=tuple(center.tolist()),
        spread=tuple(spread.tolist()),
        examples=tuple(map(tuple, examples.tolist())),
        weights=tuple(weights.tolist()),
        intercept=intercept,
        motion_weights=tuple(motion_weights.tolist()),
        motion_intercept=motion_intercept,
    )


def regression(examples: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Weight of each of the standardized examples (volumes, features) in a kernel ridge regression, and intercept."""
    mean = float(target.mean())
    return np.linalg.solve(kernel(examples, examples) + RIDGE * np.eye(len(examples)), target - mean), mean


def fit_chance(told: np.ndarray, moved: np.ndarray) -> tuple[float, float]:
    """How steep the logistic curve is that makes a probability of motion, and where it is one half.

    Args:
        told: what the regression of whether there was motion tells of volumes that it did not learn from.
        moved: whether there was.
    """
    sign = np.where(moved, 1.0, -1.0)

    def unlikely(line: np.ndarray) -> float:
        return float(-special.log_expit(sign * line[0] * (told - line[1])).sum())

    found = optimize.minimize(unlikely, (STEEP, MIDDLE), method="L-BFGS-B", bounds=((1.0, STEEPEST), (0.0, 1.0)))
    return float(found.x[0]), float(found.x[1])
