"""Calibrate a shipped bundle: deviation, intervals, ranges of the gate and usual quality, all from one run.

    python Testing/Benchmarks/calibrate_bundles.py NAME [--method combined] [--packed FOLDER] [--install]
    python Testing/Benchmarks/calibrate_bundles.py NAME [--method combined] [--packed FOLDER] --reference-only

Subjects that the network was not trained on (heads 13-15, longitudinal03) give multipliers, ranges and usual quality;
subjects that it was trained on (patient07, longitudinal01) only help to find the form of the deviation. Every choice is
made by leaving out a subject at a time; the figures of that, for the network alone and for the model, are written to
`Documentation/figures/uncertainty_calibration_<bundle>.json`. `--packed` is the folder with what the packing commands
wrote: `cache/train.safetensors` and `cache/validate.safetensors` (super-resolution, denoising),
`motion/validate.safetensors` (motion correction), `dir/heads_validate.safetensors` (synthetic DIR, whose truth is the
exact DIR of the simulation). Real volumes of super-resolution are read from files, because they need their spacing.
`--method combined` calibrates that method of synthetic DIR, whose intervals lie beside those of the network.
`--install` writes the calibration into the bundle itself; its weights stay as they are. `--reference-only` keeps the
intervals, and measures and installs what gate and light compare with, after what measures inputs was changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from SynthMRILib.bundles import Bundle

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
BUNDLES = (
    "super-resolution-x2",
    "super-resolution-x2-perceptual",
    "denoising",
    "motion-correction",
    "synthetic-dir",
)
LISTED = CHECKOUT / "Testing" / "Benchmarks" / "queue" / "calibration_super_resolution.json"


def main() -> int:
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation import records
    from SynthMRILib.uncertainty import deviation_fitting, fitting
    from SynthMRILib.uncertainty.calibration import Calibration, section_key

    arguments = build_parser().parse_args()
    bundle = load_bundle(arguments.bundle)
    settings = {"samples": arguments.samples, "blocks": arguments.blocks}
    method = arguments.method
    cases = fitting.of_method(cases_of(bundle.task, arguments.packed), method)
    if arguments.reference_only:
        unseen = [case for case in cases if not case.trained_on]
        gathered = fitting.gather(bundle, unseen, report=lambda text: sys.stderr.write(text + "\n"), **settings)
        kept = Calibration.from_bundle(bundle.section, method)
        renewed = fitting.calibration_from(bundle, gathered, kept=kept, **settings, method=method)
        install(bundle, renewed.as_dict(), section_key(method))
        return 0
    gathered = fitting.gather(bundle, cases, report=lambda text: sys.stderr.write(text + "\n"), **settings)
    calibration = fitting.calibration_from(bundle, gathered, **settings, method=method)
    compared = deviation_fitting.all_left_out(gathered)
    record = {
        "task": "uncertainty",
        "split": "validate, and subjects of training marked as such",
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {bundle.name}"
        + (f" --method {method}" * bool(method)),
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        **settings,
        "cases_left_out": sorted({case.name for case in cases} - {sample.name for sample in gathered}),
        "deviation": calibration.facts["deviation"],
        "form": calibration.facts["deviation_compared"].get("form"),
        "multipliers": {str(level): round(value, 4) for level, value in calibration.multipliers.items()},
        "left_out": {
            name: {"summary": deviation_fitting.summary(rows), "cases": rows} for name, rows in compared.items()
        },
    }
    name = f"uncertainty_calibration_{bundle.name}" + f"_{method}" * bool(method)
    records.write_record(CHECKOUT / "Documentation" / "figures" / f"{name}.json", record)
    sys.stdout.write(json.dumps({k: v["summary"] for k, v in record["left_out"].items()}, indent=1) + "\n")
    if arguments.install:
        install(bundle, calibration.as_dict(), section_key(method))
    return 0


def install(bundle: Bundle, calibration: dict[str, Any], key: str) -> None:
    """Write a calibration into the metadata of a bundle."""
    from SynthMRILib.bundles import METADATA

    path = bundle.folder / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["synthmri"][key] = calibration
    path.write_text(json.dumps(metadata, indent=2), encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", choices=BUNDLES)
    parser.add_argument("--method", default="", choices=["", "combined"], help="of synthetic DIR")
    parser.add_argument("--packed", type=Path, default=CHECKOUT / "build", help="folder of what was packed")
    parser.add_argument("--samples", type=int, default=20, help="stochastic passes")
    parser.add_argument("--blocks", type=int, default=6, help="blocks of each volume")
    parser.add_argument("--install", action="store_true", help="write the calibration into the bundle")
    parser.add_argument("--reference-only", action="store_true", help="keep the intervals, renew gate and light")
    return parser


def cases_of(task: str, packed: Path) -> list:
    """Calibration cases of a task."""
    from SynthMRILib.uncertainty.calibration_cases import listed
    from SynthMRILib.uncertainty.paired_cases import packed_cases

    volumes = packed / "cache" / "validate.safetensors"
    if task == "super-resolution":
        return [*listed(LISTED), *packed_cases(volumes, task, source="simulated")]
    if task == "motion-correction":
        return packed_cases(packed / "motion" / "validate.safetensors", task)
    if task == "synthetic-dir":
        return packed_cases(packed / "dir" / "heads_validate.safetensors", task)
    seen = packed / "cache" / "train.safetensors"
    return [*packed_cases(volumes, task), *packed_cases(seen, task, source="real", trained_on=True)]


if __name__ == "__main__":
    sys.exit(main())
