"""Compare results of whole-head and stripped inputs inside the brain, on simulated test heads.

    python Testing/Benchmarks/whole_head_and_stripped.py LABEL_MAP... [--bundle NAME] [--record]

From each label map a head is simulated in several contrasts; it is enhanced once whole and once with everything but the
brain set to zero, both in half resolution. The figure is the mean absolute difference of the two results inside the
brain, in per cent of the 99.5th percentile of the brain; voxels within 4 mm of the brain's surface are counted apart,
because there stripping changes the input itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
CONTRASTS = ("t1w", "t2w", "flair", "t1w-contrast-enhanced")
RIM = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="+", type=Path, help="label maps of test heads")
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
    names = [path.name.split(".")[0] for path in arguments.labels]
    record = {
        "command": f"python Testing/Benchmarks/whole_head_and_stripped.py {' '.join(names)} --record",
        "commit": current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "unit": "mean absolute difference [% of the 99.5th percentile of the brain]",
        "rows": [row for path in arguments.labels for row in rows(path, bundle)],
    }
    if arguments.record:
        write_record(CHECKOUT / "Documentation" / "figures" / "super_resolution_whole_head_and_stripped.json", record)
    sys.stdout.write(json.dumps(record["rows"], indent=2) + "\n")
    return 0


def rows(path: Path, bundle) -> list[dict[str, Any]]:
    from SynthMRILib.simulation.heads import simulate_head, strip
    from SynthMRILib.volume_io import read_volume

    labels = read_volume(path).voxels.astype(np.int16)
    found = []
    for number, contrast in enumerate(CONTRASTS):
        head = simulate_head(labels, np.random.default_rng(number), contrast=contrast)
        stripped = strip(head, labels)
        found.append({"head": path.name.split(".")[0], "contrast": contrast, **compare(head, stripped, bundle)})
    return found


def compare(head: np.ndarray, stripped: np.ndarray, bundle) -> dict[str, float]:
    whole, brain_alone = enhanced(head, bundle), enhanced(stripped, bundle)
    brain = stripped[tuple(slice(n) for n in whole.shape)] > 0
    inner = ndimage.binary_erosion(brain, iterations=RIM)
    difference = 100 * np.abs(whole - brain_alone) / np.percentile(stripped[stripped > 0], 99.5)
    return {
        "brain": round(float(difference[brain].mean()), 3),
        "brain_but_rim": round(float(difference[inner].mean()), 3),
        "rim": round(float(difference[brain & ~inner].mean()), 3),
    }


def enhanced(voxels: np.ndarray, bundle) -> np.ndarray:
    from SynthMRILib.evaluation.degrade import crop_to_multiple, degrade
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    task = get_task("super-resolution")
    volume = crop_to_multiple(Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0))))
    low = degrade(volume, "mean")
    return task.run({"input": low}, bundle, task.parameters_class(), no_progress).outputs["output"].voxels


if __name__ == "__main__":
    sys.exit(main())
