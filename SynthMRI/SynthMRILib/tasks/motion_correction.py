"""Motion correction: first how severe motion is, then whether anything should be done, and only then the correction.

A volume with little motion comes back unchanged, bit for bit, and so does one that is unlike those that were learned
from or whose motion is worse: what was never seen is flagged instead of "corrected". `force` overrides both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale
from ..motion.condition import UNKNOWN, condition_of
from ..motion.decision import Decision, decide
from ..progress import Progress, part_of
from ..provenance import make_provenance
from ..volume import Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult
from .super_resolution import check_bundle, forward_mean

if TYPE_CHECKING:
    from ..motion.severity import SeverityEstimate

METHODS = ("network", "autofocus", "both", "measure")


@dataclass(frozen=True)
class MotionCorrectionParameters(Parameters):
    """Parameters of motion correction.

    Args:
        method: "network"; "autofocus" for physics alone, which needs no bundle of this task; "both" for the network
            after autofocus; "measure" to estimate the severity and change nothing.
        force: correct a volume also where it has little motion or is unlike those that were learned from.
    """

    method: str = "network"
    force: bool = False


class MotionCorrection:
    """The task "motion-correction"."""

    name: ClassVar[str] = "motion-correction"
    title: ClassVar[str] = "Motion correction"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("input", "Input volume", True, "brain MR: T1w, T2w, FLAIR or contrast-enhanced T1w"),
    )
    parameters_class: ClassVar[type[Parameters]] = MotionCorrectionParameters

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: MotionCorrectionParameters
    ) -> list[Finding]:
        """Findings about the input, the parameters and the bundle; see `tasks.base.Task`."""
        return [*check_parameters(parameters), *check_bundle(bundle, self.name), *check_volume(inputs["input"])]

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: MotionCorrectionParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the grid of the input; measurements hold severities [mm] and what was decided, in words.

        Without a bundle the best installed one serves; the severity needs a bundle of the task "motion-severity".
        """
        if bundle is None and parameters.method in ("network", "both"):
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
        output, after, facts = prepared.volume, before, {}
        if decision.correct:
            output, facts = self._corrected(prepared, bundle, parameters, before, part_of(progress, 0.15, 0.9))
            voxels = output.voxels / np.float32(prepared.unit)
            after = estimate_severity(voxels, parameters, part_of(progress, 0.9, 1.0))
        else:
            output = output.with_voxels(output.voxels.copy())
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
        return TaskResult({"output": output}, provenance, measurements)

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

    def finish(
        self,
        prepared: NetworkInput,
        voxels: np.ndarray,
        parameters: MotionCorrectionParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The volume in the units of the input."""
        return prepared.as_volume(voxels, spread=spread)

    def _corrected(
        self,
        prepared: NetworkInput,
        bundle: Bundle | None,
        parameters: MotionCorrectionParameters,
        severity: SeverityEstimate,
        progress: Progress,
    ) -> tuple[Volume, dict[str, Any]]:
        facts: dict[str, Any] = {}
        split = {"network": 0.0, "autofocus": 1.0, "both": 0.6}[parameters.method]
        if split > 0:
            from ..motion.autofocus import autofocus

            found = autofocus(prepared.voxels, prepared.volume.grid, progress=part_of(progress, 0.0, split))
            prepared = replace(prepared, voxels=found.voxels)
            facts["autofocus"] = found.as_dict()
        voxels = prepared.voxels
        if split < 1:
            from ..inference import runner

            channels, ran, _ = runner.run_volume(
                bundle,
                prepared.voxels,
                parameters,
                forward=forward_mean,
                outputs=1,
                progress=part_of(progress, split, 1.0),
                conditions=(condition_of(severity.severity_mm),),
            )
            voxels, facts = channels[0], {**facts, **ran}
        return self.finish(prepared, voxels, parameters), facts


def check_parameters(parameters: MotionCorrectionParameters) -> list[Finding]:
    if parameters.method not in METHODS:
        text = f"Unknown method '{parameters.method}'. Choose one of: {', '.join(METHODS)}."
        return [Finding("error", "method", text)]
    if parameters.tile < 0:
        return [Finding("error", "tile", "The tile size must be positive, or 0 to choose it automatically.")]
    return []


TASK = MotionCorrection()
