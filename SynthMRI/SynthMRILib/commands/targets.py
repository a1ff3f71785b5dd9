"""What a command is about to write, judged before any work: names, suffixes, folders, and that no input is replaced."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import InputError
from ..volume_io import READERS, files_of

#: The line of a text header that names the file with its voxels.
_DATA_FILE = re.compile(rb"^(?:data file:|ElementDataFile\s*=)\s*(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)
DETACHED_HEADERS = (".nhdr", ".mhd")


def check_volumes(
    outputs: Mapping[str, Path | None], *, inputs: Iterable[Path | None], overwrite: bool, sidecar: bool = True
) -> None:
    """Raises InputError before any work when a volume could not be written, or would replace what is not its own.

    Args:
        outputs: files to write by role; None where none was asked for.
        inputs: files and folders that are read; None for those that were not given.
        overwrite: whether older files of these names may be replaced. Inputs, what belongs to them, and the JSON file
            of another volume are never replaced.
        sidecar: a JSON file is written beside each volume.
    """
    named = {role: path for role, path in outputs.items() if path is not None}
    targets = {role: files_of(path, sidecar=sidecar) for role, path in named.items()}
    written: dict[Path, Path] = {}
    for role, path in named.items():
        for target in targets[role]:
            other = written.setdefault(_same(target), path)
            if other is not path:
                what = "are one file" if _same(other) == _same(path) else f"would share '{target.name}'"
                raise InputError(f"The outputs '{other.name}' and '{path.name}' {what}. Give each a name of its own.")
    check_apart([target for files in targets.values() for target in files], inputs)
    for role, path in named.items():
        if sidecar:
            _check_sidecar(path)
        check_files(targets[role], overwrite=overwrite)


def check_files(targets: Iterable[Path], *, overwrite: bool) -> None:
    """Raises InputError when a file exists that may not be replaced, or its folder is missing or cannot be written."""
    folders = set()
    for path in targets:
        if path.is_dir():
            raise InputError(f"'{path.name}' is a folder. Choose another name.")
        if path.exists() and not overwrite:
            raise InputError(f"'{path.name}' exists already. Choose another name or add --overwrite.")
        if not path.parent.is_dir():
            raise InputError(f"The folder of '{path.name}' does not exist. Make it first.")
        if path.parent not in folders:
            _check_writable(path)
            folders.add(path.parent)


def check_apart(targets: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Raises InputError when a target is an input, belongs to one, or lies in a folder of inputs and exists already."""
    given = [path for path in inputs if path is not None]
    belongings = {_same(file): path for path in given for file in belongings_of(path)}
    folders = {_same(path): path for path in given if path.is_dir()}
    for target in targets:
        owner = belongings.get(_same(target))
        if owner is not None and _same(owner) == _same(target):
            raise InputError(f"'{target.name}' is an input and would be replaced. Choose another name for the output.")
        if owner is not None:
            raise InputError(
                f"'{target.name}' belongs to the input '{owner.name}' and would be replaced. Choose another name for "
                "the output."
            )
        folder = next((folders[parent] for parent in _same(target).parents if parent in folders), None)
        if folder is not None and target.exists():
            name = folder.resolve().name
            raise InputError(f"'{target.name}' lies in the input '{name}'. Choose another place for the output.")


def belongings_of(path: Path) -> list[Path]:
    """An input file, the JSON file beside it and the file of its voxels, whether or not they are there."""
    if not path.name.lower().endswith(tuple(READERS)) or path.is_dir():
        return [path]
    files = files_of(path)
    if path.suffix.lower() in DETACHED_HEADERS and path.is_file():
        with path.open("rb") as file:
            found = _DATA_FILE.search(file.read(1 << 16))
        files += [path.parent / found.group(1).decode("utf-8", "replace")] if found else []
    return files


def _check_sidecar(path: Path) -> None:
    """The JSON file beside a volume must not be that of another volume that differs in its suffix alone."""
    suffix = next(suffix for suffix in READERS if path.name.lower().endswith(suffix))
    stem = path.name[: -len(suffix)]
    for other in READERS:
        if other != suffix and path.with_name(stem + other).exists():
            raise InputError(
                f"'{stem}.json' beside '{path.name}' would be taken for that of '{stem}{other}' too. Choose another "
                "name for the output."
            )


def _check_writable(path: Path) -> None:
    try:
        shutil.rmtree(tempfile.mkdtemp(prefix=".synthmri-", dir=path.parent))
    except OSError as error:
        raise InputError(f"'{path.name}' cannot be written there. Choose a folder you may write to.") from error


def _same(path: Path) -> Path:
    """The path by which two names of one file are equal, also through links and for files yet to be made."""
    return path.resolve()
