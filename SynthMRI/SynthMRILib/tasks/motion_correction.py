"""Motion correction: first how severe motion is, then whether anything should be done, and only then the correction.

Autofocus, the default, decides by the volume itself: what it does not bring into focus comes back unchanged, bit for
bit. Before a network a volume with little motion is left unchanged, too, and so is one that is unlike those that were
learned from or whose motion is worse: what was never seen is flagged instead of "corrected". `force` overrides both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle, find_bundles
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale
from ..motion.condition import TOLD, UNKNOWN, condition_of, expected_change
from ..motion.decision import Decision, decide
from ..motion.strength import Strength
from ..progress import Progress, part_of
from ..provenance import make_provenance
from ..volume import Grid, Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult
from .super_resolution import check_bundle

if TYPE_CHECKING:
    from ..motion.severity import SeverityEstimate
    from ..uncertainty.sampled_volumes import Sampler

METHODS = ("autofocus", "network", "both", "diffusion", "measure")
DIFFUSION_TASK = "motion-diffusion"
METHODS_WITH_BUNDLE = ("network", "both", "diffusion")
METHODS_WITH_AUTOFOCUS = ("autofocus", "both", "measure")
"""What autofocus finds is motion that shows, and so says how severe it is, also where nothing is changed."""
NOTHING_FOUND = "autofocus found no shifts or turns during the scan that would explain it"
DIRECTIONS = ("from left to right", "from back to front", "from foot to head")
"""Of the axes R, A and S."""
EXPERIMENTAL_METHODS = {
    "diffusion": "on test volumes it gained 0.1 dB, where 1 dB was wanted, and its detail may be invented",
}
"""Methods that are offered as experimental, and why."""
MOST_STEPS, MOST_DRAWS = 1000, 64


@dataclass(frozen=True)
class MotionCorrectionParameters(Parameters):
    """Parameters of motion correction.

    Args:
        method: "autofocus" for physics alone, which needs no bundle of this task; "network"; "both" for the network
            after autofocus and after the poses that the network itself asks for; "diffusion" (experimental) for samples
            of a diffusion model that start from what the network made; "measure" to estimate the severity, also by what
            autofocus finds, and change nothing.
        force: let the network correct a volume also where it has little motion or is unlike those that were learned
            from; autofocus is not forced.
        steps: network evaluations of each sample of the diffusion model.
        draws: how many samples are drawn; their mean is the result, their standard deviation the output "spread".
        start: share of the noise that a sample starts with, above 0 and at most 1.
        from_network: whether samples start from what the network made; otherwise from the volume with motion.
    """

    method: str = "autofocus"
    force: bool = False
    steps: int = 4
    draws: int = 1
    start: float = 0.1
    from_network: bool = True

    @property
    def uses_network(self) -> bool:
        """Whether a network changes the volume."""
        return self.method in METHODS_WITH_BUNDLE

    @property
    def uses_bundle(self) -> bool:
        """Whether a bundle of this task takes part."""
        return self.uses_network and (self.method != "diffusion" or self.from_network)


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
    #: The method whose uncertainty is meant where none is named.
    judged_method: ClassVar[str] = "network"

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: MotionCorrectionParameters
    ) -> list[Finding]:
        """Findings about the input, the parameters and the bundle; see `tasks.base.Task`."""
        found = [*check_parameters(parameters), *check_bundle(bundle, self.name), *check_volume(inputs["input"])]
        if bundle is not None and bundle.task == self.name and not TOLD.items() <= bundle.section.items():
            text = (
                f"The bundle '{bundle.name}' was trained with an earlier version, in which a network was told motion "
            )
            found.append(
                Finding("error", "bundle-told", text + "in another way. Train it anew, or choose another one.")
            )
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

        stopwatch = Stopwatch()
        prepared = self.prepare(inputs, bundle, parameters, part_of(progress, 0.0, 0.02))
        part = part_of(progress, 0.02, 1.0)
        outputs, before, after, decision, facts = self._correct(prepared, bundle, parameters, part)
        progress(1.0, "Done")
        motion = {
            "severity_before": before.as_dict(),
            "severity_after": after.as_dict(),
            "decision": decision.kind,
            "message": decision.sentence(before, after)
            + in_words(facts.get("autofocus"), decision, prepared.volume.grid)
            + in_words(facts.get("guided"), decision, prepared.volume.grid, who="Guided by the network, it"),
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

    def _correct(
        self,
        prepared: NetworkInput,
        bundle: Bundle | None,
        parameters: MotionCorrectionParameters,
        progress: Progress,
    ) -> tuple[dict[str, Volume], SeverityEstimate, SeverityEstimate, Decision, dict[str, Any]]:
        """Volumes by role, the severity before and after what was done, what was decided, and the facts of the run."""
        from ..motion.autofocus import autofocus
        from ..motion.estimate import estimate_severity
        from ..motion.severity import before_and_left

        outputs, facts = {"output": unchanged(prepared.volume)}, {}
        grid, focused, found, look, undone = prepared.volume.grid, prepared, None, None, 0.0
        if parameters.method in METHODS_WITH_AUTOFOCUS:
            found = autofocus(prepared.voxels, grid, progress=part_of(progress, 0.0, 0.4))
            facts["autofocus"] = found.as_dict()
            if found.found:
                focused, undone = replace(prepared, voxels=found.voxels), found.undone_mm
            else:
                look = found.look
        changed = focused is not prepared
        part = part_of(progress, 0.4, 0.5)
        after = before = estimate_severity(focused.voxels, parameters, part, grid=grid, look=look, focused=changed)
        if changed:
            part = part_of(progress, 0.5, 0.55)
            first = estimate_severity(prepared.voxels, parameters, part, grid=grid, look=found.look)
            before, after = before_and_left(first, after, undone)
        if parameters.method == "measure":
            decision = decide(before, prepared.volume.spacing, bundle, force=parameters.force)
            return outputs, before, before, Decision("measured", decision.reason), facts
        if changed:
            outputs["output"] = self.finish(focused, focused.voxels, parameters)
        decision = decided(after, prepared, bundle, parameters, focused=changed)
        if decision.correct and parameters.uses_network:
            from ..motion.correction import CorrectionNetwork, corrected
            from ..motion.guided_poses import guided

            network = bundle and CorrectionNetwork(bundle, parameters, prepared.volume.spacing, after.severity_mm)
            if found is not None:
                part = part_of(progress, 0.55, 0.85)
                steered = guided(focused.voxels, grid, found.way, network, after.severity_mm, progress=part)
                facts["guided"] = steered.as_dict()
                focused, after = replace(focused, voxels=steered.voxels), after.without(steered.undone_mm)
                network = replace(network, severity_mm=after.severity_mm)
            made, ran = corrected(focused, network, parameters, part_of(progress, 0.85, 1.0))
            outputs = {r: self.finish(prepared, v, parameters, spread=r == "spread") for r, v in made.items()}
            if bundle is not None:
                strength = Strength.from_section(bundle.section)
                after = after.scaled(strength.left_share)
                decision = replace(decision, network=strength.in_words())
            facts |= ran
        elif not decision.correct and changed:
            decision = Decision("corrected", f"the network was not applied: {decision.reason}")
        return outputs, before, after, decision, facts

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

        severity = estimate_severity(prepared.voxels, parameters, progress, grid=prepared.volume.grid)
        decision = decide(severity, prepared.volume.spacing, bundle, force=parameters.force)
        strength = float(decision.correct)
        if decision.correct and parameters.method not in self.sampled_methods:
            strength = Strength.from_section(bundle.section).at(severity.severity_mm)
        change = expected_change(prepared.voxels, severity.severity_mm, prepared.volume.spacing)
        motion = {"severity_before": severity.as_dict(), "decision": decision.kind, "reason": decision.reason}
        return replace(
            prepared,
            conditions=(condition_of(change),),
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


def decided(
    severity: SeverityEstimate,
    prepared: NetworkInput,
    bundle: Bundle | None,
    parameters: MotionCorrectionParameters,
    *,
    focused: bool,
) -> Decision:
    """What is done after autofocus, or instead of it; `focused` tells whether that changed the volume."""
    if parameters.method == "autofocus":
        learned = decide(severity, prepared.volume.spacing, None, force=False)
        doubtful = learned.reason if learned.kind == "flagged" else ""
        if focused:
            return Decision("corrected", f"these estimates may be wrong, because {doubtful}" if doubtful else "")
        return Decision("flagged", doubtful) if doubtful else Decision("unchanged", NOTHING_FOUND)
    return decide(severity, prepared.volume.spacing, bundle, force=parameters.force, moved=focused)


def in_words(focus: dict[str, Any] | None, decision: Decision, grid: Grid, *, who: str = "Autofocus") -> str:
    """What autofocus undid, or found where nothing was to be changed, as a sentence to be added."""
    if focus is None or focus["kind"] is None:
        return ""
    shift = f"{focus['shift_rms_mm']:.1f} mm (root mean square, largest {focus['shift_largest_mm']:.1f} mm)"
    turn = f" and turns of up to {focus['turn_largest_deg']:.1f} deg" if focus["turn_largest_deg"] else ""
    axis = {"lines": "phase encoding", "spokes": "readout"}[focus["kind"]]
    direction = DIRECTIONS[int(np.argmax(np.abs(grid.directions[:, 2 - focus["axis_kji"]])))]
    did = "found" if decision.kind == "measured" else "undid"
    return f" {who} {did} head shifts of {shift}{turn} between {focus['kind']} of k-space ({axis} {direction})."


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
