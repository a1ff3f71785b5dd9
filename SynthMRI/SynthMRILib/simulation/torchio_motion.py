"""Motion as TorchIO simulates it, for comparison only: a few sudden jumps along one axis and no view order.

Much published work used it with its defaults (two jumps of up to 10 degrees and 10 mm). SynthMRI trains on `motion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import ResourceError
from ..volume import Volume
from .records import Record, draw_seed


@dataclass(frozen=True)
class TorchIOMotionRecord(Record):
    """Parameters of TorchIO's RandomMotion and the seed of its draw.

    Args:
        degrees, translation_mm: largest rotation [deg] and translation [mm] of a jump.
        jumps: number of jumps.
    """

    kind: ClassVar[str] = "torchio-motion"
    degrees: float = 10.0
    translation_mm: float = 10.0
    jumps: int = 2
    motion_seed: int = 0


def draw(rng: np.random.Generator, *, degrees: float = 10.0, translation_mm: float = 10.0) -> TorchIOMotionRecord:
    """TorchIO's motion with its default number of jumps."""
    return TorchIOMotionRecord(degrees, translation_mm, 2, draw_seed(rng))


def apply(record: TorchIOMotionRecord, volume: Volume) -> Volume:
    """The volume with motion. Raises ResourceError when torchio is not installed."""
    try:
        import torch
        import torchio
    except ImportError as error:
        raise ResourceError("This comparison needs torchio; install it with: pip install 'torchio<2'.") from error
    image = torchio.ScalarImage(
        tensor=torch.from_numpy(volume.voxels.transpose(2, 1, 0)[None].copy()), affine=volume.grid.ijk_to_ras
    )
    transform = torchio.RandomMotion(record.degrees, record.translation_mm, record.jumps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(record.motion_seed)
        moved = transform(image).numpy()[0].transpose(2, 1, 0)
    return volume.with_voxels(np.maximum(moved, 0))
