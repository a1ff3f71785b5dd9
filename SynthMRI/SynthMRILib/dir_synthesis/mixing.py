"""The mean of the network's and the dictionary's DIR, in which a tissue first comes to the same level in both.

A double inversion recovery nulls white matter and fluid. Contrasts that do not tell tissues apart, and mixtures, only
brighten them; so of the two levels the darker one counts. Gray matter takes the mean of both. The map from old levels
to new ones is piecewise linear and rises everywhere: what a volume shows brighter stays brighter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tissue_fit import CSF, GRAY, TISSUES, WHITE

#: The dictionary's share with FLAIR among the inputs, and without, where the network knows less.
SHARE_WITH_FLAIR, SHARE_WITHOUT_FLAIR = 0.5, 0.7
#: Voxels without which a tissue has no level, and the darkest level a tissue is brought to, gray matter being 1.
FEWEST, DARKEST = 200, 0.01
#: Ratio of the levels of gray matter beyond which one of the volumes is no DIR of this brain.
LARGEST_RATIO = 4.0
RULE = (
    "mean of network and dictionary after white matter and fluid were brought to the darker of both levels and gray "
    f"matter to the mean; the dictionary's share is {SHARE_WITH_FLAIR:g}, without FLAIR {SHARE_WITHOUT_FLAIR:g}"
)


@dataclass(frozen=True)
class Levels:
    """Tissues that are brought to one level, and their levels [units of the volumes].

    Args:
        tissues: labels of `tissue_fit.TissueFit`, from dark to bright; empty where the volumes are left as they are.
        network, dictionary: median of each in the two volumes; common: where both come to lie.
    """

    tissues: tuple[int, ...] = ()
    network: tuple[float, ...] = ()
    dictionary: tuple[float, ...] = ()
    common: tuple[float, ...] = ()

    def over(self, unit: float) -> Levels:
        """The same levels in another unit, so large in the present one."""
        return Levels(
            self.tissues, *(tuple(v / unit for v in row) for row in (self.network, self.dictionary, self.common))
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON types only: the level in the network's volume, the dictionary's and the mean, by tissue."""
        rows = zip(self.network, self.dictionary, self.common)
        return {TISSUES[tissue]: [round(level, 4) for level in row] for tissue, row in zip(self.tissues, rows)}


def dictionary_share(contrasts: Iterable[str]) -> float:
    """The dictionary's share of the mean, by the contrasts given."""
    return SHARE_WITH_FLAIR if "flair" in contrasts else SHARE_WITHOUT_FLAIR


def mixed(network: np.ndarray, dictionary: np.ndarray, levels: Levels, *, share: float) -> np.ndarray:
    """The mean of both volumes at common levels, float32 (k, j, i).

    Args:
        network, dictionary: DIR of one brain in one unit, not negative, (k, j, i).
        levels: as `common_levels` finds them.
        share: of the dictionary, 0 to 1.
    """
    share = np.float32(share)
    leveled = (mapped(network, levels.network, levels.common), mapped(dictionary, levels.dictionary, levels.common))
    return (1 - share) * leveled[0] + share * leveled[1]


def common_levels(network: np.ndarray, dictionary: np.ndarray, labels: np.ndarray, *, share: float) -> Levels:
    """The levels of the tissues in both volumes, and those they come to.

    Fluid is left out where the two do not agree on its place between the other tissues; everything is where white
    matter is not darker than gray matter in both, or gray matter's levels are more than LARGEST_RATIO apart.

    Args:
        network, dictionary: as for `mixed`.
        labels: of `tissue_fit.TissueFit`, (k, j, i).
        share: of the dictionary in the level of gray matter.
    """
    if min(np.count_nonzero(labels == tissue) for tissue in (WHITE, GRAY)) < FEWEST:
        return Levels()
    first, second = ({t: _level(v, labels == t) for t in (CSF, WHITE, GRAY)} for v in (network, dictionary))
    if not all(level[WHITE] < level[GRAY] for level in (first, second)):
        return Levels()
    if not 1 / LARGEST_RATIO <= first[GRAY] / second[GRAY] <= LARGEST_RATIO:
        return Levels()
    gray = (1 - share) * first[GRAY] + share * second[GRAY]
    tissues = _dark_tissues(first, second)
    common = [max(min(first[t], second[t]), DARKEST * gray * (n + 1)) for n, t in enumerate(tissues)]
    tissues, common = (*tissues, GRAY), (*common, gray)
    return Levels(tissues, tuple(first[t] for t in tissues), tuple(second[t] for t in tissues), common)


