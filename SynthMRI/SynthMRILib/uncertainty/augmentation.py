"""Test-time augmentation: how much the result changes when the input is changed in ways that should not matter.

Wang et al., Neurocomputing 338 (2019), 34-45. Two families of passes take turns and are kept apart: "spatial" mirrors
left and right and moves the head by a few degrees and millimeters, "intensity" changes contrast and brightness and adds
noise at the level that the input has. Each change is undone on the result before the results are compared. Everything
random about a pass is drawn first, from seed and pass number alone.

Moving twice by cubic B-splines blurs a little, so edges vary somewhat even where the network is sure; where a moved
volume did not reach, a pass does not count.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..denoising.noise_level import estimate_noise
from ..intensity import reference_intensity

if TYPE_CHECKING:
    from ..bundles import Bundle
    from ..progress import Progress
    from ..tasks.base import NetworkInput, Parameters

FAMILIES = ("spatial", "intensity")
LARGEST_TURN_DEGREES = 5.0
LARGEST_SHIFT_MM = 2.0


@dataclass(frozen=True)
class Augmentation:
    """What was drawn for one pass.

    Args:
        family: one of FAMILIES.
        mirrored: left and right are exchanged.
        turn_degrees: rotation vector about the array axes (k, j, i) around the middle of the volume.
        shift_mm: translation along (k, j, i).
        gamma, scale: intensity x (network units) becomes scale * x ** gamma.
        noise: deviation of the added Rician noise, in network units; noise_seed: seed of its voxels.
    """

    family: str
    mirrored: bool = False
    turn_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gamma: float = 1.0
    scale: float = 1.0
    noise: float = 0.0
    noise_seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def draw(number: int, *, seed: int, noise: float) -> Augmentation:
    """The augmentation of one pass: a function of seed, number and the noise of the input (network units) alone."""
    rng = np.random.default_rng([seed, 71, number])
    if FAMILIES[number % 2] == "spatial":
        turn = rng.normal(size=3)
        turn *= rng.uniform(0, LARGEST_TURN_DEGREES) / np.linalg.norm(turn)
        shift = rng.uniform(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM, 3)
        return Augmentation("spatial", bool(rng.random() < 0.5), tuple(turn.tolist()), tuple(shift.tolist()))
    return Augmentation(
        "intensity",
        gamma=float(np.exp(rng.uniform(-0.1, 0.1))),
        scale=float(np.exp(rng.uniform(-0.1, 0.1))),
        noise=noise,
        noise_seed=int(rng.integers(2**31)),
    )


def apply(record: Augmentation, prepared: NetworkInput) -> np.ndarray:
    """What the network sees in this pass: float32 (channels, k, j, i)."""
    channels = prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])
    images = len(channels) if prepared.images is None else prepared.images
    if record.family == "spatial":
        return np.stack([moved(channel, record, prepared) for channel in channels])
    rng = np.random.default_rng(record.noise_seed)
    changed = channels.copy()
    for channel in changed[:images]:
        signal = channel != 0
        bright = record.scale * np.maximum(channel, 0) ** record.gamma
        noise = record.noise * rng.standard_normal((2, *bright.shape), dtype=np.float32)
        channel[signal] = np.hypot(bright + noise[0], noise[1])[signal]
    return changed


def undo(record: Augmentation, voxels: np.ndarray, prepared: NetworkInput) -> np.ndarray:
    """The result of a pass (k, j, i), on the input's grid or a finer one, as if its input had not been changed."""
    if record.family == "spatial":
        return moved(voxels, record, prepared, back=True)
    if not prepared.same_contrast:
        return voxels
    return (np.maximum(voxels, 0) / np.float32(record.scale)) ** np.float32(1 / record.gamma)


def moved(voxels: np.ndarray, record: Augmentation, prepared: NetworkInput, *, back: bool = False) -> np.ndarray:
    """Voxels (k, j, i) mirrored, turned and shifted, or that undone; zero beyond the volume, never below the lowest."""
    axis = left_right_axis(prepared)
    source = np.flip(voxels, axis) if record.mirrored and not back else voxels
    result = ndimage.affine_transform(source, *_pull(record, voxels.shape, prepared, back=back), order=3)
    np.clip(result, voxels.min(), voxels.max(), out=result)
    return np.ascontiguousarray(np.flip(result, axis) if record.mirrored and back else result)


