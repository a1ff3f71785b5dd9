"""Measure what the whole command `synthmri synthetic-dir` costs, registration, fits and the network included.

    python Testing/Benchmarks/synthetic_dir_cost.py FOLDER [--prefix study1_] [--methods combined dictionary]

FOLDER holds FLAIR, T1W and T2W (.nii.gz) of one examination, not in register. Every method runs as a command of its
own, with all inputs and with FLAIR and T1w. Wall time is that of this machine with whatever else it did, which the load
tells; processor time is that of the command alone. Writes `Documentation/figures/synthetic_dir_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SynthMRILib.bundles import load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {"flair": "FLAIR", "t1": "T1W", "t2": "T2W"}
SUBSETS = (("flair", "t1", "t2"), ("flair", "t1"))
METHODS = ("combined", "dictionary")
LIMIT_SECONDS = 60.0


def timed(folder: Path, prefix: str, subset: Sequence[str], method: str, bundle: str) -> dict[str, Any]:
    """Wall and processor seconds of one command, and the load of the machine when it began."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", "SynthMRILib.cli", "synthetic-dir", str(Path(scratch) / "dir.nii.gz")]
        for role in subset:
            words += [f"--{role}", str(folder / f"{prefix}{FILES[role]}.nii.gz")]
        words += ["--method", method, "--json"]
        words += [] if method == "dictionary" else ["--bundle", bundle]
        load, before, started = os.getloadavg()[0], children_seconds(), time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return {
            "method": method,
            "inputs": list(subset),
            "wall_seconds": round(time.monotonic() - started, 1),
            "processor_seconds": round(children_seconds() - before, 1),
            "load": round(load, 1),
        }


def children_seconds() -> float:
    """Processor time of all ended children of this process [s]."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one examination")
    parser.add_argument("--prefix", default="", help="before the names of the files, as study1_")
    parser.add_argument("--bundle", default="synthetic-dir", help="of the network")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args(words)
    bundle = load_bundle(arguments.bundle)
    rows = []
    for method in arguments.methods:
        for subset in SUBSETS:
            rows.append(timed(arguments.folder, arguments.prefix, subset, method, arguments.bundle))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
    flair = read_volume(arguments.folder / f"{arguments.prefix}FLAIR.nii.gz")
    words = f"{arguments.folder.name} --prefix {arguments.prefix}"
    record = {
        "task": "synthetic-dir",
        "split": "train",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {words}",
        "limit_seconds": LIMIT_SECONDS,
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "flair": {"shape_kji": list(flair.shape), "spacing_mm": [round(s, 3) for s in flair.grid.spacing]},
        "bundles": {bundle.name: bundle.weights_sha256},
        "rows": rows,
    }
    records.write_record(arguments.documentation / "figures" / "synthetic_dir_cost.json", record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
