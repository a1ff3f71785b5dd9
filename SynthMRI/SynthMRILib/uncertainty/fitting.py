"""Fit a bundle's calibration to volumes that it was not trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..bundles import METADATA, Bundle, checked
from ..evaluation.degrade import crop_to_multiple, degrade
from ..evaluation.metrics import quality_mask
from ..progress import no_progress
from ..tasks.uncertainty import TASK as UNCERTAINTY
from ..tasks.uncertainty import UncertaintyParameters
from ..volume import Grid, Volume
from ..volume_io import read_volume
from .calibration import Calibration, coverage, fit_multipliers, rank_correlation, sparsification_area

VOXELS_EACH = 200_000

Reference = tuple[str, Callable[[], Volume]]


@dataclass(frozen=True)
class Sample:
    """Errors and raw totals of voxels of one volume, in units of its reference intensity."""

    name: str
    error: np.ndarray
    total: np.ndarray


def references_from(files: list[Path], cache: Path | None) -> list[Reference]:
    """Named high-resolution volumes, read when they are needed. Files are named by number, never by path."""
    references: list[Reference] = [
        (f"volume {n}", lambda path=path: read_volume(path)) for n, path in enumerate(files, 1)
    ]
    if cache is not None:
        references += _from_cache(cache)
    return references


def _from_cache(path: Path) -> Iterator[Reference]:
    from ..training.cache import Cache

    cache = Cache(path)
    for index, entry in enumerate(cache.entries):

        def volume(index: int = index) -> Volume:
            voxels = cache.volume(index).astype(np.float32)
            return Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))

        yield f"{entry.subject} {entry.contrast} {index}", volume


def sample_volume(bundle: Bundle, name: str, reference: Volume, *, samples: int, seed: int = 0) -> Sample:
    """Errors and raw totals of the bundle on the halved resolution of a reference, inside the quality mask."""
    reference = crop_to_multiple(reference)
    inputs = {"input": degrade(reference, "mean")}
    parameters = UncertaintyParameters(samples=samples)
    outputs = UNCERTAINTY.run(inputs, without_calibration(bundle), parameters, no_progress).outputs
    mask = np.flatnonzero(quality_mask(reference.voxels))
    chosen = np.random.default_rng(seed).choice(mask, min(VOXELS_EACH, mask.size), replace=False)
    error = (outputs["output"].voxels - reference.voxels).ravel()[chosen]
    return Sample(name, error, outputs["total"].voxels.ravel()[chosen])


def without_calibration(bundle: Bundle) -> Bundle:
    """The same bundle, raw: its totals come as the network gives them."""
    section = {**bundle.section, "calibration": None}
    return Bundle(bundle.folder, {**bundle.metadata, "synthmri": section})


def calibrate_bundle(
    bundle: Bundle, references: list[Reference], *, samples: int, output: Path, report: Callable[[str], None]
) -> Calibration:
    """Write a copy of the bundle with interval multipliers fitted on the references, and return them.

    Every reference counts alike. Figures of the fit go with the multipliers: coverage, rank correlation of total and
    error, and area of the sparsification error, each by volume.
    """
    gathered = []
    for name, read in references:
        gathered.append(sample_volume(bundle, name, read(), samples=samples))
        report(f"{name}: rank correlation {rank_correlation(gathered[-1].error, gathered[-1].total):.2f}")
    fewest = min(s.error.size for s in gathered)
    error = np.concatenate([s.error[:fewest] for s in gathered])
    total = np.concatenate([s.total[:fewest] for s in gathered])
    multipliers = fit_multipliers(error, total)
    facts = {"samples": samples, "volumes": [_figures(s, multipliers) for s in gathered]}
    calibration = Calibration(bundle.weights_sha256, multipliers, facts)
    write_copy(bundle, calibration, output)
    return calibration


def _figures(sample: Sample, multipliers: dict[int, float]) -> dict:
    return {
        "name": sample.name,
        "coverage_percent": {str(q): round(c, 2) for q, c in coverage(sample.error, sample.total, multipliers).items()},
        "rank_correlation": round(rank_correlation(sample.error, sample.total), 3),
        "ause": round(sparsification_area(sample.error, sample.total), 3),
    }


def write_copy(bundle: Bundle, calibration: Calibration, output: Path) -> None:
    """Copy the bundle to a new folder with the calibration in its metadata; the original stays as it is."""
    shutil.copytree(bundle.folder, output)
    metadata = json.loads((output / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"]["calibration"] = calibration.as_dict()
    (output / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    checked(output)
