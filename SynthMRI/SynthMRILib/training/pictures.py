"""What a training leaves to look at: curves and pictures for TensorBoard, and the same pictures as PNG files.

A picture shows slices of held-out volumes, one row each: what the network gets, what it makes of it, what is right.
PNG files are written here, without an imaging library (format: ISO/IEC 15948; one gray channel, no filter).
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GAP = 4
#: Rows that a picture has when there are many blocks to choose from.
SHOWN = 4
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class Slice:
    """One row of a picture.

    Args:
        name: what is shown ("real_flair").
        input, output, target: planes (rows, columns) in network units; the input may have fewer voxels.
    """

    name: str
    input: np.ndarray
    output: np.ndarray
    target: np.ndarray

    @classmethod
    def middle(cls, name: str, *volumes: np.ndarray) -> Slice:
        """The middle plane of input, output and target, each (k, j, i)."""
        return cls(name, *(volume[volume.shape[0] // 2] for volume in volumes))


def sheet(rows: Sequence[Slice]) -> np.ndarray:
    """uint8 picture of all rows, from the top: input, output and target with the same gray values in a row."""
    pictures = []
    for row in rows:
        top = float(np.percentile(row.target, 99.8)) or 1.0
        planes = [to_shape(plane, row.target.shape) for plane in (row.input, row.output, row.target)]
        gap = np.zeros((row.target.shape[0], GAP))
        joined = np.concatenate([planes[0], gap, planes[1], gap, planes[2]], axis=1)
        pictures.append(np.clip(255 * joined / top, 0, 255).astype(np.uint8)[::-1])
    width = max(picture.shape[1] for picture in pictures)
    padded = [np.pad(p, ((0, GAP), (0, width - p.shape[1]))) for p in pictures]
    return np.concatenate(padded)[:-GAP]


def to_shape(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A plane with its voxels repeated up to a shape, so that what was acquired stays visible as it is."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, plane.shape))
    return plane[rows][:, columns]


def png(picture: np.ndarray) -> bytes:
    """A gray picture, uint8 (rows, columns), as a PNG file."""
    rows, columns = picture.shape
    lines = np.pad(picture, ((0, 0), (1, 0)))  # a zero before each line: no filter
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


class Board:
    """Curves and pictures of one run in `folder/tensorboard`, and pictures in `folder/samples`.

    Without the package tensorboard there are pictures only; `missing` then says so.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing = ""
        self._writer: Any = None
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            self.missing = "TensorBoard is not installed, so there are no curves: pip install tensorboard."
        else:
            self._writer = EventFileWriter(str(folder / "tensorboard"))

    def curves(self, event: str, step: int, figures: dict[str, Any]) -> None:
        """Add a point to the curve of every figure that is a number."""
        if self._writer is not None:
            numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
            self._add(step, [{"tag": f"{event}/{name}", "simple_value": value} for name, value in numbers.items()])

    def pictures(self, step: int, rows: Sequence[Slice]) -> Path | None:
        """Write the picture of a step; None when there is nothing to show."""
        if not rows:
            return None
        picture = sheet(rows)
        contents = png(picture)
        path = self.folder / "samples" / f"step_{step:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        if self._writer is not None:
            from tensorboard.compat.proto.summary_pb2 import Summary

            height, width = picture.shape
            image = Summary.Image(height=height, width=width, colorspace=1, encoded_image_string=contents)
            self._add(step, [{"tag": "input | output | target", "image": image}])
        return path

    def flush(self) -> None:
        """Put on disk what was added."""
        if self._writer is not None:
            self._writer.flush()

    def _add(self, step: int, values: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value) for value in values])
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
