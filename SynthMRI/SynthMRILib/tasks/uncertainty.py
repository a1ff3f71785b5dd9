"""Uncertainty: how far to trust each voxel of what a network made, by Monte-Carlo dropout and a variance output.

Works for every task with the two methods of `tasks.base.NetworkTask`; what the maps mean is in
Documentation/uncertainty.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle
from ..errors import BundleError, InputError
from ..evaluation.consistency import Consistency, consistency, spread_over
from ..findings import Finding, raise_on_error
from ..progress import Progress, no_progress, part_of
from ..provenance import make_provenance
from ..uncertainty.calibration import Calibration
from ..uncertainty.deviation import acquired_of, deviation_map
from ..uncertainty.findings import whole_volume_numbers
from ..uncertainty.gate import Gate, judge
from ..uncertainty.limits import high_limit
from ..uncertainty.quality import quality_flag
from ..volume import Volume
from .base import InputRole, NetworkInput, NetworkTask, Parameters, TaskResult
from .super_resolution import TASK as SUPER_RESOLUTION

FEWEST, MOST = 2, 200
MOST_AUGMENTATIONS = 64
LARGEST_TOLERANCE = 0.5


@dataclass(frozen=True)
class UncertaintyParameters(Parameters):
    """Parameters of uncertainty.

    Args:
        task: whose result is judged.
        options: parameters of that task that differ from their defaults, by name.
        samples: most stochastic passes, 2 to 200.
        tolerance: passes end early once the relative standard error of the total is below this, 0 to 0.5; 0 never.
        augmentations: passes of test-time augmentation, 0 to 64; 0 for none, else 4 or more.
        consistency: also give the map of what the result says about the input that the input does not say.
    """

    task: str = "super-resolution"
    options: dict[str, Any] = field(default_factory=dict)
    samples: int = 20
    tolerance: float = 0.0
    augmentations: int = 0
    consistency: bool = False

    def of_task(self) -> Parameters:
        """The parameters of the task that is judged. Raises InputError for an unknown one."""
        task = network_task(self.task)
        shared = {name: getattr(self, name) for name in ("device", "precision", "tile", "seed")}
        judged = {"method": task.judged_method} if hasattr(task, "judged_method") else {}
        return task.parameters_class.from_dict({**shared, **judged, **self.options})


class Uncertainty:
    """The task "uncertainty".

    Outputs: "output" (mean of the passes), "epistemic", "aleatoric" and "total", standard deviations in the units of
    the output. They are calibrated when the bundle holds a calibration for its weights; provenance says so. With
    augmentations also "augmentation-spatial" and "augmentation-intensity", with consistency "consistency".
    """

    name: ClassVar[str] = "uncertainty"
    title: ClassVar[str] = "Uncertainty"
    #: Inputs of super-resolution, the default; those of another task are in `network_task(name).roles`.
    roles: ClassVar[tuple[InputRole, ...]] = SUPER_RESOLUTION.roles
    parameters_class: ClassVar[type[Parameters]] = UncertaintyParameters

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: UncertaintyParameters
    ) -> list[Finding]:
        """Findings of the task about the same inputs, and of calibration; see `tasks.base.Task`."""
        try:
            task, options = network_task(parameters.task), parameters.of_task()
        except InputError as error:
            return [Finding("error", "task", str(error))]
        findings = [*task.check(inputs, bundle, options), *check_numbers(parameters)]
        if getattr(options, "keep_acquired", False):
            text = (
                "Uncertainty is not known where acquired frequencies are kept: it is that of the network. Leave it off."
            )
            findings.append(Finding("error", "keep-acquired", text))
        if parameters.augmentations and getattr(options, "method", "") in getattr(task, "mixed_methods", ()):
            text = (
                "Test-time augmentation moves the network alone, not what its result is mixed with. Set the number of "
                "augmentations to 0, or choose the method 'network'."
            )
            findings.append(Finding("error", "augmentations-mixed", text))
        if note := judged_note(task, options):
            findings.append(Finding("warning", "judged-method", note))
        if bundle is not None and calibration_for(task, bundle, options) is None:
            text = "This bundle is not calibrated: its maps show where to trust more or less, not how much."
            findings.append(Finding("warning", "uncalibrated", text))
        return findings

    def run(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: UncertaintyParameters, progress: Progress
    ) -> TaskResult:
        """Mean and standard deviations on the grid of the task's result."""
        task = network_task(parameters.task)
        bundle = bundle or best_bundle(task.name)
        raise_on_error(self.check(inputs, bundle, parameters))
        from ..inference.runner import Stopwatch

        stopwatch = Stopwatch()
        options = parameters.of_task()
        prepared = prepared_input(task, inputs, bundle, options, part_of(progress, 0.0, 0.05))
        calibration = calibration_for(task, bundle, options)
        maps, facts = network_maps(prepared, bundle, parameters, calibration, part_of(progress, 0.05, 1.0))
        outputs = {
            role: task.finish(prepared, voxels, options, spread=role != "output") for role, voxels in maps.items()
        }
        facts["calibration"] = calibration_facts(calibration)
        residual = residual_of(outputs["output"], prepared)
        if parameters.consistency and residual:
            size = spread_over(residual.residual, outputs["output"].grid)
            outputs["consistency"] = outputs["output"].with_voxels(size)
        gate = judge(inputs, calibration.gate if calibration else None, more=motion_of(inputs, prepared, parameters))
        facts |= judgement(gate, outputs, residual, calibration)
        facts["same_contrast"] = prepared.same_contrast
        facts["judged_note"] = judged_note(task, options)
        facts["missing_inputs"] = [role.name for role in task.roles if role.name not in inputs]
        provenance = make_provenance(
            task=self.name,
            inputs=inputs,
            parameters=parameters.as_dict(),
            bundle=bundle,
            **{**prepared.facts, **facts},
        )
        return TaskResult(outputs, provenance, {**facts, **stopwatch.facts()})


