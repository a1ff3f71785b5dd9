"""All figures of a synthetic set beside a real one, as one record.

Fidelity: Frechet and kernel distance in each plane, precision. Variety: recall, MS-SSIM of pairs beside that of the
real set, size of the mean. Utility and efficiency where labels and times are there. Memorization. What the sets are
too small for is refused with a reason and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...cohort.files import read_json
from ...errors import InputError
from ...progress import Progress, no_progress, part_of
from ..agreement import Estimate
from .distances import frechet_estimate, gaussian_discrepancy, kernel_distance, precision_and_recall
from .diversity import mean_volume_bytes, pairwise_ms_ssim, scales_for
from .features import FeatureSource
from .frame import PLANES, Frame, VolumeSet, files_of, read_set, slices_of
from .memorization import check_memorization
from .utility import utility

#: Frechet distances of fewer slices are biased upward by much of their size.
FEW_SLICES = 2048
COARSE = 4


@dataclass(frozen=True)
class SetOptions:
    """How sets are compared.

    Args:
        frame: the cube they are brought into.
        pairs: pairs of volumes whose MS-SSIM is taken in each set.
        seed: of all draws.
    """

    frame: Frame
    pairs: int = 40
    seed: int = 0


def evaluate_sets(
    real: Path,
    synthetic: Path,
    *,
    source: FeatureSource,
    options: SetOptions,
    labels: Mapping[str, str] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """The record, JSON types only.

    Args:
        real, synthetic: folders with a volume for each subject.
        source: features to compare in.
        labels: label by name of the file, for the utility test.

    Raises:
        InputError: a set is too small, holds something that is no volume with signal, or labels do not suffice.
    """
    options.frame.check()
    folders = {"real": real, "synthetic": synthetic}
    files = {name: files_of(folder) for name, folder in folders.items()}
    check_apart(files["real"], files["synthetic"])
    sets = {
        name: read_set(files[name], options.frame, progress=part_of(progress, 0.3 * n, 0.3 * (n + 1)))
        for n, name in enumerate(files)
    }
    progress(0.6, "Features")
    features = {
        plane: {name: source.of(slices_of(s.voxels, plane, options.frame)) for name, s in sets.items()}
        for plane in PLANES
    }
    warnings: list[str] = []
    record = {
        "kind": "set",
        "volumes": {name: len(s) for name, s in sets.items()},
        "frame": options.frame.as_dict(),
        "features": {"name": source.name, "sha256": source.sha256, "size": size_of(features), "note": source.note},
        "seed": options.seed,
        "fidelity": fidelity(features, options.seed, warnings),
        "discrepancy": discrepancies(sets, features, options.seed),
    }
    progress(0.7, "Diversity")
    record["variety"] = variety(sets, features, options)
    record["memorization"] = memorization(sets)
    record["utility"] = augmentation(sets, features, source, options, labels)
    record["efficiency"] = efficiency(synthetic)
    record["warnings"] = warnings
    progress(1.0, "Done")
    return record


def check_apart(real: list[Path], synthetic: list[Path]) -> None:
    """Raises InputError when a file is in both sets."""
    shared = {file.resolve() for file in real} & {file.resolve() for file in synthetic}
    if shared:
        raise InputError(f"'{min(shared).name}' is in both sets; keep real and synthetic volumes in different folders.")


Features = dict[str, dict[str, np.ndarray]]


def size_of(features: Features) -> int:
    return int(features["axial"]["real"].shape[-1])


def fidelity(features: Features, seed: int, warnings: list[str]) -> dict[str, Any]:
    """Distances and precision in each plane."""
    size = size_of(features)
    slices = min(part.shape[0] * part.shape[1] for part in features["axial"].values())
    frechet: dict[str, Any]
    if slices <= size:
        reason = f"{slices} slices cannot give the covariance of {size} features; look at the kernel distance"
        frechet = {"refused": reason}
    else:
        frechet = {
            plane: as_dict(frechet_estimate(f["real"], f["synthetic"], seed=seed)) for plane, f in features.items()
        }
        if slices < FEW_SLICES:
            warnings.append(f"Frechet distances of {slices} slices are biased upward; rely on the kernel distances.")
    return {
        "frechet_distance": frechet,
        "kernel_distance": {
            plane: as_dict(kernel_distance(f["real"], f["synthetic"], seed=seed)) for plane, f in features.items()
        },
        "precision": {plane: shares(f, seed)[0] for plane, f in features.items()},
    }


def shares(features: dict[str, np.ndarray], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Precision and recall of one plane."""
    return tuple(as_dict(e) for e in precision_and_recall(features["real"], features["synthetic"], seed=seed))


def discrepancies(sets: dict[str, VolumeSet], features: Features, seed: int) -> dict[str, Any]:
    """Squared maximum mean discrepancy with the Gaussian kernel, of voxels and of features."""
    voxels = [coarse(sets[name].voxels) for name in ("real", "synthetic")]
    vectors = [of_volumes(features, name) for name in ("real", "synthetic")]
    return {
        "of_voxels": as_dict(gaussian_discrepancy(*voxels, seed=seed)),
        "of_features": as_dict(gaussian_discrepancy(*vectors, seed=seed)),
    }


