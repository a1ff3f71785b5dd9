"""The `manifest` folder of a batch: its settings, one record a case, a log, and a lock against a second batch.

manifest/batch.json     settings; a batch with others is refused, as its results would not be comparable
manifest/cases/*.json   see `records.py`
manifest/log.jsonl      what happened when, one JSON object a line
manifest/in-use         locked while a batch runs; the system unlocks it when that ends, however it ends
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from ..jobs.folders import try_lock
from .cases import Case
from .files import TEMPORARY, read_json, write_json
from .records import RecordStore
from .settings import Settings
from .steps import now


class Manifest:
    """The manifest of one batch, held by the process that runs it; use it in a `with` statement.

    Args:
        settings: of the batch.

    Raises InputError when another batch holds the folder, or began it with other settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.output / "manifest"
        self.store = RecordStore(settings.output)
        self._lock: BinaryIO | None = None

    def __enter__(self) -> Manifest:
        try:
            self.store.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "in-use").open("ab")
        except OSError as error:
            name = self.settings.output.name
            raise InputError(f"Nothing can be written into '{name}' ({error.strerror}); choose another one.") from None
        try:
            self._claim()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _claim(self) -> None:
        if try_lock(self._lock) is False:
            raise InputError(f"Another batch is writing into '{self.folder.parent.name}'; wait until it ends.")
        identity = self.settings.identity()
        before = read_json(self.folder / "batch.json")
        if self.settings.overwrite:
            self.store.clear()
        elif before and before != identity:
            changed = next(name for name in identity if identity[name] != before.get(name))
            raise InputError(
                f"'{self.folder.parent.name}' holds a batch with another {changed}; choose another folder, "
                "or add --overwrite to start anew."
            )
        write_json(self.folder / "batch.json", identity)

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to the log."""
        line = json.dumps({"time": now(), "event": event, **facts})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def sweep(self, cases: Iterable[Case]) -> None:
        """Delete what killed processes left half written where the cases write."""
        folders = {self.settings.output / case.folder for case in cases} | {self.folder, self.store.folder}
        for folder in sorted(folders):
            for path in folder.glob(f"{TEMPORARY}*"):
                with suppress(OSError):
                    _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
