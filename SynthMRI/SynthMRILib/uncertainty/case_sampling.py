"""Errors of a bundle on one calibration case, with what is measured at each voxel, from all of it or from blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..bundles import Bundle
from ..errors import InputError
from ..evaluation.metrics import quality_mask
from ..findings import raise_on_error
from ..intensity import reference_intensity
from ..progress import no_progress
from ..tasks.base import NetworkInput
from ..tasks.uncertainty import TASK as UNCERTAINTY
from ..tasks.uncertainty import UncertaintyParameters, motion_of, network_task, prepared_input, raw_maps, residual_of
from ..volume import Volume
from .block_sampling import block_at, block_starts, inner_voxels, size_for
from .calibration_cases import Case
from .deviation import VOLUME_TERM, acquired_of, noisiness, raw_total, voxel_terms
from .findings import SIGNAL_SHARE
from .gate import judge

VOXELS_EACH = 200_000


@dataclass(frozen=True)
class Sample:
    """Errors and deviations of voxels of one case, in units of the reference intensity of its truth.

    Voxels that the task leaves as they are (their total is zero) are no part of it: they have no interval.

    Args:
        subject, group, trained_on: see `calibration_cases.Case`.
        error, total: arrays of one shape; total is that of the network alone, raw.
        terms: what `deviation.DeviationModel` needs of these voxels; empty where the result is on another grid.
        unit: 1 in network units.
        signal: which of these voxels have signal in the result.
        reference: reference intensity of the result.
        lesion: which of these voxels lie in a lesion; None where none were given.
        measured: what the gate measured, by input role; of subjects of training it does not matter and is left out.
        residual: numbers of the residual against the input; None where there are none.
    """

    name: str
    contrast: str
    subject: str
    group: str
    trained_on: bool
    error: np.ndarray
    total: np.ndarray
    terms: dict[str, np.ndarray]
    unit: float
    signal: np.ndarray
    reference: float
    lesion: np.ndarray | None
    measured: dict[str, dict[str, Any]] = field(repr=False)
    residual: dict[str, float] | None = None


@dataclass(frozen=True, eq=False)
class _Opened:
    """A case that has been read and prepared."""

    inputs: dict[str, Volume]
    truth: Volume
    lesions: Volume | None
    parameters: UncertaintyParameters
    prepared: NetworkInput

    @property
    def measured(self) -> dict[str, dict[str, Any]]:
        return judge(self.inputs, None, more=motion_of(self.inputs, self.prepared, self.parameters)).measured


def _opened(bundle: Bundle, case: Case, *, samples: int, seed: int) -> _Opened:
    inputs, truth, lesions = case.read()
    parameters = UncertaintyParameters(task=bundle.task, options=case.options, samples=samples, seed=seed)
    raise_on_error(UNCERTAINTY.check(inputs, bundle, parameters))
    prepared = prepared_input(network_task(bundle.task), inputs, bundle, parameters.of_task(), no_progress)
    return _Opened(inputs, truth, lesions, parameters, prepared)


def sample_case(bundle: Bundle, case: Case, *, samples: int, seed: int = 0) -> Sample:
    """Errors and raw totals of the bundle on one case, inside the quality mask of its truth.

    Raises InputError when the truth does not lie on the grid of the result.
    """
    opened = _opened(bundle, case, samples=samples, seed=seed)
    prepared, truth, options = opened.prepared, opened.truth, opened.parameters.of_task()
    maps, _ = raw_maps(prepared, bundle, opened.parameters, progress=no_progress)
    task = network_task(bundle.task)
    output = task.finish(prepared, maps["mean"], options)
    total = task.finish(prepared, raw_total(maps).astype(np.float32), options, spread=True)
    if not output.grid.matches(truth.grid, tolerance=1e-3):
        raise InputError(f"{case.name}: the reference does not lie on the grid of the result. Resample it first.")
    terms = voxel_terms(maps, acquired_of(prepared)) if output.shape == maps["mean"].shape else {}
    residual = residual_of(output, prepared)
    found = {
        "output": output.voxels,
        "truth": truth.voxels,
        "total": total.voxels,
        "counts": quality_mask(truth.voxels),
        **({} if opened.lesions is None else {"lesion": opened.lesions.voxels}),
    }
    numbers = residual.as_dict() if residual else None
    return _sample(case, opened, {n: v.ravel() for n, v in found.items()}, _flat(terms), numbers, seed=seed)


def sample_blocks(bundle: Bundle, case: Case, *, samples: int, blocks: int, seed: int = 0) -> Sample:
    """As `sample_case`, but only in blocks around random voxels with signal: a fraction of the time.

    For tasks whose result lies on voxels of an input or on a whole number of times finer ones.

    Raises InputError when the truth does not lie on the grid of the result.
    """
    opened, size = _opened(bundle, case, samples=samples, seed=seed), size_for(bundle.task)
    prepared, truth, task, options = (
        opened.prepared,
        opened.truth,
        network_task(bundle.task),
        opened.parameters.of_task(),
    )
    known = {"truth": truth, "counts": truth.with_voxels(quality_mask(truth.voxels))}
    known |= {} if opened.lesions is None else {"lesion": opened.lesions}
    parts = []
    for start in block_starts(prepared, blocks, edge=size.edge, seed=seed):
        block = block_at(prepared, start, edge=size.edge)
        maps, _ = raw_maps(block, bundle, opened.parameters, progress=no_progress)
        parts.append(inner_voxels(block, maps, task, options, known=known, border=size.border))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    terms = {name.removeprefix("term "): joined.pop(name) for name in list(joined) if name.startswith("term ")}
    residual, acquired = joined.pop("residual"), joined.pop("acquired")
    numbers = {
        "relative_residual": float(np.linalg.norm(residual) / max(np.linalg.norm(acquired), 1e-12)),
        "largest_residual_percent": float(
            100 * np.percentile(np.abs(residual), 99.9) * prepared.unit / reference_intensity(prepared.volume.voxels)
        ),
    }
    return _sample(case, opened, joined, terms, numbers if prepared.same_contrast else None, seed=seed)


def _flat(terms: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values.ravel() for name, values in terms.items()}


def _sample(
    case: Case,
    opened: _Opened,
    found: dict[str, np.ndarray],
    terms: dict[str, np.ndarray],
    residual: dict[str, float] | None,
    *,
    seed: int,
) -> Sample:
    """The sample of a case from flat arrays in units of the result; terms are in network units."""
    unit, reference = reference_intensity(opened.truth.voxels), reference_intensity(found["output"])
    inside = np.flatnonzero((found["counts"] > 0) & (found["total"] > 0))
    if not inside.size:
        raise InputError(f"{case.name}: the task changes nothing of this volume, so it says nothing of errors.")
    chosen = np.random.default_rng(seed).choice(inside, min(VOXELS_EACH, inside.size), replace=False)
    measured = {name: values[chosen] for name, values in terms.items() if name != "energy"}
    if terms:
        whole = noisiness(terms["energy"], terms["predicted"], terms["intensity"])
        measured[VOLUME_TERM] = np.full(chosen.size, whole, dtype=np.float32)
    return Sample(
        name=case.name,
        contrast=case.contrast,
        subject=case.subject or case.name,
        group=case.group,
        trained_on=case.trained_on,
        error=((found["output"] - found["truth"])[chosen] / unit).astype(np.float32),
        total=(found["total"][chosen] / unit).astype(np.float32),
        terms=measured,
        unit=opened.prepared.unit / unit,
        signal=found["output"][chosen] > SIGNAL_SHARE * reference,
        reference=reference / unit,
        lesion=None if opened.lesions is None else found["lesion"][chosen] > 0,
        measured={} if case.trained_on else opened.measured,
        residual=residual,
    )
