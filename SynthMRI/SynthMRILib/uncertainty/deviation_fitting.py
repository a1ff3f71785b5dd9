"""Find the form and the weights of a `DeviationModel`, and say by leaving out each subject in turn what it is worth.

The weights minimise the negative log-likelihood of the absolute errors under a Laplace distribution, which is convex
in them and is not swayed by a few large errors as a Gaussian one would be; a small penalty draws them towards the
deviation of the network alone. Groups of subjects (real, simulated) count alike, within a group its subjects, and
within a subject its volumes, so that many simulated heads do not outvote one patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .calibration import LEVELS, coverage, fit_multipliers, rank_correlation, sparsification_area
from .deviation import RISING, VOLUME_TERM, VOXEL_TERMS, DeviationModel

#: Voxels of each volume that the weights are fitted and compared on (samples are in random order), and the penalty on
#: the distance of the weights from the network alone.
VOXELS_EACH, VOXELS_COMPARED, PENALTY = 10_000, 50_000, 1e-3
FEWEST_SUBJECTS = 3
#: Forms of the model that are compared, by the terms of a voxel that they do without.
FORMS: dict[str, tuple[str, ...]] = {"model": ("detail",), "model_with_detail": ()}
#: Errors below this are taken for it [network units]: a logarithm of nothing helps nobody.
SMALLEST_ERROR = 1e-4
#: For a Laplace distribution 68 % of the errors lie within so many mean absolute errors.
LAPLACE_68 = float(-np.log(1 - 0.68))


class Sampled(Protocol):
    """What is needed of a sampled case; see `case_sampling.Sample`."""

    name: str
    subject: str
    group: str
    trained_on: bool
    error: np.ndarray
    total: np.ndarray
    terms: dict[str, np.ndarray]
    unit: float


def weights_of(samples: Sequence[Sampled]) -> list[float]:
    """Weight of each case: groups alike, within a group subjects alike, within a subject cases alike. They sum to 1."""
    groups = {s.group: set() for s in samples}
    for sample in samples:
        groups[sample.group].add(sample.subject)
    cases = [(s.group, s.subject) for s in samples]
    return [1 / (len(groups) * len(groups[group]) * cases.count((group, subject))) for group, subject in cases]


def deviation_of(sample: Sampled, model: DeviationModel | None) -> np.ndarray:
    """Deviation of the sampled voxels in units of the reference intensity, before multipliers; None: the network's."""
    return sample.total if model is None else model.deviation(sample.terms) * np.float32(sample.unit)


def terms_of(samples: Sequence[Sampled], form: str | Sequence[str]) -> list[str]:
    """Names of the terms of a form (see FORMS) that all samples have; a form may also be a list of names."""
    if not isinstance(form, str):
        return list(form)
    wanted = [name for name in (*VOXEL_TERMS, VOLUME_TERM) if name not in FORMS[form]]
    return [name for name in wanted if all(name in s.terms for s in samples)]


def fit_model(samples: Sequence[Sampled], form: str | Sequence[str] = "model") -> DeviationModel:
    """The weights of a form (see `terms_of`) that describe the errors of the samples best."""
    from scipy.optimize import minimize

    names = terms_of(samples, form)
    columns = [np.stack([s.terms[n][:VOXELS_EACH] for n in names], axis=1) for s in samples]
    size = np.concatenate([np.abs(s.error[:VOXELS_EACH]) / s.unit for s in samples]).astype(np.float64)
    weight = np.concatenate([np.full(len(c), w / len(c)) for c, w in zip(columns, weights_of(samples))])
    table, size = np.concatenate(columns).astype(np.float64), np.maximum(size, SMALLEST_ERROR)
    middle = weight @ table
    spread = np.maximum(np.sqrt(weight @ (table - middle) ** 2), 1e-6)
    scaled = np.column_stack([(table - middle) / spread, np.ones(len(table))])
    alone = np.array([spread[0] if name == "predicted" else 0.0 for name in names])

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        log_size = np.clip(scaled @ values, -14, 4)
        ratio, away = size * np.exp(-log_size), np.append(values[:-1] - alone, 0.0)
        return weight @ (log_size + ratio) + PENALTY * away @ away, scaled.T @ (
            weight * (1 - ratio)
        ) + 2 * PENALTY * away

    bounds = [(0, None) if name in RISING else (None, None) for name in names] + [(None, None)]
    start = np.append(alone, np.log(weight @ size))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[:-1] / spread
    rounded = {name: float(f"{value:.6g}") for name, value in zip(names, slopes)}
    return DeviationModel(rounded, float(f"{found[-1] - slopes @ middle:.6g}"))


def fit_weighted_multipliers(samples: Sequence[Sampled], model: DeviationModel | None) -> dict[int, float]:
    """Interval multipliers for the deviation, with the weights of `weights_of`."""
    errors, deviations = [s.error for s in samples], [deviation_of(s, model) for s in samples]
    weights = [np.full(e.size, w / e.size) for e, w in zip(errors, weights_of(samples))]
    return fit_multipliers(np.concatenate(errors), np.concatenate(deviations), np.concatenate(weights))


