"""Dictionary fit without learning: proton density, T1 and T2 of a voxel from its signals, then the DIR equation.

Signals of all atoms (`atoms.py`) in the units of the inputs (`sequences.py`) are compared with the signals of a voxel
under Gaussian noise. The expected DIR signal of each group of atoms and the likelihood of the group are tabulated once
over all combinations of signals, so that a brain takes two table look-ups a group. Log-likelihoods are pooled over the
nearest voxels, which takes out noise, and the groups' probabilities of the neighborhood are the prior of a second pass:
tissue-prior regularization that keeps edges, because the expected DIR within a group stays that of the voxel alone.
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
from .atoms import GROUPS, LESION, PRIOR_SHARES, REMNANT, REMNANT_DEPTH_MM, Atoms, draw_atoms
from .sequences import DIR_TE, DIR_TI1, DIR_TI2, DIR_TR, DIR_TRAIN, Calibration, calibrate, dir_signal
from .tissue_fit import CSF, WHITE, TissueFit

#: Output of fully relaxed water without decay [a.u.].
UNIT = 1000.0
LEVELS = {1: 512, 2: 64, 3: 24}
RELATIVE_ERROR = 0.07
#: Gaussian over which log-likelihoods are pooled, and the least that counts; Gaussian of the second pass.
POOLING_MM, LEAST_LOG = 0.7, -40.0
SMOOTHING_MM = 1.0
#: Share of the prior that stays that of the whole brain, so that a small lesion is not argued away by its surroundings.
GLOBAL_SHARE = 0.3
CHUNK = 1024


@dataclass(frozen=True, eq=False)
class DictionaryFit:
    """Result of the fit.

    Args:
        dir_signal: float32 (k, j, i) [a.u.], zero outside of the brain.
        lesion: probability of the group of lesions, float32 (k, j, i); it is no segmentation.
        spread: standard deviation [a.u.] of the expected signals of the groups of atoms, weighted by their
            probabilities, float32 (k, j, i): small where one group explains the voxel.
        facts: what decided the result, JSON types.
    """

    dir_signal: np.ndarray
    lesion: np.ndarray
    spread: np.ndarray
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
    box = _box(brain, spacing)
    inner, there = ({n: v[box] for n, v in arrays.items()} for arrays in (contrasts, covered or {}))
    found, facts = _maps(inner, brain[box], tissues.cropped(box), spacing, there, progress)
    maps = np.zeros((3, *brain.shape), dtype=np.float32)
    maps[(slice(None), *box)] = found
    return DictionaryFit(*maps, facts)


def _box(brain: np.ndarray, spacing: tuple[float, float, float]) -> tuple[slice, ...]:
    """Box around the brain, so much wider that no Gaussian sees its mirror image; all of an empty brain."""
    wider = [int(np.ceil(2 * max(POOLING_MM, SMOOTHING_MM) / s)) for s in spacing[::-1]]
    found = ndimage.find_objects(brain.astype(np.uint8))
    if not found:
        return tuple(slice(0, n) for n in brain.shape)
    return tuple(slice(max(0, s.start - w), min(n, s.stop + w)) for s, w, n in zip(found[0], wider, brain.shape))


def _maps(
    contrasts, brain, tissues: TissueFit, spacing, covered, progress: Progress
) -> tuple[np.ndarray, dict[str, Any]]:
    """DIR, probability of lesion and spread, (3, k, j, i), and the facts."""
    names = sorted(contrasts)
    atoms = draw_atoms()
    calibrations = {n: calibrate(n, core_intensities(n, contrasts[n], tissues)) for n in names}
    noise = {n: core_deviation(n, contrasts[n], tissues) for n in names}
    available = {n: brain & covered.get(n, brain) for n in names}
    maps = np.zeros((3, *brain.shape), dtype=np.float32)
    prior = prior_shares(brain, spacing)
    patterns = _patterns(names, available, brain)
    for index, (chosen, voxels) in enumerate(patterns):
        part = part_of(progress, index / len(patterns), (index + 1) / len(patterns))
        table = _Table.build(atoms, {n: calibrations[n] for n in chosen}, noise, contrasts, voxels, part)
        maps[:, voxels] = _two_passes(table, contrasts, voxels, prior[:, voxels[brain]], spacing)
    return maps, _facts(calibrations, noise, patterns, brain)


def prior_shares(brain: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Share of every group before the signals are seen, (groups, brain voxels): remnants lie at the border alone."""
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=spacing[::-1])[1:-1, 1:-1, 1:-1][brain]
    shares = np.repeat(np.array(PRIOR_SHARES, dtype=np.float32)[:, None], depth.size, axis=1)
    shares[REMNANT] *= np.exp(-np.maximum(depth - min(spacing), 0) / np.float32(REMNANT_DEPTH_MM))
    return shares


