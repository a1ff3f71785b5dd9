"""The cross table: networks trained on one motion, tested on it and on others.

    python Testing/Benchmarks/motion_cross_table.py CASES.safetensors NAME=RUN/bundle... [--record]

CASES is what motion_cases.py made. Every network is told how much motion truly changed of the volume, and all of its
change is made, so that what it was trained on decides, not an estimate. Results are registered rigidly to the reference
before any figure is taken, as in motion_quality.py, which has the same figures of the same cases for the tasks. The
networks of the comparison had the same start and the same number of steps (see motion_cross.json and
motion_cross_gan.json); the shipped one, which had more, can be a row of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from motion_diffusion_quality import TASK, by_network
from motion_quality import Middle, case_name, pair, registered

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import Bundle, load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.evaluation.metrics import hfen, psnr, quality_mask, ssim  # noqa: E402
from SynthMRILib.evaluation.spectrum import detail_power_db  # noqa: E402
from SynthMRILib.progress import no_progress  # noqa: E402
from SynthMRILib.volume import Grid  # noqa: E402

KINDS = ("own", "other trace", "torchio")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("networks", nargs="+", metavar="NAME=BUNDLE")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bundles = {name: load_bundle(path) for name, path in (n.split("=", 1) for n in arguments.networks)}
    cache, rows = Middle(arguments.cases, 0), []
    for index in range(0, len(cache), 2):
        rows.append(measured(cache, index, bundles))
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    record = {
        "command": f"motion_cross_table.py {arguments.cases.name} NAME=BUNDLE... --record",
        "commit": records.current_commit(CHECKOUT),
        "compared": {name: compared(bundle) for name, bundle in bundles.items()},
        "data": "heads 16 and 17, patient19; parts of 88 voxels along the readout",
        "gain": table(rows, list(bundles)),
        "rows": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_cross.json", record)
        opened = {"task": "motion-correction", "bundles": {}, "record": "motion_cross.json"}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps(record["gain"], indent=2) + "\n")
    return 0


def compared(bundle: Bundle) -> dict[str, Any]:
    """What a network is, and how long it was trained."""
    training = bundle.section["training"]
    return {"weights": bundle.weights_sha256[:12], "steps": training.get("steps"), "batch": training.get("batch")}


def measured(cache: Middle, index: int, bundles: dict[str, Bundle]) -> dict[str, Any]:
    """Figures of a case as it is and after each network."""
    moved, still = pair(cache, index)
    severity = cache.entries[index].extra["severity_mm"]
    prepared = TASK.prepare({"input": moved}, None, TASK.parameters_class(device="cpu"), no_progress)
    row = {**case_name(cache, index), "nothing": figures(still, moved.voxels, moved.grid)}
    for name, bundle in bundles.items():
        started = time.process_time()
        made = np.maximum(by_network(prepared, bundle, severity), 0) * prepared.unit
        seconds = time.process_time() - started
        found = figures(still, made.astype(np.float32), moved.grid)
        row[name] = {**found, "cpu_seconds": round(seconds, 1)}
    return row


def figures(still: np.ndarray, voxels: np.ndarray, grid: Grid) -> dict[str, float]:
    """Agreement with the reference after registration onto it; the power of detail relative to it [dB]."""
    aligned, mask = registered(still, voxels, grid), quality_mask(still)
    return {
        "psnr": round(psnr(still, aligned, mask=mask), 3),
        "ssim": round(ssim(still, aligned, mask=mask), 4),
        "hfen": round(hfen(still, aligned, mask=mask), 4),
        "detail_power_db": round(detail_power_db(still, aligned), 2),
    }


def table(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """Of each network and motion: mean and least gain in PSNR over doing nothing [dB], means of the other figures."""
    methods = ["nothing", *names]
    return {name: {kind: gains([r for r in rows if r["motion"] == kind], name) for kind in KINDS} for name in methods}


def gains(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    gained = [row[name]["psnr"] - row["nothing"]["psnr"] for row in rows]
    means = {n: round(float(np.mean([row[name][n] for row in rows])), 4) for n in ("ssim", "hfen", "detail_power_db")}
    return {
        "mean_db": round(float(np.mean(gained)), 2),
        "worst_db": round(min(gained), 2),
        **means,
        "cases": len(rows),
    }


if __name__ == "__main__":
    sys.exit(main())
