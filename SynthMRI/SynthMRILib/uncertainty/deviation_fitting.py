"""Find the form and the weights of a `DeviationModel`, and say by leaving out each subject in turn what it is worth.

The weights minimise the negative log-likelihood of the absolute errors under a Laplace distribution, which is convex
in them and is not swayed by a few large errors as a Gaussian one would be; a small penalty draws them towards the
deviation of the network alone. Who decides, and with which weight, is in `subject_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .calibration import LEVELS, coverage, fit_multipliers, interval_score, rank_correlation, sparsification_area
from .deviation import RISING, VOLUME_TERM, VOXEL_TERMS, DeviationModel
from .subject_rules import FEWEST_SUBJECTS, SubjectRule, rule_for, weights_of

if TYPE_CHECKING:
    from .case_sampling import Sample

#: Voxels of each volume that the weights are fitted and compared on (samples are in random order), and the penalty on
#: the distance of the weights from the network alone.
VOXELS_EACH, VOXELS_COMPARED, PENALTY = 10_000, 50_000, 1e-3
#: Share of the voxels that lies beyond each end of the range of a term; outliers do not make a range.
BEYOND_RANGE = 1e-3
#: Forms of the model that are compared, by the terms of a voxel that they do without.
FORMS: dict[str, tuple[str, ...]] = {"model": ("detail",), "model_with_detail": ()}
#: Errors below this are taken for it [network units]: a logarithm of nothing helps nobody.
SMALLEST_ERROR = 1e-4
#: For a Laplace distribution 68 % of the errors lie within so many mean absolute errors.
LAPLACE_68 = float(-np.log(1 - 0.68))


def deviation_of(sample: Sample, model: DeviationModel | None) -> np.ndarray:
    """Deviation of the sampled voxels in units of the reference intensity, before multipliers; None: the network's."""
    return sample.total if model is None else model.deviation(sample.terms) * np.float32(sample.unit)


def terms_of(samples: Sequence[Sample], form: str | Sequence[str]) -> list[str]:
    """Names of the terms of a form (see FORMS) that all samples have; a form may also be a list of names."""
    if not isinstance(form, str):
        return list(form)
    wanted = [name for name in (*VOXEL_TERMS, VOLUME_TERM) if name not in FORMS[form]]
    return [name for name in wanted if all(name in s.terms for s in samples)]


def fit_model(samples: Sequence[Sample], form: str | Sequence[str] = "model") -> DeviationModel:
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
    ranges = {name: _range_of(name, table[:, n], weight) for n, name in enumerate(names)}
    return DeviationModel(rounded, float(f"{found[-1] - slopes @ middle:.6g}"), ranges)