def core_intensities(name: str, voxels: np.ndarray, tissues: TissueFit) -> np.ndarray:
    """Median intensity of fluid, gray and white matter away from their borders, (3,).

    That of a tissue which no voxel was given to, as can happen with one contrast alone, is the mean of the fit.

    Args:
        name: of the contrast, as in the fit; voxels: its array (k, j, i).
    """
    masks = [tissues.certain_fluid, *(tissues.labels == tissue for tissue in (tissue_fit.GRAY, WHITE))]
    cores = [_core(mask, tissue) for tissue, mask in enumerate(masks)]
    means = tissues.means[name]
    return np.array([float(np.median(voxels[c])) if c.any() else float(mean) for c, mean in zip(cores, means)])


def core_deviation(name: str, voxels: np.ndarray, tissues: TissueFit) -> float:
    """Robust standard deviation of white matter away from its border; that of the fit where there is none."""
    values = voxels[_core(tissues.labels == WHITE, WHITE)]
    if not values.size:
        return float(tissues.deviations[name][WHITE])
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) or 1e-6


def _core(mask: np.ndarray, tissue: int) -> np.ndarray:
    """Inner voxels of a tissue, eroded as often as leaves enough of them; fluid is narrow, hence tried deepest."""
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
        if "flair" in names:
            signals[:, names.index("flair")] += atoms.flow * calibrations["flair"].measured[WHITE]
        floors = np.array([noise[n] for n in names])
        errors = np.sqrt(floors**2 + (RELATIVE_ERROR * signals) ** 2)
        tops = np.array([max(float(np.percentile(contrasts[n][voxels], 99.9)), 1e-6) for n in names]) * 1.1
        levels = LEVELS[len(names)]
        axes = [top * np.linspace(0, 1, levels) ** 2 for top in tops]
        cells = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        target = UNIT * atoms.target(dir_signal)
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


def _two_passes(table: _Table, contrasts, voxels: np.ndarray, prior, spacing) -> np.ndarray:
    """Expected DIR, probability of lesion and spread of the DIR over the groups, (3, voxels).

    Once with the brain's shares as prior, once with the neighborhood's.
    """
    logs, expected = table.look_up(contrasts, voxels)
    logs = _blurred(np.maximum(logs, LEAST_LOG), voxels, POOLING_MM, spacing)
    local = _blurred(_posterior(logs, prior), voxels, SMOOTHING_MM, spacing)
    second = _posterior(logs, (1 - GLOBAL_SHARE) * local + GLOBAL_SHARE * prior)
    mean = (second * expected).sum(axis=0)
    spread = np.sqrt((second * (expected - mean) ** 2).sum(axis=0))
    return np.stack([mean, second[LESION], spread])


def _blurred(rows: np.ndarray, voxels: np.ndarray, sigma_mm: float, spacing) -> np.ndarray:
    """Each row (rows, voxels) blurred by a Gaussian that takes values from these voxels alone."""
    sigma = tuple(sigma_mm / s for s in spacing[::-1])
    inside = np.maximum(ndimage.gaussian_filter(voxels.astype(np.float32), sigma)[voxels], 1e-3)
    found = np.empty_like(rows)
    field = np.zeros(voxels.shape, dtype=np.float32)
    for index, row in enumerate(rows):
        field[voxels] = row
        found[index] = ndimage.gaussian_filter(field, sigma)[voxels] / inside
    return found


def _posterior(logs: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Probability of every group, (groups, voxels)."""
    logs = logs + np.log(np.maximum(prior, 1e-6)).astype(np.float32)
    weights = np.exp(logs - logs.max(axis=0))
    return weights / weights.sum(axis=0)