def coarse(voxels: np.ndarray) -> np.ndarray:
    """Means over cubes of COARSE voxels, one row a volume."""
    n, size = len(voxels), voxels.shape[1] // COARSE
    cut = voxels[:, : size * COARSE, : size * COARSE, : size * COARSE]
    return cut.reshape(n, size, COARSE, size, COARSE, size, COARSE).mean(axis=(2, 4, 6)).reshape(n, -1)


def of_volumes(features: Features, name: str) -> np.ndarray:
    """One vector a volume: mean and deviation over its slices, plane after plane."""
    parts = [moment for plane in PLANES for moment in _moments(features[plane][name])]
    return np.concatenate(parts, axis=1)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(axis=1), features.std(axis=1)


def variety(sets: dict[str, VolumeSet], features: Features, options: SetOptions) -> dict[str, Any]:
    """Recall in each plane, MS-SSIM of pairs and size of the mean of both sets."""
    similar = {
        name: as_dict(pairwise_ms_ssim(s.voxels, pairs=options.pairs, seed=options.seed)) for name, s in sets.items()
    }
    return {
        "recall": {plane: shares(f, options.seed)[1] for plane, f in features.items()},
        "ms_ssim_of_pairs": {**similar, "difference": similar["synthetic"]["value"] - similar["real"]["value"]},
        "ms_ssim_scales": scales_for(options.frame.size),
        "bytes_of_the_mean": {name: mean_volume_bytes(s.voxels) for name, s in sets.items()},
    }


def memorization(sets: dict[str, VolumeSet]) -> dict[str, Any]:
    """Copies by name, and the distances behind them."""
    real, synthetic = sets["real"], sets["synthetic"]
    found = check_memorization(real.voxels, synthetic.voxels)
    copies = [
        {
            "synthetic": synthetic.names[n],
            "real": real.names[found.nearest_real[n]],
            "distance": round(float(found.nearest[n]), 5),
        }
        for n in found.copies
    ]
    return {
        "copies": copies,
        "closer_than_real": found.closer_than_real,
        "smallest_distance": float(found.nearest.min()),
        "smallest_distance_among_real": float(found.among_real.min()),
        "median_distance": float(np.median(found.nearest)),
        "median_distance_among_real": float(np.median(found.among_real)),
    }


def augmentation(
    sets: dict[str, VolumeSet],
    features: Features,
    source: FeatureSource,
    options: SetOptions,
    labels: Mapping[str, str] | None,
) -> dict[str, Any]:
    """Gains by arm, or why they were not measured."""
    if not labels:
        return {"refused": "no labels were given (--labels FILE)"}
    given = {name: labels_of(s, labels) for name, s in sets.items()}
    mirrored = augmented(sets["real"].voxels, seed=options.seed)
    copies = {plane: {"real": source.of(slices_of(mirrored, plane, options.frame))} for plane in PLANES}
    gains = utility(
        of_volumes(features, "real"),
        given["real"],
        of_volumes(features, "synthetic"),
        given["synthetic"],
        of_volumes(copies, "real"),
        seed=options.seed,
    )
    return {
        arm: {"balanced_accuracy": gain.score, "gain": as_dict(gain.gain), "p": defined(gain.p)}
        for arm, gain in gains.items()
    }


def labels_of(volumes: VolumeSet, labels: Mapping[str, str]) -> list[str]:
    """The label of each volume. Raises InputError for one without."""
    missing = [name for name in volumes.names if name not in labels]
    if missing:
        raise InputError(f"The volume '{missing[0]}' has no label; add it to the list of labels.")
    return [labels[name] for name in volumes.names]


def augmented(voxels: np.ndarray, *, seed: int) -> np.ndarray:
    """Classical augmentation: every volume mirrored left to right, with another gamma."""
    gammas = np.random.default_rng(seed).uniform(0.8, 1.25, len(voxels)).astype(np.float32)
    return np.maximum(voxels[..., ::-1], 0) ** gammas[:, None, None, None]


def efficiency(folder: Path) -> dict[str, Any]:
    """Seconds a volume took, when a batch of SynthMRI made the set and says so."""
    rows = read_json(folder / "summary.json").get("rows", [])
    seconds = [row["run"] for row in rows if isinstance(row.get("run"), int | float)]
    if not seconds:
        return {"refused": "the folder of synthetic volumes holds no summary.json of synthmri batch"}
    return {"median_seconds_per_volume": float(np.median(seconds)), "volumes": len(seconds)}


def as_dict(estimate: Estimate) -> dict[str, Any]:
    return {name: defined(value) for name, value in asdict(estimate).items()}


def defined(value: float) -> float | None:
    return None if isinstance(value, float) and value != value else value
