"""Measure synthetic DIR without a network, and the arithmetic it has to beat, as lesion detectors on one subject.

    python Testing/Benchmarks/synthetic_dir_quality.py FOLDER --split train|validate|test

FOLDER is one subject and holds FLAIR, T1, T2 and lesions (.nii.gz), in register and without skull. This writes
`Documentation/figures/synthetic_dir_baselines_<subject>.json`. `--documentation` keeps a trial elsewhere,
`--pictures` keeps the voxels to look at.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import arithmetic, dictionary
from SynthMRILib.dir_synthesis.preprocessing import prepare
from SynthMRILib.dir_synthesis.tissue_fit import OUTSIDE, TissueFit, fit_tissues
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.evaluation import lesions, records
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {"flair": "FLAIR", "t1": "T1", "t2": "T2", "mask": "lesions"}
SMOOTHINGS_MM = (0.0, 0.7, 1.0)
FACTORS = (0.15, 0.3, 0.5)
SUBSETS = (("flair", "t1", "t2"), ("flair", "t1"), ("flair", "t2"))
NOTE = (
    "Development subject; no network, no bundle. No acquired DIR was at hand: nothing here compares with a true DIR. "
    "The lesion mask was used for these figures only, never for the synthesis."
)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one subject")
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"], help="what the subject is for")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    parser.add_argument(
        "--pictures", type=Path, metavar="FILE", help="keep the dictionary DIR of all inputs as .npy, to look at"
    )
    arguments = parser.parse_args(words)
    try:
        record = measure(arguments)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_quality: {sentence(error)}\n")
        return 2
    target = arguments.documentation / "figures" / f"synthetic_dir_baselines_{arguments.folder.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole record of a subject."""
    volumes = cropped({name: read_volume(arguments.folder / f"{file}.nii.gz") for name, file in FILES.items()})
    mask = volumes.pop("mask").voxels > 0
    prepared = prepare(volumes, registered=True)
    grid, brain = prepared.grid, prepared.brain
    tissues = fit_tissues(prepared.contrasts, brain, spacing=grid.spacing)
    reference = lesions.reference(mask & (tissues.labels != OUTSIDE), tissues.labels, grid)
    rows = []
    for method, inputs, voxels, seconds in syntheses(prepared.contrasts, brain, tissues, grid):
        if arguments.pictures and method == "dictionary" and len(inputs) == 3:
            np.save(arguments.pictures, voxels)
        for sigma in SMOOTHINGS_MM:
            shown = arithmetic.smoothed(voxels, brain, sigma_mm=sigma, spacing=grid.spacing)
            row = figures_of(shown, reference)
            rows.append({"method": method, "inputs": list(inputs), "smoothing_mm": sigma, "seconds": seconds, **row})
            sys.stdout.write(f"{method} {sigma} {row['auprc']:.3f} {row['recall_at_false_positives']}\n")
    regions = {region: reference.regions.count(region) for region in sorted(set(reference.regions))}
    return {
        "task": "synthetic-dir",
        "subject": arguments.folder.name,
        "split": arguments.split,
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {arguments.folder.name} --split {arguments.split}",
        "note": NOTE,
        "definitions": lesions.DEFINITIONS,
        "lesions": {"count": len(reference.regions), "mm3": float(mask.sum() * np.prod(grid.spacing)), **regions},
        "bundles": {},
        "rows": rows,
    }


def syntheses(contrasts, brain, tissues: TissueFit, grid: Grid) -> Iterator[tuple[str, tuple[str, ...], Any, Any]]:
    """(method, inputs, voxels, seconds) of all that is compared."""
    yield "flair", ("flair",), contrasts["flair"], None
    yield "t2", ("t2",), contrasts["t2"], None
    product = arithmetic.combine("flair-times-t2", contrasts, brain, tissues)
    yield "flair-times-t2", ("flair", "t2"), product, None
    for factor in FACTORS:
        voxels = arithmetic.combine("flair-minus-t1", contrasts, brain, tissues, factor=factor)
        yield f"flair-minus-{factor:g}-t1", ("flair", "t1"), voxels, None
    for subset in SUBSETS:
        started = time.process_time()
        chosen = {name: contrasts[name] for name in subset}
        own = fit_tissues(chosen, brain, spacing=grid.spacing)
        fit = dictionary.synthesize(chosen, brain, own, spacing=grid.spacing)
        yield "dictionary", subset, fit.dir_signal, round(time.process_time() - started, 1)


def figures_of(voxels: np.ndarray, reference: lesions.Reference) -> dict[str, Any]:
    """The figures that are compared; contrast only by region."""
    found = lesions.figures(voxels, reference)
    return {name: found[name] for name in ("auprc", "recall_at_false_positives", "suppression", "by_region")}


def cropped(volumes: dict[str, Volume], margin: int = 6) -> dict[str, Volume]:
    """The volumes (on one grid) cut to the brain with a margin [voxels]: figures do not change, time does."""
    index = np.argwhere(volumes["flair"].voxels > 0)
    start = np.maximum(index.min(axis=0) - margin, 0)
    stop = index.max(axis=0) + margin + 1
    box = tuple(slice(a, b) for a, b in zip(start, stop))
    found = {}
    for name, volume in volumes.items():
        voxels = volume.voxels[box]
        matrix = volume.grid.ijk_to_ras.copy()
        matrix[:3, 3] = volume.grid.index_to_ras(start[::-1])
        found[name] = Volume(voxels, Grid(voxels.shape, matrix))
    return found


if __name__ == "__main__":
    sys.exit(main())
