"""White matter, gray matter and cerebrospinal fluid from intensities alone, by a Gaussian mixture.

One Gaussian a tissue over all contrasts at once, fitted by expectation-maximization (Dempster et al. 1977) to a sample
of the brain's voxels; a uniform component takes lesions, vessels and what else fits no tissue. It serves to scale
contrasts and to report figures by tissue. It is no segmentation for anatomy: deep gray matter is partly called white.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import InputError

CSF, GRAY, WHITE = 0, 1, 2
#: Voxels shared by gray matter and fluid.
RIM = 3
TISSUES = ("csf", "gray-matter", "white-matter")
#: Label of voxels outside of the brain in `TissueFit.labels`.
OUTSIDE = -1
SAMPLE = 12_000
STEPS = 40
UNIFORM_SHARE = 0.02
#: Fluid in T1w relative to white matter, at most; voxels of fluid below which all that the fit calls fluid is taken.
DARK_IN_T1, LEAST_FLUID = 0.75, 200
SMOOTHING_MM = 0.7
TISSUE_RULE = (
    "Gaussian mixture of cerebrospinal fluid, gray and white matter (full covariance over all contrasts given) with a "
    f"uniform background of {UNIFORM_SHARE:.0%} and a rim between gray matter and fluid (partial volume, uniform "
    f"shares), which is neither of them; log-likelihoods smoothed by a Gaussian of {SMOOTHING_MM} mm; "
    "each brain voxel takes the likeliest class"
)
#: Tissues from dark to bright by contrast.
ORDER = {"t1": (CSF, GRAY, WHITE), "t2": (WHITE, GRAY, CSF), "flair": (CSF, WHITE, GRAY)}
#: Where the tissues lie in the ranked intensities of the contrast that the fit begins with: by `ORDER`, dark to bright.
_RANKS = {
    "t1": ((0.01, 0.14), (0.25, 0.5), (0.65, 0.95)),
    "t2": ((0.05, 0.4), (0.5, 0.8), (0.92, 0.99)),
    "flair": ((0.01, 0.1), (0.25, 0.55), (0.65, 0.95)),
}


@dataclass(frozen=True, eq=False)
class TissueFit:
    """Tissues of a brain.

    Args:
        labels: int8 (k, j, i): CSF, GRAY, WHITE, RIM, or OUTSIDE.
        means: mean intensity by contrast, arrays (3,) in the order of TISSUES, in the units of the input.
        deviations: standard deviations alike.
        shares: share of each tissue and of the rim in the sample, (4,).
        certain_fluid: boolean (k, j, i), what is called fluid without what T1w or T2w show to be none.
    """

    labels: np.ndarray
    means: dict[str, np.ndarray]
    deviations: dict[str, np.ndarray]
    shares: np.ndarray
    certain_fluid: np.ndarray

    def cropped(self, box: tuple[slice, ...]) -> TissueFit:
        """The same fit of a part of the volume."""
        return replace(self, labels=self.labels[box], certain_fluid=self.certain_fluid[box])

    def as_dict(self) -> dict:
        """JSON types only."""
        return {
            "rule": TISSUE_RULE,
            "shares": dict(zip((*TISSUES, "rim"), self.shares.round(4).tolist())),
            "means": {name: dict(zip(TISSUES, values.round(4).tolist())) for name, values in self.means.items()},
        }


def fit_tissues(
    contrasts: Mapping[str, np.ndarray], brain: np.ndarray, *, spacing: tuple[float, float, float]
) -> TissueFit:
    """Fit the tissues of a brain.

    Args:
        contrasts: arrays (k, j, i) on one grid by name ("flair", "t1", "t2"), at least one.
        brain: boolean (k, j, i).
        spacing: (i, j, k) [mm].

    Raises:
        InputError: too few brain voxels, or the tissues do not lie as they must in a contrast so named.
    """
    names = sorted(contrasts)
    units = np.array([max(float(np.percentile(contrasts[n][brain], 99)), 1e-12) for n in names]) if brain.any() else 1
    values = np.stack([contrasts[n][brain] for n in names], axis=1).astype(np.float64) / units
    if len(values) < 1000:
        raise InputError("Fewer than 1000 voxels lie in the brain; check the mask and the volumes.")
    chosen = np.linspace(0, len(values) - 1, min(SAMPLE, len(values))).astype(int)
    means, covariances, shares = _best_fit(values[chosen], names)
    labels = _classify(values, brain, means, covariances, shares, spacing)
    deviations = np.sqrt(np.stack([np.diag(c) for c in covariances]))
    middles = {n: means[:3, index] * units[index] for index, n in enumerate(names)}
    spreads = {n: deviations[:3, index] * units[index] for index, n in enumerate(names)}
    return TissueFit(labels, middles, spreads, shares, certain_fluid(contrasts, labels, middles))


def certain_fluid(
    contrasts: Mapping[str, np.ndarray], labels: np.ndarray, means: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Fluid of the fit that is brighter than gray matter in T2w and well below white matter in T1w, where given.

    Flow voids, vessels and holes of stripping are dark in FLAIR as fluid is, and the fit takes them for it.
    """
    certain = labels == CSF
    if "t2" in contrasts:
        certain &= contrasts["t2"] > means["t2"][GRAY]
    if "t1" in contrasts:
        certain &= contrasts["t1"] < DARK_IN_T1 * means["t1"][WHITE]
    return certain if np.count_nonzero(certain) >= LEAST_FLUID else labels == CSF


