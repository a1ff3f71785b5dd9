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


def mapped(voxels: np.ndarray, old: Sequence[float], new: Sequence[float]) -> np.ndarray:
    """Voxels after the piecewise linear map through zero and the levels; beyond the last in proportion to it."""
    if not old:
        return voxels.astype(np.float32)
    steps = np.arange(1, len(old) + 1) * 1e-6 * max(old)
    x = np.concatenate([[0.0], np.maximum.accumulate(np.maximum(old, steps))])
    beyond = voxels * np.float32(new[-1] / x[-1])
    return np.where(voxels > x[-1], beyond, np.interp(voxels, x, [0.0, *new])).astype(np.float32)