def _range_of(name: str, values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value of a term that counts as seen; all of them for the one number of a volume."""
    order = np.argsort(values)
    share, last = np.cumsum(weights[order]) / weights.sum(), values.size - 1
    beyond = 0.0 if name == VOLUME_TERM else BEYOND_RANGE
    places = np.searchsorted(share, [beyond, 1 - beyond]) if beyond else [0, last]
    return tuple(float(f"{values[order[min(place, last)]]:.6g}") for place in places)


def multipliers_by(rule: SubjectRule, samples: Sequence[Sample], model: DeviationModel | None) -> dict[int, float]:
    """Interval multipliers for the deviation as the rule says."""
    found = [fit_weighted_multipliers(part, model) for part in rule.for_multipliers(samples)]
    return {level: max(one[level] for one in found) for level in LEVELS}


def fit_weighted_multipliers(samples: Sequence[Sample], model: DeviationModel | None) -> dict[int, float]:
    """Interval multipliers for the deviation, with the weights of `weights_of`."""
    errors, deviations = [s.error for s in samples], [deviation_of(s, model) for s in samples]
    weights = [np.full(e.size, w / e.size) for e, w in zip(errors, weights_of(samples))]
    return fit_multipliers(np.concatenate(errors), np.concatenate(deviations), np.concatenate(weights))


def leave_one_out(
    samples: Sequence[Sample],
    *,
    form: str | Sequence[str] | None,
    rule: SubjectRule | None = None,
    bounded: bool = True,
) -> list[dict[str, Any]]:
    """Figures of each case with weights and multipliers found without its subject.

    Args:
        form: of the model whose weights are fitted, see `terms_of`; None for the network alone, with multipliers from
            the others.
        rule: who decides; by default what `rule_for` says of all samples.
        bounded: keep terms within the ranges of the others, as the product does.
    """
    rule, rows = rule or rule_for(samples), {}
    for subject in sorted({s.subject for s in samples}):
        others = [s for s in samples if s.subject != subject]
        model = fit_model(rule.for_model(others), form) if form else None
        model = model if bounded or model is None else replace(model, ranges={})
        multipliers = multipliers_by(rule, others, model)
        rows |= {n: figures(s, model, multipliers) for n, s in enumerate(samples) if s.subject == subject}
    return [rows[n] for n in range(len(samples))]


def figures(sample: Sample, model: DeviationModel | None, multipliers: dict[int, float]) -> dict[str, Any]:
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
        "interval_score": round(interval_score(error, deviation, multipliers), 4),
        "largest_total_percent": round(float(100 * multipliers[68] * deviation.max()), 1),
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
        names = ("rank_correlation", "rank_correlation_if_exact", "ause", "negative_log_likelihood", "interval_score")
        covered = {q: np.array([row["coverage_percent"][str(q)] for row in mine]) for q in LEVELS}
        found[group] = {
            "cases": len(mine),
            **{name: round(float(np.mean([row[name] for row in mine])), 4) for name in names},
            "coverage_mean_percent": {str(q): round(float(c.mean()), 2) for q, c in covered.items()},
            "coverage_spread_percent": {str(q): round(float(c.std()), 2) for q, c in covered.items()},
            "coverage_lowest_percent": {str(q): round(float(c.min()), 2) for q, c in covered.items()},
            "coverage_by_subject_percent": by_subject(mine),
            "largest_total_percent": max(row["largest_total_percent"] for row in mine),
        }
    return found


def by_subject(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean coverage [%] of the volumes of each subject, by level."""
    found: dict[str, list[dict[str, float]]] = {}
    for row in rows:
        found.setdefault(row["subject"], []).append(row["coverage_percent"])
    return {
        subject: {str(q): round(float(np.mean([one[str(q)] for one in mine])), 2) for q in LEVELS}
        for subject, mine in found.items()
    }


def chosen_model(
    samples: Sequence[Sample], rule: SubjectRule | None = None
) -> tuple[DeviationModel | None, dict[str, Any]]:
    """The fitted form for which leaving out each subject in turn shows the best likelihood; None: the network alone.

    Also what was compared, JSON types only. Likelihoods are those of the subjects that the rule fits the model on.
    """
    rule = rule or rule_for(samples)
    deciding = rule.for_model(samples)
    if len({s.subject for s in deciding}) < FEWEST_SUBJECTS or not all(s.terms for s in samples):
        return None, {"kept": False, "why": f"fewer than {FEWEST_SUBJECTS} subjects, or terms that do not fit the grid"}
    compared = all_left_out(samples, rule)
    worth = {name: likelihood(samples, rows, rule) for name, rows in compared.items()}
    best = min(worth, key=worth.__getitem__)
    facts = {
        "kept": best in FORMS,
        "form": best,
        "rule": "lowest mean negative log-likelihood of subjects left out",
        **{name: summary(rows) for name, rows in compared.items()},
    }
    return fit_model(deciding, best) if best in FORMS else None, facts


def all_left_out(samples: Sequence[Sample], rule: SubjectRule | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows of `leave_one_out` for the network alone and for each form of the model whose terms differ."""
    found, seen = {"network_alone": leave_one_out(samples, form=None, rule=rule)}, []
    for form in FORMS:
        if terms_of(samples, form) not in seen:
            seen.append(terms_of(samples, form))
            found[form] = leave_one_out(samples, form=form, rule=rule)
    return found


def likelihood(samples: Sequence[Sample], rows: list[dict[str, Any]], rule: SubjectRule) -> float:
    """Mean negative log-likelihood, by `weights_of`, of the subjects that the rule fits the model on."""
    deciding = rule.for_model(samples)
    kept = [row["negative_log_likelihood"] for s, row in zip(samples, rows) if any(s is one for one in deciding)]
    return float(sum(w * value for w, value in zip(weights_of(deciding), kept)))
