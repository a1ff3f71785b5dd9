"""Points that a reader has set: a Slicer markups file, or a table of positions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from ..errors import InputError

Point = tuple[float, float, float]


def read_points(path: Path) -> list[Point]:
    """Positions in RAS [mm], in the order of the file.

    A `.json` file is a Slicer markups file (its coordinate system, LPS or RAS, is honored). Any other is a table with a
    position in each line, R, A and S separated by commas; lines that begin with a letter or # are left out.

    Raises InputError when the file holds no point.
    """
    if not path.is_file():
        raise InputError(f"There is no file of points '{path.name}'.")
    points = _from_markups(path) if path.suffix == ".json" else _from_table(path)
    if not points:
        raise InputError(f"'{path.name}' holds no point. Save a point list from Slicer, or a table of R, A, S in mm.")
    return points


def _from_markups(path: Path) -> list[Point]:
    try:
        markups = json.loads(path.read_text(encoding="utf-8"))["markups"]
        return [
            _in_ras(control["position"], str(markup.get("coordinateSystem", "LPS")))
            for markup in markups
            for control in markup["controlPoints"]
        ]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        raise InputError(f"'{path.name}' is not a markups file of Slicer.") from None


def _in_ras(position: list[float], system: str) -> Point:
    x, y, z = (float(value) for value in position)
    return (x, y, z) if system in ("RAS", "0") else (-x, -y, z)


def _from_table(path: Path) -> list[Point]:
    points = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"'{path.name}' is not text in UTF-8. Save the table as CSV in UTF-8.") from None
    for row in csv.reader(text.splitlines()):
        if not row or not row[0].strip() or row[0].strip()[0].isalpha() or row[0].startswith("#"):
            continue
        try:
            r, a, s = (float(value) for value in row[:3])
        except ValueError:
            raise InputError(f"'{path.name}' holds a line that is not R, A, S in mm: {','.join(row)}.") from None
        points.append((r, a, s))
    return points