Mixture = tuple[np.ndarray, list[np.ndarray], np.ndarray]


def _best_fit(sample: np.ndarray, names: list[str]) -> Mixture:
    """The likeliest fit with the tissues in their order, begun from each contrast. Raises InputError without one.

    Where there is none, FLAIR beside another contrast only has to show fluid darkest: with some protocols white matter
    is the brighter one.
    """
    fits = [_expectation_maximization(sample, names, begin) for begin in names]
    for loose in ((), ("flair",)) if len(names) > 1 else ((),):
        problems = [_out_of_order(names, fit[0], loose) for _, fit in fits]
        sound = [fit for fit, problem in zip(fits, problems) if problem is None]
        if sound:
            return max(sound, key=lambda fit: fit[0])[1]
    raise InputError(problems[0])


def _expectation_maximization(sample: np.ndarray, names: list[str], begin: str) -> tuple[float, Mixture]:
    """Mean log-likelihood; means (4, contrasts), covariances and shares of tissues and rim. Begun from one contrast."""
    weights = _first_guess(sample[:, names.index(begin)], begin)
    for _ in range(STEPS):
        totals = weights.sum(axis=0) + 1e-9
        shares = totals / totals.sum()
        means = (weights[:, :3].T @ sample) / totals[:3, None]
        covariances = [_covariance(sample - means[t], weights[:, t] / totals[t]) for t in range(3)]
        means, covariances = _with_rim(means, covariances)
        density = np.exp(_log_density(sample, means, covariances)) * shares * (1 - UNIFORM_SHARE)
        total = density.sum(axis=1, keepdims=True) + UNIFORM_SHARE
        weights = density / total
    return float(np.log(total).mean()), (means, covariances, shares)


def _with_rim(means: np.ndarray, covariances: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Add mean and covariance of uniform mixtures of gray matter and fluid, which follow from those of both."""
    across = means[CSF] - means[GRAY]
    covariance = (covariances[CSF] + covariances[GRAY]) / 3 + np.outer(across, across) / 12
    return np.vstack([means, (means[CSF] + means[GRAY]) / 2]), [*covariances, covariance]


def _first_guess(values: np.ndarray, contrast: str) -> np.ndarray:
    """Membership (voxels, 4) by the rank in one contrast."""
    weights = np.zeros((len(values), 4))
    weights[:, RIM] = 0.1
    for tissue, ranks in zip(ORDER[contrast], _RANKS[contrast]):
        low, high = np.quantile(values, ranks)
        weights[(values >= low) & (values <= high), tissue] = 1
    return weights


def _covariance(centered: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return (centered * weights[:, None]).T @ centered + 1e-5 * np.eye(centered.shape[1])


def _log_density(values: np.ndarray, means: np.ndarray, covariances: list[np.ndarray]) -> np.ndarray:
    """Log of the normal densities, (voxels, 4)."""
    columns = []
    for mean, covariance in zip(means, covariances):
        inverse, (_, log_volume) = np.linalg.inv(covariance), np.linalg.slogdet(2 * np.pi * covariance)
        centered = values - mean
        columns.append(-0.5 * (((centered @ inverse) * centered).sum(axis=1) + log_volume))
    return np.stack(columns, axis=1)


def _out_of_order(names: list[str], means: np.ndarray, loose: tuple[str, ...] = ()) -> str | None:
    """What is wrong with the order of the tissues, or None; of loose contrasts only the darkest has to be right."""
    for index, name in enumerate(names):
        ordered = means[list(ORDER[name]), index]
        rises = (ordered[0] < ordered[1:]) if name in loose else np.diff(ordered) > 0
        if not rises.all():
            found = " < ".join(TISSUES[t] for t in np.argsort(means[:3, index]))
            expected = " < ".join(TISSUES[t] for t in ORDER[name])
            return (
                f"The tissues of the {name.upper()} volume lie as {found} where {expected} is expected; "
                "check which volume is which, the brain mask, and whether the volumes register."
            )
    return None


def _classify(values, brain, means, covariances, shares, spacing) -> np.ndarray:
    sigma = tuple(SMOOTHING_MM / s for s in spacing[::-1])
    inside = ndimage.gaussian_filter(brain.astype(np.float32), sigma)
    logs = np.maximum(_log_density(values, means, covariances) + np.log(shares), -30)
    best = np.full(brain.shape, -np.inf, dtype=np.float32)
    labels = np.full(brain.shape, OUTSIDE, dtype=np.int8)
    for tissue in range(logs.shape[1]):
        field = np.zeros(brain.shape, dtype=np.float32)
        field[brain] = logs[:, tissue]
        field = ndimage.gaussian_filter(field, sigma) / np.maximum(inside, 1e-3)
        better = brain & (field > best)
        labels[better] = tissue
        best[better] = field[better]
    return labels
