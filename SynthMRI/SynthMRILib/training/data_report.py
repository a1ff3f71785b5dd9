"""What became of every file of a training set: as lines for a terminal and as a JSON file that can be passed on.

The file names subjects by the labels that the data set uses, and files by their place in the order of names within a
subject, because file names often hold more than a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..cohort.files import write_json
from .data import Found, LeftOut, TrainingFile

FORMAT = 1
LINES_SHOWN = 20


@dataclass
class DataReport:
    """Filled while a training set is read.

    Args:
        found: what the source holds.
        used: facts of every volume that was taken, JSON types.
        left_out: everything else.
    """

    found: Found
    used: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left_out += self.found.left_out

    def take(self, file: TrainingFile, **facts: Any) -> None:
        """Note a volume that is used."""
        self.used.append({"subject": file.subject, "contrast": file.contrast, **self._place(file), **facts})

    def leave_out(self, item: LeftOut) -> None:
        """Note something that is not."""
        self.left_out.append(item)

    def _place(self, item: TrainingFile | LeftOut) -> dict[str, int]:
        """The line of a list, or the number of a file within its subject in the order of names, from 1."""
        if item.place.startswith("line "):
            return {"line": int(item.place.removeprefix("line "))}
        files = [*self.found.files, *self.found.left_out]
        return {"file": sorted({f.place for f in files if f.subject == item.subject}).index(item.place) + 1}

    def as_dict(self, **facts: Any) -> dict[str, Any]:
        """The report in JSON types, without names of files."""
        return {
            "format": FORMAT,
            "software": f"SynthMRI {__version__}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "layout": self.found.layout,
            **facts,
            "volumes": self.used,
            "left_out": [
                {"subject": item.subject, **self._place(item), "kind": item.kind, "reason": item.reason}
                for item in self.left_out
            ],
            "left_out_by_kind": dict(Counter(item.kind for item in self.left_out).most_common()),
        }

    def write(self, path: Path, **facts: Any) -> None:
        """Write the report as JSON."""
        write_json(path, self.as_dict(**facts))

    def lines(self) -> list[str]:
        """The report for a terminal: counts, then what was left out by name, up to `LINES_SHOWN` of each kind."""
        subjects = {volume["subject"] for volume in self.used}
        lines = [f"{len(self.used)} volumes of {len(subjects)} subjects; left out: {len(self.left_out)}"]
        for kind, count in Counter(item.kind for item in self.left_out).most_common():
            lines.append(f"  {count} x {kind}")
            items = [item for item in self.left_out if item.kind == kind and not kind.startswith("of the part")]
            lines += [f"    {item.place}: {item.reason}" for item in items[:LINES_SHOWN]]
            lines += [f"    and {len(items) - LINES_SHOWN} more"] if len(items) > LINES_SHOWN else []
        return lines


def subjects_of(files: Iterable[TrainingFile]) -> list[str]:
    """Labels of the subjects, sorted, each once."""
    return sorted({file.subject for file in files})
