"""The atoms of the dictionary: what a brain voxel may hold, drawn from the tissue priors with a fixed seed.

An atom is one compartment (proton density, T1, T2) or a mixture of two. Mixtures are what keeps the rims of fluid dark:
taken for one compartment, a voxel half cortex and half fluid has a T1 and a T2 in between, which no inversion nulls.
Mixtures with nothing stand for the border that skull stripping cuts, for vessels and for dura.
Tissue values are those of `simulation.tissue` at 3 T; the spread is wider than between subjects there, because
calibration leaves errors. Lesions range from mild to severe (T1 1000-1900 ms, T2 100-240 ms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..simulation.tissue import TISSUE_INDEX, TISSUES
from .sequences import Compartments

SEED = 20
ATOMS_PER_GROUP = 1200
GROUPS = ("csf", "gray-matter", "white-matter", "lesion", "boundary")
LESION = GROUPS.index("lesion")
BOUNDARY = GROUPS.index("boundary")
#: Share of each group in a brain before its voxels were seen; the first three are refined by the tissue fit.
PRIOR_SHARES = (0.12, 0.35, 0.33, 0.01, 0.19)
#: Relative standard deviation of T1, T2 and proton density within a group.
SPREADS = {
    "csf": (0.06, 0.25, 0.01),
    "gray-matter": (0.10, 0.10, 0.03),
    "white-matter": (0.06, 0.07, 0.02),
    "lesion": (0.20, 0.25, 0.04),
    "void": (0.01, 0.01, 0.0),
}
_SOURCES = {
    "csf": (("csf", 1.0),),
    "gray-matter": (("cortex", 0.75), ("deep-gray", 0.15), ("thalamus", 0.1)),
    "white-matter": (("white-matter", 0.85), ("brain-stem", 0.15)),
    "lesion": (("lesion", 0.85), ("cortical-lesion", 0.15)),
    "void": (("air", 1.0),),
}
#: Pairs of tissues in one voxel and how often they occur among the boundary voxels.
BOUNDARIES = (
    ("gray-matter", "csf", 0.38),
    ("white-matter", "gray-matter", 0.38),
    ("white-matter", "csf", 0.08),
    ("gray-matter", "void", 0.08),
    ("csf", "void", 0.08),
)


@dataclass(frozen=True, eq=False)
class Atoms:
    """Atoms of all groups.

    Args:
        first, second: the compartments, arrays (atoms,).
        share: of the first compartment, (atoms,), 0 to 1.
        group: index into GROUPS, (atoms,).
    """

    first: Compartments
    second: Compartments
    share: np.ndarray
    group: np.ndarray

    def mixed(self, signal) -> np.ndarray:
        """Magnitude of the signed signals of both compartments, added by share; `signal` maps Compartments."""
        return np.abs(self.share * signal(self.first) + (1 - self.share) * signal(self.second))


def draw_atoms(*, number: int = ATOMS_PER_GROUP, seed: int = SEED) -> Atoms:
    """`number` atoms of every group; the same seed gives the same."""
    rng = np.random.default_rng(seed)
    parts = [(*_pure(rng, name, number), np.ones(number)) for name in GROUPS[:LESION]]
    parts.append(_lesions(rng, number))
    parts.append(_boundary(rng, number))
    first, second, share = zip(*parts)
    group = np.repeat(np.arange(len(GROUPS)), number)
    return Atoms(_stack(first), _stack(second), np.concatenate(share), group)


def _pure(rng: np.random.Generator, group: str, number: int) -> tuple[Compartments, Compartments]:
    drawn = _compartments(rng, group, number)
    return drawn, drawn


def _lesions(rng: np.random.Generator, number: int) -> tuple[Compartments, Compartments, np.ndarray]:
    """Lesion in white matter, half of them with partial volume."""
    share = np.where(rng.random(number) < 0.5, 1.0, rng.uniform(0.4, 1.0, number))
    return _compartments(rng, "lesion", number), _compartments(rng, "white-matter", number), share


def _boundary(rng: np.random.Generator, number: int) -> tuple[Compartments, Compartments, np.ndarray]:
    counts = [round(number * weight) for _, _, weight in BOUNDARIES]
    counts[0] += number - sum(counts)
    first = _stack([_compartments(rng, name, count) for (name, _, _), count in zip(BOUNDARIES, counts)])
    second = _stack([_compartments(rng, name, count) for (_, name, _), count in zip(BOUNDARIES, counts)])
    return first, second, rng.uniform(0.05, 0.95, number)


def _compartments(rng: np.random.Generator, group: str, number: int) -> Compartments:
    names, weights = zip(*_SOURCES[group])
    chosen = rng.choice([TISSUE_INDEX[name] for name in names], size=number, p=weights)
    base = np.array([(t.proton_density, t.t1, t.t2) for t in TISSUES])[chosen]
    t1, t2, density = np.array(SPREADS[group])[:, None] * rng.standard_normal((3, number))
    # Water content drives T1, T2 and proton density alike; half of the variation is common to them.
    t2 = t2 + 0.5 * t1 * SPREADS[group][1] / SPREADS[group][0]
    return Compartments(np.minimum(base[:, 0] * np.exp(density), 1.0), base[:, 1] * np.exp(t1), base[:, 2] * np.exp(t2))


def _stack(parts) -> Compartments:
    return Compartments(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("density", "t1", "t2")))
