"""Turn the log of a training run into a record of its learning curve.

    python Testing/Benchmarks/learning_curve.py RUN_FOLDER --bundle NAME

Writes `Documentation/figures/NAME_learning_curve.json`: gain over the cubic B-spline on held-out volumes [dB] against
optimizer steps and hours, for the bundle that the run ended with. Where that run went on from the weights which the
record there now belongs to, their curve is kept as "before"; simulated held-out volumes may have been drawn anew since.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))


def main() -> int:
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder that `synthmri train` wrote")
    parser.add_argument("--bundle", required=True, help="name of the shipped bundle that came of it")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    record = {
        "command": f"python Testing/Benchmarks/learning_curve.py RUN --bundle {bundle.name}",
        "commit": current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "unit": "gain in PSNR over the cubic B-spline on held-out volumes [dB]",
        "curve": curve(arguments.run / "training.jsonl"),
    }
    path = CHECKOUT / "Documentation" / "figures" / f"{bundle.name}_learning_curve.json"
    write_record(path, record | before(path, bundle.section["training"].get("started_from")))
    sys.stdout.write(json.dumps(record["curve"], indent=2) + "\n")
    return 0


def before(path: Path, origin: dict[str, Any] | None) -> dict[str, Any]:
    """The curve of the weights that a run went on from, if the record at `path` holds it."""
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not origin or record.get("bundle", {}).get("sha256") != origin["sha256"]:
        return {name: record[name] for name in ("before",) if name in record}
    return {"before": [{"weights_sha256": origin["sha256"], "curve": record["curve"]}, *record.get("before", [])]}


def curve(log: Path) -> list[dict[str, float]]:
    """One row a validation: steps, hours of training and gains. Where a run was resumed the later row counts."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows = {line["step"]: line for line in lines if line["event"] == "validation"}
    return [
        {
            "steps": step,
            "hours": round(line["seconds"] / 3600, 2),
            **{name: value for name, value in line.items() if name.startswith("gain_")},
        }
        for step, line in sorted(rows.items())
    ]


if __name__ == "__main__":
    sys.exit(main())
