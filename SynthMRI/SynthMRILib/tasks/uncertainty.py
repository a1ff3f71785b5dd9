"""Uncertainty: how far to trust each voxel of a super-resolved volume, by Monte-Carlo dropout and a variance output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle
from ..findings import Finding, raise_on_error
from ..intensity import IntensityScale
from ..progress import Progress
from ..provenance import make_provenance
from ..uncertainty.calibration import Calibration
from ..volume import Volume
from .base import InputRole, Parameters, TaskResult
from .super_resolution import TASK as SUPER_RESOLUTION
from .super_resolution import SuperResolutionParameters

FEWEST, MOST = 2, 200


@dataclass(frozen=True)
class UncertaintyParameters(Parameters):
    """Parameters of uncertainty.

    Args:
        samples: stochastic passes, 2 to 200; the epistemic variance has a relative error of sqrt(2 / (n - 1)).
    """

    samples: int = 20


class Uncertainty:
    """The task "uncertainty" of super-resolution.

    Outputs: "output" (mean of the passes), "epistemic", "aleatoric" and "total", standard deviations in the units of
    the input. They are calibrated when the bundle holds a calibration for its weights; provenance says so.
    """

    name: ClassVar[str] = "uncertainty"
    title: ClassVar[str] = "Uncertainty of super-resolution"
    roles: ClassVar[tuple[InputRole, ...]] = SUPER_RESOLUTION.roles
    parameters_class: ClassVar[type[Parameters]] = UncertaintyParameters

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: UncertaintyParameters
    ) -> list[Finding]:
        """Findings of super-resolution about the same input, and of calibration; see `tasks.base.Task`."""
        findings = SUPER_RESOLUTION.check(inputs, bundle, SuperResolutionParameters(tile=parameters.tile))
        if not FEWEST <= parameters.samples <= MOST:
            text = f"The number of passes must be between {FEWEST} and {MOST}, not {parameters.samples}."
            findings.append(Finding("error", "samples", text))
        if bundle is not None and Calibration.from_bundle(bundle.section) is None:
            text = "This bundle is not calibrated: its maps show where to trust more or less, not how much."
            findings.append(Finding("warning", "uncalibrated", text))
        return findings

    def run(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: UncertaintyParameters, progress: Progress
    ) -> TaskResult:
        """Mean and standard deviations on the grid with twice the voxels."""
        bundle = bundle or best_bundle(SUPER_RESOLUTION.name)
        raise_on_error(self.check(inputs, bundle, parameters))
        from ..inference import runner
        from ..uncertainty.sampling import CHANNELS, dropout_forward, relative_standard_error

        stopwatch = runner.Stopwatch()
        volume = inputs["input"]
        scale = IntensityScale.fit(volume.voxels)
        forward = dropout_forward(samples=parameters.samples, seed=parameters.seed)
        channels, facts, network = runner.run_volume(
            bundle, scale.apply(volume.voxels), parameters, forward=forward, outputs=len(CHANNELS), progress=progress
        )
        calibration = Calibration.from_bundle(bundle.section)
        maps = {role: scale.invert(channel) for role, channel in zip(CHANNELS, channels)}
        maps = calibrated(maps, calibration)
        if volume.voxels.min() >= 0:
            np.maximum(maps["output"], 0, out=maps["output"])
        grid = volume.grid.upsampled(network.scale)
        facts |= {
            "calibration": calibration_facts(calibration),
            "epistemic_variance_relative_standard_error": relative_standard_error(parameters.samples),
        }
        provenance = make_provenance(
            task=self.name,
            inputs=inputs,
            parameters=parameters.as_dict(),
            bundle=bundle,
            intensity=scale.as_dict(),
            **facts,
        )
        outputs = {role: volume.with_voxels(voxels, grid) for role, voxels in maps.items()}
        return TaskResult(outputs, provenance, {**facts, **stopwatch.facts()})


def calibrated(maps: dict[str, np.ndarray], calibration: Calibration | None) -> dict[str, np.ndarray]:
    """Outputs by role: standard deviations times the calibration's factor, and their total."""
    factor = np.float32(calibration.scale if calibration else 1.0)
    epistemic, aleatoric = maps["epistemic"] * factor, maps["aleatoric"] * factor
    total = np.hypot(epistemic, aleatoric)
    return {"output": maps["mean"], "total": total, "epistemic": epistemic, "aleatoric": aleatoric}


def calibration_facts(calibration: Calibration | None) -> dict[str, Any] | None:
    """What a reader must know to use the maps: interval multipliers for the total."""
    return {"interval_multipliers": calibration.relative()} if calibration else None


TASK = Uncertainty()
