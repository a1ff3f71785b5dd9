"""Measure how well any map could put the errors in order when the reference is noisy: the ceiling of rank correlation.

    python Testing/Benchmarks/uncertainty_ceiling.py --data FOLDER [--bundle NAME] [--record]

In a simulated head that no training saw the truth without noise is known. Rician noise of a contrast's usual level is
added to it, as often as `REALISATIONS`; each time the noisy volume is the reference, its block means are the input, and
the network gives a result. The root mean square error of a voxel over all other realisations is its deviation as nobody
could know it better, structure that the network misses included. The rank correlation of that oracle with |error| is
the ceiling, printed beside that of the product's total, for no noise, the usual one and twice that. Levels are those
estimated in patient07 (per cent of the 99.5th percentile). `FOLDER` holds `label_maps`; heads of "validate".
`--record` writes `Documentation/figures/uncertainty_ceiling.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
HEAD, BOX, INNER, REALISATIONS = 14, 96, 64, 10
#: Usual noise of a reference by contrast, share of its reference intensity.
NOISE = {"t1w": 0.024, "t2w": 0.019, "flair": 0.037, "t1w-contrast-enhanced": 0.019}
MULTIPLES = (0.0, 1.0, 2.0)
MARGIN = 8


def main() -> int:
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation import records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", help="name or folder; the best one for super-resolution by default")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
    rows = {}
    for contrast, level in NOISE.items():
        truth, brain = a_truth(arguments.data, contrast)
        rows[contrast] = {f"{100 * m * level:.1f} %": measure(truth, brain, m * level, bundle) for m in MULTIPLES}
        sys.stderr.write(f"{contrast}: {rows[contrast]}\n")
    record = {
        "split": "validate",
        "command": f"python Testing/Benchmarks/{Path(__file__).name} --data FOLDER --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "head": HEAD,
        "realisations": REALISATIONS,
        "rank_correlation_by_contrast_and_noise": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "uncertainty_ceiling.json", record)
    sys.stdout.write(json.dumps(record, indent=1) + "\n")
    return 0


def a_truth(data: Path, contrast: str) -> tuple[np.ndarray, np.ndarray]:
    """The middle of the head without noise, in units of its reference intensity, and where its brain is."""
    from SynthMRILib.simulation import protocols, subject
    from SynthMRILib.simulation.tissue import BRAIN_LABELS
    from SynthMRILib.volume_io import read_volume

    rng = np.random.default_rng([HEAD, list(NOISE).index(contrast)])
    labels = read_volume(data / "label_maps" / f"head_{HEAD:02d}.nii.gz").voxels.astype(np.int16)
    index = np.argwhere((labels > 0) & (labels < 500))
    middle = (index.min(axis=0) + index.max(axis=0)) // 2
    labels = labels[tuple(slice(max(0, m - BOX // 2), max(0, m - BOX // 2) + BOX) for m in middle)]
    person = subject.apply(subject.draw(rng, deformed=False, lesions_probability=0.0), labels)
    image = person.volume(protocols.draw(rng, contrast))
    image = image / np.percentile(image[image > 0], 99.5)
    start = [(n - INNER) // 4 * 2 for n in image.shape]
    crop = tuple(slice(s, s + INNER) for s in start)
    return image[crop].astype(np.float32), np.isin(person.labels, BRAIN_LABELS)[crop]


def measure(truth: np.ndarray, brain: np.ndarray, level: float, bundle) -> dict[str, Any]:
    """Rank correlation with |error| of the oracle and of the product's total, means over realisations."""
    from SynthMRILib.uncertainty.calibration import rank_correlation

    inner = (slice(MARGIN, -MARGIN),) * 3
    chosen, errors, total = brain[inner], [], None
    for number in range(REALISATIONS if level else 1):
        rng = np.random.default_rng([number, 23])
        noise = level * rng.standard_normal((2, *truth.shape), dtype=np.float32)
        reference = np.hypot(truth + noise[0], noise[1])
        low = reference.reshape(*(v for n in truth.shape for v in (n // 2, 2))).mean(axis=(1, 3, 5))
        found = results(low, bundle, passes=20 if number == 0 else 0)
        total = found.get("total", total)
        errors.append((found["output"] - reference)[inner][chosen])
    every, of_total = np.stack(errors), total[inner][chosen]
    figures = {"total": round(rank_correlation(every[0], of_total), 3)}
    if level:
        squares = (every**2).sum(axis=0)
        others = [np.sqrt((squares - e**2) / (len(every) - 1)) for e in every]
        figures["oracle"] = round(float(np.mean([rank_correlation(e, o) for e, o in zip(every, others)])), 3)
    return figures


def results(low: np.ndarray, bundle, *, passes: int) -> dict[str, np.ndarray]:
    """The network's result for an input, and with passes its calibrated total; network units."""
    from SynthMRILib.inference import runner
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks.base import NetworkInput
    from SynthMRILib.tasks.uncertainty import UncertaintyParameters, calibrated, raw_maps
    from SynthMRILib.uncertainty.augmentation import mean_alone
    from SynthMRILib.uncertainty.calibration import Calibration
    from SynthMRILib.volume import Grid, Volume

    prepared = NetworkInput(low, Volume(low, Grid.from_spacing(low.shape, (2.0, 2.0, 2.0))), 1.0)
    parameters = UncertaintyParameters(samples=passes or 2, precision="float32")
    if passes:
        raw, _ = raw_maps(prepared, bundle, parameters, progress=no_progress)
        return calibrated(raw, Calibration.from_bundle(bundle.section), prepared)
    channels, _, _ = runner.run_volume(
        bundle, low, parameters, forward=mean_alone, outputs=1, progress=no_progress, conditions=()
    )
    return {"output": channels[0]}


if __name__ == "__main__":
    sys.exit(main())
