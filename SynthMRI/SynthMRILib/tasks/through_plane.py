"""Through-plane super-resolution: thick slices to a grid of any spacing, with what is known of the slice profile.

Method "network" brings the volume to the new grid by cubic B-splines (`through_plane/resampling.py`) and lets a
network sharpen along the thick axis. Method "total-variation" needs no network: it looks for the volume that explains
the slices with the fewest edges (`through_plane/total_variation.py`); it serves when no network is installed, and a
finding says so. Method "bspline" is the interpolation alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle
from ..errors import BundleError
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..intensity import IntensityScale
from ..progress import Progress
from ..provenance import make_provenance
from ..slice_profile import PROFILES
from ..through_plane import resampling
from ..through_plane.conditions import channels, conditions
from ..through_plane.request import METHODS, check_parameters, check_slices, target_grid
from ..volume import Grid, Volume
from .base import InputRole, NetworkInput, Parameters, TaskResult
from .super_resolution import check_bundle, forward_mean

if TYPE_CHECKING:
    from ..evaluation.no_invention import Comparison

#: Weight and iterations of total variation; chosen on patient07.
WEIGHT, ITERATIONS = 0.006, 300


@dataclass(frozen=True)
class ThroughPlaneParameters(Parameters):
    """Parameters of through-plane super-resolution.

    Args:
        spacing: of the result along (i, j, k) [mm]; 0 for the smallest spacing of the input, but not less than 0.5 mm;
            empty for that along all axes.
        gap: between slices [mm]: slices are as much thinner than their distance.
        profile: of the slices, "gaussian" or "box"; method "total-variation" and the no-invention check rely on it.
        method: "network", or "total-variation" or "bspline", which need no bundle.
        residual: also give "residual", what the result would change in the voxels of the input.
    """

    spacing: list[float] = field(default_factory=list)
    gap: float = 0.0
    profile: str = "gaussian"
    method: str = "network"
    residual: bool = False


class ThroughPlane:
    """The task "through-plane"."""

    name: ClassVar[str] = "through-plane"
    title: ClassVar[str] = "Through-plane super-resolution"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("input", "Input volume", True, "brain MR in thick slices: T1w, T2w, FLAIR or contrast-enhanced T1w"),
    )
    parameters_class: ClassVar[type[Parameters]] = ThroughPlaneParameters
    #: What serves in place of the network while no bundle for it is installed.
    fallback_method: ClassVar[str] = "total-variation"

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: ThroughPlaneParameters
    ) -> list[Finding]:
        """Findings about the input, the grid asked for and the bundle; see `tasks.base.Task`."""
        findings = [
            *check_parameters(parameters),
            *check_bundle(bundle, self.name),
            *check_volume(inputs["input"]),
        ]
        if any(f.severity == "error" for f in findings):
            return findings
        if parameters.method == "network" and bundle is None and installed_bundle()[0] is None:
            parameters = replace(parameters, method=self.fallback_method)  # which is what will run
        return [*findings, *check_slices(inputs["input"].grid, parameters)]

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: ThroughPlaneParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the new grid. Without a bundle, and with none installed, total variation serves."""
        notes: list[Finding] = []
        if parameters.method == "network" and bundle is None:
            bundle, notes = installed_bundle()
        raise_on_error(self.check(inputs, bundle, parameters))
        if parameters.method != "network" or bundle is None:
            return without_network(inputs, parameters, notes, progress)
        return enhance(inputs, bundle, parameters, progress)

    def prepare(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle,  # noqa: ARG002
        parameters: ThroughPlaneParameters,
        progress: Progress,
    ) -> NetworkInput:
        """The interpolated volume with its thick axis first, and facts of its slices; see `tasks.base.NetworkTask`."""
        volume = inputs["input"]
        progress(0.0, "Interpolating")
        target = target_grid(volume.grid, parameters)
        fine = resampling.resampled(volume, target)
        scale = IntensityScale.fit(volume.voxels)
        axis = resampling.thick_axis(volume.grid, target)
        distance = volume.spacing[2 - axis] / target.spacing[2 - axis]
        thickness = distance - parameters.gap / target.spacing[2 - axis]
        positions = resampling.positions_along(volume.grid, target, axis)
        planes = resampling.distance_to_slices(np.clip(positions, 0, volume.shape[axis] - 1))
        seen = channels(np.moveaxis(scale.apply(fine.voxels), axis, 0), planes)
        facts = {"intensity": scale.as_dict(), "slices": {"axis": "kji"[axis], "distance_voxels": round(distance, 3)}}
        return NetworkInput(seen, fine, scale.unit, conditions=conditions(distance, thickness), images=1, facts=facts)

    def finish(
        self,
        prepared: NetworkInput,
        voxels: np.ndarray,
        parameters: ThroughPlaneParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The volume with its axes in their own order, in the units of the input; see `tasks.base.NetworkTask`."""
        axis = "kji".index(prepared.facts["slices"]["axis"])
        return prepared.as_volume(np.ascontiguousarray(np.moveaxis(voxels, 0, axis)), spread=spread)


def installed_bundle() -> tuple[Bundle | None, list[Finding]]:
    """The best installed bundle, or none and the finding that says so."""
    try:
        return best_bundle(ThroughPlane.name), []
    except BundleError:
        text = "No network for thick slices is installed: the volume is reconstructed by total variation instead."
        return None, [Finding("warning", "no-network", text)]


def without_network(
    inputs: dict[str, Volume], parameters: ThroughPlaneParameters, notes: list[Finding], progress: Progress
) -> TaskResult:
    """Total variation, or cubic B-spline interpolation when it was asked for."""
    from ..through_plane.total_variation import reconstruct

    volume = inputs["input"]
    target = target_grid(volume.grid, parameters)
    used = "bspline" if parameters.method == "bspline" else "total-variation"
    progress(0.0, "Interpolating")
    if used == "bspline":
        output = resampling.resampled(volume, target)
    else:
        thickness = thickness_of(volume.grid, target, parameters)
        output = reconstruct(
            volume,
            target,
            weight=WEIGHT,
            iterations=ITERATIONS,
            progress=progress,
            thickness=thickness,
            kind=parameters.profile,
        )
    progress(1.0, "Done")
    return checked(inputs, output, None, parameters, {"device": "cpu", "method_used": used}, notes)


def thickness_of(source: Grid, target: Grid, parameters: ThroughPlaneParameters) -> tuple[float, float, float]:
    """Width of the voxels of the input along (i, j, k) [mm]: their distance, less the gap along the thick axis."""
    thick = 2 - resampling.thick_axis(source, target)
    return tuple(s - (parameters.gap if n == thick else 0.0) for n, s in enumerate(source.spacing))


def enhance(
    inputs: dict[str, Volume], bundle: Bundle, parameters: ThroughPlaneParameters, progress: Progress
) -> TaskResult:
    """Interpolate, run the bundle's network, compare the result with the input."""
    from ..inference import runner

    stopwatch = runner.Stopwatch()
    prepared = TASK.prepare(inputs, bundle, parameters, progress)
    voxels, facts, _ = runner.run_volume(
        bundle,
        prepared.voxels,
        parameters,
        forward=forward_mean,
        outputs=1,
        progress=progress,
        conditions=prepared.conditions,
    )
    output = TASK.finish(prepared, voxels[0], parameters)
    facts = {**prepared.facts, **facts, "method_used": "network"}
    result = checked(inputs, output, bundle, parameters, facts, [])
    return TaskResult(result.outputs, result.provenance, {**result.measurements, **stopwatch.facts()})


def checked(
    inputs: dict[str, Volume],
    output: Volume,
    bundle: Bundle | None,
    parameters: ThroughPlaneParameters,
    facts: dict[str, Any],
    notes: list[Finding],
) -> TaskResult:
    """The result with its no-invention check: thick slices taken from it again should be those of the input."""
    from ..evaluation import no_invention

    source = inputs["input"]
    thickness = thickness_of(source.grid, output.grid, parameters)
    found = no_invention.compare(source, output, thickness=thickness, kind=parameters.profile)
    findings = [
        *notes,
        *(
            no_invention.findings_of(found, no_invention.levels_of(bundle.section))
            if bundle
            else [residual_told(found)]
        ),
    ]
    told = {"consistency": found.as_dict(), "findings": [f.as_dict() for f in findings]}
    provenance = make_provenance(
        task=ThroughPlane.name,
        inputs=inputs,
        parameters=parameters.as_dict(),
        bundle=bundle,
        consistency=found.as_dict(),
        **facts,
    )
    outputs = {"output": output, **({"residual": found.residual} if parameters.residual else {})}
    return TaskResult(outputs, provenance, {**facts, **told})


def residual_told(found: Comparison) -> Finding:
    """How well a result that no network made explains its slices."""
    text = (
        "Taken in thick slices again, the result differs from the input by "
        f"{found.rms_percent:.2g} % RMS of its range, {found.peak_percent:.2g} % at most after smoothing."
    )
    return Finding("info", "consistency", text)


TASK = ThroughPlane()

__all__ = ["METHODS", "PROFILES", "TASK", "ThroughPlane", "ThroughPlaneParameters"]
