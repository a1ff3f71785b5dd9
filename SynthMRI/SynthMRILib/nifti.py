"""NIfTI-1 volumes (.nii, .nii.gz), read and written without loss.

Format: R. W. Cox et al., "A (sort of) new image data format standard: NIfTI-1", 2004 (nifti1.h).
SimpleITK is not used here, for measured reasons: it reads a truncated file as zeros without an error, moves oblique
volumes by up to 5e-5 mm, and does not write `descrip` (Documentation/decisions/0004-volume-files.md).

The header holds geometry in 32 bits: for a head that rounds positions by about 1e-5 mm. A comment extension keeps the
64-bit matrix beside it; it is used on reading when it still agrees with the 32-bit one.
"""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import InputError
from .findings import raise_on_error
from .input_checks import check_layout
from .nifti_geometry import affine_of, geometry_fields, orientation_facts
from .synthetic_marks import in_nifti
from .volume import Grid, Volume

HEADER = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("unused", "S35"),
        ("dim_info", "u1"),
        ("dim", "<i2", 8),
        ("intent_p", "<f4", 3),
        ("intent_code", "<i2"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("slice_start", "<i2"),
        ("pixdim", "<f4", 8),
        ("vox_offset", "<f4"),
        ("scl_slope", "<f4"),
        ("scl_inter", "<f4"),
        ("slice_end", "<i2"),
        ("slice_code", "u1"),
        ("xyzt_units", "u1"),
        ("cal_max", "<f4"),
        ("cal_min", "<f4"),
        ("slice_duration", "<f4"),
        ("toffset", "<f4"),
        ("glmax", "<i4"),
        ("glmin", "<i4"),
        ("descrip", "S80"),
        ("aux_file", "S24"),
        ("qform_code", "<i2"),
        ("sform_code", "<i2"),
        ("quatern", "<f4", 3),
        ("qoffset", "<f4", 3),
        ("srow", "<f4", (3, 4)),
        ("intent_name", "S16"),
        ("magic", "S4"),
    ]
)
DATA_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip
COMPONENTS = {32: 2, 1792: 2, 2048: 2, 128: 3, 2304: 4}
LABEL_INTENT = 1002
COMMENT_EXTENSION = 6
COMPRESSION_LEVEL = 4
LARGEST_COMPRESSION = 1100


def read_nifti(path: Path) -> Volume:
    """The volume in a NIfTI-1 file. Raises InputError with a sentence when it is damaged, incomplete or not 3D."""
    try:
        with _open(path) as file:
            return _read(file, path)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise _damaged(path) from error


def write_nifti(volume: Volume, path: Path, *, notice: str, provenance: dict[str, Any] | None) -> None:
    """Write float32 voxels; the same volume gives the same bytes. Raises OSError when the disk is full."""
    header = np.zeros((), HEADER)
    extension = _extension(volume.grid, notice, provenance)
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = 348, b"n+1", HEADER.itemsize + 4 + len(extension)
    header["dim"] = [3, *volume.grid.size, 1, 1, 1, 1]
    header["datatype"], header["bitpix"], header["scl_slope"] = 16, 32, 1
    header["descrip"], header["xyzt_units"] = notice.encode("ascii")[:79], 2
    for name, value in geometry_fields(volume.grid).items():
        header[name] = value
    with path.open("wb") as raw:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, raw, mtime=0) as file:
                _write(file, header, extension, volume)
        else:
            _write(raw, header, extension, volume)


def _write(file: BinaryIO, header: np.ndarray, extension: bytes, volume: Volume) -> None:
    file.write(header.tobytes())
    file.write(b"\1\0\0\0" + extension)
    file.write(np.ascontiguousarray(volume.voxels, dtype="<f4").data.cast("B"))


