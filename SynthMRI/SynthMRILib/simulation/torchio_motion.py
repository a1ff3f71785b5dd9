"""Motion as TorchIO simulates it, for comparison only: a few sudden jumps along one axis and no view order.

Much published work used it with its defaults (two jumps of up to 10 degrees and 10 mm). SynthMRI trains on `motion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from scipy import fft

from ..errors import ResourceError
from ..volume import Volume
from .motion import head_mask
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
    return _moved(record, volume)[0]


def apply_and_measure(record: TorchIOMotionRecord, volume: Volume) -> tuple[Volume, float]:
    """The volume with motion, and its severity [mm] as `motion` measures it.

    That is the displacement of the head, root mean square over its voxels and over the edge energy of k-space. The part
    of k-space that holds its center keeps the volume as it is. The jumps turn about the origin of coordinates: TorchIO
    drops the center that it sets.
    """
    moved, jumps = _moved(record, volume)
    points = volume.grid.index_to_ras(np.argwhere(head_mask(volume.voxels)[::4, ::4, ::4])[:, ::-1] * 4)
    displaced = [0.0] + [_displacement(points, d, t) for d, t in zip(jumps["degrees"], jumps["translation"])]
    late = np.flatnonzero(jumps["times"] > 0.5)
    center = int(late[0]) if late.size else len(displaced) - 1
    displaced[0], displaced[center] = displaced[center], displaced[0]
    energy = _edge_energy(volume.voxels)
    ends = [0, *(int(len(energy) * t) for t in jumps["times"]), len(energy)]
    shares = [energy[a:b].sum() / energy.sum() for a, b in pairwise(ends)]
    return moved, float(np.sqrt(np.dot(shares, np.square(displaced))))


def _moved(record: TorchIOMotionRecord, volume: Volume) -> tuple[Volume, dict[str, np.ndarray]]:
    """The volume with motion, and times [share of the scan], degrees and translations [mm] of the jumps."""
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
        subject = transform(torchio.Subject(head=image))
    jumps = {n: np.asarray(getattr(subject.history[-1], n)["head"]) for n in ("times", "degrees", "translation")}
    moved = subject.head.numpy()[0].transpose(2, 1, 0)
    return volume.with_voxels(np.maximum(moved, 0)), jumps


def _displacement(points_ras: np.ndarray, degrees: np.ndarray, translation: np.ndarray) -> float:
    """Root mean square displacement [mm] of points by one jump, whose axes are L, P, S."""
    import SimpleITK as sitk

    matrix = np.array(sitk.Euler3DTransform((0, 0, 0), *np.radians(degrees).tolist()).GetMatrix()).reshape(3, 3)
    points = points_ras * np.array([-1.0, -1.0, 1.0])
    change = points @ matrix.T + translation - points
    return float(np.sqrt((change**2).sum(axis=1).mean()))


def _edge_energy(voxels: np.ndarray) -> np.ndarray:
    """|k|^2 |F|^2 summed over planes across the first array axis, along which TorchIO cuts k-space, low to high."""
    nu = np.meshgrid(*(fft.fftshift(fft.fftfreq(n)) for n in voxels.shape), indexing="ij", sparse=True)
    energy = sum(n**2 for n in nu) * np.abs(fft.fftshift(fft.fftn(voxels))) ** 2
    return energy.sum(axis=(1, 2))
