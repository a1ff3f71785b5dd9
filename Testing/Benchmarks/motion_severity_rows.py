"""What the estimate of severity is learned from: features of the volumes of packed pairs, kept beside the caches.

The caches in `build/motion` are made by `synthmri pack-motion`:

    validate, validate1, validate2    --part validate --pairs 32 --seed 0, 1, 2
    jumpsv                            --part validate --pairs 32 --seed 6 --jumps
    train64                           --part train --pairs 64
    train9                            --part train --pairs 48 --seed 9
    jumps                             --part train --pairs 64 --seed 5 --jumps

Features take about 9 s a volume on one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from motion_severity_fit import CHECKOUT, PAIRS, Row

sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import Bundle
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion.autofocus import autofocus, first_look
from SynthMRILib.motion.estimate import asked_features, focused_features
from SynthMRILib.motion.features import image_features
from SynthMRILib.simulation.motion import effective_displacement
from SynthMRILib.tasks.base import Parameters
from SynthMRILib.training.cache import Cache
from SynthMRILib.volume import Grid

TRAIN = PAIRS.with_name("train64.safetensors")
JUMPS = PAIRS.with_name("jumps.safetensors")
HELD_OUT = (PAIRS, *(PAIRS.with_name(f"validate{seed}.safetensors") for seed in (1, 2)))
"""Three draws of the held-out subjects; the features were chosen on the first."""
MORE_TRAIN = PAIRS.with_name("train9.safetensors")
"""Training subjects with motion that no network learned from."""
HELD_OUT_JUMPS = PAIRS.with_name("jumpsv.safetensors")
PARAMETERS = Parameters(device="cpu")


def kept(path: Path, name: str, measure: Any) -> list[Row]:
    """What was measured of every volume of a cache; kept beside it, as it takes minutes."""
    file = path.with_suffix(f".{name}.json")
    if not file.is_file():
        file.write_text(json.dumps([measure(*volume) for volume in volumes(path)]), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def volumes(path: Path) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray, Grid]]:
    """Of every pair the volume with motion, then the one without: facts, voxels in network units, truth, grid."""
    cache = Cache(path)
    for index in range(0, len(cache), 2):
        entry = cache.entries[index]
        pair = [cache.volume(index + n).astype(np.float32) for n in (0, 1)]
        grid = Grid.from_spacing(pair[0].shape, tuple(entry.extra["spacing_kji"][::-1]))
        for voxels, severity in zip(pair, (entry.extra["severity_mm"], 0.0)):
            scale = IntensityScale.fit(voxels)
            facts = {"index": index, "subject": entry.subject, "severity_mm": severity}
            yield facts, scale.apply(voxels), scale.apply(pair[1]), grid
        sys.stderr.write(f"{path.stem}: {index // 2 + 1} of {len(cache) // 2}\n")


def seen(facts: dict[str, Any], voxels: np.ndarray, _still: np.ndarray, grid: Grid) -> Row:
    """All features of a volume by name."""
    features = image_features(voxels) | focused_features(voxels, grid.spacing, first_look(voxels, grid))
    return {**facts, "features": features}


def seen_of_moved(facts: dict[str, Any], voxels: np.ndarray, still: np.ndarray, grid: Grid) -> Row:
    """As `seen`, of volumes with motion alone."""
    return seen(facts, voxels, still, grid) if facts["severity_mm"] else {**facts, "features": None}


def undone(facts: dict[str, Any], voxels: np.ndarray, still: np.ndarray, grid: Grid) -> Row:
    """What the whole of autofocus undoes, what is truly left [mm], and the features of that if anything was undone."""
    found = autofocus(voxels, grid)
    left = effective_displacement(found.voxels, still, grid.spacing)
    features = seen(facts, found.voxels, still, grid)["features"] if found.found else None
    return {**facts, "undone_mm": found.undone_mm, "truly_left_mm": left, "features": features}


def with_network(rows: list[Row], path: Path, bundle: Bundle, *, focused: bool = False) -> list[Row]:
    """The rows that have features, of volumes of a cache, with those of a correcting network; kept beside it.

    Args:
        focused: the volumes after autofocus are meant.
    """
    wanted = {key_of(row): row for row in rows if row["features"]}
    name = "asked_after_autofocus" if focused else "asked"
    file = path.with_suffix(f".{name}.{bundle.weights_sha256[:8]}.json")
    if not file.is_file():
        found = []
        for facts, voxels, _, grid in volumes(path):
            if key_of(facts) in wanted:
                seen_by_network = autofocus(voxels, grid).voxels if focused else voxels
                found.append({**facts, "features": asked_features(bundle, seen_by_network, PARAMETERS)})
            if len(found) == len(wanted):
                break
        file.write_text(json.dumps(found), encoding="utf-8")
    asked = {key_of(row): row["features"] for row in json.loads(file.read_text(encoding="utf-8"))}
    return [{**row, "features": row["features"] | asked[key]} for key, row in wanted.items()]


def key_of(row: Row) -> tuple[int, bool]:
    """Number of the pair, and whether its volume with motion is meant."""
    return row["index"], row["severity_mm"] > 0
