"""What motion correction of a whole brain costs on this machine: seconds of the command, by method.

    python Testing/Benchmarks/motion_cost.py [--record]

The brain is the template of the demo (no download) with simulated motion of 1 mm, lines once and spokes once, in noise.
Every method runs as the command does, in a process of its own, on all cores that it is given; reading, writing and the
start of the process count. `--record` writes `Documentation/figures/motion_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import load_bundle  # noqa: E402
from SynthMRILib.demo.scan import TEMPLATE_NAME, load_template, trimmed  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.inference.precision import cpu_has_bfloat16  # noqa: E402
from SynthMRILib.simulation import motion  # noqa: E402
from SynthMRILib.volume import Volume  # noqa: E402
from SynthMRILib.volume_io import write_volume  # noqa: E402

METHODS = ("autofocus", "network", "both")
SEQUENCES = {"lines": "mprage", "spokes": "tse-3d"}
MOTION_MM, NOISE = 1.0, 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    still, rows = trimmed(load_template()), []
    with tempfile.TemporaryDirectory() as folder:
        for kind, sequence in SEQUENCES.items():
            scan = Path(folder) / f"{kind}.nii.gz"
            write_volume(moved(still, sequence), scan)
            for method in METHODS:
                rows.append({"motion": kind, "method": method, **cost(scan, method)})
                sys.stderr.write(json.dumps(rows[-1]) + "\n")
    record = {
        "command": "motion_cost.py --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle_sha256": load_bundle("motion-correction").weights_sha256,
        "data": f"{TEMPLATE_NAME}, motion of {MOTION_MM:g} mm",
        "shape_kji": list(still.shape),
        "machine": {
            "processor": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "bfloat16_in_hardware": cpu_has_bfloat16(),
        },
        "torch": torch.__version__,
        "rows": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_cost.json", record)
    sys.stdout.write(json.dumps(record, indent=2) + "\n")
    return 0


def moved(still: Volume, sequence: str) -> Volume:
    """A scan of a head that moved, with noise."""
    record = replace(motion.draw(np.random.default_rng(3), sequence=sequence, severity=1.0), noise=NOISE)
    return motion.apply(motion.scaled_to(record, still, severity_mm=MOTION_MM), still).moved


def cost(scan: Path, method: str) -> dict[str, Any]:
    """Seconds of the clock and of the processor, and what was decided."""
    output = scan.with_name(f"{method}.nii.gz")
    command = [sys.executable, "-m", "SynthMRILib.cli", "motion-correction", str(scan), str(output)]
    command += ["--method", method, "--device", "cpu", "--json", "--overwrite"]
    command += [] if method == "autofocus" else ["--bundle", "motion-correction"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "SynthMRI")}
    before, started = _processor_seconds(), time.perf_counter()
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds = time.perf_counter() - started
    told = json.loads(finished.stdout)
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(_processor_seconds() - before, 1),
        "decision": told["decision"],
        "autofocus": (told.get("autofocus") or {}).get("kind"),
        "guided": (told.get("guided") or {}).get("kind"),
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