def leave_one_out(samples: Sequence[Sampled], *, form: str | Sequence[str] | None) -> list[dict[str, Any]]:
    """Figures of each case with weights and multipliers found without its subject.

    Args:
        form: of the model whose weights are fitted, see `terms_of`; None for the network alone, with multipliers from
            the others.

    Multipliers come from subjects that the network was not trained on, as those of a bundle do.
    """
    rows: dict[int, dict[str, Any]] = {}
    for subject in sorted({s.subject for s in samples}):
        others = [s for s in samples if s.subject != subject]
        model = fit_model(others, form) if form else None
        unseen = [s for s in others if not s.trained_on] or others
        multipliers = fit_weighted_multipliers(unseen, model)
        rows |= {n: figures(s, model, multipliers) for n, s in enumerate(samples) if s.subject == subject}
    return [rows[n] for n in range(len(samples))]


def figures(sample: Sampled, model: DeviationModel | None, multipliers: dict[int, float]) -> dict[str, Any]:
    """Coverage by level, rank correlation, AUSE and negative log-likelihood of one case."""
    deviation, error = deviation_of(sample, model)[:VOXELS_COMPARED], sample.error[:VOXELS_COMPARED]
    covered = coverage(error, deviation, multipliers)
    expected = np.maximum(deviation * multipliers[68] / LAPLACE_68, 1e-6)
    likelihood = float(np.mean(np.log(2 * expected) + np.abs(error) / expected))
    return {
        "name": sample.name,
        "subject": sample.subject,
        "group": sample.group,
        "trained_on": sample.trained_on,
        "coverage_percent": {str(level): round(share, 2) for level, share in covered.items()},
        "rank_correlation": round(rank_correlation(error, deviation), 3),
        "rank_correlation_if_exact": round(rank_correlation_if_exact(error, deviation), 3),
        "ause": round(sparsification_area(error, deviation), 3),
        "negative_log_likelihood": round(likelihood, 4),
    }


def rank_correlation_if_exact(error: np.ndarray, deviation: np.ndarray) -> float:
    """The rank correlation that errors would have if the deviation were exactly right.

    Errors of each voxel are drawn anew: its deviation times the |error| / deviation of another voxel. Real errors with
    less are spread more evenly than the map says, as noise of a reference makes them; those with more, less evenly.
    """
    size = np.maximum(deviation, 1e-6)
    ratio = np.random.default_rng(0).permutation(np.abs(error) / size)
    return rank_correlation(ratio * size, size)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over cases by group, and how far the coverage of single cases lies from its level."""
    found = {}
    for group in sorted({row["group"] for row in rows}):
        mine = [row for row in rows if row["group"] == group]
        names = ("rank_correlation", "rank_correlation_if_exact", "ause", "negative_log_likelihood")
        covered = {q: np.array([row["coverage_percent"][str(q)] for row in mine]) for q in LEVELS}
        found[group] = {
            "cases": len(mine),
            **{name: round(float(np.mean([row[name] for row in mine])), 4) for name in names},
            "coverage_mean_percent": {str(q): round(float(c.mean()), 2) for q, c in covered.items()},
            "coverage_spread_percent": {str(q): round(float(c.std()), 2) for q, c in covered.items()},
        }
    return found


def chosen_model(samples: Sequence[Sampled]) -> tuple[DeviationModel | None, dict[str, Any]]:
    """The fitted form for which leaving out each subject in turn shows the best likelihood; None: the network alone.

    Also what was compared, JSON types only.
    """
    subjects = {s.subject for s in samples}
    if len(subjects) < FEWEST_SUBJECTS or not all(s.terms for s in samples):
        return None, {"kept": False, "why": f"fewer than {FEWEST_SUBJECTS} subjects, or terms that do not fit the grid"}
    compared = all_left_out(samples)
    worth = {name: likelihood(samples, rows) for name, rows in compared.items()}
    best = min(worth, key=worth.__getitem__)
    rule = "lowest mean negative log-likelihood of subjects left out"
    facts = {"kept": best in FORMS, "form": best, "rule": rule}
    facts |= {name: summary(rows) for name, rows in compared.items()}
    return fit_model(samples, best) if best in FORMS else None, facts


def all_left_out(samples: Sequence[Sampled]) -> dict[str, list[dict[str, Any]]]:
    """Rows of `leave_one_out` for the network alone and for each form of the model whose terms differ."""
    found, seen = {"network_alone": leave_one_out(samples, form=None)}, []
    for form in FORMS:
        if terms_of(samples, form) not in seen:
            seen.append(terms_of(samples, form))
            found[form] = leave_one_out(samples, form=form)
    return found


def likelihood(samples: Sequence[Sampled], rows: list[dict[str, Any]]) -> float:
    """Mean negative log-likelihood with the weights of `weights_of`."""
    return float(sum(w * row["negative_log_likelihood"] for w, row in zip(weights_of(samples), rows)))
