"""Dictionary fit without learning: proton density, T1 and T2 of a voxel from its signals, then the DIR equation.

Signals of all atoms (`atoms.py`) in the units of the inputs (`sequences.py`) are compared with the signals of a voxel
under Gaussian noise. The expected DIR signal of each group of atoms and the likelihood of the group are tabulated once
over all combinations of signals, so that a brain takes two table look-ups a group. The groups' probabilities are then
smoothed over the neighborhood and used as the prior of a second pass: tissue-prior regularization that keeps edges.
With two contrasts three unknowns are underdetermined; the answer then leans on the priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ..progress import Progress, no_progress, part_of
from . import tissue_fit
from .atoms import GROUPS, PRIOR_SHARES, Atoms, draw_atoms
from .sequences import DIR_TE, DIR_TI1, DIR_TI2, DIR_TR, DIR_TRAIN, Calibration, calibrate, dir_signal
from .tissue_fit import CSF, TissueFit

#: Output of fully relaxed water without decay [a.u.].
UNIT = 1000.0
LEVELS = {1: 512, 2: 64, 3: 24}
RELATIVE_ERROR = 0.07
SMOOTHING_MM = 1.0
#: Share of the prior that stays that of the whole brain, so that a small lesion is not argued away by its surroundings.
GLOBAL_SHARE = 0.3
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class DictionaryFit:
    """Result of the fit.

    Args:
        dir_signal: float32 (k, j, i) [a.u.], zero outside of the brain.
        facts: what decided the result, JSON types.
    """

    dir_signal: np.ndarray
    facts: dict[str, Any]


def synthesize(
    contrasts: Mapping[str, np.ndarray],
    brain: np.ndarray,
    tissues: TissueFit,
    *,
    spacing: tuple[float, float, float],
    covered: Mapping[str, np.ndarray] | None = None,
    progress: Progress = no_progress,
) -> DictionaryFit:
    """DIR of a brain.

    Args:
        contrasts: "flair", "t1", "t2" (at least one), arrays (k, j, i) on one grid.
        brain: boolean (k, j, i).
        tissues: fit to the same contrasts.
        spacing: (i, j, k) [mm].
        covered: where a contrast has data, boolean (k, j, i); everywhere unless named. Voxels that lack a contrast
            are fitted with the others.
    """
    names = sorted(contrasts)
    atoms = draw_atoms()
    calibrations = {n: calibrate(n, core_intensities(contrasts[n], tissues)) for n in names}
    noise = {n: core_deviation(contrasts[n], tissues) for n in names}
    available = {n: brain & (covered or {}).get(n, brain) for n in names}
    output = np.zeros(brain.shape, dtype=np.float32)
    patterns = _patterns(names, available, brain)
    for index, (chosen, voxels) in enumerate(patterns):
        part = part_of(progress, index / len(patterns), (index + 1) / len(patterns))
        table = _Table.build(atoms, {n: calibrations[n] for n in chosen}, noise, contrasts, voxels, part)
        output[voxels] = _two_passes(table, contrasts, voxels, spacing)
    return DictionaryFit(output, _facts(calibrations, noise, patterns, brain))


def core_intensities(voxels: np.ndarray, tissues: TissueFit) -> np.ndarray:
    """Median intensity of fluid, gray and white matter away from their borders, (3,)."""
    return np.array([float(np.median(voxels[_core(tissues.labels, tissue)])) for tissue in range(3)])


def core_deviation(voxels: np.ndarray, tissues: TissueFit) -> float:
    """Robust standard deviation of white matter away from its border."""
    values = voxels[_core(tissues.labels, tissue_fit.WHITE)]
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) or 1e-6


def _core(labels: np.ndarray, tissue: int) -> np.ndarray:
    """Inner voxels of a tissue, eroded as often as leaves enough of them; fluid is narrow, hence tried deepest."""
    mask = labels == tissue
    for iterations in (3, 2, 1) if tissue == CSF else (1,):
        core = ndimage.binary_erosion(mask, iterations=iterations)
        if np.count_nonzero(core) >= 200:
            return core
    return mask


def _patterns(names, available, brain) -> list[tuple[list[str], np.ndarray]]:
    """(contrasts there, voxels) for each combination of contrasts that occurs."""
    code = sum(available[name].astype(np.int8) << bit for bit, name in enumerate(names))
    found = [int(c) for c in np.unique(code[brain]) if c > 0]
    return [([n for bit, n in enumerate(names) if c >> bit & 1], brain & (code == c)) for c in found]


def _facts(calibrations: Mapping[str, Calibration], noise, patterns, brain) -> dict[str, Any]:
    total = max(np.count_nonzero(brain), 1)
    return {
        "calibration": {name: c.as_dict() for name, c in calibrations.items()},
        "noise": {name: round(value, 4) for name, value in noise.items()},
        "voxels_by_contrasts": {"+".join(n): round(np.count_nonzero(v) / total, 4) for n, v in patterns},
        "dir_times_ms": {
            "tr": DIR_TR,
            "te": DIR_TE,
            "ti1": round(DIR_TI1, 1),
            "ti2": round(DIR_TI2, 1),
            "train": DIR_TRAIN,
        },
        "unit": f"{UNIT:g} a.u. is fully relaxed water without decay",
    }


@dataclass(frozen=True, eq=False)
class _Table:
    """Over a grid of square roots of signals: log-likelihood and expected DIR by group, each (groups, *levels)."""

    names: list[str]
    tops: np.ndarray
    levels: int
    log_likelihood: np.ndarray
    expected: np.ndarray

    @classmethod
    def build(cls, atoms: Atoms, calibrations, noise, contrasts, voxels, progress: Progress) -> _Table:
        names = list(calibrations)
        signals = np.stack([c.to_input(atoms.mixed(c.signal)) for c in calibrations.values()], axis=1)
        floors = np.array([noise[n] for n in names])
        errors = np.sqrt(floors**2 + (RELATIVE_ERROR * signals) ** 2)
        tops = np.array([max(float(np.percentile(contrasts[n][voxels], 99.9)), 1e-6) for n in names]) * 1.1
        levels = LEVELS[len(names)]
        axes = [top * np.linspace(0, 1, levels) ** 2 for top in tops]
        cells = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        target = UNIT * atoms.mixed(dir_signal)
        likelihood = np.empty((len(GROUPS), len(cells)), dtype=np.float32)
        expected = np.empty_like(likelihood)
        for start in range(0, len(cells), CHUNK):
            progress(start / len(cells), "Fitting tissue parameters")
            part = slice(start, start + CHUNK)
            for group in range(len(GROUPS)):
                own = atoms.group == group
                likelihood[group, part], expected[group, part] = _compare(
                    cells[part], signals[own], errors[own], target[own]
                )
        shape = (len(GROUPS), *[levels] * len(names))
        return cls(names, tops, levels, likelihood.reshape(shape), expected.reshape(shape))

    def look_up(self, contrasts, voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihoods and expected DIR of the voxels, each (groups, voxels)."""
        position = [
            np.sqrt(np.clip(contrasts[n][voxels] / top, 0, 1)) * (self.levels - 1)
            for n, top in zip(self.names, self.tops)
        ]

        def interpolate(table: np.ndarray) -> np.ndarray:
            return np.stack([ndimage.map_coordinates(t, position, order=1, mode="nearest") for t in table])

        return interpolate(self.log_likelihood), interpolate(self.expected)


