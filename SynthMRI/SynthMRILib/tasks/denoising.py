"""Denoising: take away the noise of a magnitude volume on its own grid, as much as there is or as is asked for.

The noise level is estimated voxel by voxel (`denoising/noise_level.py`) and given to the network, which takes away that
much. Acquired volumes hold some noise that readers are used to; how much of that stays is a matter of the strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle
from ..denoising import LEVEL_UNIT
from ..denoising.noise_level import NoiseLevel, estimate_noise, middle_of, uniform_noise
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale, reference_intensity
from ..progress import Progress, part_of
from ..provenance import make_provenance
from ..volume import Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult
from .super_resolution import check_bundle, forward_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Strengths of the presets that `strength` is multiplied with, and the share that is added to the level found.
PRESETS = {"standard": (1.0, 0.0), "low-field": (2.0, 0.15)}
MOST_STRENGTH = 2.0
#: What strength 1 leaves as the scan's own: a share of the level found, within two limits in units of the reference
#: intensity. Chosen on validation volumes; a bundle may say otherwise.
ACCEPTED = {"accepted_share": 0.8, "accepted_least": 0.025, "accepted_most": 0.04}
#: Highest level seen in training; a bundle may say otherwise.
MOST_LEVEL = 0.18
#: With more voxels than this a percentile of every other one along each axis is as good.
MANY_VOXELS = 1_000_000
#: Below this share of the reference intensity a volume counts as clean.
CLEAN = 0.005


@dataclass(frozen=True)
class DenoisingParameters(Parameters):
    """Parameters of denoising.

    Args:
        strength: 0 to 2. 0 takes away nothing; 1 takes away what exceeds the noise usual in acquired volumes; 2 takes
            away all that is found, and fine texture with it.
        noise: noise level [% of the 99.5th percentile of the non-zero voxels], 0 to 30; 0 estimates it.
        preset: "standard", or "low-field" for scanners below 0.5 T: nothing is taken for usual, and 15 % are added to
            the level found, because some of their noise is correlated and escapes the estimate.
    """

    strength: float = 1.0
    noise: float = 0.0
    preset: str = "standard"


class Denoising:
    """The task "denoising"."""

    name: ClassVar[str] = "denoising"
    title: ClassVar[str] = "Denoising"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("input", "Input volume", True, "brain MR: T1w, T2w, FLAIR or contrast-enhanced T1w"),
    )
    parameters_class: ClassVar[type[Parameters]] = DenoisingParameters

    def check(self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: DenoisingParameters) -> list[Finding]:
        """Findings about the input, its noise, the parameters and the bundle; see `tasks.base.Task`."""
        findings = [
            *check_parameters(parameters),
            *check_bundle(bundle, self.name),
            *check_volume(inputs["input"]),
        ]
        if any(f.severity == "error" for f in findings):
            return findings
        level = quick_level(inputs["input"], parameters)
        return [*findings, *level_findings(level, accepted_levels(bundle), most_level(bundle), parameters)]

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: DenoisingParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the grid and in the units of the input; without a bundle the best installed one serves."""
        bundle = bundle or best_bundle(self.name)
        raise_on_error(self.check(inputs, bundle, parameters))
        from ..inference import runner

        stopwatch = runner.Stopwatch()
        prepared = self.prepare(inputs, bundle, parameters, part_of(progress, 0.0, 0.1))
        channels, facts, _ = runner.run_volume(
            bundle,
            prepared.voxels,
            parameters,
            forward=forward_mean,
            outputs=1,
            progress=part_of(progress, 0.1, 1.0),
        )
        provenance = make_provenance(
            task=self.name,
            inputs=inputs,
            parameters=parameters.as_dict(),
            bundle=bundle,
            **prepared.facts,
            **facts,
        )
        output = self.finish(prepared, channels[0], parameters)
        measurements = {"noise": prepared.facts["noise"], **facts, **stopwatch.facts()}
        return TaskResult({"output": output}, provenance, measurements)

    def prepare(
        self, inputs: dict[str, Volume], bundle: Bundle, parameters: DenoisingParameters, progress: Progress
    ) -> NetworkInput:
        """The volume and the noise to take away, in network units; see `tasks.base.NetworkTask`."""
        volume = inputs["input"]
        scale = IntensityScale.fit(volume.voxels)
        progress(0.0, "Estimating the noise")
        level = noise_level(volume, parameters)
        told = level_to_remove(level.sigma / np.float32(scale.unit), accepted_levels(bundle), parameters)
        progress(1.0, "Estimating the noise")
        noise = {**level.as_dict(), "removed_median_percent": removed_percent(told, level)}
        voxels = np.stack([scale.apply(volume.voxels), np.float32(LEVEL_UNIT) * told])
        return NetworkInput(voxels, volume, scale.unit, images=1, facts={"intensity": scale.as_dict(), "noise": noise})

    def finish(
        self,
        prepared: NetworkInput,
        voxels: np.ndarray,
        parameters: DenoisingParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The volume in the units of the input, bit for bit where nothing was taken away; see `NetworkTask`."""
        output = prepared.as_volume(voxels, spread=spread)
        untouched = prepared.voxels[1] == 0
        kept = np.float32(0) if spread else prepared.volume.voxels
        return output.with_voxels(np.where(untouched, kept, output.voxels))


def noise_level(volume: Volume, parameters: DenoisingParameters) -> NoiseLevel:
    """The level that was given, or the estimate, voxel by voxel."""
    if parameters.noise > 0:
        return uniform_noise(volume.voxels, parameters.noise / 100)
    return estimate_noise(volume.voxels, spacing=volume.spacing)


def quick_level(volume: Volume, parameters: DenoisingParameters) -> NoiseLevel:
    """As `noise_level`, from the middle of the volume alone, and from every other voxel of a large one for its unit."""
    middle = middle_of(volume.voxels)
    if parameters.noise > 0:
        return uniform_noise(middle, parameters.noise / 100)
    step = 2 if volume.voxels.size > MANY_VOXELS else 1
    unit = reference_intensity(volume.voxels[::step, ::step, ::step])
    return estimate_noise(middle, spacing=volume.spacing, unit=unit)


def level_to_remove(sigma: np.ndarray, accepted: dict[str, float], parameters: DenoisingParameters) -> np.ndarray:
    """How much noise the network is told to take away.

    Variances subtract: what is taken away and what stays are independent. Strengths between 1 and 2 let less and less
    of the accepted noise stay; those below 1 take away a share of what strength 1 would.

    Args:
        sigma: level found, in network units.
        accepted: what strength 1 leaves, see `ACCEPTED`.
    """
    factor, added = PRESETS[parameters.preset]
    strength = min(parameters.strength * factor, MOST_STRENGTH)
    share, least, most = (np.float32(accepted[name]) for name in ACCEPTED)
    found = sigma * np.float32(1 + added)
    stays = np.clip(share * found, least, most) * np.float32(min(1.0, MOST_STRENGTH - strength))
    removed = np.sqrt(np.maximum(found**2 - stays**2, 0)) * np.float32(min(strength, 1.0))
    return np.where(removed < CLEAN, np.float32(0), removed).astype(np.float32)


def removed_percent(told: np.ndarray, level: NoiseLevel) -> float:
    inside = told[level.sigma > 0]
    return round(100 * float(np.median(inside)), 2) if inside.size else 0.0


def accepted_levels(bundle: Bundle | None) -> dict[str, float]:
    """What strength 1 leaves, see `ACCEPTED`."""
    facts = _noise_facts(bundle)
    return {name: facts.get(name, usual) for name, usual in ACCEPTED.items()}


def most_level(bundle: Bundle | None) -> float:
    """Highest noise level seen in training, in network units."""
    return _noise_facts(bundle).get("most", MOST_LEVEL)


def _noise_facts(bundle: Bundle | None) -> dict[str, float]:
    facts = bundle.section.get("noise", {}) if bundle is not None else {}
    return {name: float(value) for name, value in facts.items() if isinstance(value, int | float)}


def check_parameters(parameters: DenoisingParameters) -> Sequence[Finding]:
    if not 0 <= parameters.strength <= MOST_STRENGTH:
        text = f"The strength must lie between 0 and {MOST_STRENGTH:g}, not {parameters.strength:g}."
        return [Finding("error", "strength", text)]
    if not 0 <= parameters.noise <= 30:
        text = f"The noise level must lie between 0 (estimated) and 30 %, not {parameters.noise:g}."
        return [Finding("error", "noise", text)]
    if parameters.preset not in PRESETS:
        text = f"Unknown preset '{parameters.preset}'. Choose one of: {', '.join(PRESETS)}."
        return [Finding("error", "preset", text)]
    if parameters.tile < 0:
        return [Finding("error", "tile", "The tile size must be positive, or 0 to choose it automatically.")]
    return []


def level_findings(
    level: NoiseLevel, accepted: dict[str, float], most: float, parameters: DenoisingParameters
) -> list[Finding]:
    """How much noise there is, in words, and whether it is too little or too much."""
    shown = f"{100 * level.median:.1f} %"
    if round(100 * level.lowest, 1) < round(100 * level.highest, 1):
        shown += f" ({100 * level.lowest:.1f} to {100 * level.highest:.1f} %)"
    given = "given as" if parameters.noise > 0 else "estimated at"
    findings = [Finding("info", "noise-level", f"The noise is {given} {shown} of the brightest tissue.")]
    removed = level_to_remove(np.array([level.median]), accepted, parameters)[0]
    if removed == 0:
        text = f"The noise ({shown}) is no more than usual: at this strength most of the volume stays as it is."
        findings.append(Finding("info", "noise-usual", text))
    if level.median > most:
        text = f"The noise ({shown}) is above the {100 * most:.0f} % that the network was trained for; expect little."
        findings.append(Finding("warning", "noise-beyond-training", text))
    return findings


TASK = Denoising()