def judged_note(task: NetworkTask, options: Parameters) -> str:
    """That a task's default method has no uncertainty, where another method is judged instead; empty otherwise."""
    usual, judged = getattr(task.parameters_class(), "method", ""), getattr(options, "method", "")
    if judged != getattr(task, "judged_method", usual) or judged == usual:
        return ""
    return (
        f"This judges {task.title.lower()} by the method '{judged}'. What its default '{usual}' makes may differ, "
        "and its uncertainty is not known."
    )


def calibration_for(task: NetworkTask, bundle: Bundle, options: Parameters) -> Calibration | None:
    """The calibration of the bundle for its weights; None for a method that samples with those of another one.

    A method that mixes the network's result with something else has its own calibration in the bundle, or none.
    """
    method = getattr(options, "method", "")
    if method in getattr(task, "sampled_methods", ()):
        return None
    return Calibration.from_bundle(bundle.section, method if method in getattr(task, "mixed_methods", ()) else "")


def prepared_input(
    task: NetworkTask, inputs: dict[str, Volume], bundle: Bundle, options: Parameters, progress: Progress
) -> NetworkInput:
    """What the task prepares, with what it measures of that where it has a method for it."""
    prepared = task.prepare(inputs, bundle, options, part_of(progress, 0.0, 0.5))
    measure = getattr(task, "measured", None)
    return measure(prepared, bundle, options, part_of(progress, 0.5, 1.0)) if measure else prepared


def residual_of(output: Volume, prepared: NetworkInput) -> Consistency | None:
    """What the result says about the acquired voxels that they do not say; None where contrasts or axes differ."""
    if not prepared.same_contrast:
        return None
    try:
        return consistency(output, prepared.volume)
    except InputError:
        return None


def motion_of(
    inputs: dict[str, Volume], prepared: NetworkInput, parameters: UncertaintyParameters
) -> dict[str, dict[str, float]]:
    """Severity of motion of a single input by its role, where a bundle is installed that measures it."""
    if len(inputs) != 1 or not prepared.same_contrast:
        return {}
    from ..motion.estimate import estimate_severity

    first = prepared.voxels.reshape(-1, *prepared.voxels.shape[-3:])[0]
    try:
        known = prepared.facts.get("motion", {}).get("severity_before")
        severity = known["severity_mm"] if known else estimate_severity(first, parameters, no_progress).severity_mm
    except BundleError:
        return {}
    return {role: {"motion_severity_mm": float(severity)} for role in inputs}


