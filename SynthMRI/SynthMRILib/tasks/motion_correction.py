"""Motion correction: first how severe motion is, then whether anything should be done, and only then the correction.

A volume with little motion comes back unchanged, bit for bit, and so does one that is unlike those that were learned
from or whose motion is worse: what was never seen is flagged instead of "corrected". `force` overrides both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle, find_bundles
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale
from ..motion.condition import UNKNOWN, condition_of
from ..motion.decision import Decision, decide
from ..motion.strength import Strength
from ..progress import Progress, part_of
from ..provenance import make_provenance
from ..volume import Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult
from .super_resolution import check_bundle

if TYPE_CHECKING:
    from ..uncertainty.sampled_volumes import Sampler

METHODS = ("network", "autofocus", "both", "diffusion", "measure")
DIFFUSION_TASK = "motion-diffusion"
METHODS_WITH_BUNDLE = ("network", "both", "diffusion")
EXPERIMENTAL_METHODS = {
    "diffusion": "no trained model is shipped, and none was measured against the network",
}
"""Methods that are offered as experimental, and why."""
MOST_STEPS, MOST_DRAWS = 1000, 64


@dataclass(frozen=True)
class MotionCorrectionParameters(Parameters):
    """Parameters of motion correction.

    Args:
        method: "network"; "autofocus" for physics alone, which needs no bundle of this task; "both" for the network
            after autofocus; "diffusion" (experimental) for samples of a diffusion model that start from what the
            network made; "measure" to estimate the severity and change nothing.
        force: correct a volume also where it has little motion or is unlike those that were learned from.
        steps: network evaluations of each sample of the diffusion model.
        draws: how many samples are drawn; their mean is the result, their standard deviation the output "spread".
        start: share of the noise that a sample starts with, above 0 and at most 1.
        from_network: whether samples start from what the network made; otherwise from the volume with motion.
    """

    method: str = "network"
    force: bool = False
    steps: int = 10
    draws: int = 1
    start: float = 0.2
    from_network: bool = True

    @property
    def uses_bundle(self) -> bool:
        """Whether a bundle of this task takes part."""
        return self.method in METHODS_WITH_BUNDLE and (self.method != "diffusion" or self.from_network)


class MotionCorrection:
    """The task "motion-correction"."""

    name: ClassVar[str] = "motion-correction"
    title: ClassVar[str] = "Motion correction"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("input", "Input volume", True, "brain MR: T1w, T2w, FLAIR or contrast-enhanced T1w"),
    )
    parameters_class: ClassVar[type[Parameters]] = MotionCorrectionParameters
    #: Methods whose uncertainty is the spread of samples.
    sampled_methods: ClassVar[tuple[str, ...]] = ("diffusion",)

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: MotionCorrectionParameters
    ) -> list[Finding]:
        """Findings about the input, the parameters and the bundle; see `tasks.base.Task`."""
        found = [*check_parameters(parameters), *check_bundle(bundle, self.name), *check_volume(inputs["input"])]
        if parameters.method in EXPERIMENTAL_METHODS:
            text = f"The method '{parameters.method}' is experimental: {EXPERIMENTAL_METHODS[parameters.method]}."
            found.append(Finding("warning", "method-experimental", text))
        if parameters.method == "diffusion" and not find_bundles(DIFFUSION_TASK):
            text = "No diffusion model for motion correction is installed. Install one, or use another method."
            found.append(Finding("error", "bundle-missing", text))
        return found

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: MotionCorrectionParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the grid of the input; measurements hold severities [mm] and what was decided, in words.

        Several samples of the diffusion model also give "spread", their standard deviation in the units of the input.

        Without a bundle the best installed one serves; the severity needs a bundle of the task "motion-severity".
        """
        if not parameters.uses_bundle:
            bundle = None
        elif bundle is None:
            bundle = best_bundle(self.name)
        raise_on_error(self.check(inputs, bundle, parameters))
        from ..inference.runner import Stopwatch
        from ..motion.estimate import estimate_severity

        stopwatch = Stopwatch()
        prepared = self.prepare(inputs, bundle, parameters, part_of(progress, 0.0, 0.02))
        before = estimate_severity(prepared.voxels, parameters, part_of(progress, 0.02, 0.15))
        decision = decide(before, prepared.volume.spacing, bundle, force=parameters.force)
        if parameters.method == "measure":
            decision = Decision("measured", decision.reason)
        outputs, after, facts = {"output": unchanged(prepared.volume)}, before, {}
        if decision.correct:
            from ..motion.correction import corrected

            made, facts = corrected(prepared, bundle, parameters, before.severity_mm, part_of(progress, 0.15, 0.9))
            outputs = {r: self.finish(prepared, v, parameters, spread=r == "spread") for r, v in made.items()}
            voxels = outputs["output"].voxels / np.float32(prepared.unit)
            after = estimate_severity(voxels, parameters, part_of(progress, 0.9, 1.0))
        progress(1.0, "Done")
        motion = {
            "severity_before": before.as_dict(),
            "severity_after": after.as_dict(),
            "decision": decision.kind,
            "message": decision.sentence(before, after),
        }
        severity = "warning" if decision.kind == "flagged" else "info"
        findings = [Finding(severity, f"motion-{decision.kind}", motion["message"]).as_dict()]
        provenance = make_provenance(
            task=self.name,
            inputs=inputs,
            parameters=parameters.as_dict(),
            bundle=bundle,
            motion=motion,
            **prepared.facts,
            **facts,
        )
        measurements = {**motion, "findings": findings, **facts, **stopwatch.facts()}
        return TaskResult(outputs, provenance, measurements)

    def prepare(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,  # noqa: ARG002
        parameters: MotionCorrectionParameters,  # noqa: ARG002
        progress: Progress,
    ) -> NetworkInput:
        """The volume in network units, its severity unknown; see `tasks.base.NetworkTask`."""
        volume = inputs["input"]
        scale = IntensityScale.fit(volume.voxels)
        progress(1.0, "Scaling intensities")
        facts = {"intensity": scale.as_dict()}
        return NetworkInput(scale.apply(volume.voxels), volume, scale.unit, conditions=(UNKNOWN,), facts=facts)

    def measured(
        self, prepared: NetworkInput, bundle: Bundle, parameters: MotionCorrectionParameters, progress: Progress
    ) -> NetworkInput:
        """The prepared volume with its severity, which the network is told, and how much of a change is made.

        Nothing is changed where `run` would leave the volume as it is; see `tasks.base.NetworkTask`.
        """
        from ..motion.estimate import estimate_severity

        severity = estimate_severity(prepared.voxels, parameters, progress)
        decision = decide(severity, prepared.volume.spacing, bundle, force=parameters.force)
        strength = float(decision.correct)
        if decision.correct and parameters.method not in self.sampled_methods:
            strength = Strength.from_section(bundle.section).at(severity.severity_mm)
        motion = {"severity_before": severity.as_dict(), "decision": decision.kind, "reason": decision.reason}
        return replace(
            prepared,
            conditions=(condition_of(severity.severity_mm),),
            strength=strength,
            facts={**prepared.facts, "motion": motion, "strength": round(strength, 4)},
        )

    def sampler(self, prepared: NetworkInput, bundle: Bundle, parameters: MotionCorrectionParameters) -> Sampler | None:
        """Samples of the diffusion model for its method, where anything is to be corrected; None otherwise."""
        if parameters.method not in self.sampled_methods or prepared.strength == 0:
            return None
        from ..motion.correction import diffusion_sampler

        return diffusion_sampler(prepared, bundle, parameters)

    def finish(
        self,
        prepared: NetworkInput,
        voxels: np.ndarray,
        parameters: MotionCorrectionParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The volume in the units of the input, bit for bit where nothing is to be changed."""
        if prepared.strength == 0 and not spread:
            return unchanged(prepared.volume)
        return prepared.as_volume(voxels, spread=spread)


def unchanged(volume: Volume) -> Volume:
    """The same volume, bit for bit."""
    return volume.with_voxels(volume.voxels.copy())


def check_parameters(parameters: MotionCorrectionParameters) -> list[Finding]:
    if parameters.method not in METHODS:
        text = f"Unknown method '{parameters.method}'. Choose one of: {', '.join(METHODS)}."
        return [Finding("error", "method", text)]
    if not (1 <= parameters.steps <= MOST_STEPS and 1 <= parameters.draws <= MOST_DRAWS):
        text = f"Take 1 to {MOST_STEPS} steps and 1 to {MOST_DRAWS} draws."
        return [Finding("error", "steps", text)]
    if not 0 < parameters.start <= 1:
        return [Finding("error", "start", "The share of noise to start with must be above 0 and at most 1.")]
    if parameters.tile < 0:
        return [Finding("error", "tile", "The tile size must be positive, or 0 to choose it automatically.")]
    return []


TASK = MotionCorrection()
