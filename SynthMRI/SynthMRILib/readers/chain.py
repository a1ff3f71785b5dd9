"""An append-only file of records, each bound to the one before by SHA-256, flushed to disk before it counts.

A record is one line of JSON. Its `sha256` covers all else in it, including the hash of the record before, so that no
record can be changed, removed from the middle or put elsewhere unnoticed. Whoever rewrites the whole file, or cuts
whole records from its end, can make a new valid chain; against that stand the head hash that the reader is shown
(`Chain.head`) and the lock of the study, which records every head.

A line that the program was writing when it died has no line end. It is cut off when the file is opened again, and a
record says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from ..jobs.folders import try_lock

FIRST = "0" * 64
Record = dict[str, Any]


class TamperedError(InputError):
    """A file is not as the program wrote it."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON value in one canonical spelling."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_chain(path: Path) -> tuple[list[Record], bytes]:
    """All records of a file and the bytes of a last line that was never finished (mostly none).

    Raises:
        TamperedError: a record was changed, removed from the middle, or added by other means.
    """
    *lines, torn = path.read_bytes().split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(lines):
        record = _checked(line, number, records[-1]["sha256"] if records else FIRST)
        if record is None:
            message = f"'{path.name}' was altered: record {number + 1} does not fit the one before; restore a copy."
            raise TamperedError(message)
        records.append(record)
    return records, torn


def _checked(line: bytes, number: int, previous: str) -> Record | None:
    try:
        record = json.loads(line)
        unsigned = {name: value for name, value in record.items() if name != "sha256"}
        is_sound = record["sha256"] == digest_of(unsigned) and record["previous"] == previous
        return record if is_sound and record["number"] == number else None
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


class Chain:
    """A chain open for writing, by one process at a time.

    Args:
        path: the file; made when it is missing, its folder must exist.
        clock: gives the time of a record (UTC).

    Raises:
        TamperedError: see `read_chain`.
        InputError: another process has the file open for writing.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.path, self._clock = path, clock
        self._lock = _locked(path.with_suffix(".lock"), path.name)
        try:
            path.touch()
            self.records, torn = read_chain(path)
            self._file = path.open("r+b")
        except BaseException:
            self._lock.close()
            raise
        self._file.seek(-len(torn), os.SEEK_END)
        self._file.truncate()
        _sync_folder(path.parent)
        if torn:
            self.append("recovered", {"bytes": len(torn), "cut_sha256": hashlib.sha256(torn).hexdigest()})

    @property
    def head(self) -> str:
        """Hash of the last record; whoever keeps it can prove later what the file held."""
        return self.records[-1]["sha256"] if self.records else FIRST

    def append(self, kind: str, content: Record) -> Record:
        """Add a record; when this returns, it is on the disk."""
        record = {
            "number": len(self.records),
            "previous": self.head,
            "time": self._clock().astimezone(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            **content,
        }
        record["sha256"] = digest_of(record)
        self._file.write(json.dumps(record, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records.append(record)
        return record

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _locked(path: Path, shown: str) -> BinaryIO:
    file = path.open("ab")
    if try_lock(file) is False:
        file.close()
        raise InputError(f"'{shown}' is open in another window; close that one first.")
    return file


def _sync_folder(folder: Path) -> None:
    """Make the file's name survive a loss of power, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
