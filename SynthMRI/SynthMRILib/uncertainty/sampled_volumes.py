"""Mean and spread of volumes that a generative network samples, whatever kind it is: a diffusion network for one.

A sampler gives volume number n for a seed. What its volumes differ in is what the input leaves open once the network is
given (aleatoric); how far the network itself is to be trusted (epistemic) does not show in them and stays zero. Volumes
are seen one at a time (Welford, float64), so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..progress import part_of

if TYPE_CHECKING:
    from ..inference.diffusion import SamplingPlan
    from ..networks.diffusion import ConditionalDiffusion
    from ..progress import Progress

#: Gives a volume (k, j, i) in network units for a seed; another seed gives another volume.
Sampler = Callable[[int, "Progress"], np.ndarray]
FEWEST = 2
SIGNAL = 0.02


def sampled_maps(
    draw: Sampler, *, samples: int, seed: int, tolerance: float = 0.0, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Maps (k, j, i) in network units: "mean", "epistemic" (zero), "aleatoric" (the spread), and "standard-error" of
    the mean; and the facts that decided them.

    Args:
        draw: the sampler.
        samples: most volumes.
        tolerance: relative standard error of the spread that is enough, see `volumes_needed`; 0 draws all.

    Raises InputError when the sampler gives a volume that is not finite.
    """
    import torch

    from .sampling import RunningMoments

    count = min(samples, volumes_needed(tolerance)) if tolerance else samples
    moments = RunningMoments()
    for number in range(count):
        volume = draw(1_000_003 * seed + number, part_of(progress, number / count, (number + 1) / count))
        if not np.isfinite(volume).all():
            raise InputError(f"Sample {number + 1} is not finite, so no spread can be told. Use another bundle.")
        moments.add(torch.from_numpy(np.ascontiguousarray(volume)))
    spread = moments.variance().sqrt().numpy()
    maps = {
        "mean": moments.mean.numpy(),
        "epistemic": np.zeros_like(spread),
        "aleatoric": spread,
        "standard-error": spread / np.sqrt(count),
    }
    maps = {name: values.astype(np.float32) for name, values in maps.items()}
    return maps, {"passes": count, "sampled": True, **standard_error_facts(maps, count)}


def volumes_needed(tolerance: float) -> int:
    """Volumes after which the relative standard error of a spread, 1 / sqrt(2 (n - 1)), is below the tolerance."""
    return max(FEWEST, 1 + int(np.ceil(1 / (2 * tolerance**2))))


def standard_error_facts(maps: dict[str, np.ndarray], count: int) -> dict[str, float]:
    """How well mean and spread are known: relative standard error of the spread, and the median one of the mean."""
    signal = maps["mean"] > SIGNAL
    chosen = signal if signal.any() else np.ones_like(signal)
    return {
        "total_relative_standard_error": float((2 * max(1, count - 1)) ** -0.5),
        "mean_standard_error": float(np.median(maps["standard-error"][chosen])),
    }


def diffusion_sampler(
    network: ConditionalDiffusion, volumes: np.ndarray, plan: SamplingPlan, **options: Any
) -> Sampler:
    """A sampler of a diffusion network for a condition; see `inference.diffusion.sample_volume` for the arguments.

    The plan's seed is that of each volume. With `eta` 0 the first noise field alone makes volumes differ.
    """
    from ..inference.diffusion import sample_volume

    def draw(seed: int, progress: Progress) -> np.ndarray:
        return sample_volume(network, volumes, replace(plan, seed=seed), progress=progress, **options)

    return draw
