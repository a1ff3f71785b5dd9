"""Measure whether uncertainty finds failures on structures that training never saw.

    python Testing/Benchmarks/failure_detection.py --data FOLDER --split validate|test [--bundle NAME] [--record]

Masses (lesion-like), resection cavities and signal voids (artifact-like) of `simulation/foreign.py` are put into
simulated heads; the volume of 1 mm is truth, its noisy block means of 2 mm are the input. A voxel is a failure when
|result - truth| exceeds the 99th percentile of that error in the same place of the same head, with the same protocol,
without the structure. Scores, over the brain and the structure in a crop around each one: epistemic (dropout), network
(its total without the model of the calibration), total (calibrated), augmentation, residual against the input, the
combination of `uncertainty/combination.py`, and the edge map (gradient magnitude of the result), which needs no model.
Separately, how well each tells voxels of a lesion-like structure from the rest. A structure is missed when the
combination finds less than half of the failures at it, at the threshold that 5 % of usual voxels exceed.

`FOLDER` holds `label_maps`. `--record` writes `Documentation/figures/failure_detection.json` and pictures of the
structures of which most was missed beside it. Choices were made on the heads of "validate"; "test" is for the record.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
HEADS = {"validate": (13, 14, 15), "test": (16, 17)}
STRUCTURES = ("tumor", "resection", "void")
CONTRASTS = ("t1w", "flair", "t2w")
LIKE = {"tumor": "lesion-like", "resection": "resection-like", "void": "artifact-like"}
#: The same crop without the structure and with it.
KINDS = ("usual", "foreign")
BOX, CROP, MARGIN = 96, 56, 8
NOISE = 0.015
#: How far around a structure a failure belongs to it [voxels].
NEAR = 4
SAMPLES, AUGMENTATIONS = 20, 4
SCORES = ("epistemic", "network", "total", "augmentation", "residual", "combination", "edges")


@dataclass(frozen=True, eq=False)
class Place:
    """One crop: the same head with and without a structure."""

    name: str
    structure: str
    usual: dict[str, np.ndarray]
    foreign: dict[str, np.ndarray]


def main() -> int:
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation import records

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", required=True, choices=list(HEADS))
    parser.add_argument("--bundle", help="name or folder; the best one for super-resolution by default")
    parser.add_argument("--contrasts", type=int, default=1, help="contrasts of each head and structure, 1 to 3")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder in which simulated crops are kept, and taken from")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
    places = []
    for place in all_places(arguments.data, HEADS[arguments.split], bundle, arguments.contrasts, arguments.keep):
        places.append(place)
        sys.stderr.write(f"{place.name}\n")
    figures = score(places)
    record = {
        "split": arguments.split,
        "command": f"python Testing/Benchmarks/failure_detection.py --data FOLDER --split {arguments.split} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "heads": list(HEADS[arguments.split]),
        "samples": SAMPLES,
        "augmentations": AUGMENTATIONS,
        "noise": NOISE,
        **figures,
    }
    if arguments.record:
        folder = CHECKOUT / "Documentation" / "figures"
        record["pictures"] = draw_missed(places, figures, folder)
        records.write_record(folder / "failure_detection.json", record)
    sys.stdout.write(f"{record}\n")
    return 0


def all_places(data: Path, heads: tuple[int, ...], bundle, contrasts: int, keep: Path | None):
    from SynthMRILib.volume_io import read_volume

    for number in heads:
        labels = read_volume(data / "label_maps" / f"head_{number:02d}.nii.gz").voxels.astype(np.int16)
        labels = central_box(labels)
        for n, structure in enumerate(STRUCTURES):
            for step in range(contrasts):
                contrast = CONTRASTS[(n + number + step) % len(CONTRASTS)]
                name, seed = f"head_{number:02d} {structure} {contrast}", [number, n, step]
                made = kept_crops(keep, name) if keep else None
                if made is None:
                    made = simulated_crops(labels, structure, contrast, seed)
                    keep_crops(keep, name, made)
                maps = {kind: derived(evaluated(crop, bundle), bundle) for kind, crop in made.items()}
                yield Place(name, structure, **maps)


def kept_crops(keep: Path, name: str) -> dict[str, dict[str, np.ndarray]] | None:
    """What an earlier run has simulated, with whatever bundle."""
    path = keep / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path) as maps:
        return {kind: {n: maps[f"{kind}_{n}"] for n in ("truth", "mask", "brain", "acquired")} for kind in KINDS}


def keep_crops(keep: Path | None, name: str, made: dict[str, dict[str, np.ndarray]]) -> None:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        np.savez(keep / f"{name}.npz", **{f"{kind}_{n}": v for kind in KINDS for n, v in made[kind].items()})


def central_box(labels: np.ndarray) -> np.ndarray:
    """The middle of the head, so that the simulation stays small."""
    index = np.argwhere((labels > 0) & (labels < 500))
    middle = (index.min(axis=0) + index.max(axis=0)) // 2
    return labels[tuple(slice(max(0, m - BOX // 2), max(0, m - BOX // 2) + BOX) for m in middle)]


def simulated_crops(
    labels: np.ndarray, structure: str, contrast: str, seed: list[int]
) -> dict[str, dict[str, np.ndarray]]:
    """By kind: truth in units of its reference intensity, mask of the structure, brain, and the noisy block means."""
    from SynthMRILib.simulation import foreign, protocols, subject
    from SynthMRILib.simulation.noise import magnitude_noise
    from SynthMRILib.simulation.tissue import BRAIN_LABELS

    rng = np.random.default_rng(seed)
    record = subject.draw(rng, deformed=False, lesions_probability=0.0, foreign_structure=structure)
    protocol = protocols.draw(rng, contrast)
    without = subject.SubjectRecord(anatomy=record.anatomy)
    center = foreign.center_of(record.foreign, labels, (1.0, 1.0, 1.0))
    size = CROP + 2 * MARGIN
    start = [int(np.clip(c - size // 2, 0, n - size)) // 2 * 2 for c, n in zip(center, labels.shape)]
    crop = tuple(slice(s, s + size) for s in start)
    made = {}
    for kind, made_of in zip(KINDS, (without, record)):
        person = subject.apply(made_of, labels)
        image = person.volume(protocol)
        truth = image[crop] / float(np.percentile(image[image > 0], 99.5))
        low = truth.reshape(*(v for n in truth.shape for v in (n // 2, 2))).mean(axis=(1, 3, 5))
        low = magnitude_noise(low, NOISE, rng=np.random.default_rng(5)) * (low > 0)
        brain = np.isin(person.labels, BRAIN_LABELS)[crop]
        made[kind] = {"truth": truth, "mask": person.foreign[crop], "brain": brain, "acquired": low}
    return made


def evaluated(crop: dict[str, np.ndarray], bundle) -> dict[str, np.ndarray]:
    """What the network makes of one crop, on all of it; the rest follows from that in `derived`."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks.uncertainty import UncertaintyParameters
    from SynthMRILib.uncertainty.augmentation import augmented_spread
    from SynthMRILib.uncertainty.sampling import dropout_maps

    prepared, parameters = as_prepared(crop["acquired"]), UncertaintyParameters(precision="float32")
    maps, _ = dropout_maps(bundle, prepared, parameters, samples=SAMPLES, tolerance=0.0, progress=no_progress)
    spread, _ = augmented_spread(bundle, prepared, parameters, passes=AUGMENTATIONS, progress=no_progress)
    augmentation = np.hypot(spread["augmentation-spatial"], spread["augmentation-intensity"])
    return {**crop, **maps, "augmentation": augmentation}