def _open(path: Path) -> BinaryIO:
    """The file's content, decompressed where it is compressed, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if compressed else path.open("rb")


def _read(file: BinaryIO, path: Path) -> Volume:
    header = _read_header(file, path)
    size = tuple(int(n) for n in header["dim"][1 : header["dim"][0] + 1])
    raise_on_error(check_layout(size, COMPONENTS.get(int(header["datatype"]), 1)))
    if int(header["datatype"]) not in DATA_TYPES:
        raise InputError(f"'{path.name}' holds voxels of a kind SynthMRI does not know; save it as float32.")
    extension = file.read(int(header["vox_offset"]) - HEADER.itemsize)
    voxels = _read_voxels(file, header, size[:3], path)
    affine = _exact(affine_of(header, path.name), extension)
    return Volume(voxels, Grid(size[2::-1], affine), _facts(header, extension))


def _read_header(file: BinaryIO, path: Path) -> np.ndarray:
    block = file.read(HEADER.itemsize)
    if block[:4] in (b"\x1c\2\0\0", b"\0\0\2\x1c"):
        raise InputError(f"'{path.name}' is NIfTI-2, which Slicer cannot read either; save it as NIfTI-1.")
    if len(block) < HEADER.itemsize:
        raise _damaged(path)
    header = np.frombuffer(block, HEADER)[0]
    if header["sizeof_hdr"] != 348:
        header = np.frombuffer(block, HEADER.newbyteorder(">"))[0]
    if header["magic"] == b"ni1":
        raise InputError(f"'{path.name}' keeps its voxels in a second file; save it as one .nii or .nii.gz file.")
    dimensions = int(header["dim"][0])
    is_valid = header["sizeof_hdr"] == 348 and header["magic"] == b"n+1" and 1 <= dimensions <= 7
    if not is_valid or header["dim"][1 : dimensions + 1].min() < 1 or not 352 <= header["vox_offset"] < 2**30:
        raise _damaged(path)
    return header


def _read_voxels(file: BinaryIO, header: np.ndarray, size: tuple[int, ...], path: Path) -> np.ndarray:
    """float32 array (k, j, i) in the units of the file. Reads to the end, where gzip keeps its checksum."""
    kind = np.dtype(DATA_TYPES[int(header["datatype"])]).newbyteorder(">" if _is_big_endian(header) else "<")
    length = int(np.prod(size, dtype=np.int64)) * kind.itemsize
    if length > path.stat().st_size * (LARGEST_COMPRESSION if isinstance(file, gzip.GzipFile) else 1):
        raise _damaged(path)
    data = file.read(length)
    file.read(1)
    if len(data) < length:
        raise _damaged(path)
    voxels = np.frombuffer(data, kind).reshape(size[::-1])
    if _is_scaled(header):
        voxels = voxels * np.float64(header["scl_slope"]) + np.float64(header["scl_inter"])
    with np.errstate(over="ignore"):
        return voxels.astype(np.float32)


def _is_big_endian(header: np.ndarray) -> bool:
    return header.dtype["sizeof_hdr"] != HEADER["sizeof_hdr"]


def _is_scaled(header: np.ndarray) -> bool:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    return bool(np.isfinite(slope) and slope != 0 and np.isfinite(intercept) and (slope, intercept) != (1, 0))


def _facts(header: np.ndarray, extension: bytes) -> dict[str, Any]:
    """What the header says that is worth keeping; none of it is free text of a person."""
    pixel_type = "float32" if _is_scaled(header) else np.dtype(DATA_TYPES[int(header["datatype"])]).name
    facts = {"Format": "NIfTI", "PixelType": pixel_type, **orientation_facts(header)}
    if header["intent_code"] == LABEL_INTENT:
        facts["Intent"] = "label"
    if in_nifti(bytes(header["descrip"]), extension[12:]):
        facts["Synthetic"] = True
    return facts


def _extension(grid: Grid, notice: str, provenance: dict[str, Any] | None) -> bytes:
    """A comment extension: 64-bit geometry and where the volume came from, as JSON, padded to 16 bytes."""
    content = {"ijk_to_ras": grid.ijk_to_ras.tolist(), "notice": notice, "provenance": provenance}
    text = json.dumps({"SynthMRI": content}).encode("ascii")
    length = -(-(len(text) + 8) // 16) * 16
    return np.array([length, COMMENT_EXTENSION], "<i4").tobytes() + text.ljust(length - 8, b"\0")


def _exact(affine: np.ndarray, extension: bytes) -> np.ndarray:
    """The 64-bit matrix of the extension if the header's 32-bit one is its rounding; else the header's."""
    with suppress(ValueError, KeyError, TypeError):
        text = extension[12:].split(b"\0")[0]
        exact = np.array(json.loads(text)["SynthMRI"]["ijk_to_ras"], dtype=np.float64)
        if exact.shape == (4, 4) and np.array_equal(exact.astype(np.float32), affine.astype(np.float32)):
            return exact
    return affine


def _damaged(path: Path) -> InputError:
    return InputError(f"'{path.name}' is damaged, incomplete or no NIfTI file; export it again.")
