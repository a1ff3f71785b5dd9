"""A folder of results that belong together: an earlier run's are replaced as a whole, so that no two runs ever mix."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError, ResourceError
from ..synthetic_marks import in_sidecar
from ..volume_io import READERS, files_of
from .targets import check_apart


def earlier_results(folder: Path, task: str, others: Iterable[str]) -> list[Path]:
    """Files that an earlier run left in a folder: volumes whose JSON file names the task, those files, and `others`."""
    found = [folder / name for name in others]
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.lower().endswith(tuple(READERS)) and in_sidecar(path):
            files = files_of(path)
            sidecar = next(file for file in files if file.suffix == ".json")
            with suppress(OSError, ValueError):
                found += files if json.loads(sidecar.read_text(encoding="utf-8")).get("task") == task else []
    return [path for path in found if path.is_file()]


def check_folder(folder: Path, *, empty: bool = False) -> None:
    """Raises InputError before any work when nothing could be written into a folder, which may not be there yet.

    Args:
        empty: whether it must hold nothing.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"'{folder.name}' is a file. Give a folder for the output.")
    if empty and folder.exists() and any(folder.iterdir()):
        raise InputError(f"The folder '{folder.name}' is not empty. Choose another one or add --overwrite.")
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        shutil.rmtree(tempfile.mkdtemp(prefix=".synthmri-", dir=nearest))
    except OSError as error:
        raise InputError(f"'{folder.name}' cannot be written there. Choose a folder you may write to.") from error


@contextmanager
def new_results(
    folder: Path, *, earlier: Callable[[], Iterable[Path]], inputs: Iterable[Path | None], overwrite: bool
) -> Iterator[Path]:
    """An empty folder to write into; at the end its files take the place of the earlier ones, all of them or none.

    Args:
        folder: where the results go; made when it is missing.
        earlier: tells which of its files go as well.
        inputs: what was read, which never goes.
        overwrite: whether a file of the same name that is not among them may be replaced.

    Raises:
        InputError: a file of that name is there and may not be replaced, or is an input.
        ResourceError: the files could not be put in place; everything is as before then.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".synthmri-", dir=folder))
    try:
        for name in ("new", "old"):
            (staging / name).mkdir()
        yield staging / "new"
        _exchange(folder, staging, list(earlier()), list(inputs), overwrite=overwrite)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                folder.rmdir()


def _exchange(folder: Path, staging: Path, earlier: list[Path], inputs: list[Path | None], *, overwrite: bool) -> None:
    files = sorted((staging / "new").iterdir())
    taken = [folder / file.name for file in files if (folder / file.name).exists()]
    if not overwrite and taken:
        raise InputError(f"'{taken[0].name}' exists already; choose another folder or allow overwriting.")
    check_apart([*earlier, *(folder / file.name for file in files)], inputs)
    moved: list[tuple[Path, Path]] = []
    try:
        for path in dict.fromkeys([*earlier, *taken]):
            moved.append((path.rename(staging / "old" / path.name), path))
        for file in files:
            moved.append((file.rename(folder / file.name), file))
    except BaseException as error:
        for now, before in reversed(moved):
            now.rename(before)
        if isinstance(error, OSError):
            raise ResourceError(f"'{folder.name}' could not be written: {error.strerror or error}.") from error
        raise
