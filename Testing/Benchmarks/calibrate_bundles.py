"""Calibrate a shipped bundle: deviation, intervals, ranges of the gate and usual quality, all from one run.

    python Testing/Benchmarks/calibrate_bundles.py NAME [--method combined] [--packed FOLDER] [--install]
    python Testing/Benchmarks/calibrate_bundles.py NAME [--method combined] [--packed FOLDER] --reference-only

Subjects that the network was not trained on (heads 13-15, longitudinal03) give ranges and usual quality. Who gives the
deviation and the multipliers is in `uncertainty/subject_rules.py`: real subjects alone where there are three (patient07
and longitudinal01, which training saw, only ever widen an interval), else all that training did not see. Every choice
is made by leaving out a subject at a time; the figures of that, for the network alone and for the model, those of the
other rules that were compared, and those of the calibration itself by subject are written to
`Documentation/figures/uncertainty_calibration_<bundle>.json`. Super-resolution is sampled in whole volumes, the others
in blocks: blocks leave out the first and last slices, and volumes of thick slices have few others. `--packed` is the
folder with what the packing commands wrote: `cache/train.safetensors` and `cache/validate.safetensors`
(super-resolution, denoising), `motion/validate.safetensors` (motion correction), `dir/heads_validate.safetensors`
(synthetic DIR, whose truth is the exact DIR of the simulation). Real volumes of super-resolution are read from files,
because they need their spacing.
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
    from SynthMRILib.uncertainty.calibration import Calibration

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
BUNDLES = (
    "super-resolution-x2",
    "super-resolution-x2-perceptual",
    "denoising",
    "motion-correction",
    "synthetic-dir",
)
#: Blocks of each volume by task, 0 for all of it.
BLOCKS, USUAL_BLOCKS = {"super-resolution": 0}, 6
LISTED = CHECKOUT / "Testing" / "Benchmarks" / "queue" / "calibration_super_resolution.json"


def main() -> int:
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.evaluation import records
    from SynthMRILib.uncertainty import deviation_fitting, fitting
    from SynthMRILib.uncertainty.calibration import Calibration, section_key

    arguments = build_parser().parse_args()
    bundle = load_bundle(arguments.bundle)
    blocks = BLOCKS.get(bundle.task, USUAL_BLOCKS) if arguments.blocks is None else arguments.blocks
    settings = {"samples": arguments.samples, "blocks": blocks}
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
        "subjects": calibration.facts["subjects"],
        "deviation": calibration.facts["deviation"],
        "form": calibration.facts["deviation_compared"].get("form"),
        "multipliers": {str(level): round(value, 4) for level, value in calibration.multipliers.items()},
        "held_by_the_calibration": held(gathered, calibration),
        "rules_compared": rules_compared(gathered, calibration),
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


def held(gathered: list, calibration: Calibration) -> dict[str, Any]:
    """What the calibration itself holds of the cases that it comes from, by group."""
    from SynthMRILib.uncertainty.deviation_fitting import figures, summary

    return summary([figures(s, calibration.deviation, calibration.multipliers) for s in gathered])


def rules_compared(gathered: list, calibration: Calibration) -> dict[str, Any]:
    """What each rule about who decides is worth to subjects left out, with the form that the calibration has."""
    from SynthMRILib.uncertainty import deviation_fitting
    from SynthMRILib.uncertainty.subject_rules import RULES, rule_for

    if rule_for(gathered) is not RULES["real_subjects_alone"]:
        return {}
    form = calibration.facts["deviation_compared"].get("form")
    form = form if form in deviation_fitting.FORMS else None
    rows = {name: deviation_fitting.leave_one_out(gathered, form=form, rule=rule) for name, rule in RULES.items()}
    rows["real_subjects_alone_without_ranges"] = deviation_fitting.leave_one_out(gathered, form=form, bounded=False)
    return {name: deviation_fitting.summary(found) for name, found in rows.items()}


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
    parser.add_argument("--blocks", type=int, help="blocks of each volume, 0 for all of it")
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
