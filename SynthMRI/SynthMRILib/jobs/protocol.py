"""What parent and child say to each other: one JSON object a line, ASCII (hence UTF-8); volumes go through files.

| direction | `type`     | fields                                                                              |
|-----------|------------|-------------------------------------------------------------------------------------|
| to child  | `warm`     | (import torch ahead of the first run)                                               |
| to child  | `run`      | `job`, `task`, `bundle`, `parameters`, `folder`, `inputs` {role: volume entry}       |
| to child  | `cancel`   | `job`                                                                               |
| to parent | `hello`    | `protocol`, `version`, `python`, `pid`: sent before anything slow is imported       |
| to parent | `ready`    | `torch` (version or null), `devices`, `problem` (why torch cannot be used, or null) |
| to parent | `progress` | `job`, `fraction`, `message`, `elapsed`, `seconds_left` [s] (null: not known yet)   |
| to parent | `result`   | `job`, `outputs` {role: volume entry}, `provenance`, `measurements`                 |
| to parent | `error`    | `job`, `kind`, `message`, `traceback`, `restart`                                    |

There is no message to stop the child: the end of its standard input is that message, so that it cannot be missed.
Everything the child or its libraries print arrives as log lines on standard error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..volume import Grid, Volume

PROTOCOL_VERSION = 1

#: What the child writes to standard error before a `result` or `error`: all log lines of the run came before.
END_OF_LOG = b"\x1eend of run\n"

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """One line. ASCII only, so that even file names that are no valid UTF-8 travel unharmed."""
    return json.dumps(message, ensure_ascii=True, default=_plain).encode("ascii") + b"\n"


def decode(line: bytes) -> Message | None:
    """The message in a line, or None when the line is something else (a stray print)."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and "type" in message else None


def save_volumes(volumes: dict[str, Volume], folder: Path, prefix: str) -> dict[str, Message]:
    """Write the voxels of each volume into `folder` and return the volume entries that `load_volumes` reads.

    Raises OSError, with its errno, when the disk cannot take them.
    """
    return {role: _save(volume, folder / f"{prefix}-{n}.npy") for n, (role, volume) in enumerate(volumes.items())}


def load_volumes(entries: dict[str, Message], folder: Path) -> dict[str, Volume]:
    """Read volumes and delete their files. Raises OSError or ValueError for a missing or incomplete file."""
    return {role: _load(entry, folder / Path(entry["file"]).name) for role, entry in entries.items()}


def _save(volume: Volume, path: Path) -> Message:
    # Not np.save: on a full disk it raises an OSError without errno, which cannot be told from other failures.
    with path.open("xb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(volume.voxels))
        file.write(volume.voxels.data)
    return {"file": path.name, "ijk_to_ras": volume.grid.ijk_to_ras, "header": volume.header}


def _load(entry: Message, path: Path) -> Volume:
    voxels = np.load(path, allow_pickle=False)
    path.unlink()
    return Volume(voxels, Grid(voxels.shape, np.array(entry["ijk_to_ras"])), entry["header"])


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent between the processes of a job")