def as_prepared(low: np.ndarray):
    from SynthMRILib.tasks.base import NetworkInput
    from SynthMRILib.volume import Grid, Volume

    return NetworkInput(low, Volume(low, Grid.from_spacing(low.shape, (2.0, 2.0, 2.0))), 1.0)


def derived(made: dict[str, np.ndarray], bundle) -> dict[str, np.ndarray]:
    """Everything that is scored, on the inner part of a crop."""
    from SynthMRILib.tasks.uncertainty import calibrated
    from SynthMRILib.uncertainty.calibration import Calibration
    from SynthMRILib.uncertainty.combination import surroundings
    from SynthMRILib.uncertainty.deviation import raw_total, smoothed_residual

    result, maps = made["mean"], {name: made[name] for name in ("mean", "epistemic", "aleatoric")}
    total = calibrated(maps, Calibration.from_bundle(bundle.section), as_prepared(made["acquired"]))["total"]
    found = {
        "truth": made["truth"],
        "result": result,
        "mask": made["mask"],
        "brain": made["brain"],
        "epistemic": made["epistemic"],
        "network": raw_total(maps),
        "total": total,
        "surroundings": surroundings(total),
        "augmentation": made["augmentation"],
        "residual": smoothed_residual(result, made["acquired"]),
        "edges": ndimage.gaussian_gradient_magnitude(result, 1.0),
    }
    inner = (slice(MARGIN, -MARGIN),) * 3
    return {name: np.ascontiguousarray(values[inner]) for name, values in found.items()}