def judgement(
    gate: Gate,
    outputs: dict[str, Volume],
    residual: Consistency | None,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """Gate, residual and quality flag of a run, JSON types only."""
    limit = high_limit(calibration.quality if calibration else None)
    whole = whole_volume_numbers(outputs["total"], outputs["output"], limit=limit)
    numbers = {
        "percentile_95_total_percent": 100 * whole["percentile_95_total"] / (whole["unit"] or 1.0),
        "high_uncertainty_percent": whole["high_uncertainty_percent"],
    }
    if residual:
        numbers |= residual.as_dict()
    quality = quality_flag(numbers, calibration.quality if calibration else None, gate)
    return {
        "gate": gate.as_dict(),
        "consistency": residual.as_dict() if residual else None,
        "quality": {**quality.as_dict(), "sentence": quality.sentence()},
    }


def network_task(name: str) -> NetworkTask:
    """The task of that name, if a network computes it. Raises InputError otherwise."""
    from . import get_task

    task = get_task(name)
    if not hasattr(task, "prepare"):
        raise InputError(f"The task '{name}' is not computed by one network, so its uncertainty is not known.")
    return task


def network_task_names() -> list[str]:
    """Names of all tasks that have an uncertainty."""
    from . import get_task, task_names

    return [name for name in task_names() if hasattr(get_task(name), "prepare")]


def check_numbers(parameters: UncertaintyParameters) -> list[Finding]:
    findings = []
    if not FEWEST <= parameters.samples <= MOST:
        text = f"The number of passes must be between {FEWEST} and {MOST}, not {parameters.samples}."
        findings.append(Finding("error", "samples", text))
    if not 0 <= parameters.tolerance <= LARGEST_TOLERANCE:
        text = f"The tolerance must lie between 0 and {LARGEST_TOLERANCE:g}, not {parameters.tolerance:g}."
        findings.append(Finding("error", "tolerance", text))
    if parameters.augmentations and not 4 <= parameters.augmentations <= MOST_AUGMENTATIONS:
        text = f"The number of augmentations must be 0, or 4 to {MOST_AUGMENTATIONS}, not {parameters.augmentations}."
        findings.append(Finding("error", "augmentations", text))
    return findings


def network_maps(
    prepared: NetworkInput,
    bundle: Bundle,
    parameters: UncertaintyParameters,
    calibration: Calibration | None,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Maps by output role (k, j, i) in network units, and the facts that decided them."""
    from ..uncertainty.augmentation import augmented_spread

    part = 1 / (1 + 0.4 * parameters.augmentations)
    raw, facts = raw_maps(prepared, bundle, parameters, progress=part_of(progress, 0.0, part))
    if parameters.augmentations and facts.get("sampled"):
        raise InputError("A network that samples has no test-time augmentation. Set the number of augmentations to 0.")
    maps = calibrated(raw, calibration, prepared)
    if parameters.augmentations:
        spread, more = augmented_spread(
            bundle, prepared, parameters, passes=parameters.augmentations, progress=part_of(progress, part, 1.0)
        )
        maps |= {role: np.float32(prepared.strength) * voxels for role, voxels in spread.items()}
        facts |= more
    return maps, facts


def raw_maps(
    prepared: NetworkInput, bundle: Bundle, parameters: UncertaintyParameters, *, progress: Progress
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Mean, epistemic and aleatoric (k, j, i) in network units before any calibration, and the facts behind them.

    By dropout passes, or by sampling where the task has a method `sampler(prepared, bundle, parameters)` that gives a
    `uncertainty.sampled_volumes.Sampler` for the bundle instead of None.
    """
    from ..uncertainty.sampled_volumes import sampled_maps
    from ..uncertainty.sampling import dropout_maps

    choose = getattr(network_task(parameters.task), "sampler", None)
    draw = choose(prepared, bundle, parameters.of_task()) if choose else None
    often = {"samples": parameters.samples, "tolerance": parameters.tolerance, "progress": progress}
    if draw:
        return sampled_maps(draw, seed=parameters.seed, **often)
    maps, facts = dropout_maps(bundle, prepared, parameters, **often)
    mixed = getattr(network_task(parameters.task), "mixed_maps", None)
    return with_strength(mixed(prepared, maps) if mixed else maps, prepared), facts


def with_strength(maps: dict[str, np.ndarray], prepared: NetworkInput) -> dict[str, np.ndarray]:
    """The maps of a result that has only a share of what the network would change.

    The epistemic part shrinks with that share. What is left out of the change adds to the error: the squares of both
    add up, because what a network minimizes makes its error independent of what it changes. It counts as aleatoric.
    """
    if prepared.strength == 1:
        return maps
    share, acquired = np.float32(prepared.strength), acquired_of(prepared)
    left_out = (1 - share) * (maps["mean"] - acquired)
    rest = (1 - share**2) * maps["epistemic"] ** 2 + maps["aleatoric"] ** 2
    return {
        "mean": maps["mean"] - left_out,
        "epistemic": share * maps["epistemic"],
        "aleatoric": np.sqrt(rest + left_out**2),
    }


def calibrated(
    maps: dict[str, np.ndarray], calibration: Calibration | None, prepared: NetworkInput
) -> dict[str, np.ndarray]:
    """Outputs by role: the total that the calibration gives, and its two parts.

    Both parts are scaled alike at each voxel, so that the sum of their squares is that of the total: they say in which
    proportion the network itself divides its variance.
    """
    epistemic, aleatoric = maps["epistemic"], maps["aleatoric"]
    if calibration is None:
        factor: np.ndarray | np.float32 = np.float32(1.0)
    elif calibration.deviation is None:
        factor = np.float32(calibration.scale)
    else:
        alone = np.maximum(np.hypot(epistemic, aleatoric), np.finfo(np.float32).tiny)
        factor = np.float32(calibration.scale) * deviation_map(maps, prepared, calibration.deviation) / alone
    epistemic, aleatoric = epistemic * factor, aleatoric * factor
    total = np.hypot(epistemic, aleatoric)
    return {"output": maps["mean"], "total": total, "epistemic": epistemic, "aleatoric": aleatoric}


def calibration_facts(calibration: Calibration | None) -> dict[str, Any] | None:
    """What a reader must know to use the maps: interval multipliers, what counts as high, and what the total is."""
    if calibration is None:
        return None
    deviation = calibration.deviation
    return {
        "interval_multipliers": calibration.relative(),
        **({"high_limit_percent": high_limit(calibration.quality)} if calibration.quality else {}),
        "deviation": deviation.as_dict() if deviation else None,
    }


TASK = Uncertainty()
