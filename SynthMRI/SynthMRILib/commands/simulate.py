"""`synthmri simulate`: simulated volumes of any kind from a label map, with the record that makes them again."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import INTENDED_USE, __version__
from ..errors import InputError
from ..synthetic_marks import in_file
from .common import print_json
from .result_folder import check_folder, new_results
from .targets import check_apart

if TYPE_CHECKING:
    from ..simulation.kinds import Sample, SampleRecord
    from ..volume import Volume

LARGEST_LABEL = 20_000
RECORD = "record.json"
GALLERY = "gallery.png"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    from ..simulation.kinds import KINDS
    from ..simulation.protocols import CONTRASTS
    from ..simulation.view_orders import SEQUENCES

    kinds = "\n".join(f"  {name:<22}{what}" for name, what in KINDS.items())
    parser = subparsers.add_parser(
        "simulate",
        help="simulate heads, contrasts, lesions, acquisitions, noise and motion from a label map",
        description=f"Simulate volumes from a label map. {INTENDED_USE}\n\nkinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help="what to simulate, see above")
    parser.add_argument("--labels", type=Path, help="label map in FreeSurfer numbering (default: ICBM template brain)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--contrast", choices=CONTRASTS, help="contrast of kinds that degrade one volume")
    parser.add_argument("--field-strength", type=float, help="field strength [T]")
    parser.add_argument("--severity", type=float, help="amount of motion, 1 is ordinary")
    parser.add_argument("--sequence", choices=SEQUENCES, help="view order of motion")
    parser.add_argument("--number", type=int, help="number of lesions (kind lesions)")
    parser.add_argument("--no-deformation", action="store_true", help="keep the shape of the label map")
    parser.add_argument("--record", type=Path, help="make the sample of this record.json again; draws nothing")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace existing output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from ..simulation import kinds

    folder = arguments.output
    check_folder(folder)
    if (folder / RECORD).exists() and not arguments.overwrite:
        raise InputError(f"'{folder.name}' holds a simulation already. Choose another folder or add --overwrite.")
    check_apart([folder / RECORD, folder / GALLERY, *earlier_files(folder)], [arguments.labels])
    labels, grid = read_labels(arguments.labels)
    record = _record(arguments)
    sample = kinds.apply(record, labels, grid)
    summary = write_sample(
        sample,
        record,
        folder,
        labels=labels,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        label_file=arguments.labels,
    )
    if arguments.json:
        print_json(summary)
    else:
        sys.stdout.write(f"Simulated {arguments.kind}: {', '.join(summary['files'])} in {folder}. {INTENDED_USE}\n")
    return 0


def _record(arguments: argparse.Namespace) -> SampleRecord:
    from ..simulation import kinds
    from ..simulation.records import sample_generator

    if arguments.record is not None:
        return _stored_record(arguments)
    return kinds.draw(
        arguments.kind,
        sample_generator(arguments.seed),
        contrast=arguments.contrast,
        field_strength=_positive(arguments.field_strength, "--field-strength"),
        severity=_positive(arguments.severity, "--severity", zero=True),
        sequence=arguments.sequence,
        number=_positive(arguments.number, "--number", zero=True),
        deformed=not arguments.no_deformation,
    )


def _stored_record(arguments: argparse.Namespace) -> SampleRecord:
    from ..simulation.kinds import SampleRecord

    try:
        values = json.loads(arguments.record.read_text(encoding="utf-8"))
        record = SampleRecord.from_dict(values.get("record", values))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"'{arguments.record.name}' is no record of a simulation; give a record.json.") from error
    if record.sample != arguments.kind:
        raise InputError(f"'{arguments.record.name}' is the record of '{record.sample}'; give that as KIND.")
    return record


def _positive(value: float | None, option: str, *, zero: bool = False) -> float | None:
    if value is not None and not (value > 0 or (zero and value == 0)):
        raise InputError(f"{option} must be {'zero or more' if zero else 'greater than zero'}, not {value}.")
    return value


def read_labels(path: Path | None) -> tuple[np.ndarray, Any]:
    """Label map, int32 (k, j, i), and its grid. Raises InputError when the file holds no labels."""
    if path is None:
        from ..simulation.templates import template_labels

        return template_labels()
    from ..volume_io import read_volume

    volume = read_volume(path)
    rounded = np.rint(volume.voxels)
    whole = np.isfinite(volume.voxels).all() and np.abs(volume.voxels - rounded).max() < 1e-3
    if not whole or rounded.min() < 0 or rounded.max() > LARGEST_LABEL or not rounded.any():
        raise InputError(f"'{path.name}' is no label map: it needs whole numbers from 0, as FreeSurfer gives them.")
    return rounded.astype(np.int32), volume.grid


def write_sample(
    sample: Sample,
    record: SampleRecord,
    folder: Path,
    *,
    labels: np.ndarray,
    seed: int,
    overwrite: bool,
    label_file: Path | None = None,
) -> dict[str, Any]:
    """Write volumes, record and gallery in place of those of an earlier simulation; returns what the record holds."""
    from ..simulation.gallery import write_gallery
    from ..volume_io import write_volume

    written: dict[str, Volume] = {**sample.volumes, **sample.masks}
    summary = {
        "synthetic": True,
        "intended_use": INTENDED_USE,
        "software": f"SynthMRI {__version__}",
        "seed": seed,
        "labels_sha256": _sha256(labels),
        "files": [f"{name}.nii.gz" for name in written],
        "facts": sample.facts,
        "record": record.as_dict(),
    }
    earlier = partial(earlier_files, folder)
    with new_results(folder, earlier=earlier, inputs=[label_file], overwrite=overwrite) as new:
        for name, volume in written.items():
            write_volume(volume, new / f"{name}.nii.gz")
        (new / RECORD).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        write_gallery(sample, new / GALLERY, title=f"simulate {record.sample}, seed {seed}")
    return summary


def earlier_files(folder: Path) -> list[Path]:
    """Record, picture and marked volumes of an earlier simulation in a folder."""
    names: list[str] = []
    with suppress(OSError, ValueError, LookupError, TypeError):
        names = list(json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"])
    volumes = [folder / name for name in names if isinstance(name, str) and Path(name).name == name]
    return [p for p in (*filter(in_file, volumes), folder / RECORD, folder / GALLERY) if p.is_file()]


def _sha256(labels: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(labels, dtype=np.int32).tobytes()).hexdigest()
