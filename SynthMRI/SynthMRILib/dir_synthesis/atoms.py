"""The atoms of the dictionary: what a brain voxel may hold, drawn from the tissue priors with a fixed seed.

An atom is one compartment (proton density, T1, T2) or a mixture of two. Mixtures are what keeps the rims of fluid dark:
taken for one compartment, a voxel half cortex and half fluid has a T1 and a T2 in between, which no inversion nulls.
Mixtures with nothing stand for the border that skull stripping cuts. What stripping leaves outside of the pia (dura,
vessels, marrow, muscle) is a group of its own, whose DIR counts as zero. Part of the fluid flows, and FLAIR does not
null it.
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
GROUPS = ("csf", "gray-matter", "white-matter", "lesion", "boundary", "remnant")
LESION = GROUPS.index("lesion")
BOUNDARY = GROUPS.index("boundary")
REMNANT = GROUPS.index("remnant")
#: Share of each group in a brain before its voxels were seen. That of remnants holds at the border of the mask only and
#: falls with the distance from it, by a factor of e every REMNANT_DEPTH_MM.
PRIOR_SHARES = (0.12, 0.35, 0.33, 0.01, 0.19, 0.1)
REMNANT_DEPTH_MM = 3.0
#: Share of the fluid atoms that flow, and how much that brightens them in FLAIR at most, in units of white matter.
FLOW_SHARE, LARGEST_FLOW = 0.35, 1.0
#: Relative standard deviation of T1, T2 and proton density within a group.
SPREADS = {
    "csf": (0.06, 0.25, 0.01),
    "gray-matter": (0.10, 0.10, 0.03),
    "white-matter": (0.06, 0.07, 0.02),
    "lesion": (0.20, 0.25, 0.04),
    "void": (0.01, 0.01, 0.0),
    "remnant": (0.20, 0.25, 0.10),
}
_SOURCES = {
    "csf": (("csf", 1.0),),
    "gray-matter": (("cortex", 0.75), ("deep-gray", 0.15), ("thalamus", 0.1)),
    "white-matter": (("white-matter", 0.85), ("brain-stem", 0.15)),
    "lesion": (("lesion", 0.85), ("cortical-lesion", 0.15)),
    "void": (("air", 1.0),),
    "remnant": (("dura", 0.5), ("vein", 0.2), ("artery", 0.1), ("marrow", 0.1), ("muscle", 0.1)),
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
        flow: brightening in FLAIR in units of white matter, (atoms,).
    """

    first: Compartments
    second: Compartments
    share: np.ndarray
    group: np.ndarray
    flow: np.ndarray

    def mixed(self, signal) -> np.ndarray:
        """Magnitude of the signed signals of both compartments, added by share; `signal` maps Compartments."""
        return np.abs(self.share * signal(self.first) + (1 - self.share) * signal(self.second))

    def target(self, signal) -> np.ndarray:
        """The same of what belongs to the brain; zero of remnants."""
        return np.where(self.group == REMNANT, 0.0, self.mixed(signal))


def draw_atoms(*, number: int = ATOMS_PER_GROUP, seed: int = SEED) -> Atoms:
    """`number` atoms of every group; the same seed gives the same."""
    rng = np.random.default_rng(seed)
    parts = [(*_pure(rng, name, number), np.ones(number)) for name in GROUPS[:LESION]]
    parts.append(_lesions(rng, number))
    parts += [_boundary(rng, number), _remnants(rng, number)]
    first, second, share = zip(*parts)
    group = np.repeat(np.arange(len(GROUPS)), number)
    return Atoms(_stack(first), _stack(second), np.concatenate(share), group, _flow(rng, group))


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


def _remnants(rng: np.random.Generator, number: int) -> tuple[Compartments, Compartments, np.ndarray]:
    """Dura, vessels, marrow and muscle, half of them with partial volume of nothing."""
    share = np.where(rng.random(number) < 0.5, 1.0, rng.uniform(0.3, 1.0, number))
    return _compartments(rng, "remnant", number), _compartments(rng, "void", number), share


def _flow(rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
    """Brightening of every atom in FLAIR, in units of white matter; zero of what does not flow."""
    flowing = (group == GROUPS.index("csf")) & (rng.random(group.size) < FLOW_SHARE)
    return np.where(flowing, rng.uniform(0, LARGEST_FLOW, group.size), 0.0)


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
