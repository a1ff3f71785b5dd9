"""Do lesions stay? Insert lesions into simulated heads, enhance, and look for every one of them again.

    python Testing/Benchmarks/lesion_preservation.py --data FOLDER [--head N]... [--patient FOLDER] [--lesions N]

For each head: a FLAIR with N lesions in known places, stripped, with Rician noise of 2 % of its range, is the
reference. Super-resolution (smooth, and at full sharpness) gets its block means of 2 mm, denoising gets it with 6 % of
further noise; B-spline interpolation and the noisy volume itself stand beside them. `--patient` names a folder with
FLAIR.nii.gz and lesions.nii.gz: the same for acquired lesions; its opening is added to `Documentation/evaluations.csv`.
Writes `Documentation/figures/lesion_preservation.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
NOISE, FURTHER_NOISE = 0.02, 0.06
MEDIAN_DIAMETER_MM = 6.0


def main() -> int:
    arguments = build_parser().parse_args()
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation import lesion_preservation as lesions
    from SynthMRILib.evaluation.records import TABLE, append_opening, current_commit, write_record
    from SynthMRILib.sharpness import perceptual_partner

    fidelity = best_bundle("super-resolution")
    bundles = {
        "super-resolution": fidelity,
        "perceptual": perceptual_partner(fidelity),
        "denoising": load_bundle(arguments.denoising),
    }
    record: dict[str, Any] = {
        "task": "lesion preservation",
        "commit": current_commit(CHECKOUT),
        "commands": [],
        "bundles": {b.name: b.weights_sha256 for b in bundles.values()},
        "definitions": lesions.DEFINITIONS,
        "input_spacing_mm": 2.0,
        "noise_of_reference_percent": 100 * NOISE,
        "further_noise_for_denoising_percent": 100 * FURTHER_NOISE,
        "subjects": {},
    }
    target = CHECKOUT / "Documentation" / "figures" / "lesion_preservation.json"
    record |= earlier(target, record["bundles"])
    record["commands"].append(command_line(arguments))
    pooled: dict[str, list[Any]] = {}
    for name, reference, mask, noise in subjects(arguments):
        rows = {}
        for method, result in results(reference, bundles):
            changes = lesions.compare_lesions(
                reference.voxels, result, mask, reference.voxels > 0, noise=noise, spacing=reference.spacing
            )
            rows[method] = lesions.summary(changes)
            if name.startswith("head"):
                pooled.setdefault(method, []).extend(changes)
            sys.stdout.write(f"{name} {method} {rows[method]}\n")
            sys.stdout.flush()
        record["subjects"][name] = rows
        if pooled:
            record["all_heads"] = {method: lesions.summary(changes) for method, changes in pooled.items()}
        write_record(target, record)
        if not name.startswith("head"):
            opening = {"task": record["task"], "bundles": record["bundles"], "record": target.name}
            append_opening(CHECKOUT / TABLE, subject=f"{name}/FLAIR", commit=record["commit"], record=opening)
    return 0


def earlier(target: Path, bundles: dict[str, str]) -> dict[str, Any]:
    """What an earlier run with the same bundles measured on other subjects."""
    record = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    if record.get("bundles") != bundles:
        return {}
    return {name: record[name] for name in ("subjects", "all_heads", "commands") if name in record}


def command_line(arguments: argparse.Namespace) -> str:
    """The command, without paths."""
    words = [f"python Testing/Benchmarks/{Path(__file__).name} --data FOLDER --lesions {arguments.lesions}"]
    words += [f"--head {number}" for number in arguments.head]
    return " ".join([*words, *([f"--patient {arguments.patient.name}"] if arguments.patient else [])])


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with label_maps")
    parser.add_argument("--head", type=int, action="append", default=[], help="number of a label map; repeatable")
    parser.add_argument("--patient", type=Path, help="folder with FLAIR.nii.gz and lesions.nii.gz")
    parser.add_argument("--lesions", type=int, default=150, help="lesions in each head")
    parser.add_argument("--denoising", default="denoising", help="name or folder of the bundle for denoising")
    return parser


def subjects(arguments: argparse.Namespace) -> Iterator[tuple[str, Any, np.ndarray, float]]:
    """Name, reference, numbered lesions and standard deviation of the noise."""
    from SynthMRILib.denoising.noise_level import estimate_noise
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.volume_io import read_volume

    for number in arguments.head:
        yield f"head_{number:02d}", *simulated(arguments.data, number, arguments.lesions)
    if arguments.patient:
        volume = read_volume(arguments.patient / "FLAIR.nii.gz")
        mask, _ = ndimage.label(read_volume(arguments.patient / "lesions.nii.gz").voxels > 0, np.ones((3, 3, 3)))
        level = estimate_noise(volume.voxels, spacing=volume.spacing)
        noise = level.median * reference_intensity(volume.voxels)
        yield (arguments.patient.name, *cropped(volume, mask, volume.voxels > 0), noise)


def simulated(data: Path, number: int, count: int) -> tuple[Any, np.ndarray, float]:
    """A stripped FLAIR with noise, its lesions, and the standard deviation of the noise."""
    from SynthMRILib.simulation import lesions, protocols, subject
    from SynthMRILib.simulation.heads import normalized, strip
    from SynthMRILib.volume_io import read_volume

    rng = np.random.default_rng([41, number])
    source = read_volume(data / "label_maps" / f"head_{number:02d}.nii.gz")
    labels = source.voxels.astype(np.int16)
    plan = subject.draw(rng, deformed=False, lesions_probability=0.0)
    inserted = lesions.draw(rng, number=count, median_diameter_mm=MEDIAN_DIAMETER_MM)
    plan = subject.SubjectRecord(anatomy=plan.anatomy, lesions=inserted)
    person = subject.apply(plan, labels, spacing=source.spacing)
    brain = strip(normalized(person.volume(protocols.draw(rng, "flair"))), person.labels)
    brain /= np.percentile(brain[brain > 0], 99.5)
    noise = NOISE * rng.standard_normal((2, *brain.shape), dtype=np.float32)
    noisy = np.hypot(brain + noise[0], noise[1]) * (brain > 0)
    return *cropped(source.with_voxels(noisy), person.lesions.mask.astype(np.int32), brain > 0), NOISE


def cropped(volume: Any, mask: np.ndarray, brain: np.ndarray) -> tuple[Any, np.ndarray]:
    """Volume and mask around the brain, an even number of voxels along each axis."""
    from SynthMRILib.volume import Grid, Volume

    found = ndimage.find_objects(brain.astype(np.int8))[0]
    box = tuple(slice(part.start, part.start + (part.stop - part.start) // 2 * 2) for part in found)
    voxels = volume.voxels[box]
    return Volume(voxels, Grid.from_spacing(voxels.shape, volume.spacing)), mask[box]


def results(reference: Any, bundles: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """What each method makes of the reference."""
    from SynthMRILib.evaluation.baselines import upsample
    from SynthMRILib.evaluation.degrade import degrade
    from SynthMRILib.intensity import reference_intensity
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task

    coarse = degrade(reference, "mean")
    yield "bspline", upsample(coarse, 2, "bspline").voxels
    task = get_task("super-resolution")
    for name, sharpness in (("super-resolution", 0.0), ("perceptual", 1.0)):
        parameters = task.parameters_class(sharpness=sharpness)
        run = task.run({"input": coarse}, bundles["super-resolution"], parameters, no_progress)
        yield bundles[name].name, run.outputs["output"].voxels
    sigma = FURTHER_NOISE * reference_intensity(reference.voxels)
    noise = sigma * np.random.default_rng(5).standard_normal((2, *reference.shape), dtype=np.float32)
    noisy = np.hypot(reference.voxels + noise[0], noise[1]) * (reference.voxels > 0)
    yield "noisy", noisy
    task = get_task("denoising")
    volume = reference.with_voxels(noisy)
    run = task.run({"input": volume}, bundles["denoising"], task.parameters_class(), no_progress)
    yield bundles["denoising"].name, run.outputs["output"].voxels


if __name__ == "__main__":
    sys.exit(main())
