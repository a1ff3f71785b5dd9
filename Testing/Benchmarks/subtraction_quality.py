"""Measure the subtraction of two real visits against the changed lesions that raters marked.

    python Testing/Benchmarks/subtraction_quality.py FOLDER --split train|validate|test [--dir METHOD [--bundle NAME]]

FOLDER is one patient and holds study1_FLAIR, study2_FLAIR and gt (.nii.gz). With --dir it also holds T1W and T2W of
both visits, and the synthetic DIR that METHOD makes of each visit is subtracted beside FLAIR. The mask of changed
lesions lies, as far as the volumes tell, in the space halfway between the visits; no transform comes with it. Each part
of it and each candidate count as found within 3 mm. Writes `Documentation/figures/subtraction_<patient>.json`, with a
DIR `subtraction_dir_<patient>.json`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from SynthMRILib.bundles import load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis.registration import resampled
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.evaluation import records
from SynthMRILib.itk_io import image_from_volume
from SynthMRILib.longitudinal.changes import ChangeRule, Changes, find_candidates
from SynthMRILib.longitudinal.subtraction import Subtraction, subtract
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = {"flair": "FLAIR", "t1": "T1W", "t2": "T2W"}
CONNECTED = np.ones((3, 3, 3), dtype=bool)
TOLERANCE_MM = 3.0
LARGE_MM3 = 50.0
DEFINITIONS = {
    "reference": "26-connected part of the raters' mask of changed lesions, inside the brain of both visits",
    "found": f"a voxel of a candidate lies within {TOLERANCE_MM:g} mm of the part",
    "false": f"no voxel of the candidate lies within {TOLERANCE_MM:g} mm of the raters' mask",
    "large": f"reference parts of at least {LARGE_MM3:g} mm3",
    "contrast_to_noise": "mean |z| of each reference part: median and highest; 99th percentile of |z| elsewhere",
    "without_reach": "the same rule with the plain difference instead of that beyond the range within half a slice",
}


def measure(folder: Path, split: str, method: str = "none", name: str | None = None) -> dict[str, Any]:
    """The record of a patient, with the subtraction of the DIR of a method beside that of FLAIR unless it is "none"."""
    started = time.process_time()
    bundle = load_bundle(name) if name else None
    files = FILES if method != "none" else {"flair": "FLAIR"}
    visits = [{role: read_volume(folder / f"study{n}_{f}.nii.gz") for role, f in files.items()} for n in (1, 2)]
    found = subtract(*visits, bundle=bundle, method=method)
    seconds = round(time.process_time() - started, 1)
    mask = reference_mask(read_volume(folder / "gt.nii.gz"), found)
    changes, grid, rule = found.changes["flair"], found.space.grid, ChangeRule()
    step = np.abs(changes.after - changes.before)
    plain, _ = find_candidates(changes.before, changes.after, changes.z, step, found.brain, grid, rule)
    command = f"python Testing/Benchmarks/{Path(__file__).name} {folder.name} --split {split}"
    command += f" --dir {method}" if method != "none" else ""
    record = {
        "task": "subtraction",
        "subject": f"longitudinal {folder.name}",
        "split": split,
        "commit": records.current_commit(CHECKOUT),
        "command": command + (f" --bundle {name}" if name else ""),
        "definitions": DEFINITIONS,
        "rule": found.facts["rule"],
        "registration": found.facts["registration"],
        "spacing_mm": [[round(s, 2) for s in visit["flair"].grid.spacing] for visit in visits],
        "flair": agreement(changes.labels, mask),
        "flair_without_reach": agreement(plain, mask),
        "candidates": found.table(),
        "seconds": seconds,
    }
    if "dir" in found.changes:
        record["bundles"] = {bundle.name: bundle.weights_sha256} if bundle else {}
        record["dir"] = agreement(found.changes["dir"].labels, mask)
        record["contrast_to_noise"] = {source: contrast_of(c, mask, found.brain) for source, c in found.changes.items()}
    return record


def contrast_of(changes: Changes, mask: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """How far the parts of the reference stand out in the z-map: median and highest of their mean |z|."""
    parts, count = ndimage.label(mask, structure=CONNECTED)
    means = np.abs(ndimage.mean(changes.z, parts, range(1, count + 1)))
    elsewhere = np.abs(changes.z[brain & ~mask])
    found = {"median": np.median(means), "highest": means.max(), "p99_elsewhere": np.percentile(elsewhere, 99)}
    return {name: round(float(value), 3) for name, value in found.items()}


def reference_mask(given: Volume, found: Subtraction) -> np.ndarray:
    """The raters' mask on the grid of the halfway space, boolean (k, j, i)."""
    target = image_from_volume(Volume(np.zeros(found.space.grid.shape, dtype=np.float32), found.space.grid))
    return (resampled(image_from_volume(given), target, sitk.Transform(), linear=True) > 0.5) & found.brain


def agreement(labels: np.ndarray, mask: np.ndarray) -> dict[str, int]:
    """Reference parts and how many are found; candidates and how many are false (voxels of 1 mm)."""
    parts, count = ndimage.label(mask, structure=CONNECTED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    near_candidate = ndimage.distance_transform_edt(labels == 0) <= TOLERANCE_MM
    near_mask = ndimage.distance_transform_edt(~mask) <= TOLERANCE_MM
    found = [n for n in range(1, count + 1) if near_candidate[parts == n].any()]
    true = np.unique(labels[near_mask & (labels > 0)])
    return {
        "reference": count,
        "found": len(found),
        "large": int(np.count_nonzero(sizes[1:] >= LARGE_MM3)),
        "large_found": sum(int(sizes[n] >= LARGE_MM3) for n in found),
        "candidates": int(labels.max()),
        "false": int(labels.max()) - len(true),
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one patient")
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"], help="what the patient is for")
    parser.add_argument(
        "--dir", default="none", choices=["none", "auto", "network", "dictionary"], help="also of a DIR"
    )
    parser.add_argument("--bundle", help="of the DIR")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    arguments = parser.parse_args(words)
    try:
        record = measure(arguments.folder, arguments.split, arguments.dir, arguments.bundle)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"subtraction_quality: {sentence(error)}\n")
        return 2
    kind = "dir_" if "dir" in record else ""
    target = arguments.documentation / "figures" / f"subtraction_{kind}{arguments.folder.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, record)
    for name in ("flair", "flair_without_reach", "dir"):
        sys.stdout.write(f"{name} {record.get(name)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
