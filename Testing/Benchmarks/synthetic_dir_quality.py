"""Measure synthetic DIR, by a network and without, and the arithmetic it has to beat, on one real subject.

    python Testing/Benchmarks/synthetic_dir_quality.py FOLDER --split train|validate|test [--bundle NAME]

FOLDER is one subject and holds FLAIR, T1, T2 and lesions (.nii.gz), in register and without skull. Without a bundle
this writes `Documentation/figures/synthetic_dir_baselines_<subject>.json`, with one
`synthetic_dir_<bundle>_<subject>.json`. `--documentation` keeps a trial elsewhere, `--pictures` keeps the voxels to
look at. The opening of a test subject with a bundle is appended to `Documentation/evaluations.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import arithmetic, dictionary, mixing
from SynthMRILib.dir_synthesis.preprocessing import Prepared, prepare
from SynthMRILib.dir_synthesis.tissue_fit import OUTSIDE, TissueFit, fit_tissues
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.evaluation import dir_likeness, lesions, records
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {"flair": "FLAIR", "t1": "T1", "t2": "T2", "mask": "lesions"}
SMOOTHINGS_MM = (0.0, 0.7, 1.0)
FACTORS = (0.15, 0.3, 0.5)
SUBSETS = (("flair", "t1", "t2"), ("flair", "t1"), ("flair", "t2"))
DIRS = ("network", "combined", "dictionary")
NETWORK_SUBSETS = (*SUBSETS, ("flair",), ("t1", "t2"), ("t1",), ("t2",))
ROLES = {"train": "Development subject", "validate": "Subject for choices", "test": "Test subject"}
NOTE = (
    "No acquired DIR was at hand: nothing here compares with a true DIR. "
    "The lesion mask was used for these figures only, never for the synthesis or its training."
)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one subject")
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"], help="what the subject is for")
    parser.add_argument("--bundle", help="name or folder of the network's bundle")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    parser.add_argument(
        "--pictures", type=Path, metavar="FILE", help="keep the voxels of all that is compared as .npz, to look at"
    )
    arguments = parser.parse_args(words)
    try:
        record = measure(arguments)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_quality: {sentence(error)}\n")
        return 2
    kind = "baselines" if not record["bundles"] else next(iter(record["bundles"]))
    target = arguments.documentation / "figures" / f"synthetic_dir_{kind}_{arguments.folder.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, record)
    if record["bundles"] and arguments.split == "test":
        append_opening(arguments.documentation / "evaluations.csv", record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """The whole record of a subject."""
    bundle = load_bundle(arguments.bundle) if arguments.bundle else None
    volumes, mask, prepared, tissues, reference = examination(arguments.folder)
    grid, brain = prepared.grid, prepared.brain
    made = list(syntheses(prepared.contrasts, brain, tissues, grid))
    made += list(network_syntheses(volumes, bundle)) if bundle else []
    if arguments.pictures:
        np.savez_compressed(arguments.pictures, **{f"{m}:{'+'.join(i)}": v for m, i, v, _ in made})
    rows = []
    for method, inputs, voxels, seconds in made:
        for sigma in (0.0,) if bundle and method in DIRS else SMOOTHINGS_MM:
            shown = arithmetic.smoothed(voxels, brain, sigma_mm=sigma, spacing=grid.spacing)
            row = {**figures_of(shown, reference), **dir_likeness.other_regions(shown, reference)}
            rows.append({"method": method, "inputs": list(inputs), "smoothing_mm": sigma, "seconds": seconds, **row})
            sys.stdout.write(f"{method} {inputs} {sigma} {row['auprc']:.3f} {row['recall_at_false_positives']}\n")
    regions = {region: reference.regions.count(region) for region in sorted(set(reference.regions))}
    command = f"python Testing/Benchmarks/{Path(__file__).name} {arguments.folder.name} --split {arguments.split}"
    return {
        "task": "synthetic-dir",
        "subject": arguments.folder.name,
        "split": arguments.split,
        "commit": records.current_commit(CHECKOUT),
        "command": command + (f" --bundle {bundle.name}" if bundle else ""),
        "note": f"{ROLES[arguments.split]}. {NOTE}",
        "definitions": {**lesions.DEFINITIONS, **dir_likeness.DEFINITIONS, "combined": mixing.RULE},
        "lesions": {"count": len(reference.regions), "mm3": float(mask.sum() * np.prod(grid.spacing)), **regions},
        "bundles": {bundle.name: bundle.weights_sha256} if bundle else {},
        "rows": rows,
        "likeness": likeness_rows(made, brain, reference),
    }


def network_syntheses(
    volumes: dict[str, Volume], bundle: Bundle
) -> Iterator[tuple[str, tuple[str, ...], np.ndarray, float]]:
    """(method, inputs, voxels, seconds of processor time) of the network for every subset of the inputs.

    Also that of the mean of network and dictionary; a hybrid has none.
    """
    task = get_task("synthetic-dir")
    for subset in NETWORK_SUBSETS:
        inputs = {name: volumes[name] for name in subset}
        for method in ("network",) if bundle.section.get("hybrid") else ("network", "combined"):
            started = time.process_time()
            result = task.run(inputs, bundle, task.parameters_class(registered=True, method=method), no_progress)
            yield method, subset, result.outputs["output"].voxels, round(time.process_time() - started, 1)


def likeness_rows(made, brain: np.ndarray, reference: lesions.Reference) -> list[dict[str, Any]]:
    """Of the synthetic DIR: whether it is one, and the contrast of lesions beside baselines with its histogram."""
    by_inputs = {(method, inputs): voxels for method, inputs, voxels, _ in made}
    dictionary = by_inputs["dictionary", SUBSETS[0]]
    rows = []
    for (method, inputs), voxels in by_inputs.items():
        if method not in DIRS:
            continue
        matched = {
            f"{name} {'+'.join(used)}": dir_likeness.mean_contrast(
                dir_likeness.histogram_matched(other, voxels, brain), reference
            )
            for (name, used), other in by_inputs.items()
            if name not in DIRS and set(used) <= set(inputs)
        }
        found = dir_likeness.likeness(voxels, dictionary, reference)
        contrast = {"dir": dir_likeness.mean_contrast(voxels, reference), **matched}
        rows.append({"method": method, "inputs": list(inputs), **found, "cnr_matched": contrast})
    return rows


def append_opening(table: Path, record: dict[str, Any]) -> None:
    """A line of `evaluations.csv` for the opening of a test subject."""
    figures = {
        f"{row['method']} {'+'.join(row['inputs'])}": {"auprc": row["auprc"], "suppression": row["suppression"]}
        for row in record["rows"]
        if row["method"] in ("network", "combined")
    }
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, records.COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for name, sha256 in record["bundles"].items():
            line = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "bundle": name, "bundle_sha256": sha256}
            line |= {key: record[key] for key in ("commit", "task", "subject")}
            writer.writerow({**line, "figures": json.dumps(figures, sort_keys=True)})


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


def examination(
    folder: Path,
) -> tuple[dict[str, Volume], np.ndarray, Prepared, TissueFit, lesions.Reference]:
    """Volumes of a real subject, its lesion mask (k, j, i), prepared contrasts, tissues and reference of figures."""
    volumes = cropped({name: read_volume(folder / f"{file}.nii.gz") for name, file in FILES.items()})
    mask = volumes.pop("mask").voxels > 0
    prepared = prepare(volumes, registered=True)
    tissues = fit_tissues(prepared.contrasts, prepared.brain, spacing=prepared.grid.spacing)
    reference = lesions.reference(mask & (tissues.labels != OUTSIDE), tissues.labels, prepared.grid)
    return volumes, mask, prepared, tissues, reference


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
