"""Read a volume from any file or DICOM folder, and write one so that nothing is ever lost or half written.

What a file holds of the geometry [mm]: NRRD and MetaImage all 64 bits; NIfTI 32 bits for other programs (positions
round by about 1e-5 mm for a head) and all 64 bits for SynthMRI; DICOM the decimals of its tags.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from . import SYNTHETIC_NOTICE
from .errors import InputError, ResourceError, SynthMRIError
from .findings import raise_on_error
from .input_checks import check_grid, check_layout
from .itk_io import read_itk, write_itk
from .nifti import read_nifti, write_nifti
from .synthetic_marks import in_sidecar
from .volume import Volume

READERS: dict[str, Callable[[Path], Volume]] = {
    ".nii.gz": read_nifti,
    ".nii": read_nifti,
    ".nrrd": read_itk,
    ".nhdr": read_itk,
    ".mha": read_itk,
    ".mhd": read_itk,
}
#: The voxels of these headers lie in a second file, of this suffix.
DETACHED = {".nhdr": ".raw.gz", ".mhd": ".zraw"}
WRITE_TOLERANCE = 1e-6


def read_volume(path: str | Path) -> Volume:
    """Read a volume with its exact place.

    Args:
        path: a NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd) file, a folder that holds one
            DICOM volume, or one DICOM file, which stands for its series.

    Returns:
        The volume. Its `header` may hold `Format`, `PixelType` (as stored, e.g. "int16"), `Modality`, `Intent`
        ("label"), `Synthetic`, `OrientationUnknown`, `OrientationConflict` [mm] and, from DICOM, facts under their
        DICOM keywords and in DICOM units (`EchoTime` [ms], ...). It never holds anything about the patient.

    Raises:
        InputError: the file or folder cannot be read as one 3D scalar volume on a rectangular grid. Contents
            (constant, labels, ...) are judged by `input_checks.check_volume`.
        ResourceError: the volume does not fit into memory.
    """
    path = Path(path)
    try:
        volume = _reader(path)(path)
    except PermissionError as error:
        raise InputError(f"'{path.name}' may not be read; change its permissions.") from error
    except MemoryError as error:
        raise ResourceError(f"'{path.name}' does not fit into memory; close other programs or crop it.") from error
    raise_on_error(check_grid(volume.grid))
    if in_sidecar(path):
        volume.header["Synthetic"] = True
    return volume


def write_volume(
    volume: Volume,
    path: str | Path,
    *,
    overwrite: bool = False,
    provenance: dict[str, Any] | None = None,
    synthetic: bool = True,
) -> list[Path]:
    """Write float32 voxels, completely or not at all, and read them back before they take their place.

    Args:
        volume: what to write.
        path: where; the suffix chooses the format. The folder must exist.
        overwrite: replace files of that name; otherwise they are left alone and an error is raised.
        provenance: what made the volume, JSON types only; kept in the file and beside it as `<name>.json`.
        synthetic: mark the file as synthetic. Only for a copy of an acquired volume is this False.

    Returns:
        The files that were written.

    Raises:
        InputError: unknown suffix, existing file, missing or read-only folder, axes not at right angles.
        ResourceError: the disk is full.
    """
    path = Path(path)
    suffix = _writable_suffix(path)
    raise_on_error(check_layout(volume.grid.size) + check_grid(volume.grid))
    _check_target(path, _file_names(path, suffix, provenance), overwrite)
    is_replaced = path.exists()
    try:
        written = _write_staged(volume, path, suffix, provenance, SYNTHETIC_NOTICE if synthetic else "")
    except OSError as error:
        raise _write_error(path, error) from error
    if is_replaced and provenance is None:
        _remove_stale_provenance(path.parent / (path.name[: -len(suffix)] + ".json"))
    return written


def files_of(path: Path, *, sidecar: bool = True) -> list[Path]:
    """The files of a volume of this name, that one first. Raises InputError for a suffix that cannot be written.

    Args:
        path: file of the volume.
        sidecar: with the JSON file beside it.
    """
    names = _file_names(path, _writable_suffix(path), {} if sidecar else None)
    return [path.with_name(name) for name in reversed(names)]


def _writable_suffix(path: Path) -> str:
    suffix = _suffix(path)
    if suffix is None:
        raise InputError(f"'{path.name}' has no suffix SynthMRI can write; use one of {', '.join(READERS)}.")
    return suffix


def _reader(path: Path) -> Callable[[Path], Volume]:
    from . import dicom_io

    if path.is_dir():
        return dicom_io.read_dicom_folder
    if not path.exists():
        raise InputError(f"There is no file or folder '{path.name}'; check its name.")
    if path.stat().st_size == 0:
        raise InputError(f"'{path.name}' is empty; export it again.")
    suffix = _suffix(path)
    if suffix is not None:
        return READERS[suffix]
    if dicom_io.is_dicom(path):
        return dicom_io.read_dicom_file
    raise InputError(f"'{path.name}' is no volume SynthMRI can read; use NIfTI, NRRD, MetaImage or DICOM.")


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in READERS if path.name.lower().endswith(suffix)), None)


def _file_names(path: Path, suffix: str, provenance: dict[str, Any] | None) -> list[str]:
    """Names of all files of a volume; the one that the user named is the last, so it appears only when all is there."""
    stem = path.name[: -len(suffix)]
    names = [stem + DETACHED[suffix]] if suffix in DETACHED else []
    return [*names, *([stem + ".json"] if provenance is not None else []), path.name]


def _check_target(path: Path, names: list[str], overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise InputError(f"The folder of '{path.name}' does not exist; create it first.")
    for name in names:
        target = path.parent / name
        if target.is_dir():
            raise InputError(f"'{name}' is a folder; choose another name.")
        if target.exists() and not overwrite:
            raise InputError(f"'{name}' exists already; choose another name or allow overwriting.")


def _write_staged(
    volume: Volume, path: Path, suffix: str, provenance: dict[str, Any] | None, notice: str
) -> list[Path]:
    """Write into a private folder on the same disk, then rename: a rename either happens or does not."""
    staging = Path(tempfile.mkdtemp(prefix=".synthmri-", dir=path.parent))
    try:
        staged = staging / (path.name[: -len(suffix)] + suffix)
        _write_checked(volume, staged, suffix, provenance, notice)
        if provenance is not None:
            sidecar = staging / (path.name[: -len(suffix)] + ".json")
            sidecar.write_text(json.dumps({"notice": notice, **provenance}, indent=2) + "\n", encoding="utf-8")
        staged.rename(staging / path.name)
        return _place(staging, path.parent, _file_names(path, suffix, provenance))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place(staging: Path, folder: Path, names: list[str]) -> list[Path]:
    """Rename the files of one volume into place; all of them or none."""
    placed: list[Path] = []
    try:
        for name in names:
            placed.append((staging / name).replace(folder / name))
    except OSError:
        for file in placed:
            file.unlink()
        raise
    return placed


def _remove_stale_provenance(sidecar: Path) -> None:
    """The volume was replaced by one without provenance: what SynthMRI once wrote beside it is no longer true."""
    with suppress(OSError, ValueError):
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("notice") == SYNTHETIC_NOTICE:
            sidecar.unlink()


def _write_checked(volume: Volume, staged: Path, suffix: str, provenance: dict[str, Any] | None, notice: str) -> None:
    """Write and read back: SimpleITK does not report every failure of a disk."""
    writer = write_nifti if READERS[suffix] is read_nifti else write_itk
    try:
        writer(volume, staged, notice=notice, provenance=provenance)
        written = READERS[suffix](staged)
    except (RuntimeError, InputError) as error:
        if shutil.disk_usage(staged.parent).free < volume.voxels.nbytes:
            raise OSError(errno.ENOSPC, "No space left on device") from error
        raise OSError(errno.EIO, "Input/output error") from error
    is_same = written.grid.matches(volume.grid, tolerance=WRITE_TOLERANCE)
    if not is_same or not np.array_equal(written.voxels, volume.voxels, equal_nan=True):
        raise OSError(errno.EIO, "Input/output error")


def _write_error(path: Path, error: OSError) -> SynthMRIError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(f"There is no space left to write '{path.name}'; free some or choose another place.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return InputError(f"'{path.name}' cannot be written there; choose a folder you may write to.")
    return ResourceError(f"'{path.name}' could not be written completely ({error.strerror}); choose another place.")
