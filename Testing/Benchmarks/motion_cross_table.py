"""The cross table: networks trained on one motion, tested on it and on another, beside autofocus and doing nothing.

    python Testing/Benchmarks/motion_cross_table.py CASES.safetensors NAME=RUN/bundle... [--autofocus N] [--record]

CASES is what motion_cases.py made. Networks get the middle of every case, are told no severity, and correct fully, so
that training and test motion alone decide. Everything is moved rigidly by what lays the volume with motion onto the
reference, as in motion_diffusion_quality.py. The networks of the comparison had the same small number of steps (see
motion_cross.json and motion_cross_gan.json); the shipped one is a row of its own. Autofocus gets the whole volume, of
which the middle is then looked at, registered by itself.
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
from motion_diffusion_quality import Judge
from motion_quality import Middle, alignment, pair

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.inference import runner  # noqa: E402
from SynthMRILib.motion.autofocus import autofocus  # noqa: E402
from SynthMRILib.motion.condition import UNKNOWN  # noqa: E402
from SynthMRILib.tasks.base import Parameters  # noqa: E402
from SynthMRILib.tasks.super_resolution import forward_mean  # noqa: E402

KINDS = ("own", "other trace", "torchio")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("networks", nargs="+", metavar="NAME=BUNDLE")
    parser.add_argument("--block", type=int, default=96, help="edge of the middle that is looked at")
    parser.add_argument("--autofocus", type=int, default=0, metavar="N", help="of the first N cases of each kind")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bundles = {name: load_bundle(path) for name, path in (n.split("=", 1) for n in arguments.networks)}
    cache, whole = (Middle(arguments.cases, edge) for edge in (arguments.block, 0))
    rows, left = [], dict.fromkeys(KINDS, arguments.autofocus)
    for index in range(0, len(cache), 2):
        kind = cache.entries[index].extra["kind"]
        rows.append(measured(cache, index, bundles, whole=whole if left[kind] > 0 else None))
        left[kind] -= 1
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    record = {
        "command": f"motion_cross_table.py {arguments.cases.name} NAME=BUNDLE... --block {arguments.block} "
        f"--autofocus {arguments.autofocus} --record",
        "commit": records.current_commit(CHECKOUT),
        "compared": {name: compared(bundle) for name, bundle in bundles.items()},
        "data": "heads 16 and 17, patient19",
        "gain_db": table(rows),
        "rows": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_cross.json", record)
        opened = {"task": "motion-correction", "bundles": {}, "record": "motion_cross.json"}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps(record["gain_db"], indent=2) + "\n")
    return 0


def compared(bundle) -> dict[str, Any]:
    """What a network is, and how long it was trained."""
    training = bundle.section["training"]
    return {"weights": bundle.weights_sha256[:12], "steps": training.get("steps"), "batch": training.get("batch")}


def measured(cache: Middle, index: int, bundles: dict, *, whole: Middle | None) -> dict[str, Any]:
    """Figures of a case as it is and after each method; autofocus is one of them where its whole volume is given."""
    moved, still = pair(cache, index)
    entry = cache.entries[index]
    judge = Judge(still, moved.grid, alignment(still, moved.voxels, moved.grid, sampled=1.0))
    row: dict[str, Any] = {
        "subject": entry.subject,
        "contrast": entry.contrast,
        "motion": entry.extra["kind"],
        "severity_mm": round(entry.extra["severity_mm"], 3),
        "displacement_mm": round(entry.extra["displacement_mm"], 3),
        "nothing": judge.figures(moved.voxels, 0.0),
    }
    for name, bundle in bundles.items():
        started = time.process_time()
        made, _, _ = runner.run_volume(
            bundle,
            moved.voxels,
            Parameters(device="cpu", precision="bfloat16"),
            forward=forward_mean,
            outputs=1,
            progress=lambda *_: None,
            conditions=(UNKNOWN,),
        )
        row[name] = judge.figures(np.maximum(made[0], 0), time.process_time() - started)
    if whole is not None:
        started = time.process_time()
        volume, _ = pair(whole, index)
        found = autofocus(volume.voxels, volume.grid).voxels[cache.part(index)]
        seconds = time.process_time() - started
        found_by_itself = alignment(still, found, moved.grid, sampled=1.0)
        row["autofocus"] = Judge(still, moved.grid, found_by_itself).figures(found, seconds)
    return row


def table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and worst gain over doing nothing [dB] by method and motion."""
    methods = [n for n in rows[0] if isinstance(rows[0][n], dict)]
    methods += [n for row in rows for n in row if n == "autofocus" and n not in methods][:1]
    found: dict[str, Any] = {}
    for method in methods:
        for kind in KINDS:
            gains = [r[method]["psnr"] - r["nothing"]["psnr"] for r in rows if r["motion"] == kind and method in r]
            if gains:
                values = {"mean": round(float(np.mean(gains)), 2), "worst": round(min(gains), 2), "cases": len(gains)}
                found.setdefault(method, {})[kind] = values
    return found


if __name__ == "__main__":
    sys.exit(main())
