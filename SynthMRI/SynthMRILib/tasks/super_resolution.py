"""Super-resolution: half the voxel size along every axis, over the same field of view, in the units of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .. import sharpness
from ..bundles import Bundle, best_bundle
from ..errors import BundleError
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale
from ..progress import Progress
from ..provenance import make_provenance
from ..slice_profile import Acquisition
from ..volume import Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..evaluation.no_invention import Comparison

METHODS = ("network", "bspline")
THICK_SLICES = 2.0


@dataclass(frozen=True)
class SuperResolutionParameters(Parameters):
    """Parameters of super-resolution.

    Args:
        factor: output voxels per input voxel along every axis; 2 is the only one this version has.
        method: "network", or "bspline" for cubic B-spline interpolation, which needs no bundle.
        residual: also give "residual", what the result would change in the voxels of the input.
        sharpness: 0 for the bundle as it is (fidelity), up to 1 for its perceptual partner; see `sharpness.py`.
        keep_acquired: put the frequencies of the input back into the result (data consistency). Right for volumes that
            are as the scanner encoded them, wrong for volumes that were averaged to coarser voxels afterwards.
    """

    factor: int = 2
    method: str = "network"
    residual: bool = False
    sharpness: float = 0.0
    keep_acquired: bool = False


class SuperResolution:
    """The task "super-resolution"."""

    name: ClassVar[str] = "super-resolution"
    title: ClassVar[str] = "Super-resolution"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("input", "Input volume", True, "brain MR: T1w, T2w, FLAIR or contrast-enhanced T1w"),
    )
    parameters_class: ClassVar[type[Parameters]] = SuperResolutionParameters

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: SuperResolutionParameters
    ) -> list[Finding]:
        """Findings about the input, the parameters and the bundle; see `tasks.base.Task`."""
        return [
            *check_parameters(parameters),
            *check_bundle(bundle, self.name),
            *check_sharpness(bundle, parameters, self.name),
            *check_volume(inputs["input"]),
            *check_spacing(inputs["input"]),
        ]

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: SuperResolutionParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the grid with twice the voxels. Without a bundle the best installed one is used."""
        if parameters.method == "network" and bundle is None:
            bundle = best_bundle(self.name)
        raise_on_error(self.check(inputs, bundle, parameters))
        if parameters.method == "bspline":
            return interpolate(inputs, parameters, progress)
        return enhance(inputs, sharpness.with_sharpness(bundle, parameters.sharpness), parameters, progress)

    def prepare(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle,  # noqa: ARG002
        parameters: SuperResolutionParameters,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> NetworkInput:
        """The volume in network units; see `tasks.base.NetworkTask`."""
        volume = inputs["input"]
        scale = IntensityScale.fit(volume.voxels)
        return NetworkInput(scale.apply(volume.voxels), volume, scale.unit, facts={"intensity": scale.as_dict()})

    def finish(
        self,
        prepared: NetworkInput,
        voxels: np.ndarray,
        parameters: SuperResolutionParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The volume on the finer grid in the units of the input; see `tasks.base.NetworkTask`."""
        return prepared.as_volume(voxels, spread=spread)


def check_parameters(parameters: SuperResolutionParameters) -> list[Finding]:
    if parameters.factor != 2:
        return [Finding("error", "factor", f"Factor {parameters.factor} is not available. Choose factor 2.")]
    if parameters.method not in METHODS:
        text = f"Unknown method '{parameters.method}'. Choose one of: {', '.join(METHODS)}."
        return [Finding("error", "method", text)]
    if parameters.keep_acquired and parameters.method != "network":
        text = "Acquired frequencies are kept by the network alone: leave that off, or use the network."
        return [Finding("error", "keep-acquired", text)]
    if parameters.residual and parameters.method != "network":
        text = "What a result would change in the input is told for the network alone: leave out the residual."
        return [Finding("error", "residual", text)]
    if parameters.tile < 0:
        return [Finding("error", "tile", "The tile size must be positive, or 0 to choose it automatically.")]
    return []


def check_bundle(bundle: Bundle | None, task: str) -> list[Finding]:
    if bundle is not None and bundle.task != task:
        text = f"Bundle '{bundle.name}' is made for {bundle.task}, not for {task}. Choose another bundle."
        return [Finding("error", "bundle-task", text)]
    return []


def check_sharpness(bundle: Bundle | None, parameters: SuperResolutionParameters, task: str) -> list[Finding]:
    """Whether the sharpness can be had, and what it does, in words."""
    if parameters.sharpness == 0:
        return []
    if not 0 < parameters.sharpness <= 1:
        return [Finding("error", "sharpness", "Sharpness goes from 0 (fidelity) to 1 (perceptual).")]
    if parameters.method != "network":
        return [Finding("error", "sharpness", "Sharpness is for the network alone: leave it at 0, or use the network.")]
    try:
        sharpness.with_sharpness(bundle or best_bundle(task), parameters.sharpness)
    except BundleError as error:
        return [Finding("error", "sharpness", str(error))]
    return [Finding("info", "sharpness", sharpness.IN_WORDS)]


def check_spacing(volume: Volume) -> list[Finding]:
    """Warn of thick slices: halving their thickness adds voxels but no anatomy between them."""
    spacing = volume.spacing
    if max(spacing) <= THICK_SLICES * min(spacing):
        return []
    size = " x ".join(f"{s:.2g}" for s in spacing)
    text = (
        f"The spacing is {size} mm: the slices are thick. The result gets twice the slices, but detail that was never "
        "acquired between them cannot be restored. The task for thick slices suits them better (in the panel: "
        "Enhancement 'Thick slices'; on the command line: --spacing)."
    )
    return [Finding("warning", "thick-slices", text)]


def interpolate(inputs: dict[str, Volume], parameters: SuperResolutionParameters, progress: Progress) -> TaskResult:
    """Cubic B-spline interpolation, the baseline of every figure."""
    from ..evaluation.baselines import upsample

    progress(0.0, "Interpolating")
    output = upsample(inputs["input"], parameters.factor, "bspline")
    progress(1.0, "Done")
    provenance = make_provenance(
        task=SuperResolution.name, inputs=inputs, parameters=parameters.as_dict(), bundle=None, device="cpu"
    )
    return TaskResult({"output": output}, provenance)


def enhance(
    inputs: dict[str, Volume], bundle: Bundle, parameters: SuperResolutionParameters, progress: Progress
) -> TaskResult:
    """Run the bundle's network over the volume and compare the result with the input (no-invention check)."""
    from ..evaluation import no_invention
    from ..inference import runner

    stopwatch = runner.Stopwatch()
    prepared = TASK.prepare(inputs, bundle, parameters, progress)
    channels, facts, _ = runner.run_volume(
        bundle, prepared.voxels, parameters, forward=forward_mean, outputs=1, progress=progress
    )
    provenance = make_provenance(
        task=SuperResolution.name,
        inputs=inputs,
        parameters=parameters.as_dict(),
        bundle=bundle,
        **({"sharpness": bundle.facts()} if isinstance(bundle, sharpness.Blend) else {}),
        **prepared.facts,
        **facts,
    )
    output = TASK.finish(prepared, channels[0], parameters)
    if parameters.keep_acquired:
        output, found = with_acquired(inputs["input"], output)
        findings = [no_invention.kept_finding(found)]
    else:
        found = no_invention.compare(inputs["input"], output)
        findings = no_invention.findings_of(found, no_invention.levels_of(bundle.section))
    provenance["consistency"] = found.as_dict()
    checked = {"consistency": found.as_dict(), "findings": [finding.as_dict() for finding in findings]}
    outputs = {"output": output, **({"residual": found.residual} if parameters.residual else {})}
    return TaskResult(outputs, provenance, {**facts, **checked, **stopwatch.facts()})


def with_acquired(source: Volume, output: Volume) -> tuple[Volume, Comparison]:
    """The result with the frequencies of its input, not below zero where that is not, and what it then differs by."""
    from ..evaluation import no_invention

    acquisition = Acquisition.of_k_space(source.grid)
    voxels = acquisition.keep(output.voxels, source.voxels)
    if source.voxels.min() >= 0:
        np.maximum(voxels, 0, out=voxels)
    output = output.with_voxels(voxels)
    return output, no_invention.compare(source, output, acquisition=acquisition)


def forward_mean(network: nn.Module, block: torch.Tensor) -> torch.Tensor:
    """The mean alone, one channel."""
    return network(block)[0][0]


TASK = SuperResolution()
