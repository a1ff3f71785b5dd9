"""Measure the subtraction of two real visits against the changed lesions that raters marked.

    python Testing/Benchmarks/subtraction_quality.py FOLDER --split train|validate|test

FOLDER is one patient and holds study1_FLAIR, study2_FLAIR and gt (.nii.gz). The mask of changed lesions lies, as far as
the volumes tell, in the space halfway between the visits; no transform comes with it. Each part of it and each
candidate count as found within 3 mm. Writes `Documentation/figures/subtraction_<patient>.json`.
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
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis.registration import resampled
from SynthMRILib.errors import SynthMRIError
from SynthMRILib.evaluation import records
from SynthMRILib.itk_io import image_from_volume
from SynthMRILib.longitudinal.changes import ChangeRule, find_candidates
from SynthMRILib.longitudinal.subtraction import Subtraction, subtract
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
CONNECTED = np.ones((3, 3, 3), dtype=bool)
TOLERANCE_MM = 3.0
LARGE_MM3 = 50.0
DEFINITIONS = {
    "reference": "26-connected part of the raters' mask of changed lesions, inside the brain of both visits",
    "found": f"a voxel of a candidate lies within {TOLERANCE_MM:g} mm of the part",
    "false": f"no voxel of the candidate lies within {TOLERANCE_MM:g} mm of the raters' mask",
    "large": f"reference parts of at least {LARGE_MM3:g} mm3",
    "without_reach": "the same rule with the plain difference instead of that beyond the range within half a slice",
}


def measure(folder: Path, split: str) -> dict[str, Any]:
    started = time.process_time()
    visits = [{"flair": read_volume(folder / f"study{n}_FLAIR.nii.gz")} for n in (1, 2)]
    found = subtract(*visits, method="none")
    seconds = round(time.process_time() - started, 1)
    mask = reference_mask(read_volume(folder / "gt.nii.gz"), found)
    changes, grid, rule = found.changes["flair"], found.space.grid, ChangeRule()
    step = np.abs(changes.after - changes.before)
    plain, _ = find_candidates(changes.before, changes.after, changes.z, step, found.brain, grid, rule)
    return {
        "task": "subtraction",
        "subject": f"longitudinal {folder.name}",
        "split": split,
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {folder.name} --split {split}",
        "definitions": DEFINITIONS,
        "rule": found.facts["rule"],
        "registration": found.facts["registration"],
        "spacing_mm": [[round(s, 2) for s in visit["flair"].grid.spacing] for visit in visits],
        "flair": agreement(changes.labels, mask),
        "flair_without_reach": agreement(plain, mask),
        "candidates": found.table(),
        "seconds": seconds,
    }


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
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    arguments = parser.parse_args(words)
    try:
        record = measure(arguments.folder, arguments.split)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"subtraction_quality: {sentence(error)}\n")
        return 2
    target = arguments.documentation / "figures" / f"subtraction_{arguments.folder.name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, record)
    sys.stdout.write(f"{record['flair']} without reach {record['flair_without_reach']} {record['seconds']} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
