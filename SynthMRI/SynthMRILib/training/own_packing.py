"""Fill a packed cache from volumes of a user: a folder, a BIDS data set or a list, split by subject.

What the project's own sets go through is in `packing.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..cohort.bids import sidecar_facts
from ..cohort.files import read_json, stem_of, volume_suffix
from ..errors import InputError
from ..intensity import reference_intensity
from ..provenance import volume_facts
from ..volume import Volume
from ..volume_io import read_volume
from .attribution import of_own_data, stated_by_data_set
from .cache import Entry, head_box
from .data import LeftOut, Reader, TrainingFile, find_files, subject_of
from .data_report import DataReport, subjects_of
from .shrinking import Packed, write_within
from .splits import Split, split_at

SPLIT_NAME = "split.json"
REPORT_SUFFIX = ".report.json"
#: Columns of a list and ends of file names that hold labels on the grid of a volume.
LABEL_COLUMNS = ("mask", "labels")
LABEL_ENDS = ("mask", "dseg", "labels", "seg", "lesions")


@dataclass(frozen=True)
class PackingOptions:
    """How to pack.

    Args:
        part: "train" or "validate".
        split: JSON file with the split; made when it is not there. None: `split.json` beside the cache.
        held_out: share of the subjects that a new split holds out.
        seed: seed of a new split and of what `megabytes` leaves out.
        megabytes: largest size of the file [10^6 bytes]; None for any.
        labels: also pack masks and label maps that lie beside the volumes.
        license_text, attribution: of the data, for the model card; a BIDS data set states its own.
    """

    part: str = "train"
    split: Path | None = None
    held_out: float = 0.2
    seed: int = 0
    megabytes: float | None = None
    labels: bool = False
    license_text: str = ""
    attribution: str = ""


def report_path(output: Path) -> Path:
    """Where the report of a cache is written."""
    return output.with_name(output.stem + REPORT_SUFFIX)


def pack_own(source: Path, output: Path, options: PackingOptions, *, report: Callable[[str], None]) -> DataReport:
    """Write the cache of one part of the split, and beside it what was left out and why.

    Args:
        source: a folder, a BIDS data set or a list, see `data.find_files`.
        output: safetensors file to write.
        report: told of every volume as it is packed.

    Raises:
        InputError: nothing of that part can be used, or the split does not allow it.
    """
    found = find_files(source, output=output, columns=LABEL_COLUMNS)
    log = DataReport(found)
    split = split_at(
        options.split or output.parent / SPLIT_NAME,
        subjects_of(found.files),
        held_out=options.held_out,
        seed=options.seed,
    )
    volumes: list[Packed] = []
    labels: list[Packed] = []
    reader = Reader(hashes_of_other_parts(output.parent, options.part))
    for file in found.files:
        volume = of_part(file, split, options.part) or reader.read(file)
        if isinstance(volume, LeftOut):
            log.leave_out(volume)
            continue
        voxels = np.maximum(volume.voxels, 0)
        box = head_box(voxels)
        entry = entry_of(file, volume)
        on_it = label_maps_on(file, volume, log) if options.labels else {}
        labels += [(label_entry(entry, name, len(volumes)), m[box]) for name, m in on_it.items()]
        volumes.append((entry, np.clip(voxels[box] / reference_intensity(voxels), 0, 16).astype(np.float16)))
        log.take(file, **volume_facts(volume), labels=sorted(on_it))
        report(f"{file.subject} {file.contrast} {volumes[-1][1].shape}")
    if not volumes:
        raise InputError(nothing_found(log, options.part))
    stated = {"license_text": options.license_text, "attribution": options.attribution}
    stated = {name: text or stated_by_data_set(source)[name] for name, text in stated.items()}
    data = [of_own_data(len({entry.subject for entry, _ in volumes}), **stated)]
    text = write_within(output, volumes, labels, megabytes=options.megabytes, seed=options.seed, data=data)
    log.write(report_path(output), part=options.part, stored=text)
    return log


def of_part(file: TrainingFile, split: Split, part: str) -> LeftOut | None:
    """Why a file does not belong to this part, or None when it does."""
    its_part = split.part_of(file.subject)
    if its_part == part:
        return None
    if its_part:
        return LeftOut(file.subject, file.place, f"of the part '{its_part}'", f"The split has it in '{its_part}'.")
    return LeftOut(file.subject, file.place, "not in the split", "The split does not name its subject.")


def nothing_found(log: DataReport, part: str) -> str:
    """The sentence for a source that gave nothing."""
    kinds = ", ".join(f"{count} x {kind}" for kind, count in log.as_dict()["left_out_by_kind"].items())
    return f"No volume for '{part}' was found; left out: {kinds or 'nothing, there are no files'}."


def entry_of(file: TrainingFile, volume: Volume) -> Entry:
    stripped = bool(sidecar_facts(file.path).get("SkullStripped", False))
    spacing = [round(s, 4) for s in volume.spacing[::-1]]
    return Entry(file.subject, file.contrast, "real", stripped, {"spacing_kji": spacing})


def label_entry(entry: Entry, name: str, index: int) -> Entry:
    return Entry(entry.subject, "labels", entry.source, entry.stripped, {"name": name, "of": index})


def label_maps_on(file: TrainingFile, volume: Volume, log: DataReport) -> dict[str, np.ndarray]:
    """Label maps of a volume by name: those that a list names, or that lie in its folder on the same grid."""
    paths = {name: file.others[name] for name in LABEL_COLUMNS if name in file.others} or label_files_beside(file)
    maps = {}
    for name, path in paths.items():
        try:
            labels = read_volume(path)
        except InputError as error:
            text = str(error).replace(f"'{path.name}'", "The file")
            log.leave_out(LeftOut(file.subject, file.place, f"its {name} is unreadable", text))
            continue
        rounded = np.rint(labels.voxels)
        if not labels.grid.matches(volume.grid, tolerance=1e-2):
            kind, text = f"its {name} lies on another grid", "Resample it to the volume."
        elif rounded.min() < 0 or rounded.max() > 32767 or np.abs(labels.voxels - rounded).max() > 1e-3:
            kind, text = f"its {name} is no label map", "It needs whole numbers from 0 to 32767."
        else:
            maps[name] = rounded.astype(np.int32)
            continue
        log.leave_out(LeftOut(file.subject, file.place, kind, text))
    return maps


def label_files_beside(file: TrainingFile) -> dict[str, Path]:
    """Files in the folder of a volume whose names end as those of masks and label maps do, by that end."""
    found: dict[str, Path] = {}
    folder = Path(file.place).parent
    for path in sorted(file.path.parent.iterdir()) if file.path.is_file() else ():
        end = next((e for e in LABEL_ENDS if stem_of(path.name).lower().endswith(e)), "")
        if end and volume_suffix(path.name) and subject_of((folder / path.name).as_posix()) == file.subject:
            alike = sum(name.startswith(end) for name in found)
            found[f"{end}-{alike + 1}" if alike else end] = path
    return found


def hashes_of_other_parts(folder: Path, part: str) -> dict[str, str]:
    """Subjects by the hash of volumes that were packed into this folder for other parts: none may be in both."""
    reports = [read_json(path) for path in sorted(folder.glob(f"*{REPORT_SUFFIX}"))]
    volumes = [v for r in reports if r.get("part") not in (None, part) for v in r.get("volumes", ())]
    return {volume["sha256"]: volume["subject"] for volume in volumes}
