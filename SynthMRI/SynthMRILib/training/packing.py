"""Fill a packed cache from a data folder, within the split by subject.

The split (see `SPLIT`) is by subject, never by patch. Real volumes are stored as they are; each label map is turned
into several simulated heads, some of them stripped to the brain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..volume_io import read_volume
from .attribution import of_shared_data
from .cache import Entry, box_of, prepared
from .shrinking import Packed, write_within

SPLIT = {
    "train": {"real": ("patient07", "longitudinal01"), "heads": range(1, 13)},
    "validate": {"real": ("longitudinal03",), "heads": range(13, 16)},
    "test": {"real": ("patient19", "longitudinal04", "longitudinal20"), "heads": range(16, 18)},
}
CONTRASTS = {"T1": "t1w", "T1W": "t1w", "T2": "t2w", "T2W": "t2w", "FLAIR": "flair", "T1POST": "t1w-contrast-enhanced"}
SIMULATED = ("t1w", "t2w", "flair", "t1w-contrast-enhanced", "random")
STRIPPED_SHARE = 0.4


def is_shared_data(data: Path) -> bool:
    """True for the folder of the project's own sets, whose split is fixed; anything else is a user's data."""
    return any((data / name).is_dir() for name in ("ms_cross_sectional", "ms_longitudinal", "label_maps"))


def pack(
    data: Path,
    output: Path,
    *,
    part: str,
    heads_per_map: int,
    seed: int,
    report: Callable[[str], None],
    megabytes: float | None = None,
    labels: bool = False,
) -> list[Entry]:
    """Write the cache of one part of the split.

    Args:
        data: folder with `ms_cross_sectional`, `ms_longitudinal` and `label_maps`.
        output: safetensors file to write.
        part: "train" or "validate"; the test part is never packed.
        heads_per_map: simulated volumes made from each label map.
        seed: seed of the simulation.
        report: told of every volume as it is packed.
        megabytes: largest size of the file [10^6 bytes], see `shrinking.py`; None for any.
        labels: also pack the label maps, from which trainers simulate heads of their own.
    """
    if part not in ("train", "validate"):
        raise InputError(f"Part '{part}' cannot be packed for training; choose 'train' or 'validate'.")
    volumes: list[Packed] = []
    for entry, voxels in [*real_volumes(data, part), *simulated_volumes(data, part, heads_per_map, seed)]:
        volumes.append((entry, prepared(voxels)))
        report(f"{entry.subject} {entry.contrast}{' stripped' if entry.stripped else ''} {volumes[-1][1].shape}")
    if not volumes:
        raise InputError(f"No training data was found in '{data.name}'.")
    maps = list(label_maps(data, part)) if labels else []
    statements = of_shared_data(entry.subject for entry, _ in [*volumes, *maps])
    report(write_within(output, volumes, maps, megabytes=megabytes, seed=seed, data=statements))
    return [entry for entry, _ in volumes]


def label_maps(data: Path, part: str) -> Iterator[Packed]:
    """The part's label maps, cropped to what is labeled."""
    for number in SPLIT[part]["heads"]:
        path = data / "label_maps" / f"head_{number:02d}.nii.gz"
        if path.is_file():
            volume = read_volume(path)
            spacing = [round(s, 4) for s in volume.spacing[::-1]]
            entry = Entry(f"head_{number:02d}", "labels", "real", stripped=False, extra={"spacing_kji": spacing})
            yield entry, volume.voxels.astype(np.int32)[box_of(volume.voxels > 0)]


def real_paths(data: Path, part: str) -> Iterator[tuple[Entry, Path]]:
    """Files of the part's subjects, in the order in which they are packed."""
    for subject in SPLIT[part]["real"]:
        number = subject[-2:]
        longitudinal = subject.startswith("longitudinal")
        folder = data / ("ms_longitudinal" if longitudinal else "ms_cross_sectional") / f"patient{number}"
        for path in sorted(folder.glob("*.nii.gz")):
            name = re.sub(r"^study\d_", "", path.name.removesuffix(".nii.gz"))
            if name in CONTRASTS:
                yield Entry(subject, CONTRASTS[name], "real", stripped=not longitudinal), path


def real_volumes(data: Path, part: str) -> Iterator[Packed]:
    """Acquired volumes of the part's subjects."""
    for entry, path in real_paths(data, part):
        yield entry, np.maximum(read_volume(path).voxels, 0)


def simulated_volumes(data: Path, part: str, heads_per_map: int, seed: int) -> Iterator[Packed]:
    """Simulated heads; contrasts take turns, so that every contrast is made from every part of the maps."""
    from ..simulation.heads import simulate_head, strip

    for number in SPLIT[part]["heads"]:
        path = data / "label_maps" / f"head_{number:02d}.nii.gz"
        if not path.is_file():
            continue
        labels = read_volume(path).voxels.astype(np.int16)
        for n in range(heads_per_map):
            rng = np.random.default_rng([seed, number, n])
            contrast = SIMULATED[(number + n) % len(SIMULATED)]
            head = simulate_head(labels, rng, contrast=contrast)
            stripped = bool(rng.random() < STRIPPED_SHARE)
            yield (
                Entry(f"head_{number:02d}", contrast, "simulated", stripped),
                strip(head, labels) if stripped else head,
            )