def _pull(
    record: Augmentation, shape: tuple[int, ...], prepared: NetworkInput, *, back: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset that take an output index to an input index; the two directions are inverse to each other."""
    extent = np.array(prepared.volume.grid.spacing[::-1]) * prepared.volume.shape
    step = extent / shape
    turn = Rotation.from_rotvec(record.turn_degrees, degrees=True).as_matrix()
    shift = np.array(record.shift_mm)
    middle = (np.array(shape) - 1) / 2 * step
    matrix, offset = (turn, middle + shift - turn @ middle)
    if back:
        matrix, offset = turn.T, -turn.T @ offset
    return matrix * step[None, :] / step[:, None], offset / step


def left_right_axis(prepared: NetworkInput) -> int:
    """Array axis (k, j, i) that is closest to the patient's left-right direction."""
    return 2 - int(np.abs(prepared.volume.grid.directions[0]).argmax())


def reached(record: Augmentation, shape: tuple[int, ...], prepared: NetworkInput) -> np.ndarray:
    """Voxels (k, j, i) of a result that the moved volume held, a margin of two voxels apart. Boolean."""
    held = np.zeros(prepared.volume.shape, dtype=np.float32)
    held[2:-2, 2:-2, 2:-2] = 1
    there = ndimage.affine_transform(held, *_pull(record, held.shape, prepared, back=False), order=1)
    factors = [fine // coarse for fine, coarse in zip(shape, held.shape)]
    for axis, factor in enumerate(factors):
        there = there.repeat(factor, axis=axis)
    matrix, offset = _pull(record, there.shape, prepared, back=True)
    return ndimage.affine_transform(there, matrix, offset, order=1) > 0.99


class Spread:
    """Mean and squared deviation of volumes seen one at a time, each with the voxels that count; float64 (Welford)."""

    def __init__(self) -> None:
        self.count: np.ndarray | None = None
        self.mean: np.ndarray | None = None
        self.squares: np.ndarray | None = None

    def add(self, voxels: np.ndarray, counts: np.ndarray | bool = True) -> None:
        """Take one more volume; `counts` is False where it is not to be used."""
        if self.mean is None:
            self.count = np.zeros(voxels.shape, dtype=np.int32)
            self.mean, self.squares = np.zeros(voxels.shape), np.zeros(voxels.shape)
        self.count += counts
        difference = np.where(counts, voxels - self.mean, 0)
        self.mean += difference / np.maximum(self.count, 1)
        self.squares += difference * np.where(counts, voxels - self.mean, 0)

    def deviation(self) -> np.ndarray:
        """Standard deviation, float32; zero where fewer than two volumes count."""
        return np.sqrt(self.squares / np.maximum(self.count - 1, 1)).astype(np.float32)


def augmented_spread(
    bundle: Bundle, prepared: NetworkInput, parameters: Parameters, *, passes: int, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Standard deviations by role, "augmentation-spatial" and "augmentation-intensity", and the facts behind them."""
    from ..inference import runner
    from ..progress import part_of

    noise = noise_of(prepared)
    spreads = {family: Spread() for family in FAMILIES}
    for number in range(passes):
        record = draw(number, seed=parameters.seed, noise=noise)
        channels, _, _ = runner.run_volume(
            bundle,
            apply(record, prepared),
            parameters,
            forward=mean_alone,
            outputs=1,
            progress=part_of(progress, number / passes, (number + 1) / passes),
            conditions=prepared.conditions,
        )
        there = reached(record, channels[0].shape, prepared) if record.family == "spatial" else True
        spreads[record.family].add(undo(record, channels[0], prepared), there)
    maps = {f"augmentation-{family}": spread.deviation() for family, spread in spreads.items()}
    each = passes // len(FAMILIES)
    facts = {
        "augmentation_passes": passes,
        "augmentation_noise": noise,
        "augmentation_relative_standard_error": (1 / (2 * max(1, each - 1))) ** 0.5,
    }
    return maps, facts


def noise_of(prepared: NetworkInput) -> float:
    """Noise of the first channel that holds anything, in network units."""
    for channel in prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])[: prepared.images]:
        if channel.any():
            positive = np.maximum(channel, 0)
            level = estimate_noise(positive, spacing=prepared.volume.spacing)
            return level.median * reference_intensity(positive)
    return 0.0


def mean_alone(network: Any, block: Any) -> Any:
    """The mean of the network, one channel."""
    return network(block)[0][0]