def mixed_moments(
    network: dict[str, np.ndarray], dictionary: np.ndarray, spread: np.ndarray, levels: Levels, *, share: float
) -> dict[str, np.ndarray]:
    """What is known of the mean of both volumes: "mean", "epistemic" and "aleatoric", float32 (k, j, i).

    Each voxel is taken to be described by the network with probability 1 - share and by the dictionary with
    probability share; the variance of such a mixture is the mean of both variances plus share (1 - share) times the
    squared difference of the means (law of total variance). That difference counts as epistemic, the dictionary's
    spread over the kinds of tissue as aleatoric. Deviations follow the slope of the map to the common levels. It is no
    interval before a calibration has been fitted to it.

    Args:
        network: "mean" (not negative), "epistemic" and "aleatoric" of the network, (k, j, i).
        dictionary, spread: DIR and its standard deviation over the groups of atoms, in the same unit.
        levels, share: as for `mixed`, in the same unit.
    """
    mean, share = network["mean"], np.float32(share)
    first, second = mapped(mean, levels.network, levels.common), mapped(dictionary, levels.dictionary, levels.common)
    steep = slope(mean, levels.network, levels.common)
    other = spread * slope(dictionary, levels.dictionary, levels.common)
    apart = share * (1 - share) * (first - second) ** 2
    return {
        "mean": (1 - share) * first + share * second,
        "epistemic": np.sqrt((1 - share) * (steep * network["epistemic"]) ** 2 + apart).astype(np.float32),
        "aleatoric": np.sqrt((1 - share) * (steep * network["aleatoric"]) ** 2 + share * other**2).astype(np.float32),
    }


def _level(voxels: np.ndarray, tissue: np.ndarray) -> float:
    """Median of a tissue; infinite where it has too few voxels to have one."""
    return float(np.median(voxels[tissue])) if np.count_nonzero(tissue) >= FEWEST else np.inf


def _dark_tissues(first: dict[int, float], second: dict[int, float]) -> tuple[int, ...]:
    """White matter, and fluid where both volumes give it the same place below gray matter; from dark to bright."""
    if not all(level[CSF] < level[GRAY] for level in (first, second)):
        return (WHITE,)
    darker = [level[CSF] < level[WHITE] for level in (first, second)]
    if darker[0] != darker[1]:
        return (WHITE,)
    return (CSF, WHITE) if darker[0] else (WHITE, CSF)


def slope(voxels: np.ndarray, old: Sequence[float], new: Sequence[float]) -> np.ndarray:
    """Slope of the map of `mapped` at each voxel, float32."""
    if not old:
        return np.ones_like(voxels, dtype=np.float32)
    x = _nodes(old)
    slopes = np.append(np.diff([0.0, *new]) / np.diff(x), new[-1] / x[-1]).astype(np.float32)
    return slopes[np.searchsorted(x[1:], voxels)]


def mapped(voxels: np.ndarray, old: Sequence[float], new: Sequence[float]) -> np.ndarray:
    """Voxels after the piecewise linear map through zero and the levels; beyond the last in proportion to it."""
    if not old:
        return voxels.astype(np.float32)
    x = _nodes(old)
    beyond = voxels * np.float32(new[-1] / x[-1])
    return np.where(voxels > x[-1], beyond, np.interp(voxels, x, [0.0, *new])).astype(np.float32)


def _nodes(old: Sequence[float]) -> np.ndarray:
    """Zero and the old levels, kept rising."""
    steps = np.arange(1, len(old) + 1) * 1e-6 * max(old)
    return np.concatenate([[0.0], np.maximum.accumulate(np.maximum(old, steps))])
