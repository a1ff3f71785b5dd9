"""Measure denoising: Rician noise of known levels is added to volumes, and every method gets the same noisy input.

    python Testing/Benchmarks/denoising_quality.py VOLUME... --subject NAME --split train|validate|test
        [--bundle NAME] [--level PERCENT] [--peers PYTHON] [--edge VOXELS] [--documentation FOLDER]

Methods: the noisy input itself, the bundle at strength 1, and with `--peers` the two of `denoising_peers.py`. Levels
are in percent of the range (99.5th percentile of the non-zero voxels of the reference). Non-local means of a whole head
take minutes, so all methods get the same block of `--edge` voxels from the middle, and none is told the level of the
noise. An acquired reference holds noise of its own, which no method can restore. Writes
`Documentation/figures/denoising_<subject>.json` and a line for each volume to `Documentation/evaluations.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing")]
from Benchmarks.denoising_peers import estimates_of_peers  # noqa: E402

LEVELS = (3.0, 6.0, 9.0, 15.0)
METRICS = ("psnr", "ssim", "hfen", "haarpsi")


def main() -> int:
    arguments = build_parser().parse_args()
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("denoising")
    record = facts(arguments, bundle, current_commit(CHECKOUT))
    for path in arguments.volumes:
        name = path.name.split(".")[0]
        record["volumes"][name] = measure(path, arguments, bundle)
        note(arguments, bundle, record["commit"], name, record["volumes"][name])
        target = arguments.documentation / "figures" / f"denoising_{arguments.subject}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path, metavar="VOLUME")
    parser.add_argument("--subject", required=True)
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"])
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    parser.add_argument("--level", type=float, action="append", help=f"percent; default: {LEVELS}")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with dipy and antspyx")
    parser.add_argument("--varying", action="store_true", help="the level varies smoothly by factors of 0.5 to 2")
    parser.add_argument("--edge", type=int, default=96, help="edge of the block in voxels; 0: the whole volume")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    return parser


def facts(arguments: argparse.Namespace, bundle: Any, commit: str) -> dict[str, Any]:
    from SynthMRILib import INTENDED_USE
    from SynthMRILib.evaluation import metrics

    names = " ".join(path.name for path in arguments.volumes)
    options = f"--bundle {bundle.name} --edge {arguments.edge}" + (" --peers PYTHON" if arguments.peers else "")
    options += " --varying" if arguments.varying else ""
    return {
        "task": "denoising",
        "intended_use": INTENDED_USE,
        "commit": commit,
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {names} --subject {arguments.subject} "
        f"--split {arguments.split} {options}",
        "subject": arguments.subject,
        "split": arguments.split,
        "bundles": {bundle.name: bundle.weights_sha256},
        "block": f"middle {arguments.edge} voxels along each axis" if arguments.edge else "whole volume",
        "noise": f"Rician, {'varying by 0.5 to 2' if arguments.varying else 'even'}, added to the whole block, also "
        "to the empty surroundings of a stripped brain",
        "range": metrics.RANGE_RULE,
        "mask": metrics.MASK_RULE,
        "caveat": "Noise was added to volumes that hold noise of their own; no acquired pair was at hand.",
        "volumes": {},
    }


def measure(path: Path, arguments: argparse.Namespace, bundle: Any) -> dict[str, Any]:
    """Rows of one volume: level, method, metrics, seconds."""
    from SynthMRILib.evaluation import metrics
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.volume_io import read_volume

    volume = read_volume(path)
    unit = reference_intensity(volume.voxels)
    clean = np.maximum(middle(volume.voxels, arguments.edge), 0)
    mask = metrics.quality_mask(clean)
    rows, peers = [], {}
    for level in arguments.level or LEVELS:
        sigma = level / 100 * unit * variation(clean.shape, arguments.varying)
        noisy = noisy_copy(clean, sigma, seed=round(100 * level))
        for method, (estimate, more) in estimates(noisy, mask, volume.spacing, arguments, bundle, peers).items():
            scores = {name: metrics.METRICS[name].compute(clean, estimate, mask=mask, peak=unit) for name in METRICS}
            rows.append({"level_percent": level, "method": method, **rounded(scores), **more})
            sys.stdout.write(f"{path.name} {rows[-1]}\n")
            sys.stdout.flush()
    return {"range": unit, "shape_kji": list(clean.shape), "peers": peers, "rows": rows}


def middle(voxels: np.ndarray, edge: int) -> np.ndarray:
    if not edge:
        return voxels
    return voxels[tuple(slice(max(0, (n - edge) // 2), max(0, (n - edge) // 2) + edge) for n in voxels.shape)]


def variation(shape: tuple[int, ...], varying: bool) -> np.ndarray | float:
    """Factor on the level: 1, or smooth over the block between 0.5 and 2."""
    if not varying:
        return 1.0
    from SynthMRILib.simulation.fields import smooth_field

    field = smooth_field(shape, np.random.default_rng(11), length=40.0)
    return np.clip(np.exp(np.float32(0.4) * field), 0.5, 2.0)


def noisy_copy(clean: np.ndarray, sigma: np.ndarray | float, *, seed: int) -> np.ndarray:
    noise = sigma * np.random.default_rng(seed).standard_normal((2, *clean.shape), dtype=np.float32)
    return np.hypot(clean + noise[0], noise[1]).astype(np.float32)


def estimates(
    noisy: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, float, float],
    arguments: argparse.Namespace,
    bundle: Any,
    peers: dict[str, Any],
) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """What each method makes of the noisy block, with facts of its run."""
    found = {"noisy input": (noisy, {"seconds": 0.0}), bundle.name: ours(noisy, spacing, bundle)}
    if not arguments.peers:
        return found
    arrays, told = estimates_of_peers(noisy, mask, arguments.peers)
    found |= {name: (voxels, {"seconds": told[name]["seconds"]}) for name, voxels in arrays.items()}
    peers.update(told)
    return found


def ours(noisy: np.ndarray, spacing: tuple[float, float, float], bundle: Any) -> tuple[np.ndarray, dict[str, Any]]:
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    task = get_task("denoising")
    volume = Volume(noisy, Grid.from_spacing(noisy.shape, spacing))
    started = time.perf_counter()
    result = task.run({"input": volume}, bundle, task.parameters_class(), no_progress)
    seconds = round(time.perf_counter() - started, 2)
    return result.outputs["output"].voxels, {"seconds": seconds, "noise": result.measurements["noise"]}


def rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in scores.items()}


def note(arguments: argparse.Namespace, bundle: Any, commit: str, name: str, measured: dict[str, Any]) -> None:
    """Keep the opening of the volume on record."""
    from SynthMRILib.evaluation.records import COLUMNS, TABLE

    figures: dict[str, Any] = {}
    for row in measured["rows"]:
        figures.setdefault(f"{row['level_percent']:g} %", {})[row["method"]] = [row["psnr"], row["ssim"]]
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "task": "denoising",
        "subject": f"{arguments.subject}/{name}",
        "bundle": bundle.name,
        "bundle_sha256": bundle.weights_sha256,
        "figures": json.dumps(figures, sort_keys=True),
    }
    table = arguments.documentation / TABLE.name
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(line)


if __name__ == "__main__":
    sys.exit(main())
