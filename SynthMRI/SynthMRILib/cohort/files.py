"""Files of a cohort: walked in a fixed order, told apart by name, and written so that none is ever half there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..synthetic_marks import in_file
from ..volume_io import READERS

#: How the names of files and folders begin that exist only while something is written (also those of `volume_io`).
TEMPORARY = ".synthmri-"


def volume_suffix(name: str) -> str:
    """The suffix of a volume format that a file name ends with, or ""."""
    return next((name[-len(suffix) :] for suffix in READERS if name.lower().endswith(suffix)), "")


def stem_of(name: str) -> str:
    """A file name without the suffix of a volume format."""
    return name[: len(name) - len(volume_suffix(name))]


def sidecar_of(file: Path) -> Path:
    """The JSON file beside a volume."""
    return file.with_name(stem_of(file.name) + ".json")


def walk(source: Path, avoided: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders and their file names in order, without hidden ones and without the folder `avoided`."""
    avoided = avoided.resolve()
    for root, folders, names in os.walk(source):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(root) / f).resolve() != avoided)
        if Path(root).resolve() != avoided:
            yield Path(root), sorted(name for name in names if not name.startswith("."))


def reason_if_synthetic(file: Path) -> str:
    """Why a volume that is marked as synthetic is left out; "" for any other, also for one that cannot be read."""
    return "marked as synthetic" if in_file(file) else ""


def read_json(file: Path) -> dict[str, Any]:
    """An object from a JSON file; empty when there is none or it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is either the old one or the new one."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is either the old one or the new one, also after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
