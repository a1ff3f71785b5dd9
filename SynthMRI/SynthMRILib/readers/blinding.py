"""Does anything but the picture itself tell the arms of a study apart? An audit of the cases before reading starts.

Geometry, bit depth, value range, noise in air and header of every case are measured. What is constant within each arm
and differs between them gives the arm away at once. All measurements together go to a trivial classifier, nearest
shrunken centroids (Tibshirani et al., Proc Natl Acad Sci 99 (2002), 6567-6572), whose area under the ROC curve is taken
by leaving out one case of each arm at a time (leave-pair-out, Airola et al., Comput Stat Data Anal 55 (2011),
1828-1844), together with all other cases of the same subjects. Above 0.6 there is a warning, with the probability of
such an area by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..findings import Finding
from ..volume import Volume
from ..volume_io import read_volume
from .study import Study

WARNING_AREA = 0.6
#: Features that differ by less than so many standard errors are not used by the classifier.
SHRINKAGE = 1.0
MOST_PAIRS = 400
PERMUTATIONS = 99
#: Part of every edge of the field of view whose corner blocks are taken for air.
CORNER = 0.125


@dataclass(frozen=True)
class AuditedCase:
    """One case as the audit sees it.

    Args:
        arm: what the reader must not know.
        subject: cases of one subject are never in training and test together.
        features: numbers by group ("geometry", "bit depth", "value range", "noise in air", "header") and name.
    """

    arm: str
    subject: str
    features: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """How well two arms can be told apart.

    Args:
        arms: the two arms.
        area: cross-validated area under the ROC curve; NaN with fewer than two subjects left to train on.
        p: share of shuffled arms with an area as large (counting the real one).
        telling: features that are constant within each arm and differ between them, as "group: name".
    """

    arms: tuple[str, str]
    area: float
    p: float
    telling: tuple[str, ...]


def audit_study(study: Study, key: dict[str, Any]) -> tuple[list[Comparison], list[Finding]]:
    """Audit all cases of a study; readers must never see the result, which names the arms."""
    cases = []
    for code, facts in key["cases"].items():
        for role in study.protocol["cases"][code]:
            if role in ("main", "followup"):
                features = case_features(read_volume(study.volume_path(code, role)))
                cases.append(AuditedCase(facts["arm"], facts["subject"], features))
    return audit(cases)


def audit(cases: Sequence[AuditedCase], *, seed: int = 0) -> tuple[list[Comparison], list[Finding]]:
    """Compare every two arms; the findings are warnings, one for each way in which a reader might tell."""
    arms = sorted({case.arm for case in cases})
    comparisons = [compare([c for c in cases if c.arm in pair], pair, seed=seed) for pair in combinations(arms, 2)]
    return comparisons, [finding for comparison in comparisons for finding in _findings(comparison, cases)]


def compare(cases: Sequence[AuditedCase], arms: tuple[str, str], *, seed: int = 0) -> Comparison:
    """Compare two arms."""
    names = sorted({(group, name) for case in cases for group, values in case.features.items() for name in values})
    table = np.array([[case.features[group].get(name, np.nan) for group, name in names] for case in cases])
    table = np.nan_to_num(table, nan=-1.0, posinf=1e6, neginf=-1e6)
    is_second = np.array([case.arm == arms[1] for case in cases])
    subjects = np.unique([case.subject for case in cases], return_inverse=True)[1]
    area, p = _area_and_p(table, is_second, subjects, np.random.default_rng(seed))
    return Comparison(arms, area, p, tuple(_telling(table, is_second, names)))


def case_features(volume: Volume) -> dict[str, dict[str, float]]:
    """All that is measured of a case."""
    voxels = volume.voxels
    low, middle, high, top = (float(np.percentile(voxels, q)) for q in (1, 50, 99, 100))
    scale = high if high > 0 else 1.0
    return {
        "geometry": _geometry(volume),
        "bit depth": {
            "whole numbers": float(np.array_equal(voxels, np.rint(voxels))),
            "distinct values": float(np.log(np.unique(voxels).size)),
            "stored type": _code(str(volume.header.get("PixelType", ""))),
        },
        "value range": {
            "minimum": float(voxels.min()) / scale,
            "1st percentile": low / scale,
            "median": middle / scale,
            "99th percentile": float(np.log(scale)),
            "maximum": top / scale,
        },
        "noise in air": _air(voxels, scale),
        "header": {
            str(name): _code(str(value)) for name, value in volume.header.items() if name not in ("PixelType", "Format")
        },
    }


def _geometry(volume: Volume) -> dict[str, float]:
    axes = zip("ijk", volume.grid.size, volume.spacing)
    facts = {f"{what} {axis}": float(x) for axis, n, mm in axes for what, x in (("voxels", n), ("spacing", mm))}
    directions = np.round(volume.grid.directions, 2).ravel()
    return facts | {f"direction {n}": float(x) for n, x in enumerate(directions)}


def _air(voxels: np.ndarray, scale: float) -> dict[str, float]:
    """Strength and smoothness of the noise in the eight corners of the field of view."""
    edges = [max(2, round(CORNER * n)) for n in voxels.shape]
    picks = [(slice(0, n), slice(-n, None)) for n in edges]
    blocks = [voxels[k, j, i] / scale for k in picks[0] for j in picks[1] for i in picks[2]]
    air = np.concatenate([block.ravel() for block in blocks])
    pairs = [np.stack([block[..., 1:].ravel(), block[..., :-1].ravel()]) for block in blocks]
    joint = np.concatenate(pairs, axis=1)
    is_flat = joint.std(axis=1).min() <= 1e-9
    return {
        "mean": float(air.mean()),
        "deviation": float(np.log10(air.std() + 1e-6)),
        "zero share": float((air == 0).mean()),
        "neighbor correlation": 0.0 if is_flat else float(np.corrcoef(joint)[0, 1]),
    }


def _code(text: str) -> float:
    """A number that stands for a text, the same everywhere."""
    return float(sum((n + 1) * ord(letter) for n, letter in enumerate(text)) % 100_003)


def _telling(table: np.ndarray, is_second: np.ndarray, names: Sequence[tuple[str, str]]) -> list[str]:
    if min(is_second.sum(), (~is_second).sum()) < 2:
        return []
    first, second = table[~is_second], table[is_second]
    constant = (np.ptp(first, axis=0) < 1e-9) & (np.ptp(second, axis=0) < 1e-9)
    differs = np.abs(first[0] - second[0]) > 1e-6
    return [f"{group}: {name}" for (group, name), tells in zip(names, constant & differs) if tells]


def _area_and_p(
    table: np.ndarray, is_second: np.ndarray, subjects: np.ndarray, random: np.random.Generator
) -> tuple[float, float]:
    pairs = np.array([(i, j) for i in np.flatnonzero(is_second) for j in np.flatnonzero(~is_second)])
    if len(pairs) > MOST_PAIRS:
        pairs = pairs[random.choice(len(pairs), MOST_PAIRS, replace=False)]
    area = _area(table, is_second, subjects, pairs)
    if np.isnan(area) or area <= WARNING_AREA:
        return area, np.nan
    beaten = 0
    for _ in range(PERMUTATIONS):
        shuffled = random.permutation(is_second)
        own = np.array([(i, j) for i in np.flatnonzero(shuffled) for j in np.flatnonzero(~shuffled)])
        own = own[random.choice(len(own), min(len(own), MOST_PAIRS // 4), replace=False)]
        beaten += _area(table, shuffled, subjects, own) >= area
    return area, (beaten + 1) / (PERMUTATIONS + 1)


def _area(table: np.ndarray, is_second: np.ndarray, subjects: np.ndarray, pairs: np.ndarray) -> float:
    """Share of left-out pairs in which the case of the second arm scores higher; equal scores count half."""
    if not len(pairs):
        return float("nan")
    table = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-9)
    first = _without_subjects(table[~is_second], subjects[~is_second], subjects[pairs])
    second = _without_subjects(table[is_second], subjects[is_second], subjects[pairs])
    usable = (np.minimum(first[0], second[0]) >= 2).ravel()
    if not usable.any():
        return float("nan")
    first, second = ([part[usable] for part in arm] for arm in (first, second))
    a, b = (_scores(first, second, table[pairs[usable, side]]) for side in (0, 1))
    return float(np.mean((a > b + 1e-12) + 0.5 * (np.abs(a - b) <= 1e-12)))


Moments = Sequence[np.ndarray]


def _without_subjects(table: np.ndarray, own: np.ndarray, left_out: np.ndarray) -> Moments:
    """Count (pairs, 1), sum and sum of squares (pairs, features) of the rows of neither subject left out."""
    kept = ((own[None] != left_out[:, :1]) & (own[None] != left_out[:, 1:])).astype(float)
    return kept.sum(axis=1, keepdims=True), kept @ table, kept @ table**2


def _scores(first: Moments, second: Moments, tested: np.ndarray) -> np.ndarray:
    """Nearest shrunken centroids: how much nearer each tested row is to the second arm than to the first."""
    means = [total / count for count, total, _ in (first, second)]
    scatter = sum(squares - count * mean**2 for (count, _, squares), mean in zip((first, second), means))
    deviation = np.sqrt(np.maximum(scatter, 0) / np.maximum(first[0] + second[0] - 2, 1)) + 1e-3
    gap = means[1] - means[0]
    reach = SHRINKAGE * deviation * np.sqrt(1 / first[0] + 1 / second[0])
    shrunk = np.sign(gap) * np.maximum(np.abs(gap) - reach, 0)
    # A feature that never varies within an arm would outweigh all others without a bound.
    return np.clip(shrunk * (tested - (means[0] + means[1]) / 2) / deviation**2, -50, 50).sum(axis=1)


def _findings(comparison: Comparison, cases: Sequence[AuditedCase]) -> list[Finding]:
    names = f"'{comparison.arms[0]}' and '{comparison.arms[1]}'"
    found = []
    if comparison.telling:
        listed = "; ".join(comparison.telling[:3])
        message = f"The arms {names} differ in {listed} in every case; make them equal before reading starts."
        found.append(Finding("warning", "blinding-constant", message))
    if comparison.area > WARNING_AREA:
        count = sum(case.arm in comparison.arms for case in cases)
        chance = ", which may be chance with so few cases" if comparison.p > 0.05 else ""
        message = (
            f"A trivial classifier tells {names} apart (area {comparison.area:.2f} over {count} cases, limit "
            f"{WARNING_AREA:g}, p = {comparison.p:.2f}{chance}); compare their value range and noise first."
        )
        found.append(Finding("warning", "blinding-classifier", message))
    if np.isnan(comparison.area):
        message = f"There are too few cases of {names} to test whether a classifier tells them apart; add some."
        found.append(Finding("info", "blinding-untested", message))
    return found
