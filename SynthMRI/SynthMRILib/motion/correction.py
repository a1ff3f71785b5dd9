"""The learned ways to correct a volume that was found to have motion: the network and the diffusion model.

Each takes a volume in network units and gives one; the diffusion model starts from what the network made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bundles import Bundle, find_bundles
from ..errors import BundleError, InputError
from ..inference import diffusion, runner
from ..inference.precision import autocast, resolve_device, resolve_precision
from ..progress import Progress, no_progress, part_of
from ..tasks.base import NetworkInput
from ..tasks.motion_correction import DIFFUSION_TASK
from ..tasks.super_resolution import forward_mean
from .condition import condition_of, expected_change
from .guided_poses import mirrored
from .strength import Strength

if TYPE_CHECKING:
    from ..tasks.motion_correction import MotionCorrectionParameters
    from ..uncertainty.sampled_volumes import Sampler

STEPS = {
    "network": ("network",),
    "both": ("network",),
    "diffusion": ("network", "diffusion"),
}
"""What each method does, in order; "both" is given a volume that autofocus has changed."""


@dataclass
class CorrectionNetwork:
    """The network of a bundle for one volume, told how much motion it has: takes and gives network units (k, j, i).

    Attributes:
        facts: of its last run.
    """

    bundle: Bundle
    parameters: MotionCorrectionParameters
    spacing: tuple[float, float, float]
    severity_mm: float
    facts: dict[str, Any] = field(default_factory=dict)

    def __call__(self, voxels: np.ndarray, progress: Progress) -> np.ndarray:
        """All that the network would change of a volume or a part of it, made."""
        channels, self.facts, _ = runner.run_volume(
            self.bundle,
            voxels,
            self.parameters,
            forward=forward_mean,
            outputs=1,
            progress=progress,
            conditions=(condition_of(expected_change(voxels, self.severity_mm, self.spacing)),),
        )
        return channels[0]

    @property
    def strength(self) -> float:
        """How much of its change is to be made."""
        return Strength.from_section(self.bundle.section).at(self.severity_mm)


def corrected(
    prepared: NetworkInput,
    network: CorrectionNetwork | None,
    parameters: MotionCorrectionParameters,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Volumes by role, (k, j, i) in network units, and the facts of the run.

    "output" is the corrected volume; "spread" the standard deviation of several samples of the diffusion model.
    With "both" the network also sees the point reflection; alone it runs once, which is what its uncertainty judges.
    """
    steps = [s for s in STEPS[parameters.method] if s != "network" or network is not None]
    volumes, facts = {"output": prepared.voxels}, {}
    for n, step in enumerate(steps):
        part = part_of(progress, n / len(steps), (n + 1) / len(steps))
        if step == "network":
            twice = parameters.method == "both"
            volumes["output"] = by_network(volumes["output"], network, part, twice=twice)
            facts |= {**network.facts, "strength": round(network.strength, 4), "reflected_too": twice}
        else:
            volumes, facts["diffusion"] = by_diffusion(prepared, volumes["output"], parameters, part)
    return volumes, facts


def by_network(
    voxels: np.ndarray, network: CorrectionNetwork, progress: Progress, *, twice: bool = False
) -> np.ndarray:
    """What the network makes, as much of it as the bundle's strength allows at this severity.

    Args:
        twice: also of the point reflection, so that the mean is not displaced; takes twice as long.
    """
    made = mirrored(network, voxels, progress) if twice else network(voxels, progress)
    made = voxels + np.float32(network.strength) * (made - voxels)
    return np.maximum(made, min(float(voxels.min()), 0.0))


def diffusion_bundle() -> Bundle:
    """The diffusion model that is installed. Raises BundleError when there is none."""
    found = find_bundles(DIFFUSION_TASK)
    if not found:
        raise BundleError("No diffusion model for motion correction is installed. Install one, or use another method.")
    return found[0]


def by_diffusion(
    prepared: NetworkInput, estimate: np.ndarray, parameters: MotionCorrectionParameters, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Mean of the samples, their standard deviation where there are several, and how they were drawn."""
    draw, facts = diffusion_draws(prepared, estimate, parameters)
    parts = [part_of(progress, n / parameters.draws, (n + 1) / parameters.draws) for n in range(parameters.draws)]
    made = [draw(parameters.seed + n, part) for n, part in enumerate(parts)]
    volumes = {"output": np.mean(made, axis=0)}
    if len(made) > 1:
        volumes["spread"] = np.std(made, axis=0, ddof=1)
    compared = {"input": prepared.voxels, "output": volumes["output"]}
    stripes = {name: round(diffusion.stripe_index(v, facts["axis_kji"]), 5) for name, v in compared.items()}
    return volumes, {**facts, "stripe_index": stripes}


def diffusion_draws(
    prepared: NetworkInput,
    estimate: np.ndarray,
    parameters: MotionCorrectionParameters,
    *,
    bundle: Bundle | None = None,
) -> tuple[Sampler, dict[str, Any]]:
    """What gives a sample (k, j, i) of a diffusion model for a seed, and how it does so.

    Slices are taken across the axis of the largest spacing, the first of several, and cut to the head.

    Args:
        estimate: what samples start from, in network units.
        bundle: the diffusion model; without one the installed one.
    """
    bundle, voxels = bundle or diffusion_bundle(), prepared.voxels
    if parameters.start > bundle.section.get("highest", 1.0):
        raise InputError(f"This diffusion model can start from at most {bundle.section['highest']:g} of the noise.")
    device = resolve_device(parameters.device)
    axis = int(np.argmax(np.round(prepared.volume.spacing[::-1], 3)))
    box = head_part(voxels, axis)

    def draw(seed: int, progress: Progress) -> np.ndarray:
        network = runner.ready_network(bundle, device)
        with autocast(device, resolve_precision(parameters.precision, device)):
            sampled = diffusion.sample_volume(
                network,
                voxels[box][None],
                diffusion.SamplingPlan(parameters.steps, seed=seed, start=parameters.start),
                neighbors=bundle.section.get("neighbors", 0),
                estimate=estimate[box],
                axis=axis,
                progress=progress,
            )
        volume = estimate.copy()
        volume[box] = np.where(voxels[box] != 0, np.maximum(sampled, 0), 0)
        return volume

    return draw, {"bundle": bundle.name, "weights_sha256": bundle.weights_sha256, "axis_kji": axis}


def diffusion_sampler(prepared: NetworkInput, bundle: Bundle, parameters: MotionCorrectionParameters) -> Sampler:
    """Samples as `run` of the task draws them: they start from what the network made where the parameters say so."""
    estimate = prepared.voxels
    if parameters.uses_bundle:
        severity_mm = prepared.facts["motion"]["severity_before"]["severity_mm"]
        spacing = prepared.volume.spacing
        estimate = by_network(estimate, CorrectionNetwork(bundle, parameters, spacing, severity_mm), no_progress)
    return diffusion_draws(prepared, estimate, parameters)[0]


def head_part(voxels: np.ndarray, axis: int, *, level: float = 0.05, margin: int = 8) -> tuple[slice, ...]:
    """The smallest box around what is brighter than `level`, with a margin in the plane of the slices."""
    bright, box = voxels > level, []
    for a, n in enumerate(voxels.shape):
        hits = np.flatnonzero(bright.any(axis=tuple(b for b in range(3) if b != a)))
        wide = 0 if a == axis else margin
        box.append(slice(max(hits[0] - wide, 0), min(hits[-1] + wide + 1, n)) if hits.size else slice(None))
    return tuple(box)