def _compare(cells, signals, errors, target) -> tuple[np.ndarray, np.ndarray]:
    """Log of the mean likelihood of atoms at cells (cells, contrasts), and the expected target there."""
    precision = (1 / errors**2).astype(np.float32)
    left = np.concatenate([cells**2, -2 * cells], axis=1).astype(np.float32)
    right = np.concatenate([precision, signals * precision], axis=1).astype(np.float32)
    constant = (signals**2 * precision).sum(axis=1) / 2 + np.log(errors).sum(axis=1)
    logs = -0.5 * (left @ right.T) - constant.astype(np.float32)
    top = logs.max(axis=1, keepdims=True)
    weights = np.exp(logs - top)
    total = weights.sum(axis=1)
    return np.log(total / logs.shape[1]) + top[:, 0], (weights @ target) / total


def _two_passes(table: _Table, contrasts, voxels: np.ndarray, spacing) -> np.ndarray:
    """Expected DIR of the voxels: once with the brain's shares as the prior, once with those of the neighborhood."""
    logs, expected = table.look_up(contrasts, voxels)
    shares = np.array(PRIOR_SHARES)[:, None]
    first = _posterior(logs, shares)
    sigma = tuple(SMOOTHING_MM / s for s in spacing[::-1])
    inside = np.maximum(ndimage.gaussian_filter(voxels.astype(np.float32), sigma)[voxels], 1e-3)
    local = np.empty_like(first)
    for group in range(len(GROUPS)):
        field = np.zeros(voxels.shape, dtype=np.float32)
        field[voxels] = first[group]
        local[group] = ndimage.gaussian_filter(field, sigma)[voxels] / inside
    second = _posterior(logs, (1 - GLOBAL_SHARE) * local + GLOBAL_SHARE * shares)
    return (second * expected).sum(axis=0)


def _posterior(logs: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Probability of every group, (groups, voxels)."""
    logs = logs + np.log(np.maximum(prior, 1e-6)).astype(np.float32)
    weights = np.exp(logs - logs.max(axis=0))
    return weights / weights.sum(axis=0)