def score(places: list[Place]) -> dict[str, Any]:
    """Areas over all crops and by structure, and how much of the failures of each structure was found."""
    from SynthMRILib.uncertainty.calibration import area_under_roc, average_precision
    from SynthMRILib.uncertainty.combination import SIGNALS, combined, usual_levels

    usual = {name: np.concatenate([p.usual[name][head_of(p.usual)] for p in places]) for name in SIGNALS}
    levels = usual_levels(usual)
    alarm = float(np.percentile(combined(usual, levels), 95))
    rows, pooled = [], {"failed": [], "around": [], "lesion": [], **{name: [] for name in SCORES}}
    for place in places:
        inside = head_of(place.foreign)
        limit = float(np.percentile(error_of(place.usual)[head_of(place.usual)], 99))
        failed = (error_of(place.foreign) > limit)[inside]
        scores = {name: place.foreign[name][inside] for name in SCORES if name != "combination"}
        scores["combination"] = combined({name: place.foreign[name][inside] for name in SIGNALS}, levels)
        for name in SCORES:
            pooled[name].append(scores[name])
        pooled["failed"].append(failed)
        around = ndimage.binary_dilation(place.foreign["mask"] > 0, iterations=NEAR)[inside]
        pooled["around"].append(around)
        lesion = (place.foreign["mask"] > 0)[inside]
        pooled["lesion"].append(lesion if LIKE[place.structure] == "lesion-like" else np.zeros_like(lesion))
        near = around & failed
        found = float((scores["combination"][near] > alarm).mean()) if near.any() else None
        rows.append(
            {
                "place": place.name,
                "like": LIKE[place.structure],
                "error_limit_percent": round(100 * limit, 3),
                "failures": int(failed.sum()),
                "failures_at_structure": int(near.sum()),
                "share_found": None if found is None else round(found, 3),
                "missed": found is not None and found < 0.5,
                "auroc": {n: rounded(area_under_roc(failed, scores[n])) for n in SCORES},
                "auroc_near_structure": {n: rounded(area_under_roc(near[around], scores[n][around])) for n in SCORES},
            }
        )
    with_lesion = [lesion.any() for lesion in pooled["lesion"]]
    in_lesion = np.concatenate([x for x, there in zip(pooled.pop("lesion"), with_lesion) if there])
    of_lesion = {n: np.concatenate([x for x, there in zip(pooled[n], with_lesion) if there]) for n in SCORES}
    failed, around = (np.concatenate(pooled.pop(name)) for name in ("failed", "around"))
    joined = {name: np.concatenate(values) for name, values in pooled.items()}
    return {
        "prevalence": round(float(failed.mean()), 5),
        "auroc": {name: rounded(area_under_roc(failed, values)) for name, values in joined.items()},
        "auprc": {name: rounded(average_precision(failed, values)) for name, values in joined.items()},
        "auroc_near_structures": {
            name: rounded(area_under_roc(failed[around], values[around])) for name, values in joined.items()
        },
        "auroc_lesion_like": {name: rounded(area_under_roc(in_lesion, values)) for name, values in of_lesion.items()},
        "places": rows,
    }


def head_of(maps: dict[str, np.ndarray]) -> np.ndarray:
    """Voxels that count: the brain and the structure."""
    return maps["brain"] | (maps["mask"] > 0)


def error_of(maps: dict[str, np.ndarray]) -> np.ndarray:
    return np.abs(maps["result"] - maps["truth"])


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def draw_missed(places: list[Place], figures: dict[str, Any], folder: Path) -> list[str]:
    """One picture of the structures of which the smallest share was found: truth, result, error, combination."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from SynthMRILib.uncertainty.combination import SIGNALS, combined, usual_levels

    levels = usual_levels({n: np.concatenate([p.usual[n][head_of(p.usual)] for p in places]) for n in SIGNALS})
    rows = zip(places, figures["places"])
    known = sorted((r["share_found"], n, p) for n, (p, r) in enumerate(rows) if r["share_found"] is not None)
    chosen = [(place, share) for share, _, place in known[:4]]
    figure = Figure(figsize=(8, 2.1 * len(chosen)), facecolor="black", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(chosen), 4, squeeze=False)
    for row, (place, share) in zip(axes, chosen):
        maps = place.foreign
        around = ndimage.binary_dilation(maps["mask"] > 0, iterations=NEAR)
        at = int((error_of(maps) * around).reshape(len(around), -1).sum(axis=1).argmax())
        suspicion = combined({name: maps[name] for name in SIGNALS}, levels)
        shown = [
            (maps["truth"][at], "gray", 1.0, place.name),
            (maps["result"][at], "gray", 1.0, "result"),
            (error_of(maps)[at], "inferno", 0.3, "error, 0 to 30 %"),
            (suspicion[at], "inferno", 4.0, f"combination, {100 * share:.0f} % found"),
        ]
        for axis, (image, colors, top, title) in zip(row, shown):
            axis.imshow(image[::-1], cmap=colors, vmin=0, vmax=top)
            axis.contour(maps["mask"][at][::-1] > 0, [0.5], colors="cyan", linewidths=0.5)
            axis.set_title(title, color="white", fontsize=7)
            axis.set_axis_off()
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.95, wspace=0.03, hspace=0.15)
    figure.savefig(folder / "failure_detection_missed.png", facecolor="black")
    return ["failure_detection_missed.png"]


if __name__ == "__main__":
    sys.exit(main())
