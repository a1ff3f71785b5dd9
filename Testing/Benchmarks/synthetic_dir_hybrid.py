"""Compare a hybrid DIR network with its parts on packed examinations that no training saw, before anything is chosen.

    python Testing/Benchmarks/synthetic_dir_hybrid.py EXAMINATIONS --bundle FOLDER [--beside NAME]

EXAMINATIONS is a file of `synthmri pack-examinations` of the heads for choices (13 to 15). Every entry has the exact
DIR, what the network sees, and among that the dictionary DIR of the same inputs. With --beside another bundle, which
need not be a hybrid, is compared too, alone and in the mean with the dictionary. Writes
`Documentation/figures/synthetic_dir_hybrid_development.json`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import network
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.evaluation import lesions, metrics, records
from SynthMRILib.inference import runner
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.training.dir_examinations import ExaminationCache

CHECKOUT = Path(__file__).resolve().parents[2]
#: True DIR, 1 at nominal cortex, below which tissue counts as dark.
DARK = 0.5
FIGURES = ("psnr_db", "ssim", "auprc", "lesion_error", "dark_tissue")
DEFINITIONS = {
    "psnr_db, ssim": "inside the brain, peak is the 99.5th percentile of the true DIR",
    "auprc": f"of lesion voxels among lesions and what is darker than {DARK:g} of cortex in the true DIR (step-wise)",
    "lesion_error": "mean signed error inside lesions, nominal cortex being 1",
    "dark_tissue": f"median of what is darker than {DARK:g} of cortex in the true DIR, nominal cortex being 1",
    "combined": "mean of network and dictionary",
    "dictionary": "the DIR of the dictionary fit of the same inputs, which the hybrid adds to",
}
NOTE = (
    "Simulated heads for choices, degraded in the ranges of training: shows what was learned, not what real scans give."
)


def rows_of(cache: ExaminationCache, bundles: dict[str, Bundle]) -> Iterator[dict[str, Any]]:
    """A row for every entry and method."""
    for index, entry in enumerate(cache.entries):
        shape = cache.shape(index)
        whole = (slice(None), *(slice(0, n) for n in shape))
        channels, target, maps = (block[whole] for block in cache.blocks(index, (0, 0, 0), max(shape)))
        lesion, brain = maps > 0
        made = {name: computed(bundle, channels) * brain for name, bundle in bundles.items()}
        made["dictionary"] = channels[network.FIRST_FIT_CHANNEL]
        if "network" in made:
            made["combined"] = (made["network"] + made["dictionary"]) / 2
        for method, voxels in made.items():
            row = {"head": entry.subject, "inputs": entry.extra["subset"], "method": method}
            yield {**row, **figures_of(voxels, target[0], lesion, brain)}


def computed(bundle: Bundle, channels: np.ndarray) -> np.ndarray:
    """The network's DIR, 1 at nominal cortex; one that is no hybrid sees contrasts and masks alone."""
    seen = channels if bundle.section.get("hybrid") else channels[: network.FIRST_FIT_CHANNEL]
    parameters = get_task("synthetic-dir").parameters_class()
    seen = np.ascontiguousarray(seen)
    made, _, _ = runner.run_volume(
        bundle, seen, parameters, forward=network.forward_mean, outputs=1, progress=no_progress
    )
    return network.floored(made[0])


def figures_of(voxels: np.ndarray, target: np.ndarray, lesion: np.ndarray, brain: np.ndarray) -> dict[str, Any]:
    """The figures of DEFINITIONS; None where the head has no lesion."""
    peak, dark = metrics.data_range(target), brain & (target < DARK) & ~lesion
    region = dark | lesion
    return {
        "psnr_db": metrics.psnr(target, voxels, mask=brain, peak=peak),
        "ssim": metrics.ssim(target, voxels, mask=brain, peak=peak),
        "auprc": lesions.average_precision(voxels[region], lesion[region]),
        "lesion_error": float((voxels - target)[lesion].mean()) if lesion.any() else None,
        "dark_tissue": float(np.median(voxels[dark])),
    }


def means_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the heads of every figure by inputs and method."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(("+".join(row["inputs"]), row["method"]), []).append(row)
    found = []
    for (inputs, method), own in groups.items():
        means: dict[str, Any] = {"inputs": inputs, "method": method, "heads": len(own)}
        for name in FIGURES:
            values = [row[name] for row in own if row[name] is not None]
            means[name] = float(np.mean(values)) if values else None
        found.append(means)
    return found


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examinations", type=Path, metavar="EXAMINATIONS", help="packed examinations")
    parser.add_argument("--bundle", required=True, help="name or folder of the hybrid's bundle")
    parser.add_argument("--beside", help="name or folder of another bundle")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args(words)
    try:
        bundles = {"hybrid": load_bundle(arguments.bundle)}
        bundles |= {"network": load_bundle(arguments.beside)} if arguments.beside else {}
        rows = list(rows_of(ExaminationCache(arguments.examinations), bundles))
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_hybrid: {sentence(error)}\n")
        return 2
    record = {
        "task": "synthetic-dir",
        "split": "validate (simulated)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} EXAMINATIONS --bundle FOLDER --beside NAME",
        "note": NOTE,
        "definitions": DEFINITIONS,
        "weights": {method: bundle.weights_sha256 for method, bundle in bundles.items()},
        "training": bundles["hybrid"].section["training"],
        "means": means_of(rows),
        "rows": rows,
    }
    records.write_record(arguments.documentation / "figures" / "synthetic_dir_hybrid_development.json", record)
    for row in record["means"]:
        cells = " ".join(f"{name} {row[name]:.3f}" for name in FIGURES if row[name] is not None)
        sys.stdout.write(f"{row['inputs']} {row['method']} {cells}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
