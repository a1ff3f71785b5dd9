"""One record a case, written so that it is either there or not, whatever is killed and when.

    writing   the result is about to be put in place; the record says what and by which run
    done      every output is in place
    failed    with a sentence why

A `writing` record whose outputs are all in place, marked with the same run, is as good as `done`: the process was
killed between the last output and the record.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .cases import Case
from .files import read_json, sidecar_of, write_json

WRITING, DONE, FAILED = "writing", "done", "failed"


@dataclass(frozen=True)
class Record:
    """What became of a case.

    Args:
        case: its name.
        state: "writing", "done" or "failed".
        key: hash of the settings and of the state of the input files.
        run: identifier of the run that made the outputs.
        outputs: paths below the output folder by role.
        error: one sentence, when it failed.
        findings: of the checks before the run, as dictionaries.
        flags: what a person should look at (see `quality.py`).
        quality: measures by name (see `quality.py`).
        facts: spacing and shape of input and output, hash of the input.
        seconds: duration of the steps by name [s].
        finished: UTC.
    """

    case: str
    state: str
    key: str
    run: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    error: str = ""
    findings: list[dict[str, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    quality: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    finished: str = ""


class RecordStore:
    """The records in an output folder; any process may use one, also several at once.

    Args:
        output: the batch's output folder.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output / "manifest" / "cases"

    def path(self, case: str) -> Path:
        """File of a case: readable, and unique also where upper and lower case are the same."""
        readable = re.sub(r"[^A-Za-z0-9._-]", "-", case).strip(".")[:80]
        return self.folder / f"{readable}-{hashlib.sha256(case.encode()).hexdigest()[:12]}.json"

    def read(self, case: str) -> Record | None:
        """The record of a case; None when there is none or it is damaged."""
        try:
            return Record(**read_json(self.path(case)))
        except TypeError:
            return None

    def write(self, record: Record) -> Record:
        """Put a record in place and return it."""
        write_json(self.path(record.case), asdict(record))
        return record

    def settled(self, case: Case, key: str) -> Record | None:
        """The record of a case that needs no work: done with this key, and its outputs are there."""
        record = self.read(case.name)
        if record is None or record.key != key or record.state == FAILED:
            return None
        if not record.outputs or not all(self.is_in_place(path, record.run) for path in record.outputs.values()):
            return None
        return record if record.state == DONE else self.write(replace(record, state=DONE))

    def is_in_place(self, output: str, run: str) -> bool:
        """True when an output is there, whole, and of that run: the volume itself is put in place last."""
        return (self.output / output).exists() and self.made_by(output) == run

    def made_by(self, output: str) -> str | None:
        """The run that made an output, or its JSON file: "" for files of somebody else, None when there are none."""
        file = self.output / output
        if not file.exists() and not sidecar_of(file).exists():
            return None
        cohort = read_json(sidecar_of(file)).get("cohort")
        return str(cohort.get("run", "")) if isinstance(cohort, dict) else ""

    def clear(self) -> None:
        """Forget all records; outputs stay until they are replaced."""
        for file in self.folder.glob("*.json"):
            file.unlink()
