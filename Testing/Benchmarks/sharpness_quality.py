"""Measure both ends of super-resolution's sharpness and the middle, against cubic B-spline.

    python Testing/Benchmarks/sharpness_quality.py FOLDER... --split validate|test [--crop 128]
    python Testing/Benchmarks/sharpness_quality.py --cache FILE --split validate [--crop 96]

A FOLDER is one subject and holds volumes named by their contrast; a packed cache holds the validation volumes. Inputs
are made by averaging 2x2x2 voxels. Besides the metrics there is the radial power spectrum: for each shell of
frequencies how much more or less power an estimate has than the reference [dB]. The fidelity bundle is the one without
partner; its perceptual partner must be installed. Writes `Documentation/figures/super_resolution_sharpness_NAME.json`;
openings of a test subject are added to `Documentation/evaluations.csv`. `--documentation` keeps a trial elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from SynthMRILib.bundles import Bundle, best_bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import baselines, degrade, metrics, records
from SynthMRILib.evaluation.spectrum import DETAIL_FROM, detail_power_db, radial_power
from SynthMRILib.evaluation.super_resolution import CAVEAT
from SynthMRILib.progress import no_progress
from SynthMRILib.sharpness import perceptual_partner
from SynthMRILib.tasks import get_task
from SynthMRILib.training.cache import Cache
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
CONTRASTS = ("T1", "T2", "FLAIR", "T1POST")
SHARPNESS = (0.0, 0.5, 1.0)
DEGRADATION = "mean"
#: The perceptual end may lose this much PSNR [dB] against B-spline, and has to win HaarPSI and HFEN.
LARGEST_LOSS = 0.5


def main(words: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(words)
    try:
        fidelity = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
        perceptual = perceptual_partner(fidelity)
        for name, volumes in subjects_of(arguments):
            measure(name, volumes, fidelity, perceptual, arguments)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"sharpness_quality: {sentence(error)}\n")
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="one subject each")
    parser.add_argument("--cache", type=Path, help="packed cache of validation volumes")
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"], help="what they are for")
    parser.add_argument("--crop", type=int, help="edge of the block in the middle that is used; default: all")
    parser.add_argument("--bundle", help="fidelity bundle; default: the best one")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    return parser


def subjects_of(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Volume]]]:
    """Name and volumes by contrast of each folder, and of the cache as "validation"."""
    for folder in arguments.folders:
        files = {c: folder / f"{c}.nii.gz" for c in CONTRASTS}
        volumes = {c: read_volume(path) for c, path in files.items() if path.is_file()}
        if not volumes:
            raise InputError(f"'{folder.name}' holds no volume that is named by its contrast.")
        yield folder.name, volumes
    if arguments.cache:
        yield "validation", cached_volumes(Cache(arguments.cache))


def cached_volumes(cache: Cache) -> dict[str, Volume]:
    """The volumes of a cache by subject, contrast and number; voxels count as 1 mm, which no figure depends on."""
    arrays = {
        f"{entry.subject} {entry.contrast} {n}": cache.volume(n).astype(np.float32)
        for n, entry in enumerate(cache.entries)
    }
    return {name: Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0))) for name, voxels in arrays.items()}


def measure(
    name: str, volumes: dict[str, Volume], fidelity: Bundle, perceptual: Bundle, arguments: argparse.Namespace
) -> None:
    """Score every volume and write the record of a subject; each opening of a test subject is noted first."""
    commit = records.current_commit(CHECKOUT)
    shared = facts_of(name, fidelity, perceptual, arguments, commit)
    figures = {}
    for contrast, volume in volumes.items():
        rows = rows_of(middle(volume, arguments.crop), fidelity, perceptual, arguments.precision)
        figures[contrast] = {"rows": rows, "floor": floor_of(rows)}
        sys.stdout.write("\n".join([contrast, *(as_line(row) for row in rows), ""]))
        if arguments.split == "test":
            table = arguments.documentation / records.TABLE.name
            records.append_opening(table, subject=f"{name}/{contrast}", commit=commit, record={**shared, "rows": rows})
    target = arguments.documentation / "figures" / f"super_resolution_sharpness_{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, {**shared, "volumes": figures, "floor": whole_floor(figures)})
    sys.stdout.write(f"{target.name} written\n")


def facts_of(
    name: str, fidelity: Bundle, perceptual: Bundle, arguments: argparse.Namespace, commit: str
) -> dict[str, Any]:
    source = f"--cache {arguments.cache.name}" if name == "validation" and arguments.cache else name
    crop = f" --crop {arguments.crop}" if arguments.crop else ""
    return {
        "task": "super-resolution",
        "caveat": CAVEAT,
        "subject": name,
        "split": arguments.split,
        "commit": commit,
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {source} --split {arguments.split}{crop}",
        "bundles": {bundle.name: bundle.weights_sha256 for bundle in (fidelity, perceptual)},
        "degradation": degrade.DEFINITIONS[DEGRADATION],
        "metrics": {key: metric.definition for key, metric in metrics.METRICS.items()},
        "detail_power_db": f"mean over the shells from {DETAIL_FROM} to 0.5 cycles/voxel of power over the reference's",
        "floor_rule": f"sharpness 1 above B-spline on HaarPSI and HFEN, PSNR lower by {LARGEST_LOSS} dB at most",
    }


def middle(volume: Volume, edge: int | None) -> Volume:
    """The block in the middle of a volume, with an even number of voxels along every axis."""
    if edge is None:
        return degrade.crop_to_multiple(volume, 2)
    sizes = [min(edge, n) // 2 * 2 for n in volume.shape]
    starts = [(n - size) // 2 for n, size in zip(volume.shape, sizes)]
    block = volume.voxels[tuple(slice(a, a + size) for a, size in zip(starts, sizes))]
    matrix = volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] = volume.grid.index_to_ras(starts[::-1])
    return Volume(np.ascontiguousarray(block), Grid(block.shape, matrix))


def rows_of(target: Volume, fidelity: Bundle, perceptual: Bundle, precision: str) -> list[dict[str, Any]]:
    """B-spline and three degrees of sharpness, each with its metrics and spectrum."""
    coarse = degrade.degrade(target, DEGRADATION, factor=2)
    names = {0.0: fidelity.name, 1.0: perceptual.name}
    rows = [row_of(target, baselines.upsample(coarse, 2, "bspline"), method="bspline")]
    for sharpness in SHARPNESS:
        task = get_task("super-resolution")
        parameters = task.parameters_class.from_dict({"sharpness": sharpness, "precision": precision})
        estimate = task.run({"input": coarse}, fidelity, parameters, no_progress).outputs["output"]
        rows.append(row_of(target, estimate, method=names.get(sharpness, "mixed"), sharpness=sharpness))
    return rows


def row_of(target: Volume, estimate: Volume, **facts: Any) -> dict[str, Any]:
    scores = metrics.all_metrics(target.voxels, estimate.voxels)
    ratio = radial_power(estimate.voxels)[1] / radial_power(target.voxels)[1]
    return {
        "degradation": DEGRADATION,
        **facts,
        **{name: round(value, 5) for name, value in scores.items()},
        "detail_power_db": round(detail_power_db(target.voxels, estimate.voxels), 3),
        "spectrum_db": [round(float(x), 2) for x in 10 * np.log10(ratio)],
    }


def floor_of(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Whether sharpness 1 reaches its floor against B-spline."""
    spline, sharp = rows[0], rows[-1]
    return {
        "haarpsi": sharp["haarpsi"] > spline["haarpsi"],
        "hfen": sharp["hfen"] < spline["hfen"],
        "psnr": sharp["psnr"] >= spline["psnr"] - LARGEST_LOSS,
    }


def whole_floor(figures: dict[str, Any]) -> dict[str, bool]:
    return {name: all(f["floor"][name] for f in figures.values()) for name in ("haarpsi", "hfen", "psnr")}


def as_line(row: dict[str, Any]) -> str:
    label = f"sharpness {row['sharpness']}" if "sharpness" in row else row["method"]
    shown = ("psnr", "ssim", "hfen", "haarpsi", "detail_power_db")
    return "  ".join([f"  {label:14}", *(f"{name} {row[name]:.4f}" for name in shown)])


if __name__ == "__main__":
    sys.exit(main())
