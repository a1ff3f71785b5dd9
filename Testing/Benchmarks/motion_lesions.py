"""What the correction of motion does to the lesions of a test patient that are seen with motion.

    python Testing/Benchmarks/motion_lesions.py CASES.safetensors DATA [--record]

Looked at are the FLAIR volumes of patient19 with our own motion of the cases of `motion_quality.py`, which also makes
the mask. Every method goes through the task as a user runs it; volumes are laid rigidly onto the one without motion. A
lesion is compared with itself in the volume with motion, in the way of `evaluation.lesion_preservation`; beside its
detector it is told how many still stand out by 3 standard deviations of the noise, which all did before.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from motion_quality import CHECKOUT, LESION_SD, Middle, case_name, lesion_mask, measured, pair, registered
from scipy import ndimage
from SynthMRILib.bundles import load_bundle
from SynthMRILib.evaluation import records
from SynthMRILib.evaluation.lesion_preservation import DEFINITIONS, LesionChange, compare_lesions, summary
from SynthMRILib.evaluation.metrics import quality_mask
from SynthMRILib.sharpness import PARTNER

METHODS = ("autofocus", "network", "both")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bundle", default="motion-correction", help="name or folder")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    cache, bundle = Middle(arguments.cases, 0), load_bundle(arguments.bundle)
    lesions = ndimage.label(lesion_mask(arguments.data))[0]
    changes: dict[str, list[LesionChange]] = {method: [] for method in METHODS}
    rows = []
    for index in lesion_cases(cache):
        for method in METHODS:
            values = {"device": "cpu", "method": method, "force": False}
            found = compared(cache, index, lesions, None if method == "autofocus" else bundle, values)
            changes[method] += found
            rows.append({**case_name(cache, index), "method": method, **told(found)})
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    record = {
        "command": f"motion_lesions.py {arguments.cases.name} DATA --bundle {bundle.name} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundles": {bundle.name: bundle.weights_sha256},
        "definitions": {**DEFINITIONS, "reference": "the volume with motion, laid onto the one without"},
        "summary": {method: told(found) for method, found in changes.items()},
        "rows": rows,
    }
    if arguments.record:
        name = "motion_lesions_perceptual.json" if PARTNER in bundle.section else "motion_lesions.json"
        records.write_record(CHECKOUT / "Documentation" / "figures" / name, record)
        opened = {"task": "motion-correction", "bundles": record["bundles"], "rows": []}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps(record["summary"], indent=2) + "\n")
    return 0


def lesion_cases(cache: Middle) -> list[int]:
    """The pairs whose lesions are known."""
    known = ("patient19", "flair", "own")
    entries = enumerate(cache.entries[::2])
    return [2 * n for n, entry in entries if (entry.subject, entry.contrast, entry.extra["kind"]) == known]


def compared(cache: Middle, index: int, lesions: np.ndarray, bundle: Any, values: dict[str, Any]) -> list[LesionChange]:
    """The change of every lesion that is seen with motion."""
    moved, still = pair(cache, index)
    _, corrected = measured(cache, index, bundle, values)
    before, after = (registered(still, voxels, moved.grid) for voxels in (moved.voxels, corrected))
    brain = quality_mask(still)
    fluctuation = np.abs(before - ndimage.median_filter(before, 3))[brain]
    noise = 1.4826 * float(np.median(fluctuation))
    return compare_lesions(before, after, lesions, brain, noise=noise, spacing=moved.grid.spacing)


def told(changes: list[LesionChange]) -> dict[str, Any]:
    """Bounds and counts; also how many still stand out by `LESION_SD` of the noise."""
    standing = sum(c.contrast_sd * c.contrast_ratio > LESION_SD for c in changes)
    least = min((c.contrast_ratio for c in changes), default=None)
    return {**summary(changes), "still_stand_out": standing, "least_contrast_ratio": least and round(least, 3)}


if __name__ == "__main__":
    sys.exit(main())
