"""A study on disk: what readers may see, their answers, and the lock after which the key may be opened.

STUDY/
  protocol.json            questions, trials and hashes of all cases; nothing that tells an arm
  cases/CODE/ROLE.nii      volumes under random codes
  orders/READER.json       what a reader sees, in order
  answers/READER.jsonl     append-only, hash-chained (see `chain.py`)
  locked.json              made once, when reading is over
STUDY.key.json             beside the folder: which case is which; keep it away from the readers
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..errors import InputError
from .chain import Chain, Record, TamperedError, digest_of, read_chain, utc_now
from .protocol import read_json, read_protocol

Key = dict[str, Any]


class Study:
    """A study folder, opened for reading cases or for analysis.

    Args:
        folder: the folder that holds protocol.json.

    Raises:
        InputError: there is no valid study.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "protocol.json").is_file():
            raise InputError(
                f"'{self.folder.name}' is no reader study (it has no protocol.json); choose another folder."
            )
        self.protocol = read_protocol(self.folder / "protocol.json")

    @property
    def title(self) -> str:
        return self.protocol["title"]

    @property
    def protocol_sha256(self) -> str:
        return digest_of(self.protocol)

    @property
    def readers(self) -> list[str]:
        return list(self.protocol["readers"])

    @property
    def questions(self) -> dict[str, dict[str, Any]]:
        return self.protocol["questions"]

    @property
    def is_locked(self) -> bool:
        return self._lock_path.exists()

    @property
    def default_key_path(self) -> Path:
        """Where the key lies unless it was put elsewhere: beside the folder, never in it."""
        return default_key_path(self.folder)

    def volume_path(self, code: str, role: str) -> Path:
        return self.folder / self.protocol["cases"][code][role]["file"]

    def sessions(self, reader: str) -> list[list[dict[str, Any]]]:
        """Steps of each session of a reader (see `ordering.order_for`). Raises TamperedError when they changed."""
        if reader not in self.protocol["readers"]:
            raise InputError(f"The study has no reader '{reader}'; its readers are {', '.join(self.readers)}.")
        order = read_json(self.folder / "orders" / f"{reader}.json", "order")
        if digest_of(order) != self.protocol["readers"][reader]:
            raise TamperedError(f"The order of reader '{reader}' was altered; restore a copy.")
        return order["sessions"]

    def answers_path(self, reader: str) -> Path:
        return self.folder / "answers" / f"{reader}.jsonl"

    def records(self, reader: str) -> list[Record]:
        """All finished records of a reader. Raises TamperedError."""
        path = self.answers_path(reader)
        records = read_chain(path)[0] if path.exists() else []
        for record in records:
            if record["kind"] == "opened" and record["protocol_sha256"] != self.protocol_sha256:
                raise TamperedError(f"'{path.name}' belongs to another protocol, or that was altered; restore a copy.")
        return records

    def missing(self, reader: str) -> int:
        """Number of steps that the reader has not answered."""
        steps = sum(map(len, self.sessions(reader)))
        return steps - sum(record["kind"] == "answer" for record in self.records(reader))

    def check_cases(self) -> None:
        """Compare every case with the protocol. Raises TamperedError for the first that differs or is gone."""
        for code, volumes in self.protocol["cases"].items():
            for role in volumes:
                path = self.volume_path(code, role)
                if not path.is_file() or file_sha256(path) != volumes[role]["sha256"]:
                    raise TamperedError(f"Case {code} ({role}) is missing or was altered; restore a copy of the study.")

    def lock(self, *, incomplete: bool = False) -> dict[str, Any]:
        """End the reading for good; afterwards nothing can be answered, and the key may be opened.

        Args:
            incomplete: True allows to lock although some steps have no answer.

        Raises:
            InputError: locked already, answers are missing, or somebody is reading.
            TamperedError: something in the study was altered.
        """
        if self.is_locked:
            raise InputError("The study is locked already.")
        self.check_cases()
        for reader in self.readers:
            if self.answers_path(reader).exists():
                Chain(self.answers_path(reader)).close()
        missing = {reader: count for reader in self.readers if (count := self.missing(reader))}
        if missing and not incomplete:
            listed = ", ".join(f"{reader}: {count}" for reader, count in missing.items())
            raise InputError(f"Answers are missing ({listed}); finish the reading, or lock it as incomplete.")
        content = {
            "protocol_sha256": self.protocol_sha256,
            "time": utc_now().isoformat(timespec="seconds"),
            "missing": missing,
            "answers": {reader: self._seal(reader) for reader in self.readers},
        }
        write_json(self._lock_path, {**content, "sha256": digest_of(content)})
        return content

    def check_lock(self) -> dict[str, Any]:
        """The content of the lock, after comparing everything with it. Raises InputError or TamperedError."""
        if not self.is_locked:
            raise InputError("The study is not locked; lock it when all reading is done, then unblind it.")
        lock = read_json(self._lock_path, "lock")
        content = {name: value for name, value in lock.items() if name != "sha256"}
        if lock.get("sha256") != digest_of(content) or lock.get("protocol_sha256") != self.protocol_sha256:
            raise TamperedError("The lock or the protocol was altered after locking; restore a copy.")
        for reader in self.readers:
            if content["answers"].get(reader) != self._seal(reader):
                raise TamperedError(f"The answers of reader '{reader}' were altered after locking; restore a copy.")
        self.check_cases()
        return content

    def unblind(self, key_path: str | Path | None = None) -> Key:
        """The key, only of a locked and unaltered study.

        Raises:
            InputError: not locked, or no key there.
            TamperedError: study or key were altered.
        """
        self.check_lock()
        return self.read_key(key_path)

    def read_key(self, key_path: str | Path | None = None) -> Key:
        """The key, for the leak audit before reading starts, which shows readers nothing. Analysis uses `unblind`."""
        path = Path(key_path) if key_path else self.default_key_path
        key = read_json(path, "key")
        if digest_of(key) != self.protocol["key_sha256"]:
            raise TamperedError(f"'{path.name}' is not the key of this study, or it was altered; restore a copy.")
        return key

    @property
    def _lock_path(self) -> Path:
        return self.folder / "locked.json"

    def _seal(self, reader: str) -> dict[str, Any]:
        records = self.records(reader)
        return {"records": len(records), "head": records[-1]["sha256"] if records else ""}


def default_key_path(folder: Path) -> Path:
    return folder.resolve().with_name(folder.resolve().name + ".key.json")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write completely or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
