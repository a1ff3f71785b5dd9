"""The marks by which a synthetic volume is known again, wherever it has been: the one list for files, DICOM and nodes.

| where | mark | who writes it |
|---|---|---|
| NRRD, MetaImage header; Slicer node that was loaded from one | key `SynthMRI_notice` | command line |
| Slicer node; NRRD header that Slicer wrote | key `SynthMRI.Synthetic` | panels |
| NIfTI header | `descrip`, or the notice in the comment extension | command line |
| JSON file beside a volume | `notice`, or `synthetic` with SynthMRI as its software | command line |
| DICOM | value `SYNTHETIC` of the image type | export, and other programs that say so |

Needs nothing but Python until a DICOM file is met, because Slicer asks before any package of ours is installed.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from . import SYNTHETIC_NOTICE

NOTICE_FIELD = "SynthMRI_notice"
PROVENANCE_FIELD = "SynthMRI_provenance"
SYNTHETIC_FIELD = "SynthMRI.Synthetic"
#: First word of the notice, and the value of a DICOM image type.
WORD = "SYNTHETIC"
NIFTI = (".nii.gz", ".nii")
TEXT_HEADERS = (".nrrd", ".nhdr", ".mha", ".mhd")
#: Names of a volume without their suffix end where one of these begins.
SUFFIXES = (*NIFTI, *TEXT_HEADERS)
NIFTI_HEADER = 348
DESCRIP = slice(148, 228)
#: How much of a file is looked through for its header [bytes].
LONGEST_HEADER = 1 << 20
_FIELD_LINE = re.compile(r"^\s*([\w.]+)\s*:?=\s*(.*?)\s*$", re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n|^ElementDataFile.*$", re.MULTILINE)


def in_fields(fields: Mapping[str, str | None]) -> bool:
    """Whether the keys of an NRRD or MetaImage header, or the attributes of a Slicer node, mark a synthetic volume."""
    return bool(fields.get(NOTICE_FIELD)) or fields.get(SYNTHETIC_FIELD) in ("1", "true")


def in_nifti(descrip: bytes, extension: bytes) -> bool:
    """Whether a NIfTI header does: its field `descrip`, or the text of an extension that SynthMRI wrote."""
    if descrip.startswith(WORD.encode()):
        return True
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return bool(json.loads(extension.split(b"\0")[0])["SynthMRI"].get("notice"))
    return False


def in_image_type(values: Iterable[str] | str | None) -> bool:
    """Whether a DICOM image type (values, or one text with backslashes between them) does."""
    parts = values.split("\\") if isinstance(values, str) else (values or ())
    return any(str(part).strip().upper() == WORD for part in parts)


def in_sidecar(file: Path) -> bool:
    """Whether the JSON file beside a volume says that SynthMRI made it."""
    name = file.name
    stem = next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    if not stem:
        return False
    sidecar = file.with_name(f"{stem}.json")
    with suppress(OSError, ValueError):
        state = sidecar.stat()
        return _is_ours(sidecar, state.st_mtime_ns, state.st_size)
    return False


@lru_cache(maxsize=4096)
def _is_ours(sidecar: Path, _changed: int, _size: int) -> bool:
    content: Any = None
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(sidecar.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return False
    is_ours = str(content.get("software", "")).startswith("SynthMRI")
    return content.get("notice") == SYNTHETIC_NOTICE or (content.get("synthetic") is True and is_ours)


def in_file(file: Path) -> bool:
    """Whether a volume's file or what lies beside it marks it as synthetic; False for what cannot be read.

    Only the header is read. A file that did not change is not read again.
    """
    try:
        state = file.stat()
    except (OSError, ValueError):
        return False
    return in_sidecar(file) or _in_header(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _in_header(file: Path, _changed: int, _size: int) -> bool:
    name = file.name.lower()
    with suppress(OSError, EOFError, ValueError, zlib.error):
        if name.endswith(NIFTI):
            return _in_nifti_file(file)
        if name.endswith(TEXT_HEADERS):
            return in_fields(_text_fields(file))
        return in_image_type(_image_type(file))
    return False


def _in_nifti_file(file: Path) -> bool:
    with file.open("rb") as raw:
        is_compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source: BinaryIO = gzip.GzipFile(fileobj=raw) if is_compressed else raw
        header = source.read(NIFTI_HEADER + 4)
        size = int.from_bytes(source.read(4), "little") if header[-4:-3] == b"\1" else 0
        extension = source.read(min(max(size - 4, 0), LONGEST_HEADER))[4:]
    return in_nifti(header[DESCRIP], extension)


def _text_fields(file: Path) -> dict[str, str]:
    with file.open("rb") as source:
        start = source.read(LONGEST_HEADER)
    end = _HEADER_END.search(start)
    return dict(_FIELD_LINE.findall((start[: end.end()] if end else start).decode("utf-8", "replace")))


def _image_type(file: Path) -> Iterable[str] | None:
    with file.open("rb") as source:
        if source.read(132)[128:] != b"DICM":
            return None
    import pydicom

    from .dicom_headers import quiet_pydicom

    unsound = (pydicom.errors.InvalidDicomError, KeyError, TypeError, AttributeError, NotImplementedError)
    with suppress(*unsound), quiet_pydicom():
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["ImageType"]).get("ImageType")
    return None
